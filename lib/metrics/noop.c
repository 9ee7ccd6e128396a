#include "lib/metrics/internal.h"

tt_error tt_metrics_noop_new(tt_metrics **out_metrics) {
  static const tt_metrics_ops ops = {.version = 1};
  if (!out_metrics)
    return TT_EINVAL;
  tt_metrics *metrics = tti_metrics_new(&ops, NULL);
  if (!metrics)
    return TT_ENOMEM;
  *out_metrics = metrics;
  return TT_OK;
}
