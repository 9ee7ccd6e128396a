#ifndef TTI_EMIT_PACK_H
#define TTI_EMIT_PACK_H

#include "lib/base/slice.h"
#include <telltale/event.h>

/* An event in an emitter's queue, packed by the caller of tt_emit and unpacked
 * by the sender, in one process: native integers, nothing rendered, nothing
 * allocated.
 *
 *   u32 size of all | u8 level | u8 flags | u8 texts | u8 0
 *   i64 ts_us
 *   i64 duration_ms                       when the flag says so
 *   u32 length, bytes                     for each bit of `texts`, in order
 *   u32 count, then (u32, key, u32, value)   metadata, when the flag says so
 *   fields: u8 kind, u32 length, key, then 8 bytes or (u32 length, text);
 *           u8 0 at their end             when the flag says so */

typedef enum tti_pack_text {
  TTI_PACK_SOURCE,
  TTI_PACK_SOURCE_EVENT,
  TTI_PACK_TYPE,
  TTI_PACK_CATEGORY,
  TTI_PACK_LEVEL_NAME,
  TTI_PACK_AGENT_ID,
  TTI_PACK_SESSION_ID,
  TTI_PACK_DATA,
  TTI_PACK_TEXTS
} tti_pack_text;

/* Packs into `room` bytes and answers the size, or 0 when it takes more. */
size_t tti_pack(char *out_bytes, size_t room, const tt_event *event,
                const tt_field *fields);

/* What tti_pack would take: at least 1. */
size_t tti_pack_size(const tt_event *event, const tt_field *fields);

/* An unpacked event; everything is borrowed from the packed bytes. */
typedef struct tti_packed {
  tt_level level;
  bool has_duration;
  bool has_fields;
  bool is_log;
  int64_t ts_us;
  int64_t duration_ms;
  tti_slice texts[TTI_PACK_TEXTS];
  uint32_t metadata_count;
  const char *metadata; /* for tti_packed_pair */
  const char *fields;   /* for tti_packed_field; NULL without fields */
} tti_packed;

typedef struct tti_packed_value {
  tt_field_kind kind;
  tti_slice key;
  tti_slice text; /* of a string or JSON */
  tt_field plain; /* its value member, of the others */
} tti_packed_value;

/* Takes the first event off the front of *rest, which holds whole ones. False
 * when it is empty. */
bool tti_unpack(tti_slice *rest, tti_packed *out_packed);

/* Reads the pair at *at and goes to the next; metadata_count times. */
void tti_packed_pair(const char **at, tti_slice *out_key, tti_slice *out_value);

/* Reads the field at *at and goes to the next; false at their end. */
bool tti_packed_field(const char **at, tti_packed_value *out_value);

#endif
