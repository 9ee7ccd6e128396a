#include "lib/fleet/collector.h"

#include "lib/base/random.h"
#include "lib/json/write.h"
#include <stdlib.h>

/* As many keys a server may disable. */
#define BY_SERVER_MAX 10000
#define INT_BYTES     24
#define COMPLAINTS    16

static tti_slice trimmed(const char *text) {
  return tti_slice_trim(tti_slice_of(text));
}

static bool remember(tti_collector *c, tti_items *keys, tti_slice key) {
  if (tti_items_find(keys, c->seed, key))
    return true;
  tti_item *item = tti_item_new(c->seed, key, TTI_SHAPE_VALUE);
  if (item && tti_items_append(keys, item, true))
    return true;
  tti_item_free(item);
  return false;
}

tti_collector *tti_collector_new(const tti_collector_options *options) {
  tti_collector *c = calloc(1, sizeof(*c));
  if (!c)
    return NULL;
  if (pthread_mutex_init(&c->lock, NULL)) {
    free(c);
    return NULL;
  }
  c->max_items = options->max_items;
  c->max_bytes = options->max_bytes;
  tti_random_bytes(&c->seed, sizeof(c->seed));
  c->counters = tti_counters_new(c->max_items, c->max_bytes, c->seed);
  bool ok = c->counters != NULL;
  for (size_t i = 0; ok && i < options->disabled_key_count; i++) {
    tti_slice key = trimmed(options->disabled_keys[i]);
    ok = !key.len || remember(c, &c->by_user, key);
  }
  if (ok)
    return c;
  tti_collector_free(c);
  return NULL;
}

void tti_collector_free(tti_collector *collector) {
  if (!collector)
    return;
  tti_items_fini(&collector->items);
  tti_items_fini(&collector->by_user);
  tti_items_fini(&collector->by_server);
  tti_counters_free(collector->counters);
  pthread_mutex_destroy(&collector->lock);
  free(collector);
}

/* -- The account. -- */

static tti_slice head_of(tti_slice key) {
  const char *colon = memchr(key.ptr, ':', key.len);
  return colon ? (tti_slice){key.ptr, (size_t)(colon - key.ptr)} : key;
}

bool tti_collector_forbids(const tti_collector *c, tti_slice key) {
  tti_slice head = head_of(key);
  return c->closed || tti_items_find(&c->by_user, c->seed, head) ||
         tti_items_find(&c->by_server, c->seed, head);
}

bool tti_collector_admit(tti_collector *c, size_t leaves, size_t bytes) {
  if (c->item_count + leaves > c->max_items ||
      c->bytes + bytes > c->max_bytes) {
    c->refused++;
    return false;
  }
  c->item_count += leaves;
  c->bytes += bytes;
  return true;
}

static void release(tti_collector *c, size_t leaves, size_t bytes) {
  c->item_count -= leaves;
  c->bytes -= bytes;
}

void tti_collector_drop(tti_collector *c, tti_item *item) {
  release(c, tti_item_leaves(item), tti_item_bytes(item));
  tti_items_remove(&c->items, item);
  tti_item_free(item);
}

size_t tti_counter_bytes(const tti_counter *counter) {
  return tti_json_string_size(tti_counter_key(counter)) + INT_BYTES;
}

bool tti_collector_wake(tti_collector *c, tti_counter *counter) {
  if (tti_counter_state_of(counter) == TTI_COUNTER_COUNTING)
    return true;
  if (!tti_collector_admit(c, 1, tti_counter_bytes(counter)))
    return false;
  tti_counter_become(counter, TTI_COUNTER_COUNTING);
  return true;
}

void tti_collector_retire(tti_collector *c, tti_counter *counter,
                          tti_counter_state state) {
  if (tti_counter_state_of(counter) == TTI_COUNTER_COUNTING)
    release(c, 1, tti_counter_bytes(counter));
  tti_counter_become(counter, state);
  tti_counter_take(counter);
  counter->present = counter->set = false;
}

/* A counter that counts but has no value yet, kept from the update before, is
 * in nobody's way. */
static bool has_value(tti_counter *counter) {
  return counter && tti_counter_state_of(counter) == TTI_COUNTER_COUNTING &&
         (counter->present || tti_counter_sum(counter) != 0);
}

/* -- Values. -- */

static tti_item *item_of(const tti_collector *c, tti_slice key) {
  return tti_items_find(&c->items, c->seed, key);
}

/* The counter under `key` makes place for an item. */
static void displace(tti_collector *c, tti_slice key) {
  tti_counter *counter = tti_counters_find(c->counters, key);
  if (counter)
    tti_collector_retire(c, counter, TTI_COUNTER_TAKEN);
}

/* In exchange for what is there; all of it or nothing. */
static tt_error set_value(tti_collector *c, tti_slice key, tti_slice json) {
  tti_item *old = item_of(c, key);
  tti_item *item = tti_item_new(c->seed, key, TTI_SHAPE_VALUE);
  tti_counter *counter = tti_counters_find(c->counters, key);
  bool counts =
      counter && tti_counter_state_of(counter) == TTI_COUNTER_COUNTING;
  size_t leaves = old ? tti_item_leaves(old) : counts;
  size_t bytes = old      ? tti_item_bytes(old)
                 : counts ? tti_counter_bytes(counter)
                          : 0;
  if (!item || !tti_item_set_value(item, json) ||
      !tti_items_append(&c->items, item, true)) {
    tti_item_free(item);
    return TT_ENOMEM;
  }
  release(c, leaves, bytes);
  bool fits = tti_collector_admit(c, 1, tti_item_bytes(item));
  c->item_count += leaves;
  c->bytes += bytes;
  if (!fits) {
    tti_items_remove(&c->items, item);
    tti_item_free(item);
    return TT_EFULL;
  }
  if (old)
    tti_collector_drop(c, old);
  displace(c, key);
  return TT_OK;
}

tt_error tti_collector_container(tti_collector *c, tti_shape shape,
                                 tti_slice key, tti_item **out_item) {
  tti_item *item = item_of(c, key);
  if (item ? item->shape != shape
           : has_value(tti_counters_find(c->counters, key)))
    return TT_ECONFLICT;
  if (!item) {
    item = tti_item_new(c->seed, key, shape);
    if (!item || !tti_items_append(&c->items, item, true)) {
      tti_item_free(item);
      return TT_ENOMEM;
    }
    if (!tti_collector_admit(c, 0, tti_item_bytes(item))) {
      tti_items_remove(&c->items, item);
      tti_item_free(item);
      return TT_EFULL;
    }
    displace(c, key);
  }
  *out_item = item;
  return TT_OK;
}

/* A value that a map has already, for another one. */
static tt_error replace(tti_collector *c, tti_item *leaf, tti_slice json) {
  size_t before = leaf->value_len;
  if (json.len > before && !tti_collector_admit(c, 0, json.len - before))
    return TT_EFULL;
  bool copied = tti_item_set_value(leaf, json);
  if (json.len > before ? !copied : copied)
    c->bytes -= json.len > before ? json.len - before : before - json.len;
  return copied ? TT_OK : TT_ENOMEM;
}

static tt_error put_inside(tti_collector *c, tti_item *item, tti_slice name,
                           tti_slice json) {
  bool unique = item->shape == TTI_SHAPE_UNIQUE;
  tti_slice key = unique ? json : name;
  bool keyed = item->shape != TTI_SHAPE_LIST;
  tti_item *leaf = keyed ? tti_items_find(&item->inner, c->seed, key) : NULL;
  if (leaf && unique)
    leaf->count++;
  if (leaf)
    return unique ? TT_OK : replace(c, leaf, json);
  leaf = tti_item_new(c->seed, keyed ? key : (tti_slice){NULL, 0},
                      TTI_SHAPE_VALUE);
  if (!leaf || (!unique && !tti_item_set_value(leaf, json)) ||
      !tti_items_append(&item->inner, leaf, keyed)) {
    tti_item_free(leaf);
    return TT_ENOMEM;
  }
  leaf->count = 1;
  if (tti_collector_admit(c, 1, tti_item_bytes(leaf)))
    return TT_OK;
  tti_items_remove(&item->inner, leaf);
  tti_item_free(leaf);
  return TT_EFULL;
}

static tt_error put(tti_collector *c, tti_shape shape, tti_slice key,
                    tti_slice name, tti_slice json) {
  tti_item *item;
  if (tti_collector_forbids(c, key))
    return TT_OK;
  if (shape == TTI_SHAPE_VALUE)
    return set_value(c, key, json);
  tt_error error = tti_collector_container(c, shape, key, &item);
  if (error)
    return error;
  error = put_inside(c, item, name, json);
  if (error && !item->inner.count)
    tti_collector_drop(c, item);
  return error;
}

tt_error tti_collector_put(tti_collector *collector, tti_shape shape,
                           tti_slice key, tti_slice name, tti_slice json) {
  pthread_mutex_lock(&collector->lock);
  tt_error error = put(collector, shape, key, name, json);
  collector->conflicts += error == TT_ECONFLICT;
  pthread_mutex_unlock(&collector->lock);
  return error;
}

/* -- Integers. -- */

/* The counter of a key, which knows what its key is otherwise. */
static tti_counter *counter_of(tti_collector *c, tti_slice key) {
  tti_counter *counter = tti_counters_make(c->counters, key);
  if (counter && tti_counter_state_of(counter) == TTI_COUNTER_DORMANT) {
    if (tti_collector_forbids(c, key))
      tti_counter_become(counter, TTI_COUNTER_DISABLED);
    else if (item_of(c, key))
      tti_counter_become(counter, TTI_COUNTER_TAKEN);
  }
  return counter;
}

static int64_t sum_of(int64_t a, int64_t b) {
  return (int64_t)((uint64_t)a + (uint64_t)b);
}

static tt_error int_item(tti_collector *c, tti_slice key, int64_t amount,
                         bool set) {
  tti_item *item = tti_item_new(c->seed, key, TTI_SHAPE_INT);
  if (!item || !tti_items_append(&c->items, item, true)) {
    tti_item_free(item);
    return TT_ENOMEM;
  }
  item->count = amount;
  item->set = set;
  if (tti_collector_admit(c, 1, tti_item_bytes(item)))
    return TT_OK;
  tti_items_remove(&c->items, item);
  tti_item_free(item);
  return TT_EFULL;
}

tt_error tti_collector_int(tti_collector *c, tti_slice key, int64_t amount,
                           bool set) {
  tti_item *item = item_of(c, key);
  if (item && item->shape == TTI_SHAPE_INT) {
    item->count = set ? amount : sum_of(item->count, amount);
    item->set = item->set || set;
    return TT_OK;
  }
  if (item && !set)
    return TT_ECONFLICT;
  tti_counter *counter = counter_of(c, key);
  /* What is dropped leaves room enough for an integer. */
  if (!counter) {
    tt_error error = int_item(c, key, amount, set);
    if (!error && item)
      tti_collector_drop(c, item);
    return error;
  }
  if (item) {
    tti_collector_drop(c, item);
    tti_counter_take(counter);
  }
  if (!tti_collector_wake(c, counter))
    return TT_EFULL;
  if (set)
    tti_counter_take(counter);
  counter->set = counter->set || set;
  counter->present = true;
  tti_counter_add(counter, 0, amount);
  return TT_OK;
}

/* So that whoever counts under a disabled key does not take the lock for it
 * each time; what stands behind a colon is not kept. */
static void remember_disabled(tti_collector *c, tti_slice key) {
  if (!c->closed && head_of(key).len == key.len)
    counter_of(c, key);
}

static tt_error put_int(tti_collector *c, tti_slice key, int64_t amount,
                        bool set) {
  tt_error error = TT_OK;
  pthread_mutex_lock(&c->lock);
  if (tti_collector_forbids(c, key))
    remember_disabled(c, key);
  else
    error = tti_collector_int(c, key, amount, set);
  c->conflicts += error == TT_ECONFLICT;
  pthread_mutex_unlock(&c->lock);
  return error;
}

tt_error tti_collector_set_int(tti_collector *collector, tti_slice key,
                               int64_t value) {
  return put_int(collector, key, value, true);
}

/* An amount above 0 needs no note that there is a value: its sum is not 0. */
tt_error tti_collector_add_to(tti_collector *collector, tti_counter *counter,
                              int64_t amount) {
  tti_counter_state state = tti_counter_state_of(counter);
  if (state == TTI_COUNTER_COUNTING && amount > 0) {
    tti_counter_add(counter, tti_stripe(&collector->next_thread), amount);
    return TT_OK;
  }
  if (state == TTI_COUNTER_DISABLED)
    return TT_OK;
  return put_int(collector, tti_counter_key(counter), amount, false);
}

tt_error tti_collector_add(tti_collector *collector, tti_slice key,
                           int64_t amount) {
  tti_counter *counter = tti_counters_find(collector->counters, key);
  return counter ? tti_collector_add_to(collector, counter, amount)
                 : put_int(collector, key, amount, false);
}

tti_counter *tti_collector_counter(tti_collector *collector, tti_slice key) {
  pthread_mutex_lock(&collector->lock);
  tti_counter *counter = counter_of(collector, key);
  pthread_mutex_unlock(&collector->lock);
  return counter;
}

/* -- What may be collected. -- */

/* Under the lock. Counters of these keys, and of those with a colon after it.
 */
static void switch_counters(tti_collector *c, tti_slice key, bool on) {
  for (tti_counter *at = tti_counters_first(c->counters); at; at = at->next) {
    tti_counter_state state = tti_counter_state_of(at);
    if ((state == TTI_COUNTER_DISABLED) != on ||
        !tti_slice_eq(head_of(tti_counter_key(at)), key))
      continue;
    tti_collector_retire(c, at,
                         on ? TTI_COUNTER_DORMANT : TTI_COUNTER_DISABLED);
  }
}

bool tti_collector_disable(tti_collector *collector, tti_slice key) {
  tti_collector *c = collector;
  pthread_mutex_lock(&c->lock);
  bool ok =
      tti_items_find(&c->by_user, c->seed, key) ||
      (c->by_server.count < BY_SERVER_MAX && remember(c, &c->by_server, key));
  if (ok) {
    for (tti_item *at = c->items.first, *after; at; at = after) {
      after = at->after;
      if (tti_slice_eq(head_of(tti_item_key(at)), key))
        tti_collector_drop(c, at);
    }
    switch_counters(c, key, false);
  }
  pthread_mutex_unlock(&c->lock);
  return ok;
}

void tti_collector_enable(tti_collector *collector, tti_slice key) {
  tti_collector *c = collector;
  pthread_mutex_lock(&c->lock);
  tti_item *item = tti_items_find(&c->by_server, c->seed, key);
  if (item) {
    tti_items_remove(&c->by_server, item);
    tti_item_free(item);
    if (!tti_collector_forbids(c, key))
      switch_counters(c, key, true);
  }
  pthread_mutex_unlock(&c->lock);
}

bool tti_collector_is_disabled(tti_collector *collector, tti_slice key) {
  pthread_mutex_lock(&collector->lock);
  bool disabled = tti_collector_forbids(collector, key);
  pthread_mutex_unlock(&collector->lock);
  return disabled;
}

/* Relaxed: only a number of lines. */
bool tti_collector_may_complain(tti_collector *collector) {
  atomic_uint *count = &collector->complaints;
  return atomic_load_explicit(count, memory_order_relaxed) < COMPLAINTS &&
         atomic_fetch_add_explicit(count, 1, memory_order_relaxed) < COMPLAINTS;
}

tti_collector_stats tti_collector_stats_of(tti_collector *collector) {
  pthread_mutex_lock(&collector->lock);
  tti_collector_stats stats = {.items = collector->item_count,
                               .refused = collector->refused,
                               .conflicts = collector->conflicts};
  pthread_mutex_unlock(&collector->lock);
  return stats;
}
