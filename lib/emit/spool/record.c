#include "lib/emit/spool/record.h"

#include <zlib.h>

#define MAGIC       0x43525454u /* "TTRC" */
#define PRODUCER_AT 16
#define IS_LOG_AT   52
#define NUMBER_AT   56
#define UUID_CHARS  (TTI_UUID_TEXT - 1)

static void put_u32(char *out, uint32_t value) {
  for (int i = 0; i < 4; i++)
    out[i] = (char)(unsigned char)(value >> (8 * i));
}

static uint32_t get_u32(const char *in) {
  uint32_t value = 0;
  for (int i = 0; i < 4; i++)
    value |= (uint32_t)(unsigned char)in[i] << (8 * i);
  return value;
}

static void put_u64(char *out, uint64_t value) {
  put_u32(out, (uint32_t)value);
  put_u32(out + 4, (uint32_t)(value >> 32));
}

static uint64_t get_u64(const char *in) {
  return get_u32(in) | (uint64_t)get_u32(in + 4) << 32;
}

static uint32_t crc_of(const char *bytes, size_t len, tti_slice more) {
  uLong crc = crc32_z(0, (const Bytef *)bytes, len);
  if (more.len)
    crc = crc32_z(crc, (const Bytef *)more.ptr, more.len);
  return (uint32_t)crc;
}

/* -- The segment's head. -- */

void tti_segment_head_write(uint64_t destination,
                            char out_head[TTI_SEGMENT_HEAD_BYTES]) {
  memcpy(out_head, "TTSPOOL1", 8);
  put_u64(out_head + 8, destination);
  put_u32(out_head + 16, crc_of(out_head, 16, (tti_slice){NULL, 0}));
  put_u32(out_head + 20, 0);
}

bool tti_segment_head_is(tti_slice head, uint64_t destination) {
  char expected[TTI_SEGMENT_HEAD_BYTES];
  tti_segment_head_write(destination, expected);
  return tti_slice_eq(head, (tti_slice){expected, sizeof(expected)});
}

/* -- A record. -- */

static uint32_t record_crc(const char *head, tti_slice body) {
  return crc_of(head + 8, TTI_RECORD_SETTLED_AT - 8, body);
}

void tti_record_head_write(const tti_record_head *record, tti_slice body,
                           char out_head[TTI_RECORD_HEAD_BYTES]) {
  put_u32(out_head, MAGIC);
  put_u32(out_head + 8, (uint32_t)body.len);
  put_u32(out_head + 12, record->events);
  memcpy(out_head + PRODUCER_AT, record->producer, UUID_CHARS);
  put_u32(out_head + IS_LOG_AT, record->is_log);
  put_u64(out_head + NUMBER_AT, record->number);
  put_u32(out_head + 4, record_crc(out_head, body));
  tti_record_settled_write(0, out_head + TTI_RECORD_SETTLED_AT);
}

void tti_record_settled_write(uint32_t settled, char out_bytes[8]) {
  put_u32(out_bytes, settled);
  put_u32(out_bytes + 4, ~settled);
}

tt_error tti_record_body_len(tti_slice head, size_t *out_len) {
  if (get_u32(head.ptr) != MAGIC)
    return TT_ECORRUPT;
  uint32_t len = get_u32(head.ptr + 8);
  if (len < 2 || len > TTI_RECORD_BODY_MAX)
    return TT_ECORRUPT;
  *out_len = len;
  return TT_OK;
}

/* It becomes part of a header line. */
static bool is_uuid(const char *text) {
  for (size_t i = 0; i < UUID_CHARS; i++) {
    char c = text[i];
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (dash ? c != '-' : !hex)
      return false;
  }
  return true;
}

/* An array has a line an event, ended by ",\n". 0: it is no such array. */
static uint32_t count_events(tti_slice body) {
  if (body.ptr[0] != '[')
    return 1;
  uint32_t events = 1;
  const char *end = body.ptr + body.len;
  for (const char *at = body.ptr;
       (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++) {
    if (at[-1] != ',')
      return 0;
    events++;
  }
  return events;
}

tt_error tti_record_read(tti_slice bytes, tti_record_head *out_record,
                         tti_slice *out_body) {
  size_t len;
  if (bytes.len < TTI_RECORD_HEAD_BYTES || tti_record_body_len(bytes, &len) ||
      bytes.len != TTI_RECORD_HEAD_BYTES + len)
    return TT_ECORRUPT;
  const char *head = bytes.ptr;
  tti_slice body = {head + TTI_RECORD_HEAD_BYTES, len};
  bool array = body.ptr[0] == '[' && body.ptr[len - 1] == ']';
  bool object = body.ptr[0] == '{' && body.ptr[len - 1] == '}';
  tti_record_head record = {.is_log = get_u32(head + IS_LOG_AT) != 0,
                            .number = get_u64(head + NUMBER_AT),
                            .events = get_u32(head + 12),
                            .body_len = (uint32_t)len};
  if (get_u32(head + 4) != record_crc(head, body) || (!array && !object) ||
      record.events == 0 || record.events != count_events(body) ||
      !is_uuid(head + PRODUCER_AT))
    return TT_ECORRUPT;
  memcpy(record.producer, head + PRODUCER_AT, UUID_CHARS);
  uint32_t settled = get_u32(head + TTI_RECORD_SETTLED_AT);
  if (settled == ~get_u32(head + TTI_RECORD_SETTLED_AT + 4) &&
      settled <= record.events)
    record.settled = settled;
  *out_record = record;
  *out_body = body;
  return TT_OK;
}

/* -- Parts. -- */

/* The start of an event's line, or of the one behind the last. */
static const char *line(tti_slice body, uint32_t number) {
  const char *at = body.ptr + 1, *end = body.ptr + body.len;
  while (number--) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    at = stop ? stop + 1 : end;
  }
  return at;
}

void tti_record_part(tti_slice body, uint32_t first, uint32_t count,
                     bool single, tti_buf *out) {
  tti_buf_clear(out);
  if (body.ptr[0] != '[') {
    tti_buf_append_slice(out, body);
    return;
  }
  const char *begin = line(body, first);
  tti_slice rest = {begin, (size_t)(body.ptr + body.len - begin)};
  /* A line ends in ",\n", the last one in "]". */
  const char *end = line((tti_slice){begin - 1, rest.len + 1}, count);
  size_t tail = end == body.ptr + body.len ? 1 : 2;
  tti_slice events = {begin, (size_t)(end - begin) - tail};
  if (!single)
    tti_buf_append_char(out, '[');
  tti_buf_append_slice(out, events);
  if (!single)
    tti_buf_append_char(out, ']');
}

uint32_t tti_record_part_size(uint32_t events, uint32_t settled,
                              uint32_t most) {
  uint32_t left = events - settled;
  uint32_t node = 1;
  while (node < left && !(settled & node))
    node *= 2;
  while (node > most && node > 1)
    node /= 2;
  return node < left ? node : left;
}
