#include "server/store/counter.h"

#include "lib/base/hash.h"
#include <stdlib.h>

#define NAME_MAX_BYTES (sizeof((store_count *)0)->name - 1)

void counters_init(counters *c) {
  memset(c, 0, sizeof *c);
  pthread_mutex_init(&c->lock, NULL);
}

void counters_clear(counters *c) {
  pthread_mutex_lock(&c->lock);
  for (int d = 0; d < STORE_DIMENSIONS; d++) {
    free(c->sets[d].items);
    free(c->sets[d].slots);
    c->sets[d] = (counter_set){0};
  }
  pthread_mutex_unlock(&c->lock);
}

void counters_fini(counters *c) {
  counters_clear(c);
  pthread_mutex_destroy(&c->lock);
}

/* Cut to what store_count holds, not inside a UTF-8 character. */
static tti_slice cut(tti_slice name) {
  if (name.len <= NAME_MAX_BYTES)
    return name;
  size_t len = NAME_MAX_BYTES;
  while (len > 0 && ((unsigned char)name.ptr[len] & 0xc0) == 0x80)
    len--;
  return (tti_slice){name.ptr, len};
}

static bool is_named(const counter *item, tti_slice name) {
  return memcmp(item->shown.name, name.ptr, name.len) == 0 &&
         item->shown.name[name.len] == '\0';
}

static counter *find(counter_set *set, tti_slice name, uint64_t hash) {
  if (set->slot_count == 0)
    return NULL;
  size_t mask = set->slot_count - 1;
  for (size_t at = hash & mask; set->slots[at]; at = (at + 1) & mask) {
    counter *item = &set->items[set->slots[at] - 1];
    if (item->hash == hash && is_named(item, name))
      return item;
  }
  return NULL;
}

static void place(counter_set *set, size_t index) {
  size_t mask = set->slot_count - 1;
  size_t at = set->items[index].hash & mask;
  while (set->slots[at])
    at = (at + 1) & mask;
  set->slots[at] = (uint16_t)(index + 1);
}

static bool grow(counter_set *set) {
  if (set->count < set->capacity)
    return true;
  size_t capacity = set->capacity ? set->capacity * 2 : 16;
  counter *items = realloc(set->items, capacity * sizeof *items);
  if (!items)
    return false;
  set->items = items;
  uint16_t *slots = calloc(capacity * 2, sizeof *slots);
  if (!slots)
    return false;
  free(set->slots);
  set->slots = slots;
  set->slot_count = capacity * 2;
  set->capacity = capacity;
  for (size_t i = 0; i < set->count; i++)
    place(set, i);
  return true;
}

/* Under the lock: a copy may be walking the array. */
static counter *add(counter_set *set, tti_slice name, uint64_t hash) {
  if (!grow(set))
    return NULL;
  counter *item = &set->items[set->count];
  *item = (counter){.hash = hash};
  memcpy(item->shown.name, name.ptr, name.len);
  place(set, set->count++);
  return item;
}

static counter *find_or_add(counters *c, counter_set *set, tti_slice name) {
  name = cut(name);
  if (set->last < set->count && is_named(&set->items[set->last], name))
    return &set->items[set->last];
  uint64_t hash = tti_hash64(name.ptr, name.len);
  counter *item = find(set, name, hash);
  if (!item && set->count >= COUNTER_NAMES) {
    name = TTI_SLICE(COUNTER_OTHER);
    hash = tti_hash64(name.ptr, name.len);
    item = find(set, name, hash);
  }
  if (!item) {
    pthread_mutex_lock(&c->lock);
    item = add(set, name, hash);
    pthread_mutex_unlock(&c->lock);
  }
  if (item)
    set->last = (size_t)(item - set->items);
  return item;
}

tt_error counters_load(counters *c, store_dimension dimension, tti_slice name,
                       uint64_t count) {
  counter *item = find_or_add(c, &c->sets[dimension], name);
  if (!item)
    return TT_ENOMEM;
  item->shown.count += count;
  return TT_OK;
}

static void note(counters *c, store_dimension dimension, tti_slice name) {
  if (name.len == 0)
    return;
  counter *item = find_or_add(c, &c->sets[dimension], name);
  if (item)
    item->noted++;
}

void counters_note(counters *c, const tti_record *record) {
  if (record->kind == TTI_KIND_LOG) {
    note(c, STORE_BY_LOGGER, record->type);
    note(c, STORE_BY_LOG_LEVEL, tti_record_level_text(record));
    return;
  }
  note(c, STORE_BY_SOURCE, record->source);
  note(c, STORE_BY_CHANNEL, record->category);
  note(c, STORE_BY_LEVEL, tti_record_level_text(record));
}

bool counters_next_noted(counters *c, store_dimension dimension, size_t *at,
                         const char **out_name, uint64_t *out_count) {
  counter_set *set = &c->sets[dimension];
  for (; *at < set->count; (*at)++) {
    counter *item = &set->items[*at];
    if (item->noted) {
      *out_name = item->shown.name;
      *out_count = item->shown.count + item->noted;
      (*at)++;
      return true;
    }
  }
  return false;
}

static void settle(counters *c, bool keep) {
  pthread_mutex_lock(&c->lock);
  for (int d = 0; d < STORE_DIMENSIONS; d++) {
    counter_set *set = &c->sets[d];
    for (size_t i = 0; i < set->count; i++) {
      if (keep)
        set->items[i].shown.count += set->items[i].noted;
      set->items[i].noted = 0;
    }
  }
  pthread_mutex_unlock(&c->lock);
}

void counters_commit(counters *c) {
  settle(c, true);
}

void counters_rollback(counters *c) {
  settle(c, false);
}

static int larger_first(const void *a, const void *b) {
  const store_count *x = a, *y = b;
  if (x->count != y->count)
    return x->count < y->count ? 1 : -1;
  return strcmp(x->name, y->name);
}

size_t counters_copy(counters *c, store_dimension dimension,
                     store_count *out_counts, size_t max) {
  pthread_mutex_lock(&c->lock);
  const counter_set *set = &c->sets[dimension];
  store_count *all = malloc((set->count + 1) * sizeof *all);
  size_t count = 0;
  for (size_t i = 0; all && i < set->count; i++)
    if (set->items[i].shown.count)
      all[count++] = set->items[i].shown;
  pthread_mutex_unlock(&c->lock);
  if (!all)
    return 0;
  qsort(all, count, sizeof *all, larger_first);
  if (count > max)
    count = max;
  memcpy(out_counts, all, count * sizeof *all);
  free(all);
  return count;
}
