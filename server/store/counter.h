#ifndef STORE_COUNTER_H
#define STORE_COUNTER_H

#include "server/store/store.h"
#include <pthread.h>

/* How many events there were by source, channel and level, and log lines by
 * logger and level, counted on arrival so that nothing scans the log for it. A
 * dimension holds 1,000 names; the rest is "other".
 *
 * One thread notes and commits; any thread copies. What was noted shows only
 * after the commit, so the counts never tell of an event that was not stored.
 */
#define COUNTER_NAMES 1000
#define COUNTER_OTHER "other"

typedef struct counter {
  store_count shown;
  uint64_t hash;
  uint64_t noted; /* not yet committed */
} counter;

typedef struct counter_set {
  counter *items; /* owned; COUNTER_NAMES and "other" at most */
  size_t count;
  size_t capacity;
  uint16_t *slots; /* owned; index + 1, open addressing */
  size_t slot_count;
  size_t last; /* what the last event had; the next often has it too */
} counter_set;

typedef struct counters {
  pthread_mutex_t lock;
  counter_set sets[STORE_DIMENSIONS];
} counters;

void counters_init(counters *c);
void counters_fini(counters *c);
void counters_clear(counters *c);

/* A name's count as it was stored. TT_ENOMEM. */
tt_error counters_load(counters *c, store_dimension dimension, tti_slice name,
                       uint64_t count);

/* Counts one record. Without memory for a new name nothing is counted. */
void counters_note(counters *c, const tti_record *record);

/* The next name that was noted since the last commit, from index *at on, with
 * the count it will have. False at the end. */
bool counters_next_noted(counters *c, store_dimension dimension, size_t *at,
                         const char **out_name, uint64_t *out_count);

void counters_commit(counters *c);
void counters_rollback(counters *c);

/* The largest first. */
size_t counters_copy(counters *c, store_dimension dimension,
                     store_count *out_counts, size_t max);

#endif
