#include "lib/backends/prometheus/series.h"

#include "lib/base/hash.h"
#include <stdlib.h>

#define BUCKETS 256u

tt_error series_table_init(series_table *table, int label_count) {
  if (pthread_mutex_init(&table->mutex, NULL))
    return TT_ENOMEM;
  for (int i = 0; i < 2; i++)
    table->other.labels[i] = i < label_count ? "other" : "";
  return TT_OK;
}

void series_table_fini(series_table *table) {
  _Atomic(series *) *buckets =
      atomic_load_explicit(&table->buckets, memory_order_acquire);
  for (size_t i = 0; buckets && i < BUCKETS; i++) {
    series *s = atomic_load_explicit(&buckets[i], memory_order_relaxed);
    while (s) {
      series *next = atomic_load_explicit(&s->next, memory_order_relaxed);
      free(s);
      s = next;
    }
  }
  free(buckets);
  pthread_mutex_destroy(&table->mutex);
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

static series *find_in(_Atomic(series *) *bucket, uint64_t hash, tti_slice a,
                       tti_slice b) {
  /* acquire: pairs with the release that linked it, so its labels are there. */
  series *s = atomic_load_explicit(bucket, memory_order_acquire);
  while (s) {
    if (s->hash == hash && strcmp(s->labels[0], a.ptr) == 0 &&
        strcmp(s->labels[1], b.ptr) == 0)
      return s;
    s = atomic_load_explicit(&s->next, memory_order_acquire);
  }
  return NULL;
}

static series *series_new(uint64_t hash, tti_slice a, tti_slice b) {
  series *s = calloc(1, sizeof(*s) + a.len + b.len + 2);
  if (!s)
    return NULL;
  char *text = (char *)(s + 1);
  memcpy(text, a.ptr, a.len + 1);
  memcpy(text + a.len + 1, b.ptr, b.len + 1);
  s->hash = hash;
  s->labels[0] = text;
  s->labels[1] = text + a.len + 1;
  return s;
}

/* Under the mutex. */
static _Atomic(series *) *buckets_of(series_table *table) {
  _Atomic(series *) *buckets =
      atomic_load_explicit(&table->buckets, memory_order_relaxed);
  if (buckets)
    return buckets;
  buckets = calloc(BUCKETS, sizeof(*buckets));
  atomic_store_explicit(&table->buckets, buckets, memory_order_release);
  return buckets;
}

static series *add(series_table *table, uint64_t hash, tti_slice a,
                   tti_slice b) {
  series *s = NULL;
  pthread_mutex_lock(&table->mutex);
  size_t count = atomic_load_explicit(&table->count, memory_order_relaxed);
  _Atomic(series *) *buckets = buckets_of(table);
  if (buckets) {
    _Atomic(series *) *bucket = &buckets[hash % BUCKETS];
    s = find_in(bucket, hash, a, b);
    if (!s && count < TTI_SERIES_MAX && (s = series_new(hash, a, b))) {
      atomic_store_explicit(&s->next,
                            atomic_load_explicit(bucket, memory_order_relaxed),
                            memory_order_relaxed);
      atomic_store_explicit(bucket, s, memory_order_release);
      atomic_store_explicit(&table->count, count + 1, memory_order_relaxed);
    }
  }
  pthread_mutex_unlock(&table->mutex);
  return s;
}

series *series_find(series_table *table, const char *label_a,
                    const char *label_b, bool *out_folded) {
  char text_a[TTI_LABEL_BYTES + 1], text_b[TTI_LABEL_BYTES + 1];
  tti_slice a = clean(label_a, text_a), b = clean(label_b, text_b);
  uint64_t hash = tti_hash64(a.ptr, a.len) * 31 + tti_hash64(b.ptr, b.len);
  *out_folded = false;
  /* A set of that very name is the one that others fold into. */
  if (strcmp(a.ptr, table->other.labels[0]) == 0 &&
      strcmp(b.ptr, table->other.labels[1]) == 0)
    return &table->other;
  _Atomic(series *) *buckets =
      atomic_load_explicit(&table->buckets, memory_order_acquire);
  series *s = buckets ? find_in(&buckets[hash % BUCKETS], hash, a, b) : NULL;
  /* A full table stays full: nobody need wait for the mutex to learn it. */
  if (!s && atomic_load_explicit(&table->count, memory_order_relaxed) <
                TTI_SERIES_MAX)
    s = add(table, hash, a, b);
  if (s)
    return s;
  *out_folded = true;
  return &table->other;
}

static int compare(const void *left, const void *right) {
  const series *a = *(const series *const *)left;
  const series *b = *(const series *const *)right;
  int order = strcmp(a->labels[0], b->labels[0]);
  return order ? order : strcmp(a->labels[1], b->labels[1]);
}

size_t series_list(series_table *table, const series **out_all) {
  size_t count = 0;
  _Atomic(series *) *buckets =
      atomic_load_explicit(&table->buckets, memory_order_acquire);
  for (size_t i = 0; buckets && i < BUCKETS; i++) {
    series *s = atomic_load_explicit(&buckets[i], memory_order_acquire);
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
