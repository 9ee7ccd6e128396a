#include <stdlib.h>
#include <telltale/metrics.h>

static void noop_add(void *self, tt_metric id, uint64_t n, const char *label_a,
                     const char *label_b) {
  (void)self, (void)id, (void)n, (void)label_a, (void)label_b;
}

static void noop_set(void *self, tt_metric id, double value,
                     const char *label_a, const char *label_b) {
  (void)self, (void)id, (void)value, (void)label_a, (void)label_b;
}

static void noop_free(void *self) {
  (void)self;
}

static const tt_metrics_ops noop_ops = {
    .version = 1, .add = noop_add, .set = noop_set, .free = noop_free};

tt_error tt_metrics_noop_new(tt_metrics **out_metrics) {
  if (!out_metrics)
    return TT_EINVAL;
  tt_metrics *metrics = malloc(sizeof(*metrics));
  if (!metrics)
    return TT_ENOMEM;
  *metrics = (tt_metrics){.ops = &noop_ops};
  *out_metrics = metrics;
  return TT_OK;
}
