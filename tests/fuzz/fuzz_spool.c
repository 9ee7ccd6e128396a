/* Any bytes as the records of a segment. Whatever is taken for a good record
 * can be divided to the last event, in parts that make the whole, under a key
 * that is fit for a header line.
 *
 * With an odd first byte the checksum of the first record is made right, or
 * nothing behind it would ever be reached. */
#include "lib/emit/spool/record.h"

#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise) {
  if (!promise)
    abort();
}

/* What stands before `settled` and after the checksum, and the body. */
static void mend(char *record, size_t len) {
  size_t body_len;
  tti_slice head = {record, len};
  if (len < TTI_RECORD_HEAD_BYTES || tti_record_body_len(head, &body_len) ||
      body_len > len - TTI_RECORD_HEAD_BYTES)
    return;
  uLong crc = crc32(0, (const Bytef *)record + 8, TTI_RECORD_SETTLED_AT - 8);
  crc =
      crc32(crc, (const Bytef *)record + TTI_RECORD_HEAD_BYTES, (uInt)body_len);
  for (int i = 0; i < 4; i++)
    record[4 + i] = (char)(unsigned char)(crc >> (8 * i));
}

static void check_parts(const tti_record_head *record, tti_slice body) {
  tti_buf part, all;
  tti_buf_init(&part, SIZE_MAX / 2);
  tti_buf_init(&all, SIZE_MAX / 2);
  bool array = body.ptr[0] == '[';
  tti_buf_append_text(&all, array ? "[" : "");
  for (uint32_t at = 0, most = UINT32_MAX; at < record->events;) {
    uint32_t events = tti_record_part_size(record->events, at, most);
    must(events > 0 && events <= record->events - at && events <= most);
    most = events - 1; /* as if it were refused */
    if (events > 1)
      continue;
    tti_record_part(body, at, 1, true, &part);
    must(part.error == TT_OK);
    tti_buf_append_text(&all, at ? ",\n" : "");
    tti_buf_append_slice(&all, tti_buf_slice(&part));
    most = UINT32_MAX;
    at++;
  }
  tti_buf_append_text(&all, array ? "]" : "");
  must(tti_slice_eq(tti_buf_slice(&all), body));
  tti_record_part(body, 0, record->events, false, &part);
  must(tti_slice_eq(tti_buf_slice(&part), body));
  tti_buf_fini(&part);
  tti_buf_fini(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1)
    return 0;
  char *bytes = malloc(size);
  must(bytes != NULL);
  memcpy(bytes, data + 1, size - 1);
  if (data[0] & 1)
    mend(bytes, size - 1);
  tti_slice rest = {bytes, size - 1};
  size_t len;
  while (rest.len >= TTI_RECORD_HEAD_BYTES &&
         tti_record_body_len(rest, &len) == TT_OK &&
         len <= rest.len - TTI_RECORD_HEAD_BYTES) {
    tti_record_head record;
    tti_slice body;
    tti_slice one = {rest.ptr, TTI_RECORD_HEAD_BYTES + len};
    if (tti_record_read(one, &record, &body))
      break;
    must(strlen(record.producer) == TTI_UUID_TEXT - 1);
    must(strspn(record.producer, "0123456789abcdef-") == TTI_UUID_TEXT - 1);
    must(record.events > 0 && record.settled <= record.events);
    must(body.len == len && record.body_len == len);
    check_parts(&record, body);
    rest.ptr += one.len;
    rest.len -= one.len;
  }
  free(bytes);
  return 0;
}
