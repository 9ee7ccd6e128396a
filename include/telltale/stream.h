#ifndef TELLTALE_STREAM_H
#define TELLTALE_STREAM_H

#include <telltale/error.h>
#include <telltale/event.h>
#include <telltale/log.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The event bus inside a process: a ring of envelopes and the sequence
 * counter. Any number of threads publish; each reader has a position of its
 * own and belongs to one thread at a time. A writer never waits for a reader:
 * a reader that falls behind is told how many envelopes it missed. */
typedef struct tt_stream tt_stream;
typedef struct tt_reader tt_reader;

/* Cancels blocking reads from another thread; one may serve many reads. */
typedef struct tt_cancel tt_cancel;

typedef struct tt_stream_options {
  size_t entries;  /* envelopes the ring holds; 0: 65,536 */
  size_t bytes;    /* bytes of them it holds; 0: 64 MiB */
  tt_log_hook log; /* may be all zero */
} tt_stream_options;

/* An envelope whose JSON would be larger loses its data and is marked. */
#define TELLTALE_ENVELOPE_MAX_BYTES 1000000

/* Makes a stream whose first seq is 1. `options` may be NULL. Memory is bounded
 * by `bytes` plus one chunk of 256 KiB for each reader that holds an envelope.
 * TT_ENOMEM. Freed with tt_stream_free by the caller. */
TELLTALE_API tt_error tt_stream_new(const tt_stream_options *options,
                                    tt_stream **out_stream);

/* Wakes every blocked reader; reads drain what is there, then answer
 * TT_ECLOSED, and publish answers TT_ECLOSED. Never blocks. NULL is fine. */
TELLTALE_API void tt_stream_close(tt_stream *stream);

/* Closes and frees. All its readers must have been freed. NULL is fine. */
TELLTALE_API void tt_stream_free(tt_stream *stream);

/* Gives the event the next seq and puts it into the ring. Copies everything;
 * never waits for readers. Thread-safe. `out_seq` may be NULL. That
 * data is JSON is not checked here: it is kept as given.
 * Errors: TT_EINVAL (NULL event), TT_ENOMEM, TT_ECLOSED. A NULL stream: no-op,
 * TT_EINVAL. */
TELLTALE_API tt_error tt_stream_publish(tt_stream *stream,
                                        const tt_event *event,
                                        uint64_t *out_seq);

/* The seq of the last published envelope; 0 when there is none. */
TELLTALE_API uint64_t tt_stream_seq(const tt_stream *stream);

/* Envelopes that readers of this stream have been told they missed, summed. */
TELLTALE_API uint64_t tt_stream_dropped(const tt_stream *stream);

/* A reader positioned after `after_seq`; 0: at the oldest envelope held. A
 * position ahead of the last seq waits for it. Freed with tt_reader_free. */
TELLTALE_API tt_error tt_reader_new(tt_stream *stream, uint64_t after_seq,
                                    tt_reader **out_reader);
TELLTALE_API void tt_reader_free(tt_reader *reader);

/* Exactly one of: an envelope, or a report that `dropped` envelopes with
 * seqs from_seq to to_seq (inclusive) were overwritten before this reader
 * came to them. The envelope and all it points to are borrowed until the next
 * read or free of this reader; strings are NUL-terminated, never NULL. */
typedef struct tt_read_result {
  const tt_envelope *envelope; /* NULL in a drop report */
  uint64_t dropped;
  uint64_t from_seq;
  uint64_t to_seq;
} tt_read_result;

#define TELLTALE_FOREVER (-1)

/* Waits up to `timeout_ms` (0: not at all; TELLTALE_FOREVER) for the next
 * result. `cancel` may be NULL. Answers TT_OK, TT_ETIMEOUT, TT_ECANCELLED or,
 * when the stream is closed and drained, TT_ECLOSED. A second thread in the
 * same reader: TT_EBUSY. */
TELLTALE_API tt_error tt_reader_read(tt_reader *reader, int timeout_ms,
                                     tt_cancel *cancel,
                                     tt_read_result *out_result);

/* The next result without waiting: true and *out_result, or false when this
 * reader has seen everything. */
TELLTALE_API bool tt_reader_try_read(tt_reader *reader,
                                     tt_read_result *out_result);

/* TT_ENOMEM. Freed with tt_cancel_free when no read uses it any more. */
TELLTALE_API tt_error tt_cancel_new(tt_cancel **out_cancel);

/* Every read that has this cancel, now or later, answers TT_ECANCELLED within
 * 10 ms. Thread-safe; may be called any number of times. */
TELLTALE_API void tt_cancel_trigger(tt_cancel *cancel);
TELLTALE_API void tt_cancel_free(tt_cancel *cancel);

#ifdef __cplusplus
}
#endif
#endif
