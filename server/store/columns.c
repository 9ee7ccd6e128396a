#include "server/store/columns.h"

#include "lib/base/hash.h"
#include "lib/base/varint.h"

#define VERSION 1

/* ---- Building ---- */

/* The value's place in its dictionary. False: there is no room for it. */
static bool place_of(columns_builder *b, int column, tti_slice value,
                     uint16_t *out_place) {
  const size_t slots = sizeof b->slots[column] / sizeof b->slots[column][0];
  tti_slice *values = b->of.values[column];
  size_t at = (size_t)(tti_hash64(value.ptr, value.len) >> 32) % slots;
  for (; b->slots[column][at]; at = (at + 1) % slots) {
    uint16_t place = (uint16_t)(b->slots[column][at] - 1);
    if (tti_slice_eq(values[place], value)) {
      *out_place = place;
      return true;
    }
  }
  if (value.len > COLUMNS_VALUE_BYTES || value.len > sizeof b->text - b->used)
    return false;
  char *copy = b->text + b->used;
  if (value.len)
    memcpy(copy, value.ptr, value.len);
  b->used += value.len;
  *out_place = (uint16_t)b->of.value_count[column]++;
  values[*out_place] = (tti_slice){copy, value.len};
  b->slots[column][at] = (uint16_t)(*out_place + 1);
  return true;
}

void columns_add(columns_builder *b, uint64_t seq, int64_t received_us,
                 const tti_record *record) {
  columns *c = &b->of;
  char class[2 + COLUMNS_VALUE_BYTES];
  tti_slice name = record->level_name;
  /* The least of all durations has no number of its own. */
  b->failed = b->failed || c->rows == COLUMNS_ROWS ||
              name.len > sizeof class - 2 || record->duration_ms == INT64_MIN;
  if (b->failed)
    return;
  class[0] = (char)record->kind;
  class[1] = (char)record->level;
  if (name.len)
    memcpy(class + 2, name.ptr, name.len);
  const tti_slice values[COLUMN_COUNT] = {{class, 2 + name.len},
                                          record->source,
                                          record->category,
                                          record->type,
                                          record->agent_id};
  for (int i = 0; i < COLUMN_COUNT; i++)
    if (!place_of(b, i, values[i], &c->value[i][c->rows])) {
      b->failed = true;
      return;
    }
  c->seq[c->rows] = seq;
  c->received_us[c->rows] = received_us;
  c->has_duration[c->rows] = record->has_duration;
  c->duration_ms[c->rows] = record->duration_ms;
  c->rows++;
}

/* ---- Writing ---- */

static void put_places(tti_buf *out, const columns *c, int column) {
  size_t count = c->value_count[column];
  for (size_t i = 0; count > 1 && i < c->rows; i++) {
    tti_buf_append_char(out, (char)c->value[column][i]);
    if (count > 256)
      tti_buf_append_char(out, (char)(c->value[column][i] >> 8));
  }
}

void columns_write(const columns_builder *b, tti_buf *out) {
  const columns *c = &b->of;
  if (b->failed || c->rows == 0)
    return;
  tti_buf_append_char(out, VERSION);
  tti_varint_put(out, c->rows);
  tti_varint_put(out, c->seq[0]);
  tti_varint_put(out, (uint64_t)c->received_us[0]);
  for (int column = 0; column < COLUMN_COUNT; column++) {
    tti_varint_put(out, c->value_count[column]);
    for (size_t i = 0; i < c->value_count[column]; i++) {
      tti_varint_put(out, c->values[column][i].len);
      tti_buf_append_slice(out, c->values[column][i]);
    }
  }
  for (int column = 0; column < COLUMN_COUNT; column++)
    put_places(out, c, column);
  for (size_t i = 1; i < c->rows; i++)
    tti_varint_put(out, c->seq[i] - c->seq[i - 1] - 1);
  for (size_t i = 1; i < c->rows; i++)
    tti_varint_put(out, (uint64_t)(c->received_us[i] - c->received_us[i - 1]));
  for (size_t i = 0; i < c->rows; i++)
    tti_varint_put(
        out, c->has_duration[i] ? 1 + tti_varint_fold(c->duration_ms[i]) : 0);
}

/* ---- Reading ---- */

static void take_dictionary(tti_bytes *in, columns *c, int column) {
  uint64_t count = tti_varint_take(in);
  if (count < 1 || count > c->rows)
    in->bad = true;
  for (size_t i = 0; i < count && !in->bad; i++) {
    uint64_t len = tti_varint_take(in);
    if (in->bad || len > (size_t)(in->end - in->at)) {
      in->bad = true;
      return;
    }
    c->values[column][i] = (tti_slice){(const char *)in->at, (size_t)len};
    in->at += len;
  }
  c->value_count[column] = (size_t)count;
}

static void check_classes(tti_bytes *in, const columns *c) {
  for (size_t i = 0; i < c->value_count[COLUMN_CLASS] && !in->bad; i++) {
    tti_slice class = c->values[COLUMN_CLASS][i];
    in->bad = class.len < 2 ||
              (unsigned char)class.ptr[0] > TTI_KIND_PUBLISHED ||
              class.ptr[1] < TT_LEVEL_DEBUG || class.ptr[1] > TT_LEVEL_FATAL;
  }
}

static void take_places(tti_bytes *in, columns *c, int column) {
  size_t count = c->value_count[column], width = count > 256 ? 2 : 1;
  if (count == 1) {
    memset(c->value[column], 0, c->rows * sizeof c->value[column][0]);
    return;
  }
  if ((size_t)(in->end - in->at) < c->rows * width) {
    in->bad = true;
    return;
  }
  size_t highest = 0;
  for (size_t i = 0; i < c->rows; i++, in->at += width) {
    size_t place = in->at[0] | (width == 2 ? (size_t)in->at[1] << 8 : 0);
    c->value[column][i] = (uint16_t)place;
    highest = place > highest ? place : highest;
  }
  in->bad = highest >= count;
}

static void take_numbers(tti_bytes *in, columns *c) {
  for (size_t i = 1; i < c->rows; i++) {
    c->seq[i] = c->seq[i - 1] + 1 + tti_varint_take(in);
    if (c->seq[i] <= c->seq[i - 1])
      in->bad = true;
  }
  for (size_t i = 1; i < c->rows; i++)
    c->received_us[i] =
        (int64_t)((uint64_t)c->received_us[i - 1] + tti_varint_take(in));
  for (size_t i = 0; i < c->rows; i++) {
    uint64_t value = tti_varint_take(in);
    c->has_duration[i] = value > 0;
    c->duration_ms[i] = value > 0 ? tti_varint_unfold(value - 1) : 0;
  }
}

tt_error columns_read(tti_slice bytes, columns *out_columns) {
  columns *c = out_columns;
  const unsigned char *at = (const unsigned char *)bytes.ptr;
  tti_bytes in = {at, at + bytes.len, bytes.len == 0 || *at != VERSION};
  if (in.bad)
    return TT_ECORRUPT;
  in.at++;
  uint64_t rows = tti_varint_take(&in);
  if (rows < 1 || rows > COLUMNS_ROWS)
    return TT_ECORRUPT;
  c->rows = (size_t)rows;
  c->seq[0] = tti_varint_take(&in);
  c->received_us[0] = (int64_t)tti_varint_take(&in);
  for (int column = 0; column < COLUMN_COUNT && !in.bad; column++)
    take_dictionary(&in, c, column);
  check_classes(&in, c);
  for (int column = 0; column < COLUMN_COUNT && !in.bad; column++)
    take_places(&in, c, column);
  if (!in.bad)
    take_numbers(&in, c);
  return in.bad || in.at != in.end ? TT_ECORRUPT : TT_OK;
}

void columns_record(const columns *c, size_t i, tti_record *out_record) {
  static const tti_record none = {.source_event = {"", 0},
                                  .session_id = {"", 0},
                                  .metadata = {"", 0},
                                  .data = {"", 0}};
  tti_record *r = out_record;
  tti_slice class = c->values[COLUMN_CLASS][c->value[COLUMN_CLASS][i]];
  *r = none;
  r->kind = (tti_kind) class.ptr[0];
  r->level = (tt_level) class.ptr[1];
  r->level_name = (tti_slice){class.ptr + 2, class.len - 2};
  r->source = c->values[COLUMN_SOURCE][c->value[COLUMN_SOURCE][i]];
  r->category = c->values[COLUMN_CATEGORY][c->value[COLUMN_CATEGORY][i]];
  r->type = c->values[COLUMN_TYPE][c->value[COLUMN_TYPE][i]];
  r->agent_id = c->values[COLUMN_AGENT_ID][c->value[COLUMN_AGENT_ID][i]];
  r->has_duration = c->has_duration[i];
  r->duration_ms = c->duration_ms[i];
}
