#ifndef TTI_EVENT_RECORD_H
#define TTI_EVENT_RECORD_H

#include "lib/base/buf.h"
#include <telltale/event.h>

/* The one form of an event between ingest and the reader: the ring, the log and
 * every queue hold these bytes, so an event is encoded once and never again.
 *
 *   u8 version (1) | u8 kind | u8 flags | u8 level
 *   i64 ts_us | i64 duration_ms
 *   u32 length of each: source, source_event, type, category, level_name,
 *       agent_id, session_id, metadata, data
 *   the nine texts in that order, each followed by a NUL
 *
 * Integers are little-endian and unaligned. Texts are UTF-8, unescaped.
 * metadata is a run of pairs: u32 key length, u32 value length, key, NUL,
 * value, NUL. data is the producer's JSON, one line. seq and the time of
 * receipt are not part of it: whoever holds the bytes holds them beside it. */

typedef enum tti_kind {
  TTI_KIND_RELAY = 0,
  TTI_KIND_SESSION = 1,
  TTI_KIND_LOG = 2,
  TTI_KIND_PUBLISHED = 3
} tti_kind;

/* A decoded record. Every slice is NUL-terminated and borrowed from the bytes
 * it was decoded from. data.len 0: no data. */
typedef struct tti_record {
  tti_kind kind;
  bool truncated;
  bool has_duration;
  tt_level
      level; /* never TT_LEVEL_UNSET; rank of level_name when that is set */
  int64_t ts_us;
  int64_t duration_ms;
  tti_slice source;
  tti_slice source_event;
  tti_slice type;
  tti_slice category;
  tti_slice level_name; /* only for levels that are not of the five */
  tti_slice agent_id;
  tti_slice session_id;
  tti_slice metadata; /* packed pairs, see above */
  tti_slice data;
} tti_record;

/* Bytes that tti_record_encode writes. */
size_t tti_record_size(const tti_record *record);

/* Writes exactly tti_record_size bytes; slices need no NUL here. */
void tti_record_encode(const tti_record *record, char *out_bytes);

/* TT_ECORRUPT when the bytes are not a whole record; never reads past them. */
tt_error tti_record_decode(tti_slice bytes, tti_record *out_record);

/* A record of a caller's event; borrows from it. A log line is of its own kind
 * wherever a relay event would be taken. `metadata` receives the packed
 * pairs and must outlive the record. A ts_us of 0 stays 0: whoever has the
 * clock stamps it. Texts are taken as they are, UTF-8 or not: the views write
 * what is not as U+FFFD. TT_EINVAL (NULL event, NULL metadata with a count),
 * TT_ENOMEM, TT_ETOOBIG (a text of 4 GiB or more). */
tt_error tti_record_from_event(const tt_event *event, tti_kind kind,
                               tti_buf *metadata, tti_record *out_record);

/* The public form of a record; borrows from it. The event's metadata is NULL:
 * tti_metadata_unpack gives it. */
void tti_record_to_event(const tti_record *record, tt_event *out_event);

/* Appends one pair to packed metadata. */
void tti_metadata_append(tti_buf *metadata, tti_slice key, tti_slice value);

/* Takes the next pair off the front of *rest; false at its end. */
bool tti_metadata_next(tti_slice *rest, tti_slice *out_key,
                       tti_slice *out_value);

/* How many pairs there are; the first `max` of them go to *out_pairs, borrowed
 * from the packed bytes. */
size_t tti_metadata_unpack(tti_slice metadata, tt_metadata *out_pairs,
                           size_t max);

/* Whether the whole of `metadata` is a run of well-formed pairs. */
bool tti_metadata_check(tti_slice metadata);

/* Whether an envelope's metadata has a value of the event's own under this key:
 * level, agent_id, duration_ms, telemetry_session_id. A pair of that name is
 * shown there as "metadata.<key>", so that neither hides the other. */
bool tti_metadata_is_own_key(tti_slice key);

/* One of the five without regard to case, else TT_LEVEL_UNSET. */
tt_level tti_level_parse(tti_slice text);

/* "debug" … or level_name. Static or borrowed from the record. */
tti_slice tti_record_level_text(const tti_record *record);

/* Sets level and level_name from text: one of the five without regard to case,
 * anything else is kept as given and ranks as info; empty is info. */
void tti_record_set_level(tti_record *record, tti_slice text);

/* Bytes of the envelope view with a seq of the most digits (20). */
size_t tti_record_envelope_size(const tti_record *record);

/* An envelope over 1,000,000 bytes as envelope JSON (with a seq of the most
 * digits, as it has none yet) loses its data: data is set to `null`, truncated
 * to true. Returns whether it was. */
bool tti_record_truncate(tti_record *record);

#endif
