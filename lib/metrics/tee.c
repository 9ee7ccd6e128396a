#include "lib/metrics/internal.h"

#include <stdlib.h>

/* Never changes after its birth, so every thread just reads it. */
typedef struct tee {
  size_t count;
  tt_metrics *parts[];
} tee;

static void tee_add(void *self, tt_metric id, uint64_t n, const char *label_a,
                    const char *label_b) {
  tee *t = self;
  for (size_t i = 0; i < t->count; i++)
    tt_metrics_add(t->parts[i], id, n, label_a, label_b);
}

static void tee_set(void *self, tt_metric id, double value, const char *label_a,
                    const char *label_b) {
  tee *t = self;
  for (size_t i = 0; i < t->count; i++)
    tt_metrics_set(t->parts[i], id, value, label_a, label_b);
}

static void tee_observe(void *self, tt_metric id, double value,
                        const char *label_a, const char *label_b) {
  tee *t = self;
  for (size_t i = 0; i < t->count; i++)
    tt_metrics_observe(t->parts[i], id, value, label_a, label_b);
}

static void tee_free(void *self) {
  tee *t = self;
  for (size_t i = 0; i < t->count; i++)
    tt_metrics_free(t->parts[i]);
  free(t);
}

tt_error tt_metrics_tee_new(tt_metrics *const *backends, size_t count,
                            tt_metrics **out_metrics) {
  static const tt_metrics_ops ops = {.version = 1,
                                     .add = tee_add,
                                     .set = tee_set,
                                     .observe = tee_observe,
                                     .free = tee_free};
  if (!out_metrics || (count && !backends))
    return TT_EINVAL;
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; backends[i] && k < i; k++)
      if (backends[k] == backends[i])
        return TT_EINVAL;
  tee *t = malloc(sizeof(*t) + count * sizeof(t->parts[0]));
  tt_metrics *metrics = t ? tti_metrics_new(&ops, t) : NULL;
  if (!metrics) {
    free(t);
    return TT_ENOMEM;
  }
  t->count = count;
  for (size_t i = 0; i < count; i++)
    t->parts[i] = backends[i];
  *out_metrics = metrics;
  return TT_OK;
}
