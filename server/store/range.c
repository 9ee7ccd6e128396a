#include "server/store/range.h"

#include <stdio.h>
#include <stdlib.h>

#define RETENTION "retention"

void range_list_fini(range_list *list) {
  free(list->items);
  *list = (range_list){0};
}

static tt_error grow(range_list *list) {
  if (list->count < list->capacity)
    return TT_OK;
  size_t capacity = list->capacity ? list->capacity * 2 : 16;
  store_range *items = realloc(list->items, capacity * sizeof *items);
  if (!items)
    return TT_ENOMEM;
  list->items = items;
  list->capacity = capacity;
  return TT_OK;
}

static store_range make(uint64_t from_seq, uint64_t to_seq,
                        const char *reason) {
  store_range range = {.from_seq = from_seq, .to_seq = to_seq};
  snprintf(range.reason, sizeof range.reason, "%s", reason);
  return range;
}

tt_error range_list_add(range_list *list, uint64_t from_seq, uint64_t to_seq,
                        const char *reason) {
  if (list->count > 0) {
    store_range *last = &list->items[list->count - 1];
    if (last->to_seq + 1 == from_seq && strcmp(last->reason, reason) == 0) {
      last->to_seq = to_seq;
      return TT_OK;
    }
  }
  tt_error error = grow(list);
  if (!error)
    list->items[list->count++] = make(from_seq, to_seq, reason);
  return error;
}

tt_error range_list_retain(range_list *list, uint64_t from_seq,
                           uint64_t to_seq) {
  tt_error error = grow(list);
  if (error)
    return error;
  /* Retention goes from the oldest upwards, so an earlier one is the first. */
  if (list->count > 0 && strcmp(list->items[0].reason, RETENTION) == 0)
    from_seq = list->items[0].from_seq;
  size_t kept = 0;
  store_range *items = list->items;
  size_t first = 0;
  while (first < list->count && items[first].to_seq <= to_seq) {
    if (items[first].from_seq < from_seq)
      from_seq = items[first].from_seq;
    first++;
  }
  if (first < list->count && items[first].from_seq <= to_seq)
    items[first].from_seq = to_seq + 1;
  kept = list->count - first;
  memmove(items + 1, items + first, kept * sizeof *items);
  items[0] = make(from_seq, to_seq, RETENTION);
  list->count = kept + 1;
  return TT_OK;
}

size_t range_list_copy(const range_list *list, uint64_t after_seq,
                       uint64_t to_seq, store_range *out_ranges, size_t max) {
  size_t count = 0;
  for (size_t i = 0; i < list->count && count < max; i++) {
    store_range range = list->items[i];
    if (range.to_seq <= after_seq)
      continue;
    if (range.from_seq > to_seq)
      break;
    if (range.from_seq <= after_seq)
      range.from_seq = after_seq + 1;
    if (range.to_seq > to_seq)
      range.to_seq = to_seq;
    out_ranges[count++] = range;
  }
  return count;
}
