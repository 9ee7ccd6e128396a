#include "lib/otlp/metrics.h"

/* A list that grows. */
typedef struct list {
  void **items;
  size_t count, cap;
} list;

typedef struct building {
  tti_arena *arena;
  uint64_t start_ns, now_ns;
  list metrics;
  const tt_metric_info *open; /* whose points are being gathered */
  list points;
} building;

static void add(tti_arena *arena, list *l, void *item) {
  if (l->count == l->cap) {
    size_t cap = l->cap ? 2 * l->cap : 16;
    void **grown = tti_arena_new(arena, cap * sizeof(*grown));
    if (!grown)
      return;
    if (l->count)
      memcpy(grown, l->items, l->count * sizeof(*grown));
    l->items = grown;
    l->cap = cap;
  }
  l->items[l->count++] = item;
}

/* ---- Points ---- */

static tti_otlp_pairs attributes(tti_arena *arena, const tt_metric_info *info,
                                 const tti_sample *sample) {
  tti_otlp_pairs pairs = {0};
  for (int i = 0; i < 2 && info->labels[i]; i++)
    tti_otlp_pair(arena, &pairs, tti_slice_of(info->labels[i]),
                  tti_otlp_string(arena, tti_slice_of(sample->labels[i])));
  return pairs;
}

static void *number_of(building *b, const tt_metric_info *info,
                       const tti_sample *sample) {
  Tti__Otlp__NumberDataPoint *point = tti_arena_new(b->arena, sizeof(*point));
  tti_otlp_pairs pairs = attributes(b->arena, info, sample);
  if (!point)
    return NULL;
  tti__otlp__number_data_point__init(point);
  point->time_unix_nano = b->now_ns;
  point->attributes = pairs.items;
  point->n_attributes = pairs.count;
  if (info->kind == TT_METRIC_KIND_GAUGE) {
    point->value_case = TTI__OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
    point->as_double = sample->value;
  } else {
    point->start_time_unix_nano = b->start_ns;
    point->value_case = TTI__OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
    point->as_int = (int64_t)sample->count;
  }
  return point;
}

static void *histogram_of(building *b, const tt_metric_info *info,
                          const tti_sample *sample) {
  Tti__Otlp__HistogramDataPoint *point =
      tti_arena_new(b->arena, sizeof(*point));
  uint64_t *buckets = tti_arena_new(b->arena, sizeof(sample->buckets));
  tti_otlp_pairs pairs = attributes(b->arena, info, sample);
  if (!point || !buckets)
    return NULL;
  memcpy(buckets, sample->buckets, sizeof(sample->buckets));
  tti__otlp__histogram_data_point__init(point);
  point->start_time_unix_nano = b->start_ns;
  point->time_unix_nano = b->now_ns;
  point->count = sample->count;
  point->has_sum_case = TTI__OTLP__HISTOGRAM_DATA_POINT__HAS_SUM_SUM;
  point->sum = sample->value;
  point->bucket_counts = buckets;
  point->n_bucket_counts = TTI_BOUNDS + 1;
  point->explicit_bounds = (double *)tti_bounds; /* it is only read */
  point->n_explicit_bounds = TTI_BOUNDS;
  point->attributes = pairs.items;
  point->n_attributes = pairs.count;
  return point;
}

/* ---- Instruments ---- */

static void put_points(building *b, Tti__Otlp__Metric *metric) {
  tti_arena *arena = b->arena;
  if (b->open->kind == TT_METRIC_KIND_COUNTER) {
    if (!(metric->sum = tti_arena_new(arena, sizeof(*metric->sum))))
      return;
    tti__otlp__sum__init(metric->sum);
    metric->data_case = TTI__OTLP__METRIC__DATA_SUM;
    metric->sum->aggregation_temporality = TTI__OTLP__TEMPORALITY__CUMULATIVE;
    metric->sum->is_monotonic = true;
    metric->sum->data_points = (Tti__Otlp__NumberDataPoint **)b->points.items;
    metric->sum->n_data_points = b->points.count;
  } else if (b->open->kind == TT_METRIC_KIND_GAUGE) {
    if (!(metric->gauge = tti_arena_new(arena, sizeof(*metric->gauge))))
      return;
    tti__otlp__gauge__init(metric->gauge);
    metric->data_case = TTI__OTLP__METRIC__DATA_GAUGE;
    metric->gauge->data_points = (Tti__Otlp__NumberDataPoint **)b->points.items;
    metric->gauge->n_data_points = b->points.count;
  } else {
    Tti__Otlp__Histogram *h = tti_arena_new(arena, sizeof(*h));
    if (!h)
      return;
    tti__otlp__histogram__init(h);
    metric->histogram = h;
    metric->data_case = TTI__OTLP__METRIC__DATA_HISTOGRAM;
    h->aggregation_temporality = TTI__OTLP__TEMPORALITY__CUMULATIVE;
    h->data_points = (Tti__Otlp__HistogramDataPoint **)b->points.items;
    h->n_data_points = b->points.count;
  }
}

static ProtobufCBinaryData name_of(tti_arena *arena,
                                   const tt_metric_info *info) {
  static const char prefix[] = "telltale.";
  size_t len = strlen(info->name), at = sizeof(prefix) - 1;
  char *name = tti_arena_new(arena, at + len);
  if (!name)
    return (ProtobufCBinaryData){0};
  memcpy(name, prefix, at);
  memcpy(name + at, info->name, len);
  return (ProtobufCBinaryData){at + len, (uint8_t *)name};
}

static const char *unit_of(const tt_metric_info *info) {
  return strcmp(info->unit, "bytes") == 0     ? "By"
         : strcmp(info->unit, "seconds") == 0 ? "s"
                                              : info->unit;
}

/* All points of the open instrument are there. */
static void close_metric(building *b) {
  Tti__Otlp__Metric *metric =
      b->open ? tti_arena_new(b->arena, sizeof(*metric)) : NULL;
  if (!metric)
    return;
  tti__otlp__metric__init(metric);
  metric->name = name_of(b->arena, b->open);
  metric->description = tti_otlp_text(b->arena, tti_slice_of(b->open->help));
  metric->unit = tti_otlp_text(b->arena, tti_slice_of(unit_of(b->open)));
  put_points(b, metric);
  add(b->arena, &b->metrics, metric);
  b->points = (list){0};
}

static void on_sample(void *context, const tt_metric_info *info,
                      const tti_sample *sample) {
  building *b = context;
  if (b->open != info)
    close_metric(b);
  b->open = info;
  add(b->arena, &b->points,
      info->kind == TT_METRIC_KIND_HISTOGRAM ? histogram_of(b, info, sample)
                                             : number_of(b, info, sample));
}

tt_error tti_otlp_metrics(tti_arena *arena, const tti_otlp_resource *resource,
                          tti_tally *tally, int64_t start_us, int64_t now_us,
                          tti_buf *out) {
  Tti__Otlp__ScopeMetrics scope_metrics = TTI__OTLP__SCOPE_METRICS__INIT;
  Tti__Otlp__ResourceMetrics resource_metrics =
      TTI__OTLP__RESOURCE_METRICS__INIT;
  Tti__Otlp__MetricsRequest request = TTI__OTLP__METRICS_REQUEST__INIT;
  Tti__Otlp__ScopeMetrics *only_scope = &scope_metrics;
  Tti__Otlp__ResourceMetrics *only_resource = &resource_metrics;
  building b = {.arena = arena,
                .start_ns = (uint64_t)start_us * 1000,
                .now_ns = (uint64_t)now_us * 1000};
  tti_arena_clear(arena);
  Tti__Otlp__Resource from = tti_otlp_resource_message(resource);
  Tti__Otlp__Scope scope = tti_otlp_scope(arena);
  tt_error error = tti_tally_each(tally, on_sample, &b);
  if (error)
    return error;
  close_metric(&b);
  if (arena->failed)
    return TT_ENOMEM;
  scope_metrics.scope = &scope;
  scope_metrics.metrics = (Tti__Otlp__Metric **)b.metrics.items;
  scope_metrics.n_metrics = b.metrics.count;
  resource_metrics.resource = &from;
  resource_metrics.scope_metrics = &only_scope;
  resource_metrics.n_scope_metrics = 1;
  request.resource_metrics = &only_resource;
  request.n_resource_metrics = 1;
  return tti_otlp_pack(&request.base, out);
}
