#include "lib/otlp/metrics.h"
#include "lib/backends/otlp/sender.h"
#include "lib/base/backoff.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/metrics/internal.h"
#include "lib/metrics/ticker.h"
#include <stdio.h>
#include <stdlib.h>

#define REQUEST_BYTES  ((size_t)16 << 20)
#define INTERVAL_MS    60000
#define INTERVAL_MAX   3600000
#define RETRY_FIRST_MS 1000
#define RETRY_LAST_MS  30000

typedef struct otlp_metrics {
  tti_tally *tally;
  tt_metrics_push push;
  int64_t start_us; /* unix: of all sums */
  tti_ticker *ticker;
  tti_otlp_sender sender;
  unsigned failures; /* in a row, that may be tried again */
  tti_log_ration complaint;
} otlp_metrics;

static void fail(otlp_metrics *o, const char *reason, const char *problem) {
  tti_tally_add(o->tally, TT_METRIC_EXPORT_FAILURES, 1, "otlp", reason);
  tt_metrics_add(o->push.failures, TT_METRIC_EXPORT_FAILURES, 1, "otlp",
                 reason);
  tti_log_rationed(&o->complaint, &o->push.log, TT_LEVEL_WARN,
                   "metrics to OTLP: %s", problem);
}

/* Sums are cumulative, so what could not be sent is in the next request: there
 * is nothing to keep, only to come again sooner. Never sooner than the server
 * wants. */
static int64_t soon(otlp_metrics *o, int retry_after_ms) {
  int64_t wait_ms =
      tti_backoff_ms(++o->failures, RETRY_FIRST_MS, RETRY_LAST_MS);
  if (wait_ms > o->push.interval_ms)
    wait_ms = o->push.interval_ms;
  return wait_ms > retry_after_ms ? wait_ms : retry_after_ms;
}

/* After an answer; the specification says which are worth another try. */
static int64_t verdict(otlp_metrics *o) {
  char problem[TELLTALE_PROBLEM_MAX] = "";
  int status = o->sender.answer.status;
  if (status < 200 || status > 299) {
    int retry_after_ms = tti_otlp_refusal(&o->sender, problem);
    bool again =
        status == 429 || status == 502 || status == 503 || status == 504;
    fail(o, again ? "busy" : "refused", problem);
    if (again)
      return soon(o, retry_after_ms);
  } else if (tti_otlp_rejected(&o->sender, problem)) {
    fail(o, "rejected", problem);
  }
  o->failures = 0;
  return o->push.interval_ms;
}

static int64_t tick(void *context, bool last) {
  otlp_metrics *o = context;
  tti_otlp_sender *sender = &o->sender;
  char problem[TELLTALE_PROBLEM_MAX];
  (void)last;
  if (o->push.collect)
    o->push.collect(o->push.context);
  tti_buf_clear(&sender->request);
  tt_error error = tti_otlp_metrics(
      &sender->arena, &sender->settings.resource, o->tally, o->start_us,
      tti_wall_us(&tti_clock_system), &sender->request);
  snprintf(problem, sizeof(problem), "%s", tt_error_message(error));
  if (!error)
    error = tti_otlp_send(sender, -1, problem);
  if (!error)
    return verdict(o);
  if (error == TT_ECANCELLED) /* it is the last */
    return 0;
  fail(o,
       error == TT_ETOOBIG  ? "too_large"
       : error == TT_ENOMEM ? "no_memory"
                            : "unreachable",
       problem);
  return soon(o, 0);
}

static void hurry(void *context) {
  otlp_metrics *o = context;
  tti_http_cancel(o->sender.client);
}

/* ---- Counting ---- */

static void otlp_add(void *self, tt_metric id, uint64_t n, const char *label_a,
                     const char *label_b) {
  otlp_metrics *o = self;
  tti_tally_add(o->tally, id, n, label_a, label_b);
}

static void otlp_set(void *self, tt_metric id, double value,
                     const char *label_a, const char *label_b) {
  otlp_metrics *o = self;
  tti_tally_set(o->tally, id, value, label_a, label_b);
}

static void otlp_observe(void *self, tt_metric id, double value,
                         const char *label_a, const char *label_b) {
  otlp_metrics *o = self;
  tti_tally_observe(o->tally, id, value, label_a, label_b);
}

/* ---- Life ---- */

static void otlp_free(void *self) {
  otlp_metrics *o = self;
  if (!tti_ticker_stop(o->ticker))
    return;
  tti_otlp_sender_fini(&o->sender);
  tti_tally_free(o->tally);
  free(o);
}

static tt_error set_interval(otlp_metrics *o, char *problem) {
  static const char variable[] = "OTEL_METRIC_EXPORT_INTERVAL";
  const char *text = getenv(variable);
  unsigned long long ms = (unsigned long long)o->push.interval_ms;
  bool given = o->push.interval_ms != 0;
  if (!given && text && *text && !tti_slice_to_u64(tti_slice_of(text), &ms))
    ms = INTERVAL_MAX + 1;
  else if (ms == 0)
    ms = INTERVAL_MS;
  if (o->push.interval_ms >= 0 && ms <= INTERVAL_MAX) {
    o->push.interval_ms = (int)ms;
    return TT_OK;
  }
  snprintf(problem, TELLTALE_PROBLEM_MAX,
           "%s: it is not a number of milliseconds, 1 to 3600000",
           given ? "interval_ms" : variable);
  return TT_EINVAL;
}

static tt_error set_options(otlp_metrics *o,
                            const tt_metrics_otlp_options *options,
                            char *problem) {
  tt_storage_otlp_options common = {
      .endpoint = options->endpoint,
      .headers = options->headers,
      .token_file = options->token_file,
      .compression = options->compression,
      .timeout_ms = options->timeout_ms,
      .service_name = options->service_name,
      .resource_attributes = options->resource_attributes,
      .ca_file = options->ca_file,
      .cert_file = options->cert_file,
      .key_file = options->key_file,
  };
  o->push = options->push;
  o->start_us = tti_wall_us(&tti_clock_system);
  o->sender.settings.signal = "METRICS";
  o->sender.settings.path = "/v1/metrics";
  tt_error error =
      tti_otlp_sender_init(&o->sender, &common, REQUEST_BYTES, problem);
  return error ? error : set_interval(o, problem);
}

static tt_error start(otlp_metrics *o) {
  tti_ticker_options options = {.first_ms = o->push.interval_ms,
                                .tick = tick,
                                .hurry = hurry,
                                .context = o};
  o->tally = tti_tally_new();
  return o->tally ? tti_ticker_start(&options, &o->ticker) : TT_ENOMEM;
}

tt_error tt_metrics_otlp_new(const tt_metrics_otlp_options *options,
                             char *problem, tt_metrics **out_metrics) {
  static const tt_metrics_otlp_options defaults;
  static const tt_metrics_ops ops = {.version = 1,
                                     .add = otlp_add,
                                     .set = otlp_set,
                                     .observe = otlp_observe,
                                     .free = otlp_free};
  char unread[TELLTALE_PROBLEM_MAX];
  otlp_metrics *o = calloc(1, sizeof(*o));
  tt_metrics *metrics = o ? tti_metrics_new(&ops, o) : NULL;
  if (!metrics) {
    free(o);
    return TT_ENOMEM;
  }
  tt_error error =
      set_options(o, options ? options : &defaults, problem ? problem : unread);
  if (!error && out_metrics)
    error = start(o);
  if (error || !out_metrics) {
    otlp_free(o);
    free(metrics);
    return error;
  }
  *out_metrics = metrics;
  return TT_OK;
}
