#include "lib/metrics/series.h"

#include "lib/base/hash.h"
#include "lib/metrics/internal.h"
#include <stdlib.h>

#define BUCKETS 256u

const double tti_bounds[TTI_BOUNDS] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                       0.5,   1,    2.5,   5,    10,  30};

/* How many values a label may have. */
static size_t ceiling_of(const char *label) {
  if (label && strcmp(label, "type") == 0)
    return 64;
  return label && strcmp(label, "route") == 0 ? 256 : TTI_SERIES_MAX;
}

static void table_init(tti_series_table *table, size_t max) {
  table->max = max;
  table->other.labels[0] = table->other.labels[1] = "";
}

tt_error tti_labels_init(tti_labels *labels) {
  pthread_mutex_init(&labels->mutex, NULL);
  for (unsigned id = 0; id < TT_METRIC_COUNT; id++) {
    const tt_metric_info *info = tt_metric_lookup((tt_metric)id);
    tti_series_table *sets = &labels->of[id].sets;
    bool two = info->labels[1] != NULL;
    table_init(sets, two ? TTI_SERIES_MAX : ceiling_of(info->labels[0]));
    for (int i = 0; i < 2; i++) {
      table_init(&labels->of[id].values[i], ceiling_of(info->labels[i]));
      if (info->labels[i])
        sets->other.labels[i] = TTI_OTHER;
    }
    sets->histogram = info->kind == TT_METRIC_KIND_HISTOGRAM;
    if (!sets->histogram)
      continue;
    sets->other.words = calloc(TTI_BOUNDS + 2, sizeof(*sets->other.words));
    if (!sets->other.words)
      return TT_ENOMEM;
  }
  return TT_OK;
}

static void table_fini(tti_series_table *table) {
  _Atomic(tti_series *) *buckets =
      atomic_load_explicit(&table->buckets, memory_order_acquire);
  for (size_t i = 0; buckets && i < BUCKETS; i++) {
    tti_series *s = atomic_load_explicit(&buckets[i], memory_order_relaxed);
    while (s) {
      tti_series *next = atomic_load_explicit(&s->next, memory_order_relaxed);
      free(s);
      s = next;
    }
  }
  free(buckets);
  free(table->other.words);
}

void tti_labels_fini(tti_labels *labels) {
  for (unsigned id = 0; id < TT_METRIC_COUNT; id++) {
    table_fini(&labels->of[id].sets);
    table_fini(&labels->of[id].values[0]);
    table_fini(&labels->of[id].values[1]);
  }
  pthread_mutex_destroy(&labels->mutex);
}

/* Length of the UTF-8 sequence at `at`, 0 when it is not one. RFC 3629. */
static size_t sequence(const unsigned char *at) {
  static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t len = at[0] < 0x80                    ? 1
               : at[0] >= 0xc2 && at[0] < 0xe0 ? 2
               : at[0] >= 0xe0 && at[0] < 0xf0 ? 3
               : at[0] >= 0xf0 && at[0] < 0xf5 ? 4
                                               : 0;
  if (len < 2)
    return len;
  unsigned code = at[0] & (0x7fu >> len);
  for (size_t i = 1; i < len; i++) {
    if ((at[i] & 0xc0) != 0x80)
      return 0;
    code = code << 6 | (at[i] & 0x3fu);
  }
  bool surrogate = code >= 0xd800 && code < 0xe000;
  return code < least[len] || surrogate || code > 0x10ffff ? 0 : len;
}

/* A label value that every scraper takes: bytes that are not UTF-8 become '?',
 * and it ends before TTI_LABEL_BYTES. Done before the look-up, or two sets
 * could come out as one. */
static tti_slice clean(const char *value, char out[TTI_LABEL_BYTES + 1]) {
  const unsigned char *at = (const unsigned char *)(value ? value : "");
  size_t len = 0;
  while (*at) {
    size_t step = sequence(at);
    if (len + (step ? step : 1) > TTI_LABEL_BYTES)
      break;
    if (step)
      memcpy(out + len, at, step);
    else
      out[len] = '?';
    step = step ? step : 1;
    at += step;
    len += step;
  }
  out[len] = '\0';
  return (tti_slice){out, len};
}

static uint64_t hash_of(tti_slice a, tti_slice b) {
  return tti_hash64(a.ptr, a.len) * 31 + tti_hash64(b.ptr, b.len);
}

static tti_series *find(tti_series_table *table, uint64_t hash, tti_slice a,
                        tti_slice b) {
  _Atomic(tti_series *) *buckets =
      atomic_load_explicit(&table->buckets, memory_order_acquire);
  if (!buckets)
    return NULL;
  /* acquire: pairs with the release that linked it, so its labels are there. */
  tti_series *s =
      atomic_load_explicit(&buckets[hash % BUCKETS], memory_order_acquire);
  while (s) {
    if (s->hash == hash && strcmp(s->labels[0], a.ptr) == 0 &&
        strcmp(s->labels[1], b.ptr) == 0)
      return s;
    s = atomic_load_explicit(&s->next, memory_order_acquire);
  }
  return NULL;
}

static tti_series *series_new(bool histogram, uint64_t hash, tti_slice a,
                              tti_slice b) {
  size_t words = histogram ? (TTI_BOUNDS + 2) * sizeof(uint64_t) : 0;
  tti_series *s = calloc(1, sizeof(*s) + words + a.len + b.len + 2);
  if (!s)
    return NULL;
  if (histogram)
    s->words = (_Atomic uint64_t *)(s + 1);
  char *text = (char *)(s + 1) + words;
  memcpy(text, a.ptr, a.len + 1);
  memcpy(text + a.len + 1, b.ptr, b.len + 1);
  s->hash = hash;
  s->labels[0] = text;
  s->labels[1] = text + a.len + 1;
  return s;
}

/* Under the mutex. */
static _Atomic(tti_series *) *buckets_of(tti_series_table *table) {
  _Atomic(tti_series *) *buckets =
      atomic_load_explicit(&table->buckets, memory_order_relaxed);
  if (buckets)
    return buckets;
  buckets = calloc(BUCKETS, sizeof(*buckets));
  atomic_store_explicit(&table->buckets, buckets, memory_order_release);
  return buckets;
}

/* Finds or adds; NULL at the ceiling, or without memory. A full table stays
 * full: nobody need wait for the mutex to learn it. */
static tti_series *obtain(tti_labels *labels, tti_series_table *table,
                          tti_slice a, tti_slice b) {
  uint64_t hash = hash_of(a, b);
  tti_series *s = find(table, hash, a, b);
  if (s ||
      atomic_load_explicit(&table->count, memory_order_relaxed) >= table->max)
    return s;
  pthread_mutex_lock(&labels->mutex);
  size_t count = atomic_load_explicit(&table->count, memory_order_relaxed);
  _Atomic(tti_series *) *buckets = buckets_of(table);
  s = find(table, hash, a, b);
  if (buckets && !s && count < table->max &&
      (s = series_new(table->histogram, hash, a, b))) {
    _Atomic(tti_series *) *bucket = &buckets[hash % BUCKETS];
    atomic_store_explicit(&s->next,
                          atomic_load_explicit(bucket, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(bucket, s, memory_order_release);
    atomic_store_explicit(&table->count, count + 1, memory_order_relaxed);
  }
  pthread_mutex_unlock(&labels->mutex);
  return s;
}

/* Whether "lease|publish" has the value. */
static bool is_listed(const char *list, tti_slice value) {
  while (*list) {
    size_t len = strcspn(list, "|");
    if (tti_slice_eq((tti_slice){list, len}, value))
      return true;
    list += len + (list[len] == '|');
  }
  return false;
}

/* What one label of a set that is new is called. */
static tti_slice fold(tti_labels *labels, tt_metric id, int label,
                      tti_slice value) {
  const tt_metric_info *info = tt_metric_lookup(id);
  const char *list = tti_metric_values(id, label);
  tti_slice none = {"", 0};
  if (!info->labels[label] || tti_slice_eq(value, TTI_SLICE(TTI_OTHER)))
    return value;
  bool fine = list ? is_listed(list, value)
                   : !info->labels[1] || /* its sets have the ceiling */
                         obtain(labels, &labels->of[id].values[label], value,
                                none) != NULL;
  return fine ? value : TTI_SLICE(TTI_OTHER);
}

tti_series *tti_labels_find(tti_labels *labels, tt_metric id,
                            const char *label_a, const char *label_b,
                            bool *out_folded) {
  const tt_metric_info *info = tt_metric_lookup(id);
  tti_series_table *sets = &labels->of[id].sets;
  tti_series *other = &sets->other;
  char text_a[TTI_LABEL_BYTES + 1], text_b[TTI_LABEL_BYTES + 1];
  *out_folded = false;
  if (!info->labels[0])
    return other;
  tti_slice a = clean(label_a, text_a);
  tti_slice b = clean(info->labels[1] ? label_b : NULL, text_b);
  tti_series *s = find(sets, hash_of(a, b), a, b);
  if (s)
    return s;
  const char *given[] = {a.ptr, b.ptr};
  a = fold(labels, id, 0, a);
  b = fold(labels, id, 1, b);
  *out_folded = a.ptr != given[0] || b.ptr != given[1];
  if (strcmp(a.ptr, other->labels[0]) == 0 &&
      strcmp(b.ptr, other->labels[1]) == 0)
    return other;
  s = obtain(labels, sets, a, b);
  if (s)
    return s;
  *out_folded = true;
  return other;
}

static int compare(const void *left, const void *right) {
  const tti_series *a = *(const tti_series *const *)left;
  const tti_series *b = *(const tti_series *const *)right;
  int order = strcmp(a->labels[0], b->labels[0]);
  return order ? order : strcmp(a->labels[1], b->labels[1]);
}

size_t tti_labels_list(tti_labels *labels, tt_metric id, tti_series **out_all) {
  size_t count = 0;
  tti_series_table *table = &labels->of[id].sets;
  _Atomic(tti_series *) *buckets =
      atomic_load_explicit(&table->buckets, memory_order_acquire);
  for (size_t i = 0; buckets && i < BUCKETS; i++) {
    tti_series *s = atomic_load_explicit(&buckets[i], memory_order_acquire);
    for (; s && count < TTI_SERIES_MAX;
         s = atomic_load_explicit(&s->next, memory_order_acquire))
      if (atomic_load_explicit(&s->used, memory_order_acquire))
        out_all[count++] = s;
  }
  if (atomic_load_explicit(&table->other.used, memory_order_acquire))
    out_all[count++] = &table->other;
  qsort(out_all, count, sizeof(*out_all), compare);
  return count;
}
