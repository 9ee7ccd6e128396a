#include "lib/event/record.h"

#define VERSION        1
#define TEXTS          9
#define HEAD_BYTES     (4 + 2 * 8 + TEXTS * 4)
#define FLAG_TRUNCATED 1u
#define FLAG_DURATION  2u
#define FLAGS          (FLAG_TRUNCATED | FLAG_DURATION)

/* The byte-wise forms compile to one move where integers are little-endian. */
/* Spelt out, not looped: so compilers make one store of it. */
static void put_u32(unsigned char *at, uint32_t value) {
  at[0] = (unsigned char)value;
  at[1] = (unsigned char)(value >> 8);
  at[2] = (unsigned char)(value >> 16);
  at[3] = (unsigned char)(value >> 24);
}

static void put_u64(unsigned char *at, uint64_t value) {
  put_u32(at, (uint32_t)value);
  put_u32(at + 4, (uint32_t)(value >> 32));
}

static uint32_t get_u32(const unsigned char *at) {
  return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
         (uint32_t)at[3] << 24;
}

static uint64_t get_u64(const unsigned char *at) {
  return get_u32(at) | (uint64_t)get_u32(at + 4) << 32;
}

size_t tti_record_size(const tti_record *r) {
  return HEAD_BYTES + TEXTS + r->source.len + r->source_event.len +
         r->type.len + r->category.len + r->level_name.len + r->agent_id.len +
         r->session_id.len + r->metadata.len + r->data.len;
}

/* Names are short: two overlapping moves of a fixed size cost less than a call
 * of memcpy. */
static void copy_text(char *at, tti_slice text) {
  if (text.len > 16) {
    memcpy(at, text.ptr, text.len);
  } else if (text.len >= 8) {
    memcpy(at, text.ptr, 8);
    memcpy(at + text.len - 8, text.ptr + text.len - 8, 8);
  } else if (text.len >= 4) {
    memcpy(at, text.ptr, 4);
    memcpy(at + text.len - 4, text.ptr + text.len - 4, 4);
  } else {
    for (size_t i = 0; i < text.len; i++)
      at[i] = text.ptr[i];
  }
}

static char *put_text(char *at, tti_slice text) {
  copy_text(at, text);
  at[text.len] = '\0';
  return at + text.len + 1;
}

void tti_record_encode(const tti_record *r, char *out_bytes) {
  const tti_slice *const texts[TEXTS] = {
      &r->source,     &r->source_event, &r->type,
      &r->category,   &r->level_name,   &r->agent_id,
      &r->session_id, &r->metadata,     &r->data};
  unsigned char *head = (unsigned char *)out_bytes;
  head[0] = VERSION;
  head[1] = (unsigned char)r->kind;
  head[2] = (unsigned char)((r->truncated ? FLAG_TRUNCATED : 0) |
                            (r->has_duration ? FLAG_DURATION : 0));
  head[3] = (unsigned char)r->level;
  put_u64(head + 4, (uint64_t)r->ts_us);
  put_u64(head + 12, (uint64_t)r->duration_ms);
  char *at = out_bytes + HEAD_BYTES;
  for (size_t i = 0; i < TEXTS; i++) {
    put_u32(head + 20 + 4 * i, (uint32_t)texts[i]->len);
    at = put_text(at, *texts[i]);
  }
}

/* Takes a text and its NUL off the front of *rest. */
static bool take_text(tti_slice *rest, size_t len, tti_slice *out_text) {
  if (rest->len <= len || rest->ptr[len] != '\0')
    return false;
  *out_text = (tti_slice){rest->ptr, len};
  rest->ptr += len + 1;
  rest->len -= len + 1;
  return true;
}

tt_error tti_record_decode(tti_slice bytes, tti_record *out_record) {
  const unsigned char *head = (const unsigned char *)bytes.ptr;
  if (bytes.len < HEAD_BYTES || head[0] != VERSION ||
      head[1] > TTI_KIND_PUBLISHED || (head[2] & ~FLAGS) ||
      head[3] < TT_LEVEL_DEBUG || head[3] > TT_LEVEL_FATAL)
    return TT_ECORRUPT;
  /* Member by member, here and below: an initialiser would first clear the
   * whole, which costs more than the rest of the function. */
  tti_record r;
  r.kind = (tti_kind)head[1];
  r.truncated = head[2] & FLAG_TRUNCATED;
  r.has_duration = head[2] & FLAG_DURATION;
  r.level = (tt_level)head[3];
  r.ts_us = (int64_t)get_u64(head + 4);
  r.duration_ms = (int64_t)get_u64(head + 12);
  tti_slice *const texts[TEXTS] = {&r.source,     &r.source_event, &r.type,
                                   &r.category,   &r.level_name,   &r.agent_id,
                                   &r.session_id, &r.metadata,     &r.data};
  tti_slice rest = {bytes.ptr + HEAD_BYTES, bytes.len - HEAD_BYTES};
  for (size_t i = 0; i < TEXTS; i++)
    if (!take_text(&rest, get_u32(head + 20 + 4 * i), texts[i]))
      return TT_ECORRUPT;
  if (rest.len || !tti_metadata_check(r.metadata))
    return TT_ECORRUPT;
  *out_record = r;
  return TT_OK;
}

void tti_metadata_append(tti_buf *metadata, tti_slice key, tti_slice value) {
  if (key.len > UINT32_MAX || value.len > UINT32_MAX) {
    metadata->error = TT_ETOOBIG;
    return;
  }
  char *at = tti_buf_reserve(metadata, 10 + key.len + value.len);
  if (!at)
    return;
  put_u32((unsigned char *)at, (uint32_t)key.len);
  put_u32((unsigned char *)at + 4, (uint32_t)value.len);
  put_text(put_text(at + 8, key), value);
  metadata->len += 10 + key.len + value.len;
}

bool tti_metadata_next(tti_slice *rest, tti_slice *out_key,
                       tti_slice *out_value) {
  if (rest->len < 10)
    return false;
  const unsigned char *lengths = (const unsigned char *)rest->ptr;
  tti_slice left = {rest->ptr + 8, rest->len - 8}, key, value;
  if (!take_text(&left, get_u32(lengths), &key) ||
      !take_text(&left, get_u32(lengths + 4), &value))
    return false;
  *rest = left;
  *out_key = key;
  *out_value = value;
  return true;
}

size_t tti_metadata_unpack(tti_slice metadata, tt_metadata *out_pairs,
                           size_t max) {
  tti_slice key, value;
  size_t count = 0;
  for (; tti_metadata_next(&metadata, &key, &value); count++)
    if (count < max)
      out_pairs[count] = (tt_metadata){key.ptr, value.ptr};
  return count;
}

bool tti_metadata_check(tti_slice metadata) {
  tti_slice key, value;
  while (tti_metadata_next(&metadata, &key, &value))
    ;
  return metadata.len == 0;
}

bool tti_metadata_is_own_key(tti_slice key) {
  static const tti_slice own[] = {{"level", 5},
                                  {"agent_id", 8},
                                  {"duration_ms", 11},
                                  {"telemetry_session_id", 20}};
  for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
    if (tti_slice_eq(key, own[i]))
      return true;
  return false;
}

static tt_error pack_metadata(const tt_event *event, tti_buf *metadata,
                              tti_slice *out_packed) {
  size_t begin = metadata->len;
  for (size_t i = 0; i < event->metadata_count; i++)
    tti_metadata_append(metadata, tti_slice_of(event->metadata[i].key),
                        tti_slice_of(event->metadata[i].value));
  if (metadata->error)
    return metadata->error;
  *out_packed = event->metadata_count
                    ? (tti_slice){metadata->data + begin, metadata->len - begin}
                    : TTI_SLICE("");
  return TT_OK;
}

static bool fits(const tti_record *r) {
  return r->source.len <= UINT32_MAX && r->source_event.len <= UINT32_MAX &&
         r->type.len <= UINT32_MAX && r->category.len <= UINT32_MAX &&
         r->level_name.len <= UINT32_MAX && r->agent_id.len <= UINT32_MAX &&
         r->session_id.len <= UINT32_MAX && r->metadata.len <= UINT32_MAX &&
         r->data.len <= UINT32_MAX;
}

tt_error tti_record_from_event(const tt_event *event, tti_kind kind,
                               tti_buf *metadata, tti_record *out_record) {
  if (!event || (event->metadata_count && !event->metadata))
    return TT_EINVAL;
  tti_record r;
  r.kind = event->is_log && kind == TTI_KIND_RELAY ? TTI_KIND_LOG : kind;
  r.truncated = event->truncated;
  r.has_duration = event->has_duration;
  r.level = event->level >= TT_LEVEL_DEBUG && event->level <= TT_LEVEL_FATAL
                ? event->level
                : TT_LEVEL_INFO;
  r.ts_us = event->ts_us;
  r.duration_ms = event->has_duration ? event->duration_ms : 0;
  r.source = tti_slice_of(event->source);
  r.source_event = tti_slice_of(event->source_event);
  r.type = tti_slice_of(event->type);
  r.category = tti_slice_of(event->category);
  r.level_name = (tti_slice){NULL, 0};
  r.agent_id = tti_slice_of(event->agent_id);
  r.session_id = tti_slice_of(event->session_id);
  r.data = event->data && event->data_len
               ? (tti_slice){event->data, event->data_len}
               : tti_slice_of(event->data);
  if (event->level_name && *event->level_name)
    tti_record_set_level(&r, tti_slice_of(event->level_name));
  tt_error error = pack_metadata(event, metadata, &r.metadata);
  if (error)
    return error;
  if (!fits(&r))
    return TT_ETOOBIG;
  *out_record = r;
  return TT_OK;
}

void tti_record_to_event(const tti_record *r, tt_event *out_event) {
  tt_event *e = out_event;
  e->ts_us = r->ts_us;
  e->source = r->source.ptr;
  e->source_event = r->source_event.ptr;
  e->type = r->type.ptr;
  e->category = r->category.ptr;
  e->level = r->level;
  e->level_name = r->level_name.ptr;
  e->agent_id = r->agent_id.ptr;
  e->session_id = r->session_id.ptr;
  e->has_duration = r->has_duration;
  e->duration_ms = r->duration_ms;
  e->metadata = NULL;
  e->metadata_count = 0;
  e->data = r->data.len ? r->data.ptr : NULL;
  e->data_len = r->data.len;
  e->truncated = r->truncated;
  e->is_log = r->kind == TTI_KIND_LOG;
}
