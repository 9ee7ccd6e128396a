#include "lib/metrics/tally.h"

#include <stdlib.h>

#define STRIPES    8u
#define CACHE_LINE 64

/* Unlabelled counters, one copy for each of a few groups of threads, so that
 * two threads seldom write the same line. */
typedef struct stripe {
  _Alignas(CACHE_LINE) _Atomic uint64_t counts[TT_METRIC_COUNT];
} stripe;

struct tti_tally {
  stripe stripes[STRIPES];
  uint64_t marks[TT_METRIC_COUNT]; /* of unlabelled counters */
  tti_labels labels;
};

tti_tally *tti_tally_new(void) {
  tti_tally *t = aligned_alloc(CACHE_LINE, sizeof(*t));
  if (!t)
    return NULL;
  memset(t, 0, sizeof(*t));
  if (tti_labels_init(&t->labels)) {
    tti_tally_free(t);
    return NULL;
  }
  return t;
}

void tti_tally_free(tti_tally *tally) {
  if (!tally)
    return;
  tti_labels_fini(&tally->labels);
  free(tally);
}

/* The thread's handle tells threads apart; its low bits are alike in all. */
static unsigned stripe_index(void) {
  uint64_t self = (uint64_t)(uintptr_t)pthread_self() >> 6;
  return (unsigned)(self * 0x9e3779b97f4a7c15u >> 61) % STRIPES;
}

/* The table of whoever calls may be longer than ours. */
static const tt_metric_info *known(tt_metric id) {
  return (unsigned)id < TT_METRIC_COUNT ? tt_metric_lookup(id) : NULL;
}

/* The series of a label set; counts it when it had to be folded. */
static tti_series *find(tti_tally *t, const tt_metric_info *info,
                        const char *label_a, const char *label_b) {
  bool folded;
  tti_series *s =
      tti_labels_find(&t->labels, info->id, label_a, label_b, &folded);
  if (folded && info->id != TT_METRIC_LABELS_OVERFLOW)
    tti_tally_add(t, TT_METRIC_LABELS_OVERFLOW, 1, info->name, NULL);
  return s;
}

/* Relaxed, here and below: a sum orders nothing else. `used` is released after
 * the value, so that a reader never finds a set before its first value. */
static void use(tti_series *s) {
  if (!atomic_load_explicit(&s->used, memory_order_relaxed))
    atomic_store_explicit(&s->used, true, memory_order_release);
}

void tti_tally_add(void *self, tt_metric id, uint64_t n, const char *label_a,
                   const char *label_b) {
  tti_tally *t = self;
  const tt_metric_info *info = known(id);
  if (!info)
    return;
  if (!info->labels[0]) {
    atomic_fetch_add_explicit(&t->stripes[stripe_index()].counts[id], n,
                              memory_order_relaxed);
    return;
  }
  tti_series *s = find(t, info, label_a, label_b);
  atomic_fetch_add_explicit(&s->value, n, memory_order_relaxed);
  use(s);
}

static uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

static double double_of(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

void tti_tally_set(void *self, tt_metric id, double value, const char *label_a,
                   const char *label_b) {
  const tt_metric_info *info = known(id);
  if (!info)
    return;
  tti_series *s = find(self, info, label_a, label_b);
  atomic_store_explicit(&s->value, bits_of(value), memory_order_relaxed);
  use(s);
}

void tti_tally_observe(void *self, tt_metric id, double value,
                       const char *label_a, const char *label_b) {
  const tt_metric_info *info = known(id);
  size_t bucket = 0;
  if (!info || value != value) /* NaN would spoil the sum for good */
    return;
  tti_series *s = find(self, info, label_a, label_b);
  while (bucket < TTI_BOUNDS && value > tti_bounds[bucket])
    bucket++;
  atomic_fetch_add_explicit(&s->words[bucket], 1, memory_order_relaxed);
  _Atomic uint64_t *sum = &s->words[TTI_BOUNDS + 1];
  uint64_t before = atomic_load_explicit(sum, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(
      sum, &before, bits_of(double_of(before) + value), memory_order_relaxed,
      memory_order_relaxed))
    ;
  use(s);
}

const char *const *tti_tally_labels(tti_tally *tally, tt_metric id,
                                    const char *label_a, const char *label_b) {
  bool folded;
  return tti_labels_find(&tally->labels, id, label_a, label_b, &folded)->labels;
}

/* ---- Reading ---- */

static uint64_t sum_stripes(tti_tally *t, tt_metric id) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < STRIPES; i++)
    sum +=
        atomic_load_explicit(&t->stripes[i].counts[id], memory_order_relaxed);
  return sum;
}

/* The number of observations is taken from the buckets, so that they agree
 * whatever is observed meanwhile. */
static void read_histogram(const tti_series *s, tti_sample *out_sample) {
  for (size_t i = 0; i <= TTI_BOUNDS; i++) {
    out_sample->buckets[i] =
        atomic_load_explicit(&s->words[i], memory_order_relaxed);
    out_sample->count += out_sample->buckets[i];
  }
  out_sample->value = double_of(
      atomic_load_explicit(&s->words[TTI_BOUNDS + 1], memory_order_relaxed));
}

static void each_of(tti_tally *t, const tt_metric_info *info, tti_series **room,
                    tti_on_sample *on_sample, void *context) {
  static const char *const none[2] = {"", ""};
  if (info->kind == TT_METRIC_KIND_COUNTER && !info->labels[0]) {
    tti_sample sample = {.labels = none,
                         .count = sum_stripes(t, info->id),
                         .mark = &t->marks[info->id]};
    on_sample(context, info, &sample);
    return;
  }
  size_t count = tti_labels_list(&t->labels, info->id, room);
  for (size_t i = 0; i < count; i++) {
    tti_sample sample = {.labels = room[i]->labels, .mark = &room[i]->mark};
    uint64_t value =
        atomic_load_explicit(&room[i]->value, memory_order_relaxed);
    if (info->kind == TT_METRIC_KIND_HISTOGRAM)
      read_histogram(room[i], &sample);
    else if (info->kind == TT_METRIC_KIND_GAUGE)
      sample.value = double_of(value);
    else
      sample.count = value;
    on_sample(context, info, &sample);
  }
}

tt_error tti_tally_each(tti_tally *tally, tti_on_sample *on_sample,
                        void *context) {
  tti_series **room = malloc((TTI_SERIES_MAX + 1) * sizeof(*room));
  if (!room)
    return TT_ENOMEM;
  for (unsigned id = 0; id < TT_METRIC_COUNT; id++)
    each_of(tally, tt_metric_lookup((tt_metric)id), room, on_sample, context);
  free(room);
  return TT_OK;
}
