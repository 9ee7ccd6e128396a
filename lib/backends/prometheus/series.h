#ifndef TTI_PROMETHEUS_SERIES_H
#define TTI_PROMETHEUS_SERIES_H

#include "lib/base/slice.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <telltale/error.h>

/* The values of one instrument, one for each set of label values. */

#define TTI_SERIES_MAX 1000
/* A label value is cut to this many bytes. */
#define TTI_LABEL_BYTES 128

/* One value. A counter's is a number, a gauge's the bits of a double. Never
 * removed while the backend lives, so a pointer to it stays good. */
typedef struct series {
  _Atomic(struct series *) next; /* in its bucket */
  _Atomic uint64_t value;
  _Atomic bool used;
  uint64_t hash;
  const char *labels[2]; /* clean, NUL-terminated; "" where there is none */
} series;

typedef struct series_table {
  pthread_mutex_t mutex; /* taken to add a set, never to find one */
  _Atomic(_Atomic(series *) *) buckets; /* NULL until the first set */
  _Atomic size_t count;
  series other; /* the sets beyond the ceiling */
} series_table;

/* For an instrument with `label_count` labels; the memory is all zero. */
tt_error series_table_init(series_table *table, int label_count);
void series_table_fini(series_table *table);

/* The value of this set, made when it is new. Beyond the ceiling, or without
 * memory: `other`, and *out_folded is true. Never NULL. Thread-safe. */
series *series_find(series_table *table, const char *label_a,
                    const char *label_b, bool *out_folded);

/* Fills `out_all` (room for TTI_SERIES_MAX + 1) with the sets in use, sorted by
 * their labels; how many. Thread-safe. */
size_t series_list(series_table *table, const series **out_all);

#endif
