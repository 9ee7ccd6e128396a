#ifndef TTI_FLEET_COLLECTOR_H
#define TTI_FLEET_COLLECTOR_H

#include "lib/fleet/collect.h"
#include <pthread.h>

/* The inside of a collector, for collect.c, which fills it, and taken.c, which
 * empties it. A key is an item or a counter, never both: a counter whose key is
 * an item is TTI_COUNTER_TAKEN. */
struct tti_collector {
  uint64_t seed;
  size_t max_items, max_bytes;
  atomic_uint next_thread;
  atomic_uint complaints; /* since the last update */
  tti_counters *counters;
  pthread_mutex_t lock;
  /* From here on under the lock. */
  tti_items items;
  tti_items by_user, by_server; /* disabled keys */
  size_t item_count, bytes;     /* of items and counters that count */
  uint64_t refused, conflicts;
  bool closed;
};

/* All of these are called under the lock. */
bool tti_collector_forbids(const tti_collector *c, tti_slice key);

/* Whether so much more would fit; counts what does, and what does not. */
bool tti_collector_admit(tti_collector *c, size_t leaves, size_t bytes);

/* Takes an item out of the account and out of the world. */
void tti_collector_drop(tti_collector *c, tti_item *item);

size_t tti_counter_bytes(const tti_counter *counter);

/* Makes it one of the values kept now; false: no room. */
bool tti_collector_wake(tti_collector *c, tti_counter *counter);

/* Forgets its sum; it is no longer one of them. */
void tti_collector_retire(tti_collector *c, tti_counter *counter,
                          tti_counter_state state);

/* Adds to the integer, or replaces it. */
tt_error tti_collector_int(tti_collector *c, tti_slice key, int64_t amount,
                           bool set);

/* The list, map or counting set of a key, which may be made now and empty.
 * TT_ECONFLICT, TT_EFULL, TT_ENOMEM. */
tt_error tti_collector_container(tti_collector *c, tti_shape shape,
                                 tti_slice key, tti_item **out_item);

#endif
