#include "lib/fleet/collector.h"

#include <stdlib.h>

/* Under the lock: forgets all values. */
static void clear(tti_collector *c) {
  tti_items_fini(&c->items);
  c->item_count = c->bytes = 0;
}

static void restart(tti_counter *counter, tti_counter_state state) {
  tti_counter_become(counter, state);
  counter->present = counter->set = false;
}

/* Under the lock. What is not collected now starts as one that may be. */
static void reset(tti_collector *c, bool closed) {
  clear(c);
  for (tti_counter *at = tti_counters_first(c->counters); at; at = at->next) {
    bool off = closed || tti_counter_state_of(at) == TTI_COUNTER_DISABLED;
    restart(at, off ? TTI_COUNTER_DISABLED : TTI_COUNTER_DORMANT);
    tti_counter_take(at);
  }
}

void tti_collector_reset(tti_collector *collector) {
  pthread_mutex_lock(&collector->lock);
  reset(collector, collector->closed);
  pthread_mutex_unlock(&collector->lock);
}

void tti_collector_close(tti_collector *collector) {
  pthread_mutex_lock(&collector->lock);
  collector->closed = true;
  reset(collector, true);
  pthread_mutex_unlock(&collector->lock);
}

/* -- Taking. -- */

/* Counters that had a value keep their place, so that the next addition needs
 * no lock; but not when they would crowd out new keys. */
static void keep_place(tti_collector *c, tti_counter *counter) {
  bool stays = c->item_count < c->max_items / 2 && c->bytes < c->max_bytes / 2;
  restart(counter, TTI_COUNTER_DORMANT);
  if (stays)
    tti_collector_wake(c, counter);
}

static void take_counter(tti_collector *c, tti_counter *counter,
                         tti_snapshot *snapshot) {
  tti_counter_state state = tti_counter_state_of(counter);
  if (state == TTI_COUNTER_DISABLED)
    return;
  bool present = counter->present, set = counter->set;
  /* Before the sum is taken: a thread that adds without the lock afterwards
   * does so for the next update. */
  int64_t sum = tti_counter_take(counter);
  if (state == TTI_COUNTER_TAKEN || (sum == 0 && !present)) {
    restart(counter, TTI_COUNTER_DORMANT);
    return;
  }
  snapshot->ints[snapshot->int_count++] =
      (tti_taken_int){.counter = counter, .value = sum, .set = set};
  keep_place(c, counter);
}

tt_error tti_collector_take(tti_collector *collector,
                            tti_snapshot *out_snapshot) {
  tti_collector *c = collector;
  tti_snapshot taken = {0};
  size_t most = 0;
  pthread_mutex_lock(&c->lock);
  for (tti_counter *at = tti_counters_first(c->counters); at; at = at->next)
    most++;
  taken.ints = calloc(most + 1, sizeof(*taken.ints));
  if (taken.ints) {
    taken.items = c->items;
    c->items = (tti_items){0};
    clear(c);
    for (tti_counter *at = tti_counters_first(c->counters); at; at = at->next)
      take_counter(c, at, &taken);
  }
  pthread_mutex_unlock(&c->lock);
  if (!taken.ints)
    return TT_ENOMEM;
  atomic_store_explicit(&c->complaints, 0, memory_order_relaxed);
  *out_snapshot = taken;
  return TT_OK;
}

void tti_snapshot_fini(tti_snapshot *snapshot) {
  tti_items_fini(&snapshot->items);
  free(snapshot->ints);
  *snapshot = (tti_snapshot){0};
}

void tti_collector_filter(tti_collector *collector, tti_snapshot *snapshot) {
  size_t kept = 0;
  pthread_mutex_lock(&collector->lock);
  for (tti_item *at = snapshot->items.first, *after; at; at = after) {
    after = at->after;
    if (!tti_collector_forbids(collector, tti_item_key(at)))
      continue;
    tti_items_remove(&snapshot->items, at);
    tti_item_free(at);
  }
  for (size_t i = 0; i < snapshot->int_count; i++) {
    if (!tti_collector_forbids(collector,
                               tti_counter_key(snapshot->ints[i].counter)))
      snapshot->ints[kept++] = snapshot->ints[i];
  }
  snapshot->int_count = kept;
  pthread_mutex_unlock(&collector->lock);
}

/* -- Putting back. -- */

static void merge_int(tti_collector *c, tti_slice key, int64_t value,
                      bool old_set) {
  tti_counter *counter = tti_counters_find(c->counters, key);
  tti_item *item = tti_items_find(&c->items, c->seed, key);
  if (item ? item->set : counter && counter->set)
    return; /* set anew since */
  tt_error error = tti_collector_int(c, key, value, false);
  c->refused += error && error != TT_EFULL; /* which has been counted */
  if (error)
    return;
  item = tti_items_find(&c->items, c->seed, key);
  counter = tti_counters_find(c->counters, key);
  if (item && item->shape == TTI_SHAPE_INT)
    item->set = old_set;
  else if (counter)
    counter->set = old_set;
}

/* Moves a value in front of what is there, if there is room. */
static bool adopt(tti_collector *c, tti_items *from, tti_item *item,
                  tti_items *into, bool keyed) {
  size_t bytes = tti_item_bytes(item);
  if (!tti_collector_admit(c, 1, bytes))
    return false;
  tti_items_remove(from, item);
  if (tti_items_prepend(into, item, keyed))
    return true;
  c->item_count--;
  c->bytes -= bytes;
  c->refused++;
  tti_item_free(item);
  return false;
}

/* Newest first, so that they keep their order. */
static void merge_inside(tti_collector *c, tti_item *old, tti_item *into) {
  bool keyed = old->shape != TTI_SHAPE_LIST;
  for (tti_item *at = old->inner.last, *before; at; at = before) {
    before = at->before;
    tti_item *leaf =
        keyed ? tti_items_find(&into->inner, c->seed, tti_item_key(at)) : NULL;
    if (leaf) {
      leaf->count += at->count;
      continue;
    }
    adopt(c, &old->inner, at, &into->inner, keyed);
  }
}

static void merge_item(tti_collector *c, tti_items *items, tti_item *old) {
  tti_slice key = tti_item_key(old);
  tti_item *into;
  if (old->shape == TTI_SHAPE_INT) {
    merge_int(c, key, old->count, old->set);
  } else if (old->shape == TTI_SHAPE_VALUE) {
    tti_counter *counter = tti_counters_find(c->counters, key);
    bool newer =
        tti_items_find(&c->items, c->seed, key) ||
        (counter && tti_counter_state_of(counter) == TTI_COUNTER_COUNTING);
    if (!newer && adopt(c, items, old, &c->items, true) && counter)
      tti_collector_retire(c, counter, TTI_COUNTER_TAKEN);
  } else if (tti_collector_container(c, old->shape, key, &into)) {
    c->refused++; /* in one, whatever was in it */
  } else {
    merge_inside(c, old, into);
    if (!into->inner.count)
      tti_collector_drop(c, into);
  }
}

void tti_collector_merge(tti_collector *collector, tti_snapshot *snapshot) {
  tti_collector *c = collector;
  tti_collector_filter(c, snapshot);
  pthread_mutex_lock(&c->lock);
  for (size_t i = 0; i < snapshot->int_count; i++) {
    const tti_taken_int *taken = &snapshot->ints[i];
    if (!tti_collector_forbids(c, tti_counter_key(taken->counter)))
      merge_int(c, tti_counter_key(taken->counter), taken->value, taken->set);
  }
  for (tti_item *at = snapshot->items.first, *after; at; at = after) {
    after = at->after;
    if (!tti_collector_forbids(c, tti_item_key(at)))
      merge_item(c, &snapshot->items, at);
  }
  pthread_mutex_unlock(&c->lock);
  tti_snapshot_fini(snapshot);
}
