#include "lib/metrics/internal.h"

#include <stdlib.h>

static const tt_metric_info table[] = {
#define X(id, kind, name, unit, label_a, label_b, help)                        \
  {id, TT_METRIC_KIND_##kind, name, unit, {label_a, label_b}, help},
    TELLTALE_METRIC_MAP(X)
#undef X
};

const tt_metric_info *tt_metric_lookup(tt_metric id) {
  return (unsigned)id < TT_METRIC_COUNT ? &table[id] : NULL;
}

const char *tti_metric_values(tt_metric id, int label) {
  static const struct {
    tt_metric id;
    int label;
    const char *values;
  } rows[] = {
#define X(id, label, values) {id, label, values},
      TELLTALE_METRIC_VALUES_MAP(X)
#undef X
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    if (rows[i].id == id && rows[i].label == label)
      return rows[i].values;
  return NULL;
}

/* ---- Handles ---- */

tt_metrics *tti_metrics_new(const tt_metrics_ops *ops, void *self) {
  tt_metrics *metrics = malloc(sizeof(*metrics));
  if (metrics)
    *metrics = (tt_metrics){ops, self, NULL};
  return metrics;
}

tt_error tt_metrics_new(const tt_metrics_ops *ops, void *self,
                        tt_metrics **out_metrics) {
  if (!ops || ops->version != 1 || !out_metrics)
    return TT_EINVAL;
  tt_metrics *metrics = tti_metrics_new(ops, self);
  tti_labels *guard = calloc(1, sizeof(*guard));
  if (!metrics || !guard || tti_labels_init(guard)) {
    if (guard && metrics)
      tti_labels_fini(guard);
    free(guard);
    free(metrics);
    return TT_ENOMEM;
  }
  metrics->guard = guard;
  *out_metrics = metrics;
  return TT_OK;
}

void tt_metrics_free(tt_metrics *metrics) {
  if (!metrics)
    return;
  if (metrics->ops->free)
    metrics->ops->free(metrics->self);
  if (metrics->guard)
    tti_labels_fini(metrics->guard);
  free(metrics->guard);
  free(metrics);
}

/* ---- Calls ---- */

/* The labels that the backend gets to see: its own where it keeps the ceilings
 * itself. */
static void guard(tt_metrics *metrics, const tt_metric_info *info,
                  const char *labels[2]) {
  bool folded;
  if (!metrics->guard)
    return;
  const tti_series *set =
      tti_labels_find(metrics->guard, info->id, labels[0], labels[1], &folded);
  for (int i = 0; i < 2; i++)
    labels[i] = info->labels[i] ? set->labels[i] : NULL;
  if (folded && info->id != TT_METRIC_LABELS_OVERFLOW)
    tt_metrics_add(metrics, TT_METRIC_LABELS_OVERFLOW, 1, info->name, NULL);
}

/* The row of a call that concerns the backend; NULL: none does. */
static const tt_metric_info *concerns(const tt_metrics *metrics, tt_metric id,
                                      tt_metric_kind kind) {
  const tt_metric_info *info = metrics ? tt_metric_lookup(id) : NULL;
  return info && info->kind == kind ? info : NULL;
}

void tt_metrics_add(tt_metrics *metrics, tt_metric id, uint64_t n,
                    const char *label_a, const char *label_b) {
  const tt_metric_info *info = concerns(metrics, id, TT_METRIC_KIND_COUNTER);
  const char *labels[] = {label_a, label_b};
  if (!info || !metrics->ops->add)
    return;
  guard(metrics, info, labels);
  metrics->ops->add(metrics->self, id, n, labels[0], labels[1]);
}

void tt_metrics_set(tt_metrics *metrics, tt_metric id, double value,
                    const char *label_a, const char *label_b) {
  const tt_metric_info *info = concerns(metrics, id, TT_METRIC_KIND_GAUGE);
  const char *labels[] = {label_a, label_b};
  if (!info || !metrics->ops->set)
    return;
  guard(metrics, info, labels);
  metrics->ops->set(metrics->self, id, value, labels[0], labels[1]);
}

void tt_metrics_observe(tt_metrics *metrics, tt_metric id, double value,
                        const char *label_a, const char *label_b) {
  const tt_metric_info *info = concerns(metrics, id, TT_METRIC_KIND_HISTOGRAM);
  const char *labels[] = {label_a, label_b};
  if (!info || !metrics->ops->observe)
    return;
  guard(metrics, info, labels);
  metrics->ops->observe(metrics->self, id, value, labels[0], labels[1]);
}
