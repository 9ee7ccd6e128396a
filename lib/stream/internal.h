#ifndef TTI_STREAM_INTERNAL_H
#define TTI_STREAM_INTERNAL_H

#include "lib/stream/stream.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

/* How a stream is built.
 *
 *   tail            head          positions: 0, 1, 2 … one per entry; a slot is
 *    v               v            at position & mask
 *   [s][s][s][s][s][ ][ ][ ]      slot: seq, received_us, chunk, offset, length
 *    |  |   \  \  \
 *   [chunk ][ chunk    ]          the encoded records, back to back
 *
 * One publisher at a time (the mutex) writes; readers take no lock. What a
 * reader needs to be safe:
 *
 * A slot without a chunk is a hole: memory was short when its entry came.
 *
 * A slot is valid for position p while tail <= p < head. The publisher moves
 * tail beyond p before it writes the slot again, with release stores; a reader
 * loads the slot's fields with acquire and tail after them: if any field was
 * from a later position, tail is seen beyond p, and the reader starts again.
 *
 * A chunk is reused or freed only when tail is beyond all its entries and no
 * reader pins it. The reader stores `pinned`, then loads tail; the publisher
 * stores tail, then loads every `pinned`; all four are seq_cst, so at least one
 * of the two sees the other: the reader that its entry is gone, or the
 * publisher that it must wait. */

#define TTI_CACHE_LINE  64
#define TTI_CHUNK_BYTES (256u * 1024)
/* Holds its own header and an entry of a quarter of it. */
#define TTI_CHUNK_MIN_BYTES 256u

/* Memory for records. All members belong to the mutex; the bytes are written
 * before head moves past them and not again while anyone may read them. */
typedef struct chunk {
  struct chunk *next; /* in the list of the evicted */
  size_t size;        /* bytes allocated, this header included */
  size_t used;        /* of `bytes` */
  size_t live;        /* entries that are not evicted */
  char bytes[];
} chunk;

typedef struct slot {
  _Atomic uint64_t seq;
  _Atomic int64_t received_us;
  _Atomic(chunk *) chunk;
  _Atomic uint32_t offset;
  _Atomic uint32_t len;
} slot;

/* Where blocking readers wait, and the thread that wakes them (bell.c). */
typedef struct bell {
  pthread_mutex_t park;  /* taken before the stream's mutex, never after */
  pthread_cond_t parked; /* readers wait here, with `park` */
  size_t waiters;        /* under park */
  bool started;          /* under park: the thread runs */
  bool asleep;           /* under park: the thread waits to be rung */
  pthread_t thread;
  pthread_mutex_t mutex; /* of the three below; innermost */
  pthread_cond_t ring;
  bool rung;
  bool stop;
} bell;

struct tt_stream {
  slot *slots;
  uint64_t mask; /* slots - 1 */
  size_t max_entries;
  size_t max_bytes;
  size_t chunk_bytes;
  pid_t pid; /* of the process that made it */
  tt_log_hook log;
  void (*wake)(void *context);
  void *wake_context;

  /* Read by readers at every envelope: lines of their own. */
  _Alignas(TTI_CACHE_LINE) _Atomic uint64_t head;
  _Alignas(TTI_CACHE_LINE) _Atomic uint64_t tail;

  _Alignas(TTI_CACHE_LINE) pthread_mutex_t mutex;
  /* Under the mutex, but for the atomics, which others may read. */
  _Atomic uint64_t last_seq;
  uint64_t base_seq; /* what tti_stream_start_after said */
  chunk *active;     /* being filled */
  chunk *spare;      /* one that is ready for use */
  chunk *evicted;    /* waiting for readers to let go */
  size_t held_bytes; /* of all chunks but the evicted */
  size_t evicted_bytes;
  struct tt_reader *readers;
  bool armed; /* the bell wants to hear of the next publish */
  _Atomic bool closed;
  _Atomic uint64_t dropped;

  bell bell;
};

struct tt_reader {
  /* Written by the reader's thread, loaded by publishers. */
  _Alignas(TTI_CACHE_LINE) _Atomic(chunk *) pinned;
  _Alignas(TTI_CACHE_LINE) tt_stream *stream;
  atomic_flag busy;     /* a public read is under way */
  uint64_t position;    /* of the next entry */
  uint64_t known_head;  /* some earlier value of head */
  uint64_t after_seq;   /* the last seq read, reported or asked to skip */
  uint64_t missed;      /* entries known to be gone at the last seek */
  tt_envelope envelope; /* what the last read lent */
  tt_metadata *pairs;   /* of it; owned */
  size_t pairs_cap;
  struct tt_reader *next; /* under the stream's mutex */
  struct tt_reader *prev;
};

struct tt_cancel;

/* Whether this is a forked child of the process that made the stream: there
 * the locks may be held, and the bell be waited for, by threads that do not
 * exist. Only freeing is possible then. */
bool tti_stream_is_foreign(const tt_stream *stream);

/* ---- chunk.c: all under the stream's mutex ---- */

/* Room for `len` bytes in *out_chunk at *out_offset, after evicting what the
 * ceilings demand. TT_ENOMEM; entries may have been evicted nevertheless. */
tt_error tti_chunk_reserve(tt_stream *stream, size_t len, chunk **out_chunk,
                           size_t *out_offset);
/* Moves tail past the oldest entry. There must be one. */
void tti_stream_evict(tt_stream *stream);
/* Frees evicted chunks that no reader pins any more. */
void tti_chunk_reclaim(tt_stream *stream);
void tti_chunk_free_all(tt_stream *stream);

/* ---- bell.c ---- */

tt_error tti_bell_init(bell *b);
/* Stops the thread, if any, and waits for it. */
void tti_bell_fini(bell *b);
/* Wakes the bell's thread; a publisher calls it when it found `armed`, outside
 * the mutex. */
void tti_bell_ring(bell *b);
/* Wakes all parked readers at once. */
void tti_bell_wake_readers(bell *b);
/* Waits until there may be something at or after `position`, the stream is
 * closed, `cancel` is triggered or the monotonic instant `deadline_us` (< 0:
 * never) has passed. TT_OK (look again), TT_ETIMEOUT, TT_ECANCELLED, or
 * TT_ENOMEM when the bell's thread cannot be started. */
tt_error tti_bell_wait(tt_stream *stream, uint64_t position,
                       int64_t deadline_us, struct tt_cancel *cancel);

/* ---- cancel.c ---- */

/* A wait that a cancel can end; on the waiter's stack. */
typedef struct cancel_wait {
  bell *bell;
  struct cancel_wait *next;
  struct cancel_wait *prev;
} cancel_wait;

bool tti_cancel_triggered(const struct tt_cancel *cancel);
void tti_cancel_enter(struct tt_cancel *cancel, cancel_wait *wait);
void tti_cancel_leave(struct tt_cancel *cancel, cancel_wait *wait);

static inline slot *tti_slot_at(const tt_stream *stream, uint64_t position) {
  return &stream->slots[position & stream->mask];
}

#endif
