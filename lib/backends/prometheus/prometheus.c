#include "lib/backends/prometheus/series.h"

#include "lib/base/buf.h"
#include "lib/json/write.h"
#include <math.h>
#include <stdlib.h>
#include <telltale/metrics.h>

#define STRIPES         8u
#define CACHE_LINE      64
#define MAX_RENDER_SIZE ((size_t)64 << 20)

/* Unlabelled counters, one copy for each of a few groups of threads, so that
 * two threads seldom write the same line. */
typedef struct stripe {
  _Alignas(CACHE_LINE) _Atomic uint64_t counts[TT_METRIC_COUNT];
} stripe;

typedef struct prometheus {
  stripe stripes[STRIPES];
  series_table tables[TT_METRIC_COUNT];
} prometheus;

/* The thread's handle tells threads apart; its low bits are alike in all. */
static unsigned stripe_index(void) {
  uint64_t self = (uint64_t)(uintptr_t)pthread_self() >> 6;
  return (unsigned)(self * 0x9e3779b97f4a7c15u >> 61) % STRIPES;
}

static int label_count(const tt_metric_info *info) {
  return (info->labels[0] != NULL) + (info->labels[1] != NULL);
}

static void prometheus_add(void *self, tt_metric id, uint64_t n,
                           const char *label_a, const char *label_b);

/* The series of a label set; counts it when it had to be folded. */
static series *find(prometheus *p, tt_metric id, const char *label_a,
                    const char *label_b) {
  const tt_metric_info *info = tt_metric_lookup(id);
  bool folded;
  series *s = series_find(&p->tables[id], info->labels[0] ? label_a : NULL,
                          info->labels[1] ? label_b : NULL, &folded);
  if (folded && id != TT_METRIC_LABELS_OVERFLOW)
    prometheus_add(p, TT_METRIC_LABELS_OVERFLOW, 1, info->name, NULL);
  return s;
}

/* Relaxed, here and below: a sum orders nothing else. `used` is released after
 * the value, so that a scrape never shows a set before its first value. */
static void prometheus_add(void *self, tt_metric id, uint64_t n,
                           const char *label_a, const char *label_b) {
  prometheus *p = self;
  const tt_metric_info *info = tt_metric_lookup(id);
  if (!info)
    return;
  if (label_count(info) == 0) {
    atomic_fetch_add_explicit(&p->stripes[stripe_index()].counts[id], n,
                              memory_order_relaxed);
    return;
  }
  series *s = find(p, id, label_a, label_b);
  atomic_fetch_add_explicit(&s->value, n, memory_order_relaxed);
  if (!atomic_load_explicit(&s->used, memory_order_relaxed))
    atomic_store_explicit(&s->used, true, memory_order_release);
}

static void prometheus_set(void *self, tt_metric id, double value,
                           const char *label_a, const char *label_b) {
  uint64_t bits;
  if (!tt_metric_lookup(id))
    return;
  memcpy(&bits, &value, sizeof(bits));
  series *s = find(self, id, label_a, label_b);
  atomic_store_explicit(&s->value, bits, memory_order_relaxed);
  atomic_store_explicit(&s->used, true, memory_order_release);
}

static void prometheus_free(void *self) {
  prometheus *p = self;
  for (unsigned id = 0; id < TT_METRIC_COUNT; id++)
    series_table_fini(&p->tables[id]);
  free(p);
}

static const tt_metrics_ops prometheus_ops = {.version = 1,
                                              .add = prometheus_add,
                                              .set = prometheus_set,
                                              .free = prometheus_free};

tt_error tt_metrics_prometheus_new(tt_metrics **out_metrics) {
  if (!out_metrics)
    return TT_EINVAL;
  tt_metrics *metrics = malloc(sizeof(*metrics));
  prometheus *p = aligned_alloc(CACHE_LINE, sizeof(*p));
  unsigned made = 0;
  if (!metrics || !p)
    goto fail;
  memset(p, 0, sizeof(*p));
  for (; made < TT_METRIC_COUNT; made++) {
    const tt_metric_info *info = tt_metric_lookup((tt_metric)made);
    if (series_table_init(&p->tables[made], label_count(info)))
      goto fail;
  }
  *metrics = (tt_metrics){.ops = &prometheus_ops, .self = p};
  *out_metrics = metrics;
  return TT_OK;

fail:
  while (made > 0)
    series_table_fini(&p->tables[--made]);
  free(p);
  free(metrics);
  return TT_ENOMEM;
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

/* The name of the samples; in 0.0.4 the family is called so too. */
static void append_sample_name(tti_buf *out, const tt_metric_info *info) {
  append_family(out, info);
  if (info->kind == TT_METRIC_KIND_COUNTER)
    tti_buf_append_text(out, "_total");
}

static void append_comment(tti_buf *out, const tt_metric_info *info,
                           bool openmetrics, const char *keyword) {
  tti_buf_append_text(out, "# ");
  tti_buf_append_text(out, keyword);
  tti_buf_append_char(out, ' ');
  if (openmetrics)
    append_family(out, info);
  else
    append_sample_name(out, info);
  tti_buf_append_char(out, ' ');
}

static void append_head(tti_buf *out, const tt_metric_info *info,
                        bool openmetrics) {
  append_comment(out, info, openmetrics, "HELP");
  append_escaped(out, info->help, openmetrics);
  tti_buf_append_char(out, '\n');
  append_comment(out, info, openmetrics, "TYPE");
  tti_buf_append_text(out, info->kind == TT_METRIC_KIND_COUNTER ? "counter\n"
                                                                : "gauge\n");
  if (openmetrics && *info->unit) {
    append_comment(out, info, openmetrics, "UNIT");
    tti_buf_append_text(out, info->unit);
    tti_buf_append_char(out, '\n');
  }
}

static void append_labels(tti_buf *out, const tt_metric_info *info,
                          const char *const *values) {
  for (int i = 0; i < 2 && info->labels[i]; i++) {
    tti_buf_append_char(out, i == 0 ? '{' : ',');
    tti_buf_append_text(out, info->labels[i]);
    tti_buf_append_text(out, "=\"");
    append_escaped(out, values[i], true);
    tti_buf_append_char(out, '"');
  }
  if (info->labels[0])
    tti_buf_append_char(out, '}');
}

/* Whole numbers, which most gauges are, for the eye: 1234000, not 1.234e+06. */
static void append_double(tti_buf *out, double value) {
  if (fabs(value) < 0x1p53 && value == trunc(value))
    tti_buf_append_i64(out, (int64_t)value);
  else if (isnan(value))
    tti_buf_append_text(out, "NaN");
  else if (isinf(value))
    tti_buf_append_text(out, value > 0 ? "+Inf" : "-Inf");
  else
    tti_json_write_double(out, value);
}

static void append_sample(tti_buf *out, const tt_metric_info *info,
                          const char *const *labels, uint64_t value) {
  append_sample_name(out, info);
  append_labels(out, info, labels);
  tti_buf_append_char(out, ' ');
  if (info->kind == TT_METRIC_KIND_COUNTER) {
    tti_buf_append_u64(out, value);
  } else {
    double real;
    memcpy(&real, &value, sizeof(real));
    append_double(out, real);
  }
  tti_buf_append_char(out, '\n');
}

static uint64_t sum_stripes(prometheus *p, tt_metric id) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < STRIPES; i++)
    sum +=
        atomic_load_explicit(&p->stripes[i].counts[id], memory_order_relaxed);
  return sum;
}

/* An unlabelled counter is shown from the start, since rates need the 0; what
 * else has no value yet is left out. */
static void append_metric(tti_buf *out, prometheus *p, tt_metric id,
                          bool openmetrics, const series **room) {
  const tt_metric_info *info = tt_metric_lookup(id);
  if (info->kind == TT_METRIC_KIND_COUNTER && label_count(info) == 0) {
    append_head(out, info, openmetrics);
    append_sample(out, info, NULL, sum_stripes(p, id));
    return;
  }
  size_t count = series_list(&p->tables[id], room);
  if (count > 0)
    append_head(out, info, openmetrics);
  for (size_t i = 0; i < count; i++)
    append_sample(out, info, room[i]->labels,
                  atomic_load_explicit(&room[i]->value, memory_order_relaxed));
}

tt_error tt_metrics_prometheus_render(tt_metrics *metrics, bool openmetrics,
                                      char **out_text, size_t *out_len) {
  if (!metrics || metrics->ops != &prometheus_ops || !out_text)
    return TT_EINVAL;
  const series **room = malloc((TTI_SERIES_MAX + 1) * sizeof(*room));
  if (!room)
    return TT_ENOMEM;
  tti_buf out;
  tti_buf_init(&out, MAX_RENDER_SIZE);
  for (unsigned id = 0; id < TT_METRIC_COUNT; id++)
    append_metric(&out, metrics->self, (tt_metric)id, openmetrics, room);
  if (openmetrics)
    tti_buf_append_text(&out, "# EOF\n");
  free(room);
  char *text = tti_buf_take(&out, out_len);
  if (!text)
    return TT_ENOMEM;
  *out_text = text;
  return TT_OK;
}
