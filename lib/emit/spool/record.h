#ifndef TTI_EMIT_SPOOL_RECORD_H
#define TTI_EMIT_SPOOL_RECORD_H

#include "lib/base/buf.h"
#include "lib/base/random.h"

/* A segment is a file of the spool: a head, then records back to back. A record
 * is one request that still has to be made, under the key that it has for good.
 * Integers are little-endian.
 *
 *   head     "TTSPOOL1" | u64 destination | u32 crc | u32 0
 *
 *   record   u32 magic | u32 crc | u32 body length | u32 events
 *            | producer, 36 characters | u32 is a log | u64 number
 *            | u32 settled | u32 its complement
 *            | body
 *
 * The crc (that of zlib) covers everything between itself and `settled`, and
 * the body. `settled` is written in place as parts of the record are settled;
 * one that is torn reads as 0, and what is then sent again the server knows by
 * its key. */
#define TTI_SEGMENT_HEAD_BYTES 24
#define TTI_RECORD_HEAD_BYTES  72
#define TTI_RECORD_SETTLED_AT  64
/* A JSON array of up to TTI_POST_EVENTS events, or one event. */
#define TTI_RECORD_BODY_MAX ((size_t)8 * 1024 * 1024)

typedef struct tti_record_head {
  char producer[TTI_UUID_TEXT];
  bool is_log; /* log lines, for their route */
  uint64_t number;
  uint32_t events;
  uint32_t settled; /* so many from the front have been sent or dropped */
  uint32_t body_len;
} tti_record_head;

void tti_segment_head_write(uint64_t destination,
                            char out_head[TTI_SEGMENT_HEAD_BYTES]);
bool tti_segment_head_is(tti_slice head, uint64_t destination);

/* The head of a record of this body; `settled` and `body_len` of `record` are
 * not asked for. */
void tti_record_head_write(const tti_record_head *record, tti_slice body,
                           char out_head[TTI_RECORD_HEAD_BYTES]);

/* What stands before `settled` takes part in the checksum. */
void tti_record_settled_write(uint32_t settled, char out_bytes[8]);

/* How long the body behind this head says it is; TT_ECORRUPT when these bytes,
 * at least TTI_RECORD_HEAD_BYTES, are no head. */
tt_error tti_record_body_len(tti_slice head, size_t *out_len);

/* Reads one whole record, its head and its body. TT_ECORRUPT unless all of it
 * is as it was written. */
tt_error tti_record_read(tti_slice bytes, tti_record_head *out_record,
                         tti_slice *out_body);

/* One event of a body, or a run of them, again as a body: an array, or for
 * `single` the event by itself. `count` from `first`, which the body has. */
void tti_record_part(tti_slice body, uint32_t first, uint32_t count,
                     bool single, tti_buf *out);

/* How many events the next part has of a record with so many of which `settled`
 * are; `most` is a ceiling. Parts are the nodes of a binary tree over the
 * events: whatever is refused is halved, and whoever halves anew after a crash
 * comes to the same parts, which the server then knows by their keys. */
uint32_t tti_record_part_size(uint32_t events, uint32_t settled, uint32_t most);

#endif
