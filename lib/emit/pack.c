#include "lib/emit/pack.h"

#define HEAD_BYTES 16

enum { FLAG_DURATION = 1, FLAG_METADATA = 2, FLAG_FIELDS = 4, FLAG_LOG = 8 };

/* Everything below is inlined into the two functions that have a packer of
 * their own, so that it lives in registers: packing is most of what a call of
 * tt_emit costs. */
#define INLINE static inline __attribute__((always_inline))

/* Where packed bytes go. Without a buffer it only counts. Once something did
 * not fit, nothing more is written. */
typedef struct packer {
  char *bytes;
  size_t room;
  size_t len;
} packer;

/* Most texts are short, and a call of memcpy costs more than they do: two
 * copies that may overlap cover each length up to twice theirs. */
INLINE void copy(char *to, const char *from, size_t len) {
  if (len > 16) {
    memcpy(to, from, len);
  } else if (len >= 8) {
    memcpy(to, from, 8);
    memcpy(to + len - 8, from + len - 8, 8);
  } else if (len >= 4) {
    memcpy(to, from, 4);
    memcpy(to + len - 4, from + len - 4, 4);
  } else {
    for (size_t i = 0; i < len; i++)
      to[i] = from[i];
  }
}

INLINE void put(packer *p, const void *bytes, size_t len) {
  if (p->bytes) {
    if (len > p->room - p->len)
      p->bytes = NULL;
    else
      copy(p->bytes + p->len, bytes, len);
  }
  p->len += len;
}

INLINE void put_u8(packer *p, unsigned value) {
  unsigned char byte = (unsigned char)value;
  put(p, &byte, 1);
}

INLINE void put_text(packer *p, const char *text, size_t len) {
  uint32_t size = (uint32_t)len;
  put(p, &size, sizeof(size));
  put(p, text, len);
}

/* Longer texts make an event that no queue takes; the cut keeps the length
 * within its four bytes. */
INLINE size_t length(const char *text) {
  size_t len = text ? strlen(text) : 0;
  return len < INT32_MAX ? len : INT32_MAX;
}

INLINE void put_fields(packer *p, const tt_field *fields) {
  for (const tt_field *f = fields; f->kind != TT_FIELD_END; f++) {
    put_u8(p, f->kind);
    put_text(p, f->key, length(f->key));
    if (f->kind == TT_FIELD_STRING || f->kind == TT_FIELD_JSON)
      put_text(p, f->value.string, length(f->value.string));
    else
      put(p, &f->value, sizeof(f->value));
  }
  put_u8(p, TT_FIELD_END);
}

INLINE void put_event(packer *p, const tt_event *event,
                      const tt_field *fields) {
  const char *texts[TTI_PACK_TEXTS] = {
      event->source,     event->source_event,         event->type,
      event->category,   event->level_name,           event->agent_id,
      event->session_id, fields ? NULL : event->data,
  };
  unsigned char head[HEAD_BYTES] = {0};
  bool has_metadata = event->metadata && event->metadata_count;
  unsigned present = 0;
  for (unsigned i = 0; i < TTI_PACK_TEXTS; i++)
    present |= (unsigned)(texts[i] && *texts[i]) << i;
  head[4] = (unsigned char)event->level;
  head[5] = (unsigned char)((event->has_duration ? FLAG_DURATION : 0) |
                            (has_metadata ? FLAG_METADATA : 0) |
                            (fields ? FLAG_FIELDS : 0) |
                            (event->is_log ? FLAG_LOG : 0));
  head[6] = (unsigned char)present;
  memcpy(head + 8, &event->ts_us, sizeof(event->ts_us));
  put(p, head, sizeof(head));
  if (event->has_duration)
    put(p, &event->duration_ms, sizeof(event->duration_ms));
  for (unsigned i = 0; i < TTI_PACK_TEXTS; i++) {
    if (present & 1u << i)
      put_text(p, texts[i],
               i == TTI_PACK_DATA && event->data_len ? event->data_len
                                                     : length(texts[i]));
  }
  if (has_metadata) {
    uint32_t count = (uint32_t)event->metadata_count;
    put(p, &count, sizeof(count));
    for (uint32_t i = 0; i < count; i++) {
      const tt_metadata *pair = &event->metadata[i];
      put_text(p, pair->key, length(pair->key));
      put_text(p, pair->value, length(pair->value));
    }
  }
  if (fields)
    put_fields(p, fields);
}

size_t tti_pack(char *out_bytes, size_t room, const tt_event *event,
                const tt_field *fields) {
  packer p = {.bytes = out_bytes, .room = room};
  put_event(&p, event, fields);
  if (!p.bytes || p.len > UINT32_MAX)
    return 0;
  uint32_t size = (uint32_t)p.len;
  memcpy(out_bytes, &size, sizeof(size));
  return p.len;
}

size_t tti_pack_size(const tt_event *event, const tt_field *fields) {
  packer p = {0};
  put_event(&p, event, fields);
  return p.len;
}

static void get(const char **at, void *out_bytes, size_t len) {
  memcpy(out_bytes, *at, len);
  *at += len;
}

static tti_slice get_text(const char **at) {
  uint32_t len;
  get(at, &len, sizeof(len));
  tti_slice text = {*at, len};
  *at += len;
  return text;
}

bool tti_unpack(tti_slice *rest, tti_packed *out_packed) {
  if (rest->len == 0)
    return false;
  const char *at = rest->ptr;
  unsigned char head[HEAD_BYTES];
  uint32_t size;
  get(&at, head, sizeof(head));
  memcpy(&size, head, sizeof(size));
  *out_packed = (tti_packed){
      .level = (tt_level)head[4],
      .has_duration = head[5] & FLAG_DURATION,
      .has_fields = head[5] & FLAG_FIELDS,
      .is_log = head[5] & FLAG_LOG,
  };
  memcpy(&out_packed->ts_us, head + 8, sizeof(out_packed->ts_us));
  if (out_packed->has_duration)
    get(&at, &out_packed->duration_ms, sizeof(out_packed->duration_ms));
  for (unsigned i = 0; i < TTI_PACK_TEXTS; i++) {
    if (head[6] & 1u << i)
      out_packed->texts[i] = get_text(&at);
  }
  if (head[5] & FLAG_METADATA) {
    get(&at, &out_packed->metadata_count, sizeof(out_packed->metadata_count));
    out_packed->metadata = at;
    for (uint32_t i = 0; i < out_packed->metadata_count; i++) {
      get_text(&at);
      get_text(&at);
    }
  }
  if (out_packed->has_fields)
    out_packed->fields = at;
  rest->ptr += size;
  rest->len -= size;
  return true;
}

void tti_packed_pair(const char **at, tti_slice *out_key,
                     tti_slice *out_value) {
  *out_key = get_text(at);
  *out_value = get_text(at);
}

bool tti_packed_field(const char **at, tti_packed_value *out_value) {
  unsigned char kind;
  get(at, &kind, 1);
  if (kind == TT_FIELD_END)
    return false;
  *out_value = (tti_packed_value){.kind = (tt_field_kind)kind};
  out_value->key = get_text(at);
  if (kind == TT_FIELD_STRING || kind == TT_FIELD_JSON)
    out_value->text = get_text(at);
  else
    get(at, &out_value->plain.value, sizeof(out_value->plain.value));
  return true;
}
