#include "server/history/tally.h"

#include "lib/base/hash.h"
#include "lib/base/time.h"
#include "lib/json/write.h"
#include <stdlib.h>

/* ---- Durations ---- */

static size_t bucket_of(uint64_t ms) {
  unsigned shift = 0;
  if (ms >= (uint64_t)1 << 40)
    return SKETCH_BUCKETS - 1;
  while (ms >> shift >= 64)
    shift++;
  return shift * 32 + (size_t)(ms >> shift);
}

uint64_t sketch_middle(size_t bucket) {
  if (bucket < 64)
    return bucket;
  unsigned shift = (unsigned)(bucket / 32 - 1);
  uint64_t low = (uint64_t)(bucket - (size_t)shift * 32) << shift;
  return low + ((uint64_t)1 << shift) / 2;
}

void sketch_add(sketch *s, int64_t ms) {
  s->count++;
  s->buckets[bucket_of(ms > 0 ? (uint64_t)ms : 0)]++;
}

uint64_t sketch_quantile(const sketch *s, unsigned per_mille) {
  uint64_t rank =
      s->count / 1000 * per_mille + (s->count % 1000 * per_mille + 999) / 1000;
  uint64_t seen = 0;
  size_t i = 0;
  for (; i + 1 < SKETCH_BUCKETS; i++) {
    seen += s->buckets[i];
    if (seen >= rank)
      break;
  }
  return sketch_middle(i);
}

/* ---- By key ---- */

const char *const tally_by_names[] = {"source", "channel",  "action",
                                      "level",  "agent_id", NULL};

void tally_init(tally *t, tally_by by) {
  *t = (tally){.by = by};
}

static void item_free(tally_item *item) {
  if (item)
    free(item->durations);
  free(item);
}

void tally_fini(tally *t) {
  for (size_t i = 0; i < t->count; i++)
    item_free(t->items[i]);
  item_free(t->other);
}

static tti_slice key_of(const tally *t, const tti_record *record) {
  switch (t->by) {
  case TALLY_SOURCE:
    return record->source;
  case TALLY_CHANNEL:
    return record->category;
  case TALLY_ACTION:
    return record->type;
  case TALLY_LEVEL:
    return tti_record_level_text(record);
  case TALLY_AGENT_ID:
    break;
  }
  return record->agent_id;
}

static tally_item *item_new(tti_slice key) {
  tally_item *item = calloc(1, sizeof(*item) + key.len);
  if (item && key.len) {
    memcpy(item->key, key.ptr, key.len);
    item->key_len = key.len;
  }
  return item;
}

static tally_item *other_of(tally *t) {
  if (!t->other)
    t->other = item_new((tti_slice){"", 0});
  return t->other;
}

/* NULL when out of memory. */
static tally_item *item_of(tally *t, tti_slice key) {
  const size_t slots = sizeof(t->slots) / sizeof(t->slots[0]);
  if (key.len > TALLY_KEY_BYTES)
    return other_of(t);
  size_t at = (size_t)(tti_hash64(key.ptr, key.len) >> 32) % slots;
  for (; t->slots[at]; at = (at + 1) % slots) {
    tally_item *item = t->items[t->slots[at] - 1];
    if (tti_slice_eq(key, (tti_slice){item->key, item->key_len}))
      return item;
  }
  if (t->count == TALLY_KEYS)
    return other_of(t);
  tally_item *item = item_new(key);
  if (item) {
    t->items[t->count++] = item;
    t->slots[at] = (uint16_t)t->count;
  }
  return item;
}

tt_error tally_add(tally *t, const tti_record *record) {
  tally_item *item = item_of(t, key_of(t, record));
  if (!item)
    return TT_ENOMEM;
  if (record->has_duration && !item->durations) {
    item->durations = calloc(1, sizeof(*item->durations));
    if (!item->durations)
      return TT_ENOMEM;
  }
  item->count++;
  item->errors += record->level >= TT_LEVEL_ERROR;
  if (record->has_duration)
    sketch_add(item->durations, record->duration_ms);
  return TT_OK;
}

static int compare(const void *left, const void *right) {
  const tally_item *a = *(tally_item *const *)left;
  const tally_item *b = *(tally_item *const *)right;
  if (a->count != b->count)
    return a->count < b->count ? 1 : -1;
  size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
  int order = memcmp(a->key, b->key, len);
  return order ? order : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

static void write_figures(const tally_item *item, tti_buf *out) {
  static const unsigned percents[] = {50, 95, 99};
  tti_buf_append_text(out, "\"count\":");
  tti_buf_append_u64(out, item->count);
  tti_buf_append_text(out, ",\"errors\":");
  tti_buf_append_u64(out, item->errors);
  for (size_t i = 0; i < 3; i++) {
    tti_buf_printf(out, ",\"p%u\":", percents[i]);
    if (item->durations)
      tti_buf_append_u64(out,
                         sketch_quantile(item->durations, percents[i] * 10));
    else
      tti_buf_append_text(out, "null");
  }
  tti_buf_append_char(out, '}');
}

void tally_write(tally *t, tti_buf *out) {
  /* The slots are of no use after this. */
  qsort(t->items, t->count, sizeof(t->items[0]), compare);
  tti_buf_append_text(out, "{\"items\":[");
  for (size_t i = 0; i < t->count; i++) {
    const tally_item *item = t->items[i];
    tti_buf_append_text(out, i ? ",{\"key\":" : "{\"key\":");
    tti_json_write_string(out, (tti_slice){item->key, item->key_len});
    tti_buf_append_char(out, ',');
    write_figures(item, out);
  }
  tti_buf_append_text(out, "],\"other\":");
  if (t->other) {
    tti_buf_append_char(out, '{');
    write_figures(t->other, out);
  } else {
    tti_buf_append_text(out, "null");
  }
  tti_buf_append_text(out, ",\"quantile_error\":" SKETCH_ERROR);
}

/* ---- By time ---- */

void timeline_init(timeline *t, int64_t since_us, int64_t until_us,
                   size_t count) {
  int64_t span = until_us - since_us;
  *t = (timeline){.since_us = since_us, .until_us = until_us};
  t->width_us = span / (int64_t)count + (span % (int64_t)count != 0);
  t->count = (size_t)((span - 1) / t->width_us + 1);
}

void timeline_add(timeline *t, int64_t us, const tti_record *record) {
  if (us < t->since_us || us >= t->until_us)
    return;
  size_t level = TIMELINE_OTHER;
  if (record->level_name.len == 0 && record->level >= TT_LEVEL_DEBUG &&
      record->level <= TT_LEVEL_FATAL)
    level = (size_t)record->level - TT_LEVEL_DEBUG;
  t->buckets[(us - t->since_us) / t->width_us][level]++;
}

static void write_time(int64_t us, tti_buf *out) {
  char text[TTI_RFC3339_MAX];
  size_t len = tti_rfc3339_format(us, text);
  tti_json_write_string(out, (tti_slice){text, len});
}

static void write_bucket(const timeline *t, size_t i, tti_buf *out) {
  static const char *const names[] = {"debug", "info",  "warn",
                                      "error", "fatal", "other"};
  uint64_t total = 0;
  for (size_t level = 0; level < TIMELINE_LEVELS; level++)
    total += t->buckets[i][level];
  tti_buf_append_text(out, i ? ",{\"start\":" : "{\"start\":");
  write_time(t->since_us + (int64_t)i * t->width_us, out);
  tti_buf_append_text(out, ",\"total\":");
  tti_buf_append_u64(out, total);
  tti_buf_append_text(out, ",\"by\":{");
  const char *comma = "";
  for (size_t level = 0; level < TIMELINE_LEVELS; level++) {
    if (t->buckets[i][level] == 0)
      continue;
    tti_buf_printf(out, "%s\"%s\":", comma, names[level]);
    tti_buf_append_u64(out, t->buckets[i][level]);
    comma = ",";
  }
  tti_buf_append_text(out, "}}");
}

void timeline_write(const timeline *t, tti_buf *out) {
  tti_buf_append_text(out, "{\"since\":");
  write_time(t->since_us, out);
  tti_buf_append_text(out, ",\"until\":");
  write_time(t->until_us, out);
  tti_buf_append_text(out, ",\"buckets\":[");
  for (size_t i = 0; i < t->count; i++)
    write_bucket(t, i, out);
  tti_buf_append_char(out, ']');
}
