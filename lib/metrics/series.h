#ifndef TTI_METRICS_SERIES_H
#define TTI_METRICS_SERIES_H

#include "lib/base/slice.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <telltale/metrics.h>

/* The label sets of every instrument, each with the value that was counted for
 * it. Label sets have ceilings, so that a label which turns out to be made of
 * something endless costs neither us nor who stores what we count:
 *
 * - a label with a list of values (metrics.c) has only these;
 * - `type` has at most 64 values an instrument, `route` 256;
 * - an instrument has at most TTI_SERIES_MAX sets.
 *
 * What is beyond them becomes "other". */

#define TTI_SERIES_MAX 2000
/* A label value is cut to this many bytes. */
#define TTI_LABEL_BYTES 128

/* The buckets of every histogram, in its unit: upper bounds, and one more for
 * what is beyond the last. */
#define TTI_BOUNDS 12
extern const double tti_bounds[TTI_BOUNDS];

/* One value. A counter's is a number, a gauge's the bits of a double. Never
 * removed while its table lives, so a pointer to it stays good. */
typedef struct tti_series {
  _Atomic(struct tti_series *) next; /* in its bucket */
  _Atomic uint64_t value;
  /* Of a histogram: TTI_BOUNDS + 1 counts, and the bits of the sum. */
  _Atomic uint64_t *words;
  _Atomic bool used;
  uint64_t hash;
  const char *labels[2]; /* clean, NUL-terminated; "" where there is none */
  uint64_t mark;         /* for the one who reads, 0 at first */
} tti_series;

typedef struct tti_series_table {
  _Atomic(_Atomic(tti_series *) *) buckets; /* NULL until the first set */
  _Atomic size_t count;
  size_t max;
  bool histogram;
  tti_series other; /* the sets beyond the ceiling */
} tti_series_table;

typedef struct tti_labels {
  pthread_mutex_t mutex; /* taken to add a set, never to find one */
  struct {
    tti_series_table sets;
    /* The values of each label, of an instrument that has two. */
    tti_series_table values[2];
  } of[TT_METRIC_COUNT];
} tti_labels;

/* The memory is all zero. TT_ENOMEM. Finishing what could not be initialised is
 * fine. */
tt_error tti_labels_init(tti_labels *labels);
void tti_labels_fini(tti_labels *labels);

/* The value of this set, made when it is new; *out_folded: some of it has
 * become "other". Without memory it is the set of which all is. Never NULL; the
 * id is one of ours. Thread-safe. */
tti_series *tti_labels_find(tti_labels *labels, tt_metric id,
                            const char *label_a, const char *label_b,
                            bool *out_folded);

/* Fills `out_all` (room for TTI_SERIES_MAX + 1) with the sets in use, sorted by
 * their labels; how many. Thread-safe. */
size_t tti_labels_list(tti_labels *labels, tt_metric id, tti_series **out_all);

#endif
