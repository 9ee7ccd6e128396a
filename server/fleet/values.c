#include "server/fleet/values.h"

#include "lib/base/varint.h"
#include <stdlib.h>

void fleet_values_fini(fleet_values *v) {
  for (size_t i = 0; i < v->count; i++)
    free((char *)v->items[i].text.ptr);
  free(v->items);
  *v = (fleet_values){0};
}

static bool grow(fleet_values *v) {
  size_t capacity = v->capacity ? v->capacity * 2 : 4;
  fleet_value *more = realloc(v->items, capacity * sizeof *more);
  if (!more)
    return false;
  v->items = more;
  v->capacity = capacity;
  return true;
}

/* The first that is not before `text`. */
static size_t place_of(const fleet_values *v, tti_slice text, bool *out_there) {
  size_t from = 0, to = v->count;
  while (from < to) {
    size_t middle = from + (to - from) / 2;
    if (tti_slice_compare(v->items[middle].text, text) < 0)
      from = middle + 1;
    else
      to = middle;
  }
  *out_there = from < v->count && tti_slice_eq(v->items[from].text, text);
  return from;
}

static bool insert(fleet_values *v, size_t at, tti_slice text, uint64_t count) {
  if (v->count == v->capacity && !grow(v))
    return false;
  char *copy = malloc(text.len + 1);
  if (!copy)
    return false;
  memcpy(copy, text.ptr, text.len);
  memmove(v->items + at + 1, v->items + at, (v->count - at) * sizeof *v->items);
  v->items[at] = (fleet_value){{copy, text.len}, count};
  v->count++;
  return true;
}

bool fleet_values_add(fleet_values *v, tti_slice text, uint64_t count) {
  bool there = false;
  size_t at = text.ptr ? place_of(v, text, &there) : 0;
  if (there)
    v->items[at].count += count;
  else if (!text.ptr || v->count == FLEET_VALUES_MAX)
    v->other += count;
  else
    return insert(v, at, text, count);
  return true;
}

bool fleet_values_merge(fleet_values *v, const fleet_values *from) {
  v->other += from->other;
  for (size_t i = 0; i < from->count; i++)
    if (!fleet_values_add(v, from->items[i].text, from->items[i].count))
      return false;
  return true;
}

static int by_count(const void *a, const void *b) {
  const fleet_value *left = a, *right = b;
  if (left->count != right->count)
    return left->count < right->count ? 1 : -1;
  return tti_slice_compare(left->text, right->text);
}

void fleet_values_rank(fleet_values *v) {
  if (v->count)
    qsort(v->items, v->count, sizeof *v->items, by_count);
}

void fleet_values_write(const fleet_values *v, tti_buf *out) {
  if (!v->count && !v->other)
    return;
  tti_varint_put(out, v->other);
  for (size_t i = 0; i < v->count; i++) {
    tti_varint_put(out, v->items[i].text.len);
    tti_buf_append_slice(out, v->items[i].text);
    tti_varint_put(out, v->items[i].count);
  }
}

tt_error fleet_values_read(fleet_values *v, tti_slice bytes) {
  tti_bytes in = tti_bytes_of(bytes);
  if (in.at < in.end)
    v->other += tti_varint_take(&in);
  while (in.at < in.end) {
    tti_slice text = tti_bytes_take(&in, tti_varint_take(&in));
    uint64_t count = tti_varint_take(&in);
    if (in.bad)
      return TT_ECORRUPT;
    if (!fleet_values_add(v, text, count))
      return TT_ENOMEM;
  }
  return in.bad ? TT_ECORRUPT : TT_OK;
}
