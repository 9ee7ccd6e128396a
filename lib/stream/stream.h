#ifndef TTI_STREAM_STREAM_H
#define TTI_STREAM_STREAM_H

#include "lib/event/record.h"
#include <telltale/stream.h>

/* What the server needs beyond the public interface: it brings seqs of its own
 * (increasing, holes allowed) and records that are already encoded. */

/* Sets the seq the next publish would get; only before the first publish. */
tt_error tti_stream_start_after(tt_stream *stream, uint64_t seq);

/* Puts an encoded record under a given seq, which must be above every earlier
 * one (TT_EINVAL). Copies. Thread-safe. With TT_ENOMEM the seq is taken
 * nevertheless, and every reader is told that it was dropped: the event exists,
 * and who reads only here must not take it for one that never was. */
tt_error tti_stream_append(tt_stream *stream, uint64_t seq, int64_t received_us,
                           tti_slice record);

/* tt_stream_publish for an event of any kind, which must not be NULL. Both outs
 * may be NULL. The envelope is what went into the ring; its texts are borrowed
 * from the event. */
tt_error tti_stream_publish_as(tt_stream *stream, const tt_event *event,
                               tti_kind kind, uint64_t *out_seq,
                               tt_envelope *out_envelope);

/* Called after each publish, outside every lock, on the publishing thread. Set
 * before the first publish; must not block. */
void tti_stream_on_publish(tt_stream *stream, void (*wake)(void *context),
                           void *context);

/* An entry in its encoded form, borrowed like an envelope. */
typedef struct tti_stream_entry {
  uint64_t seq;
  int64_t received_us;
  tti_slice record;
} tti_stream_entry;

typedef enum tti_read {
  TTI_READ_NONE,
  TTI_READ_ENTRY,
  TTI_READ_DROPPED
} tti_read;

/* Like tt_reader_try_read without decoding. On TTI_READ_DROPPED, *out_drop has
 * the range and no envelope. A server's ring has holes in its seqs, so there a
 * drop's `dropped` counts entries, not numbers. */
tti_read tti_reader_next(tt_reader *reader, tti_stream_entry *out_entry,
                         tt_read_result *out_drop);

/* Like tt_reader_read without decoding. TT_OK: an entry, or, with its record's
 * ptr NULL, a drop. */
tt_error tti_reader_wait_next(tt_reader *reader, int timeout_ms,
                              tt_cancel *cancel, tti_stream_entry *out_entry,
                              tt_read_result *out_drop);

/* Waits until `until_us` of the monotonic clock, or less: true when `cancel`,
 * which may be NULL, is triggered. */
bool tti_cancel_pause(tt_cancel *cancel, int64_t until_us);

/* Puts the reader after `seq`. */
void tti_reader_seek(tt_reader *reader, uint64_t after_seq);

/* Lets go of the chunk that the last read borrowed. */
void tti_reader_unpin(tt_reader *reader);

typedef struct tti_stream_usage {
  uint64_t first_seq; /* oldest held; 0: empty */
  uint64_t last_seq;
  size_t entries;
  size_t bytes;
  size_t pinned_bytes; /* evicted but still borrowed by a reader */
} tti_stream_usage;

void tti_stream_usage_get(const tt_stream *stream, tti_stream_usage *out_usage);

#endif
