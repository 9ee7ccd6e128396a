#include "server/config/option.h"

#include "server/metrics/metrics.h"
#include <stdlib.h>

static const config_option metrics_options[] = {
#define X(field, type, backends, key, value, help)                             \
  {CONFIG_TYPE_##type,           false, key, "", "", value, help,              \
   offsetof(metrics_spec, field)},
    METRICS_FIELD_MAP(X)
#undef X
};

static const unsigned types_of[] = {
#define X(field, type, backends, key, value, help) backends,
    METRICS_FIELD_MAP(X)
#undef X
};

enum { FIELD_COUNT = sizeof(types_of) / sizeof(types_of[0]) };

const config_table config_metrics = {metrics_options, FIELD_COUNT};

unsigned config_metrics_types(const config_option *option) {
  return types_of[option - metrics_options];
}

static tt_error refuse(const metrics_spec *spec, tti_buf *out_error,
                       const char *why) {
  tti_buf_printf(out_error, "%s: %s", spec->origin, why);
  return TT_EINVAL;
}

static tt_error check_type(metrics_spec *spec, uint64_t given,
                           tti_buf *out_error) {
  if (!*spec->type)
    return refuse(spec, out_error,
                  "a backend of metrics needs a type: log, otlp or statsd");
  spec->kind = strcmp(spec->type, "log") == 0    ? METRICS_LOG
               : strcmp(spec->type, "otlp") == 0 ? METRICS_OTLP
                                                 : METRICS_STATSD;
  for (size_t i = 0; i < FIELD_COUNT; i++)
    if ((given >> i & 1) && !(types_of[i] & spec->kind)) {
      tti_buf_printf(out_error, "%s: metrics of type %s have no %s",
                     spec->origin, spec->type,
                     metrics_options[i].key + sizeof("metrics.") - 1);
      return TT_EINVAL;
    }
  return TT_OK;
}

tt_error config_metrics_check(config *c, uint64_t given, tti_buf *out_error) {
  metrics_spec *spec = &c->metrics[c->metrics_count - 1];
  tt_error error = check_type(spec, given, out_error);
  if (error == TT_OK && strchr(spec->endpoint, '@'))
    return refuse(spec, out_error,
                  "a password in the endpoint would be shown: put a token in "
                  "a file and name it with token_file");
  if (error == TT_OK &&
      !(spec->text = config_entry_text(&config_metrics, spec)))
    error = TT_ENOMEM;
  return error == TT_OK ? metrics_check(spec, out_error) : error;
}
