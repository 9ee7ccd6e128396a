#include "server/metrics/metrics.h"

#include "server/io/log.h"
#include <stdlib.h>
#include <string.h>

/* NULL where nothing is said: the backend's own default. */
static const char *said(const char *text) {
  return *text ? text : NULL;
}

static tt_error new_log(const metrics_spec *spec, char *problem,
                        tt_metrics **out_metrics) {
  tt_metrics_log_options options = {.log = server_log_hook("metrics"),
                                    .only = (const char *const *)spec->only};
  while (options.only && options.only[options.only_count])
    options.only_count++;
  return tt_metrics_log_new(&options, problem, out_metrics);
}

static tt_error new_otlp(const metrics_spec *spec, const tt_metrics_push *push,
                         char *problem, tt_metrics **out_metrics) {
  tt_metrics_otlp_options options = {
      .push = *push,
      .endpoint = said(spec->endpoint),
      .headers = said(spec->headers),
      .token_file = said(spec->token_file),
      .compression = said(spec->compression),
      .timeout_ms = (int)spec->timeout,
      .service_name = said(spec->service_name),
      .resource_attributes = said(spec->resource_attributes),
      .ca_file = said(spec->ca),
      .cert_file = said(spec->cert),
      .key_file = said(spec->key),
  };
  return tt_metrics_otlp_new(&options, problem, out_metrics);
}

static tt_error new_statsd(const metrics_spec *spec,
                           const tt_metrics_push *push, char *problem,
                           tt_metrics **out_metrics) {
  tt_metrics_statsd_options options = {
      .push = *push,
      .address = spec->address,
      .prefix = spec->prefix,
      .tags = strcmp(spec->tags, "dogstatsd") == 0 ? TT_STATSD_TAGS_DOGSTATSD
                                                   : TT_STATSD_TAGS_NONE,
  };
  return tt_metrics_statsd_new(&options, problem, out_metrics);
}

static tt_error backend_new(const metrics_spec *spec, tt_metrics_push push,
                            tti_buf *out_error, tt_metrics **out_metrics) {
  char problem[TELLTALE_PROBLEM_MAX] = "";
  push.interval_ms = (int)spec->interval;
  push.log = server_log_hook("metrics");
  tt_error error = spec->kind == METRICS_LOG
                       ? new_log(spec, problem, out_metrics)
                   : spec->kind == METRICS_OTLP
                       ? new_otlp(spec, &push, problem, out_metrics)
                       : new_statsd(spec, &push, problem, out_metrics);
  if (error == TT_EINVAL)
    tti_buf_printf(out_error, "%s: metrics of type %s: %s", spec->origin,
                   spec->type, problem);
  return error;
}

tt_error metrics_check(const metrics_spec *spec, tti_buf *out_error) {
  return backend_new(spec, (tt_metrics_push){0}, out_error, NULL);
}

tt_error metrics_new(tt_metrics *prometheus, const metrics_spec *specs,
                     size_t count, void (*collect)(void *context),
                     void *context, tti_buf *out_error,
                     tt_metrics **out_metrics) {
  if (count == 0) {
    *out_metrics = prometheus;
    return TT_OK;
  }
  tt_metrics_push push = {
      .collect = collect, .context = context, .failures = prometheus};
  tt_metrics **all = calloc(count + 1, sizeof(*all));
  tt_error error = all ? TT_OK : TT_ENOMEM;
  for (size_t i = 0; i < count && !error; i++)
    error = backend_new(&specs[i], push, out_error, &all[i]);
  if (!error) {
    all[count] = prometheus; /* freed last, since the others count into it */
    error = tt_metrics_tee_new(all, count + 1, out_metrics);
  }
  for (size_t i = 0; i < count && error && all; i++)
    tt_metrics_free(all[i]);
  free(all);
  return error;
}
