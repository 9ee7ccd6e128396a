#ifndef TTI_EMIT_QUEUE_H
#define TTI_EMIT_QUEUE_H

#include "lib/base/slice.h"
#include <telltale/emitter.h>

/* The bounded queue between the callers of tt_emit (any number of threads) and
 * one sender, and the ledger of what became of every event in it:
 *
 *   emitted = sent + queued + sum of dropped        under its lock, always
 *
 * Two sides of memory: callers append to one while the sender holds the other,
 * so nobody waits while events are rendered or sent. The ceilings count both.
 *
 *   callers ─► [ active side ]   swap    [ taken side ] ─► sender
 *                 len, events    ◄───►    hand_bytes, hand_events
 *
 * Events leave in the order in which they came, so "everything up to the nth
 * has been settled" is one number, and a flush waits for it. A caller holds the
 * lock for a copy and no system call. */
typedef struct tti_queue tti_queue;

/* An event may take this many packed bytes; larger ones are `too_large`. */
#define TTI_QUEUE_EVENT_MAX_BYTES (1024 * 1024)

/* Reserves twice max_bytes of address space; memory is used as it fills. NULL:
 * no memory. */
tti_queue *tti_queue_new(size_t max_events, size_t max_bytes);

/* No thread may use it any more. NULL is fine. */
void tti_queue_free(tti_queue *queue);

/* Copies the event to the end, or counts why not: queue_full, too_large, or
 * shutdown after tti_queue_stop. Wakes the sender only when it sleeps. */
void tti_queue_push(tti_queue *queue, const tt_event *event,
                    const tt_field *fields);

void tti_queue_stats(tti_queue *queue, tt_emitter_stats *out_stats);

/* Waits until all events pushed before this call are settled. TT_OK or
 * TT_ETIMEOUT; below 0 there is no time limit. Cuts a tti_queue_pause short. */
tt_error tti_queue_flush(tti_queue *queue, int timeout_ms);

/* Ends every wait of the sender, now and later. */
void tti_queue_stop(tti_queue *queue);

/* Counts everything that is not settled as dropped for `shutdown` and answers
 * how much that was. After the sender has ended. */
uint64_t tti_queue_abandon(tti_queue *queue);

/* -- What the one sender calls. -- */

/* Waits for events. For a second after the last ones it looks every 10 ms, so
 * that callers need not wake it; then it sleeps. False: stopped. */
bool tti_queue_wait(tti_queue *queue);

/* Takes everything, as packed events back to back; there is something after
 * tti_queue_wait. The bytes are the sender's until the next take, which may
 * come when all of them are settled. */
tti_slice tti_queue_take(tti_queue *queue);

/* The oldest `events` of the taken ones, `bytes` of them, have been sent; or
 * have been dropped. */
void tti_queue_sent(tti_queue *queue, uint64_t events, size_t bytes);
void tti_queue_dropped(tti_queue *queue, tt_drop_reason reason, uint64_t events,
                       size_t bytes);

typedef enum tti_pause {
  TTI_PAUSE_OVER,   /* the time has passed */
  TTI_PAUSE_NUDGED, /* a flush came, since the last pause or in this one */
  TTI_PAUSE_STOPPED
} tti_pause;

/* Waits `ms`, or until a flush wants a try at once. */
tti_pause tti_queue_pause(tti_queue *queue, int64_t ms);

bool tti_queue_stopped(tti_queue *queue);

/* Whether a flush is waiting now. */
bool tti_queue_is_flushing(tti_queue *queue);

#endif
