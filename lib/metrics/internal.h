#ifndef TTI_METRICS_INTERNAL_H
#define TTI_METRICS_INTERNAL_H

#include "lib/metrics/series.h"

/* What stands for the label values beyond a ceiling. */
#define TTI_OTHER "other"

struct tt_metrics {
  const tt_metrics_ops *ops;
  void *self;
  /* Holds a backend to the ceilings that keeps none itself; else NULL. */
  tti_labels *guard;
};

/* A handle without a guard, for a backend that keeps the ceilings itself or
 * hands on to others. `self` is the handle's on success. NULL: no memory. */
tt_metrics *tti_metrics_new(const tt_metrics_ops *ops, void *self);

/* The only values of a label (0 or 1), "lease|publish"; NULL: any. Static. */
const char *tti_metric_values(tt_metric id, int label);

#endif
