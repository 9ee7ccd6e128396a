#ifndef TTI_FLEET_COUNTERS_H
#define TTI_FLEET_COUNTERS_H

#include "lib/base/slice.h"
#include <stdatomic.h>
#include <stdint.h>
#include <telltale/error.h>

/* The integers: a table of keys that only grows, so that it is read without a
 * lock and a counter once found stays. Everything but tti_counters_find and
 * tti_counter_add is called under the collector's lock.
 *
 * A counter's sum is spread over eight stripes, one of which a thread adds to.
 * Eight counters share a block, a cache line a stripe:
 *
 *            counter 0   1   2  …  7
 *   stripe 0    [  ][  ][  ] … [  ]     one cache line
 *   …
 *   stripe 7    [  ][  ][  ] … [  ]
 */
#define TTI_STRIPES 8
#define TTI_LANES   8

typedef enum tti_counter_state {
  TTI_COUNTER_DORMANT,  /* not one of the values kept now */
  TTI_COUNTER_COUNTING, /* may be added to without the lock */
  TTI_COUNTER_TAKEN,    /* the key has another shape now */
  TTI_COUNTER_DISABLED
} tti_counter_state;

typedef struct tti_counter {
  uint64_t hash;
  struct tti_counter *next;   /* made after this one; under the lock */
  atomic_int_least64_t *lane; /* of stripe 0 */
  _Atomic(tti_counter_state) state;
  bool present; /* has a value, even when its sum is 0; under the lock */
  bool set;     /* by tt_fleet_set; under the lock */
  uint32_t key_len;
  char key[];
} tti_counter;

typedef struct tti_counters tti_counters;

/* At most `max_keys` keys, of `max_bytes` in all. NULL: no memory. */
tti_counters *tti_counters_new(size_t max_keys, size_t max_bytes,
                               uint64_t seed);
void tti_counters_free(tti_counters *counters);

/* NULL: not there, or made just now by another thread. Takes no lock. */
tti_counter *tti_counters_find(const tti_counters *counters, tti_slice key);

/* The key's counter, made when there is none (dormant). NULL: at the ceiling,
 * or no memory. */
tti_counter *tti_counters_make(tti_counters *counters, tti_slice key);

/* All of them are tti_counters_first and what follows by `next`. */
tti_counter *tti_counters_first(const tti_counters *counters);

/* The stripe of the calling thread. `next_thread` deals them out in turn. */
unsigned tti_stripe(atomic_uint *next_thread);

/* Relaxed, here and below: a sum orders nothing else, and its only promise is
 * that each amount is taken once, which the exchange keeps. */
static inline void tti_counter_add(tti_counter *counter, unsigned stripe,
                                   int64_t amount) {
  atomic_fetch_add_explicit(&counter->lane[stripe * TTI_LANES], amount,
                            memory_order_relaxed);
}

/* Relaxed: whoever still sees the state before has added before the change. */
static inline tti_counter_state tti_counter_state_of(tti_counter *counter) {
  return atomic_load_explicit(&counter->state, memory_order_relaxed);
}

static inline void tti_counter_become(tti_counter *counter,
                                      tti_counter_state state) {
  atomic_store_explicit(&counter->state, state, memory_order_relaxed);
}

int64_t tti_counter_sum(const tti_counter *counter);

/* The sum so far, which is 0 afterwards. */
int64_t tti_counter_take(tti_counter *counter);

static inline tti_slice tti_counter_key(const tti_counter *counter) {
  return (tti_slice){counter->key, counter->key_len};
}

#endif
