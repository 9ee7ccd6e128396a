#ifndef TTI_METRICS_TALLY_H
#define TTI_METRICS_TALLY_H

#include "lib/metrics/series.h"

/* The sums and last values of every instrument, for backends that show them all
 * at once. Counting is lock-free but for a label set that is new. */
typedef struct tti_tally tti_tally;

/* NULL: no memory. */
tti_tally *tti_tally_new(void);
void tti_tally_free(tti_tally *tally);

/* The functions of tt_metrics_ops, with a tti_tally as `self`. Ids that this
 * library's table does not have are ignored. */
void tti_tally_add(void *self, tt_metric id, uint64_t n, const char *label_a,
                   const char *label_b);
void tti_tally_set(void *self, tt_metric id, double value, const char *label_a,
                   const char *label_b);
void tti_tally_observe(void *self, tt_metric id, double value,
                       const char *label_a, const char *label_b);

/* The label values under which an instrument that has labels is counted, folded
 * if need be; good while the tally lives. */
const char *const *tti_tally_labels(tti_tally *tally, tt_metric id,
                                    const char *label_a, const char *label_b);

/* What was counted for one label set. */
typedef struct tti_sample {
  const char *const *labels;        /* two; good while the tally lives */
  uint64_t count;                   /* of a counter; of observations */
  double value;                     /* of a gauge; the sum of observations */
  uint64_t buckets[TTI_BOUNDS + 1]; /* of a histogram, each by itself */
  uint64_t *mark;                   /* the only reader's own note, 0 at first */
} tti_sample;

typedef void tti_on_sample(void *context, const tt_metric_info *info,
                           const tti_sample *sample);

/* Calls back for every value, in the order of the table and, in an instrument,
 * of its labels. A counter without labels is there from the start, since rates
 * need the 0; what else was never counted is not. Thread-safe. TT_ENOMEM, and
 * then nothing was called. */
tt_error tti_tally_each(tti_tally *tally, tti_on_sample *on_sample,
                        void *context);

#endif
