#include "lib/fleet/counters.h"

#include "lib/fleet/hash.h"
#include <stdlib.h>

#define LINE        64
#define FIRST_SLOTS 64

/* Open addressing, at most half full. A table that has become too small stays
 * for those who still read it: all together are no larger than the last. */
typedef struct table {
  struct table *smaller;
  size_t mask;
  _Atomic(tti_counter *) slots[];
} table;

typedef struct block {
  _Alignas(LINE) atomic_int_least64_t lanes[TTI_STRIPES * TTI_LANES];
  struct block *before;
} block;

struct tti_counters {
  _Atomic(table *) table;
  uint64_t seed;
  size_t count, max_keys;
  size_t bytes, max_bytes;
  tti_counter *first, *last;
  block *blocks;
  unsigned lanes_used; /* of the newest block */
};

unsigned tti_stripe(atomic_uint *next_thread) {
  static _Thread_local unsigned mine; /* 0: none yet */
  if (!mine)
    mine = 1 + atomic_fetch_add_explicit(next_thread, 1, memory_order_relaxed) %
                   TTI_STRIPES;
  return mine - 1;
}

static table *table_new(size_t slots, table *smaller) {
  table *t = calloc(1, sizeof(*t) + slots * sizeof(t->slots[0]));
  if (!t)
    return NULL;
  t->mask = slots - 1;
  t->smaller = smaller;
  return t;
}

tti_counters *tti_counters_new(size_t max_keys, size_t max_bytes,
                               uint64_t seed) {
  tti_counters *c = calloc(1, sizeof(*c));
  table *t = table_new(FIRST_SLOTS, NULL);
  if (!c || !t) {
    free(c);
    free(t);
    return NULL;
  }
  atomic_init(&c->table, t);
  c->seed = seed;
  c->max_keys = max_keys;
  c->max_bytes = max_bytes;
  c->lanes_used = TTI_LANES;
  return c;
}

void tti_counters_free(tti_counters *counters) {
  if (!counters)
    return;
  for (tti_counter *at = counters->first, *next; at; at = next) {
    next = at->next;
    free(at);
  }
  for (block *at = counters->blocks, *before; at; at = before) {
    before = at->before;
    free(at);
  }
  for (table *at = atomic_load(&counters->table), *smaller; at; at = smaller) {
    smaller = at->smaller;
    free(at);
  }
  free(counters);
}

static tti_counter *find(const table *t, uint64_t hash, tti_slice key) {
  for (size_t i = hash & t->mask;; i = (i + 1) & t->mask) {
    /* Acquire: with the pointer we see what it points to. */
    tti_counter *c = atomic_load_explicit(&t->slots[i], memory_order_acquire);
    if (!c || (c->hash == hash && c->key_len == key.len &&
               memcmp(c->key, key.ptr, key.len) == 0))
      return c;
  }
}

tti_counter *tti_counters_find(const tti_counters *counters, tti_slice key) {
  uint64_t hash = tti_fleet_hash(counters->seed, key.ptr, key.len);
  /* Acquire: pairs with the publication of a larger table. */
  return find(atomic_load_explicit(&counters->table, memory_order_acquire),
              hash, key);
}

static void put(table *t, tti_counter *counter) {
  size_t i = counter->hash & t->mask;
  while (atomic_load_explicit(&t->slots[i], memory_order_relaxed))
    i = (i + 1) & t->mask;
  atomic_store_explicit(&t->slots[i], counter, memory_order_release);
}

static bool grow(tti_counters *c) {
  table *t = atomic_load_explicit(&c->table, memory_order_relaxed);
  if (c->count < (t->mask + 1) / 2)
    return true;
  table *larger = table_new((t->mask + 1) * 2, t);
  if (!larger)
    return false;
  for (tti_counter *at = c->first; at; at = at->next)
    put(larger, at);
  atomic_store_explicit(&c->table, larger, memory_order_release);
  return true;
}

static atomic_int_least64_t *take_lane(tti_counters *c) {
  if (c->lanes_used == TTI_LANES) {
    block *b = aligned_alloc(LINE, sizeof(*b));
    if (!b)
      return NULL;
    memset(b, 0, sizeof(*b));
    b->before = c->blocks;
    c->blocks = b;
    c->lanes_used = 0;
  }
  return &c->blocks->lanes[c->lanes_used++];
}

tti_counter *tti_counters_make(tti_counters *counters, tti_slice key) {
  tti_counter *c = tti_counters_find(counters, key);
  if (c || counters->count == counters->max_keys ||
      key.len > counters->max_bytes - counters->bytes)
    return c;
  c = calloc(1, sizeof(*c) + key.len);
  if (!c || !grow(counters) || !(c->lane = take_lane(counters))) {
    free(c);
    return NULL;
  }
  c->hash = tti_fleet_hash(counters->seed, key.ptr, key.len);
  c->key_len = (uint32_t)key.len;
  memcpy(c->key, key.ptr, key.len);
  if (counters->last)
    counters->last->next = c;
  else
    counters->first = c;
  counters->last = c;
  counters->count++;
  counters->bytes += key.len;
  put(atomic_load_explicit(&counters->table, memory_order_relaxed), c);
  return c;
}

tti_counter *tti_counters_first(const tti_counters *counters) {
  return counters->first;
}

int64_t tti_counter_sum(const tti_counter *counter) {
  uint64_t sum = 0; /* unsigned: wraps as the stripes do */
  for (unsigned i = 0; i < TTI_STRIPES; i++)
    sum += (uint64_t)atomic_load_explicit(&counter->lane[i * TTI_LANES],
                                          memory_order_relaxed);
  return (int64_t)sum;
}

int64_t tti_counter_take(tti_counter *counter) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < TTI_STRIPES; i++)
    sum += (uint64_t)atomic_exchange_explicit(&counter->lane[i * TTI_LANES], 0,
                                              memory_order_relaxed);
  return (int64_t)sum;
}
