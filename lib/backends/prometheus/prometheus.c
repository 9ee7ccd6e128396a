#include "lib/base/buf.h"
#include "lib/json/write.h"
#include "lib/metrics/internal.h"
#include "lib/metrics/tally.h"
#include <math.h>
#include <stdlib.h>

#define MAX_RENDER_SIZE ((size_t)64 << 20)

static void prometheus_free(void *self) {
  tti_tally_free(self);
}

static const tt_metrics_ops prometheus_ops = {.version = 1,
                                              .add = tti_tally_add,
                                              .set = tti_tally_set,
                                              .observe = tti_tally_observe,
                                              .free = prometheus_free};

tt_error tt_metrics_prometheus_new(tt_metrics **out_metrics) {
  if (!out_metrics)
    return TT_EINVAL;
  tti_tally *tally = tti_tally_new();
  tt_metrics *metrics = tally ? tti_metrics_new(&prometheus_ops, tally) : NULL;
  if (!metrics) {
    tti_tally_free(tally);
    return TT_ENOMEM;
  }
  *out_metrics = metrics;
  return TT_OK;
}

/* ---- Rendering ---- */

/* Backslash and line end as two characters each; the quote too where the
 * format has it so. */
static void append_escaped(tti_buf *out, const char *text, bool quotes) {
  for (; *text; text++) {
    if (*text == '\n') {
      tti_buf_append_text(out, "\\n");
      continue;
    }
    if (*text == '\\' || (*text == '"' && quotes))
      tti_buf_append_char(out, '\\');
    tti_buf_append_char(out, *text);
  }
}

static void append_family(tti_buf *out, const tt_metric_info *info) {
  tti_buf_append_text(out, "telltale_");
  tti_buf_append_text(out, info->name);
  if (*info->unit) {
    tti_buf_append_char(out, '_');
    tti_buf_append_text(out, info->unit);
  }
}

static void append_comment(tti_buf *out, const tt_metric_info *info,
                           bool openmetrics, const char *keyword) {
  tti_buf_append_text(out, "# ");
  tti_buf_append_text(out, keyword);
  tti_buf_append_char(out, ' ');
  append_family(out, info);
  /* In 0.0.4 the family is called as its samples are. */
  if (!openmetrics && info->kind == TT_METRIC_KIND_COUNTER)
    tti_buf_append_text(out, "_total");
  tti_buf_append_char(out, ' ');
}

static void append_head(tti_buf *out, const tt_metric_info *info,
                        bool openmetrics) {
  static const char *const kinds[] = {"counter\n", "gauge\n", "histogram\n"};
  append_comment(out, info, openmetrics, "HELP");
  append_escaped(out, info->help, openmetrics);
  tti_buf_append_char(out, '\n');
  append_comment(out, info, openmetrics, "TYPE");
  tti_buf_append_text(out, kinds[info->kind]);
  if (openmetrics && *info->unit) {
    append_comment(out, info, openmetrics, "UNIT");
    tti_buf_append_text(out, info->unit);
    tti_buf_append_char(out, '\n');
  }
}

static void append_double(tti_buf *out, double value) {
  if (isnan(value))
    tti_buf_append_text(out, "NaN");
  else if (isinf(value))
    tti_buf_append_text(out, value > 0 ? "+Inf" : "-Inf");
  else
    tti_json_write_plain(out, value);
}

typedef struct rendering {
  tti_buf out;
  bool openmetrics;
  const tt_metric_info *open; /* whose head is written */
} rendering;

/* `bound`: of a histogram's bucket; else NULL. Labels are compared as texts, so
 * OpenMetrics says how a whole number is written there. */
static void append_labels(rendering *r, const tt_metric_info *info,
                          const char *const *values, const double *bound) {
  tti_buf *out = &r->out;
  char before = '{';
  for (int i = 0; i < 2 && info->labels[i]; i++) {
    tti_buf_append_char(out, before);
    tti_buf_append_text(out, info->labels[i]);
    tti_buf_append_text(out, "=\"");
    append_escaped(out, values[i], true);
    tti_buf_append_char(out, '"');
    before = ',';
  }
  if (bound) {
    tti_buf_append_char(out, before);
    tti_buf_append_text(out, "le=\"");
    append_double(out, *bound);
    if (r->openmetrics && isfinite(*bound) && *bound == trunc(*bound))
      tti_buf_append_text(out, ".0");
    tti_buf_append_char(out, '"');
  }
  if (bound || info->labels[0])
    tti_buf_append_char(out, '}');
}

static void append_value(tti_buf *out, double value) {
  tti_buf_append_char(out, ' ');
  append_double(out, value);
  tti_buf_append_char(out, '\n');
}

static void append_count(tti_buf *out, uint64_t count) {
  tti_buf_append_char(out, ' ');
  tti_buf_append_u64(out, count);
  tti_buf_append_char(out, '\n');
}

/* What comes before the value. */
static void append_name(rendering *r, const tt_metric_info *info,
                        const char *suffix, const tti_sample *sample,
                        const double *bound) {
  append_family(&r->out, info);
  tti_buf_append_text(&r->out, suffix);
  append_labels(r, info, sample->labels, bound);
}

static void append_histogram(rendering *r, const tt_metric_info *info,
                             const tti_sample *sample) {
  uint64_t below = 0;
  for (size_t i = 0; i <= TTI_BOUNDS; i++) {
    double bound = i < TTI_BOUNDS ? tti_bounds[i] : INFINITY;
    below += sample->buckets[i];
    append_name(r, info, "_bucket", sample, &bound);
    append_count(&r->out, below);
  }
  append_name(r, info, "_sum", sample, NULL);
  append_value(&r->out, sample->value);
  append_name(r, info, "_count", sample, NULL);
  append_count(&r->out, sample->count);
}

static void append_sample(void *context, const tt_metric_info *info,
                          const tti_sample *sample) {
  rendering *r = context;
  if (r->open != info)
    append_head(&r->out, info, r->openmetrics);
  r->open = info;
  switch (info->kind) {
  case TT_METRIC_KIND_COUNTER:
    append_name(r, info, "_total", sample, NULL);
    append_count(&r->out, sample->count);
    break;
  case TT_METRIC_KIND_GAUGE:
    append_name(r, info, "", sample, NULL);
    append_value(&r->out, sample->value);
    break;
  case TT_METRIC_KIND_HISTOGRAM:
    append_histogram(r, info, sample);
    break;
  }
}

tt_error tt_metrics_prometheus_render(tt_metrics *metrics, bool openmetrics,
                                      char **out_text, size_t *out_len) {
  if (!metrics || metrics->ops != &prometheus_ops || !out_text)
    return TT_EINVAL;
  rendering r = {.openmetrics = openmetrics};
  tti_buf_init(&r.out, MAX_RENDER_SIZE);
  tt_error error = tti_tally_each(metrics->self, append_sample, &r);
  if (openmetrics)
    tti_buf_append_text(&r.out, "# EOF\n");
  char *text = error ? NULL : tti_buf_take(&r.out, out_len);
  tti_buf_fini(&r.out);
  if (!text)
    return TT_ENOMEM;
  *out_text = text;
  return TT_OK;
}
