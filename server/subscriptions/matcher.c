#include "lib/base/hash.h"
#include "server/subscriptions/subscription.h"

#include <stdio.h>
#include <stdlib.h>

/* Every webhook stands in the index once for each of its patterns and each
 * value of one of its filters: the one whose values the fewest webhooks share.
 * An event asks for the patterns that its type can match, each with each of its
 * values, and without any. Keys are hashes; what is found is looked at closely
 * anyway. */
typedef struct entry {
  uint64_t key;
  uint32_t place;
} entry;

typedef struct entries {
  entry *items; /* sorted by key, once they are complete */
  size_t count;
  size_t capacity;
} entries;

struct matcher {
  subscription **items;
  size_t count;
  size_t capacity;
  entries index;
  unsigned used; /* a bit for each filter that the index goes by */
};

enum {
  UNFILTERED = WEBHOOK_FILTERS_COUNT,
  WEBHOOKS_MAX = 1 << 20,
  /* Of one webhook: more go by the type alone, so that none takes kilobytes. */
  ENTRIES_MAX = 64
};

tt_error matcher_new(matcher **out_matcher) {
  matcher *m = calloc(1, sizeof *m);
  if (!m)
    return TT_ENOMEM;
  *out_matcher = m;
  return TT_OK;
}

void matcher_free(matcher *m) {
  if (!m)
    return;
  for (size_t i = 0; i < m->count; i++)
    subscription_free(m->items[i]);
  free(m->items);
  free(m->index.items);
  free(m);
}

/* Room for one more; NULL: there is none, and what is there stays. */
static void *grown(void *items, size_t count, size_t *capacity, size_t size) {
  if (count < *capacity)
    return items;
  size_t wanted = *capacity ? *capacity * 2 : 16;
  void *more = realloc(items, wanted * size);
  if (more)
    *capacity = wanted;
  return more;
}

tt_error matcher_add(matcher *m, const webhook *row) {
  subscription *s;
  if (!row->enabled)
    return TT_OK;
  if (m->count >= WEBHOOKS_MAX)
    return TT_ETOOBIG;
  void *items = grown(m->items, m->count, &m->capacity, sizeof *m->items);
  if (!items)
    return TT_ENOMEM;
  m->items = items;
  tt_error error = subscription_new(row, &s);
  if (!error)
    m->items[m->count++] = s;
  return error;
}

size_t matcher_count(const matcher *m) {
  return m->count;
}

tti_slice matcher_id(const matcher *m, uint32_t place) {
  return m->items[place]->id;
}

/* ---- Entries ---- */

static tt_error put(entries *e, uint64_t key, uint32_t place) {
  void *items = grown(e->items, e->count, &e->capacity, sizeof *e->items);
  if (!items)
    return TT_ENOMEM;
  e->items = items;
  e->items[e->count++] = (entry){key, place};
  return TT_OK;
}

static int by_key(const void *a, const void *b) {
  const entry *left = a, *right = b;
  if (left->key != right->key)
    return left->key < right->key ? -1 : 1;
  return (left->place > right->place) - (left->place < right->place);
}

static void sort(entries *e) {
  if (e->count)
    qsort(e->items, e->count, sizeof *e->items, by_key);
}

/* The first with this key or a higher one. */
static size_t lower_bound(const entries *e, uint64_t key) {
  size_t from = 0, to = e->count;
  while (from < to) {
    size_t middle = from + (to - from) / 2;
    if (e->items[middle].key < key)
      from = middle + 1;
    else
      to = middle;
  }
  return from;
}

static size_t sharing(const entries *e, uint64_t key) {
  return lower_bound(e, key + 1) - lower_bound(e, key);
}

static uint64_t mix(uint64_t a, uint64_t b) {
  return (a ^ (b + UINT64_C(0x9e3779b97f4a7c15) + (a << 6) + (a >> 2))) >> 1;
}

static uint64_t text_key(tti_slice text) {
  return tti_hash64(text.ptr, text.len);
}

static uint64_t value_key(int filter, tti_slice value) {
  return mix((uint64_t)filter, filter == UNFILTERED ? 0 : text_key(value));
}

/* ---- Building ---- */

/* The values of a filter one by one; of levels, those it comes to. */
static bool next_value(const subscription *s, int filter, size_t *at,
                       tti_slice *out_value) {
  if (filter == WEBHOOK_LEVELS) {
    while (*at <= TT_LEVEL_FATAL && !(s->levels >> *at & 1))
      ++*at;
    if (*at > TT_LEVEL_FATAL)
      return false;
    *out_value = tti_slice_of(tt_level_name((tt_level)*at));
  } else {
    if (*at >= s->filters[filter].count)
      return false;
    *out_value = s->filters[filter].items[*at];
  }
  ++*at;
  return true;
}

/* How many webhooks name the same values; 0: it has no such filter. */
static size_t crowd(const subscription *s, int filter, const entries *shared,
                    size_t *out_values) {
  size_t at = 0, sum = 0;
  tti_slice value;
  for (*out_values = 0; next_value(s, filter, &at, &value); ++*out_values)
    sum += sharing(shared, value_key(filter, value));
  return sum;
}

static int choose_filter(const subscription *s, const entries *shared) {
  int chosen = UNFILTERED;
  size_t fewest = SIZE_MAX;
  for (int filter = 0; filter < UNFILTERED; filter++) {
    size_t values, sum = crowd(s, filter, shared, &values);
    if (sum && sum < fewest && s->events.count * values <= ENTRIES_MAX) {
      fewest = sum;
      chosen = filter;
    }
  }
  return chosen;
}

static tt_error index_one(matcher *m, uint32_t place, int filter) {
  const subscription *s = m->items[place];
  for (size_t i = 0; i < s->events.count; i++) {
    uint64_t pattern = text_key(s->events.items[i]);
    tti_slice value = {0};
    size_t at = 0;
    while (filter == UNFILTERED ? at++ == 0
                                : next_value(s, filter, &at, &value)) {
      tt_error error =
          put(&m->index, mix(pattern, value_key(filter, value)), place);
      if (error)
        return error;
    }
  }
  m->used |= 1u << filter;
  return TT_OK;
}

/* Who names which value. */
static tt_error collect(const matcher *m, entries *shared) {
  tt_error error = TT_OK;
  for (size_t i = 0; i < m->count && !error; i++)
    for (int filter = 0; filter < UNFILTERED && !error; filter++) {
      size_t at = 0;
      tti_slice value;
      while (!error && next_value(m->items[i], filter, &at, &value))
        error = put(shared, value_key(filter, value), (uint32_t)i);
    }
  sort(shared);
  return error;
}

tt_error matcher_seal(matcher *m) {
  entries shared = {0};
  tt_error error = collect(m, &shared);
  for (size_t i = 0; i < m->count && !error; i++)
    error = index_one(m, (uint32_t)i, choose_filter(m->items[i], &shared));
  sort(&m->index);
  free(shared.items);
  return error;
}

/* ---- Searching ---- */

typedef struct search {
  const matcher *m;
  const match_event *event;
  tti_buf *found;
  size_t looked_at;
} search;

static void look(search *s, uint64_t pattern, int filter, tti_slice value) {
  const entries *index = &s->m->index;
  uint64_t key = mix(pattern, value_key(filter, value));
  for (size_t i = lower_bound(index, key);
       i < index->count && index->items[i].key == key; i++) {
    uint32_t place = index->items[i].place;
    s->looked_at++;
    if (subscription_match(s->m->items[place], s->event, NULL) == MATCH_YES)
      tti_buf_append(s->found, &place, sizeof place);
  }
}

static void look_for_pattern(search *s, tti_slice text) {
  const match_event *event = s->event;
  unsigned used = s->m->used;
  uint64_t pattern = text_key(text);
  for (int filter = 0; filter <= UNFILTERED; filter++) {
    if (!(used >> filter & 1))
      continue;
    if (filter == WEBHOOK_LABELS) {
      for (size_t i = 0; i < event->label_count; i++)
        look(s, pattern, filter, event->labels[i]);
    } else if (filter == WEBHOOK_LEVELS) {
      if (event->level != TT_LEVEL_UNSET)
        look(s, pattern, filter, tti_slice_of(tt_level_name(event->level)));
    } else if (filter == UNFILTERED || event->values[filter].len) {
      look(s, pattern, filter,
           filter == UNFILTERED ? (tti_slice){0} : event->values[filter]);
    }
  }
}

static int by_place(const void *a, const void *b) {
  uint32_t left, right;
  memcpy(&left, a, sizeof left);
  memcpy(&right, b, sizeof right);
  return (left > right) - (left < right);
}

/* One may have been found by several patterns or values. */
static void order(tti_buf *found) {
  uint32_t *places = (uint32_t *)(void *)found->data;
  size_t count = found->len / sizeof *places, kept = 0;
  if (count == 0)
    return;
  qsort(places, count, sizeof *places, by_place);
  for (size_t i = 0; i < count; i++)
    if (i == 0 || places[i] != places[kept - 1])
      places[kept++] = places[i];
  found->len = kept * sizeof *places;
}

size_t matcher_find(const matcher *m, const match_event *event,
                    tti_buf *out_found) {
  search s = {.m = m, .event = event, .found = out_found};
  char prefix[TTI_OUTBOX_TYPE_MAX + 2];
  tti_buf_clear(out_found);
  look_for_pattern(&s, TTI_SLICE("*"));
  look_for_pattern(&s, event->type);
  for (size_t i = 0; i < event->type.len && i < TTI_OUTBOX_TYPE_MAX; i++) {
    prefix[i] = event->type.ptr[i];
    if (prefix[i] != '.')
      continue;
    prefix[i + 1] = '*';
    look_for_pattern(&s, (tti_slice){prefix, i + 2});
  }
  order(out_found);
  return s.looked_at;
}
