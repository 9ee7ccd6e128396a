#ifndef STORE_RANGE_H
#define STORE_RANGE_H

#include "server/store/store.h"

/* The ranges of a log that are not there, in memory: sorted, not overlapping.
 * Not thread-safe; its holder locks. */
typedef struct range_list {
  store_range *items; /* owned */
  size_t count;
  size_t capacity;
} range_list;

void range_list_fini(range_list *list);

/* Adds a range above every other; one that continues the last with the same
 * reason widens it. TT_ENOMEM. */
tt_error range_list_add(range_list *list, uint64_t from_seq, uint64_t to_seq,
                        const char *reason);

/* Retention took everything from `from_seq` to `to_seq`: what lay inside is
 * folded into one range, joined with an earlier retention. TT_ENOMEM. */
tt_error range_list_retain(range_list *list, uint64_t from_seq,
                           uint64_t to_seq);

/* The parts within (after_seq, to_seq], at most `max`; returns how many. */
size_t range_list_copy(const range_list *list, uint64_t after_seq,
                       uint64_t to_seq, store_range *out_ranges, size_t max);

#endif
