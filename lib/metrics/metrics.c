#include <stdlib.h>
#include <telltale/metrics.h>

static const tt_metric_info table[] = {
#define X(id, kind, name, unit, label_a, label_b, help)                        \
  {id, TT_METRIC_KIND_##kind, name, unit, {label_a, label_b}, help},
    TELLTALE_METRIC_MAP(X)
#undef X
};

const tt_metric_info *tt_metric_lookup(tt_metric id) {
  return (unsigned)id < TT_METRIC_COUNT ? &table[id] : NULL;
}

void tt_metrics_add(tt_metrics *metrics, tt_metric id, uint64_t n,
                    const char *label_a, const char *label_b) {
  const tt_metric_info *info = tt_metric_lookup(id);
  if (metrics && info && info->kind == TT_METRIC_KIND_COUNTER)
    metrics->ops->add(metrics->self, id, n, label_a, label_b);
}

void tt_metrics_set(tt_metrics *metrics, tt_metric id, double value,
                    const char *label_a, const char *label_b) {
  const tt_metric_info *info = tt_metric_lookup(id);
  if (metrics && info && info->kind == TT_METRIC_KIND_GAUGE)
    metrics->ops->set(metrics->self, id, value, label_a, label_b);
}

void tt_metrics_observe(tt_metrics *metrics, tt_metric id, double value,
                        const char *label_a, const char *label_b) {
  const tt_metric_info *info = tt_metric_lookup(id);
  if (metrics && info && info->kind == TT_METRIC_KIND_HISTOGRAM &&
      metrics->ops->observe)
    metrics->ops->observe(metrics->self, id, value, label_a, label_b);
}

void tt_metrics_free(tt_metrics *metrics) {
  if (!metrics)
    return;
  metrics->ops->free(metrics->self);
  free(metrics);
}
