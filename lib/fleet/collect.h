#ifndef TTI_FLEET_COLLECT_H
#define TTI_FLEET_COLLECT_H

#include "lib/fleet/counters.h"
#include "lib/fleet/items.h"

/* What is collected between two updates, and what may be. Thread-safe. */
typedef struct tti_collector tti_collector;

typedef struct tti_collector_options {
  size_t max_items;
  size_t max_bytes;
  const char *const *disabled_keys; /* by the user, for good */
  size_t disabled_key_count;
} tti_collector_options;

/* NULL: no memory. */
tti_collector *tti_collector_new(const tti_collector_options *options);
void tti_collector_free(tti_collector *collector);

/* JSON at `key`: as its value (name is not used), at the end of its list,
 * under `name` in its map, or into its counting set. TT_ECONFLICT, TT_EFULL,
 * TT_ENOMEM; TT_OK also for a key that is disabled. */
tt_error tti_collector_put(tti_collector *collector, tti_shape shape,
                           tti_slice key, tti_slice name, tti_slice json);

/* The integer at `key`: another one, or one more. Errors as above. */
tt_error tti_collector_set_int(tti_collector *collector, tti_slice key,
                               int64_t value);
tt_error tti_collector_add(tti_collector *collector, tti_slice key,
                           int64_t amount);

/* The counter of a key, for tti_collector_add_to; NULL: there is room for no
 * more, and its adder goes by the key. Stays as long as the collector. */
tti_counter *tti_collector_counter(tti_collector *collector, tti_slice key);
tt_error tti_collector_add_to(tti_collector *collector, tti_counter *counter,
                              int64_t amount);

/* By the server, which can lift this again but nothing of the user's. What is
 * there of the key is forgotten. False: no room to remember it. */
bool tti_collector_disable(tti_collector *collector, tti_slice key);
void tti_collector_enable(tti_collector *collector, tti_slice key);
bool tti_collector_is_disabled(tti_collector *collector, tti_slice key);

void tti_collector_reset(tti_collector *collector);

/* Forgets everything and collects nothing more. */
void tti_collector_close(tti_collector *collector);

/* Whether one more line may be logged before the next update. */
bool tti_collector_may_complain(tti_collector *collector);

typedef struct tti_collector_stats {
  uint64_t items, refused, conflicts;
} tti_collector_stats;

tti_collector_stats tti_collector_stats_of(tti_collector *collector);

/* -- What an update tells. -- */

typedef struct tti_taken_int {
  tti_counter *counter;
  int64_t value;
  bool set;
} tti_taken_int;

typedef struct tti_snapshot {
  tti_items items;
  tti_taken_int *ints;
  size_t int_count;
} tti_snapshot;

/* Takes all values, which begin anew. TT_ENOMEM: nothing was taken. */
tt_error tti_collector_take(tti_collector *collector,
                            tti_snapshot *out_snapshot);

/* Removes what has been disabled since it was taken. */
void tti_collector_filter(tti_collector *collector, tti_snapshot *snapshot);

/* Puts back what was not delivered, and empties the snapshot: integers and
 * counting sets are added up, lists go in front, a newer value stays. What
 * there is no room for, or has another shape now, counts as refused. */
void tti_collector_merge(tti_collector *collector, tti_snapshot *snapshot);

void tti_snapshot_fini(tti_snapshot *snapshot);

#endif
