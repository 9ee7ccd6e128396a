#ifndef TTI_EMIT_QUEUE_H
#define TTI_EMIT_QUEUE_H

#include "lib/base/slice.h"
#include <telltale/emitter.h>

/* The bounded queue between the callers of tt_emit (any number of threads) and
 * one sender, and the ledger of what became of every event in it:
 *
 *   emitted + adopted = sent + queued + spooled + sum of dropped
 *                                                   under its lock, always
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

/* No instant: waits as long as it takes. */
#define TTI_QUEUE_FOREVER INT64_MAX

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

/* Whether all events are settled, those in the spool too. */
bool tti_queue_is_empty(tti_queue *queue);

/* Waits until all events pushed before this call are settled, and then until
 * the spool is empty or fails to be sent, see tti_queue_drain. TT_OK, or
 * TT_ETIMEOUT when they are not settled; below 0 there is no time limit. Cuts a
 * tti_queue_pause short. */
tt_error tti_queue_flush(tti_queue *queue, int timeout_ms);

/* Ends every wait of the sender, now and later. */
void tti_queue_stop(tti_queue *queue);

/* Counts everything that is not settled as dropped for `shutdown` (or the
 * reason of tti_queue_full_for) and answers how much that was. After the sender
 * has ended. */
uint64_t tti_queue_abandon(tti_queue *queue);

/* -- What the one sender calls. -- */

typedef enum tti_pause {
  TTI_PAUSE_OVER,   /* the time has passed */
  TTI_PAUSE_NUDGED, /* a flush came, since the last pause or in this one */
  TTI_PAUSE_STOPPED
} tti_pause;

/* Waits for events, at most until this instant of the monotonic clock. For a
 * second after the last ones it looks every 10 ms, so that callers need not
 * wake it; then it sleeps. False: there are none, or it is stopped. */
bool tti_queue_wait(tti_queue *queue, int64_t until_us);

/* Takes everything, as packed events back to back; there is something after
 * tti_queue_wait. The bytes are the sender's until the next take, which may
 * come when all of them are settled. */
tti_slice tti_queue_take(tti_queue *queue);

/* The same for a sender that has a request for each kind: when events and log
 * lines take turns often, the lines stand behind the events, both in their own
 * order, and a flush that waits for some of what was taken waits for all. */
tti_slice tti_queue_take_grouped(tti_queue *queue);

/* The oldest `events` of the taken ones, `bytes` of them, have been sent; or
 * have been dropped. */
void tti_queue_sent(tti_queue *queue, uint64_t events, size_t bytes);
void tti_queue_dropped(tti_queue *queue, tt_drop_reason reason, uint64_t events,
                       size_t bytes);

/* -- For a sender with a spool. -- */

/* The oldest `events` of the taken ones, `bytes` of them, are in the spool. */
void tti_queue_spooled(tti_queue *queue, uint64_t events, size_t bytes);

/* So many of another process have been found there. */
void tti_queue_adopted(tti_queue *queue, uint64_t events);

/* So many of the spool have been sent; or have been dropped. */
void tti_queue_spool_sent(tti_queue *queue, uint64_t events);
void tti_queue_spool_dropped(tti_queue *queue, tt_drop_reason reason,
                             uint64_t events);

/* So many of its segments were damaged, ever. */
void tti_queue_spool_damaged(tti_queue *queue, uint64_t segments);

/* Why the queue gets full, if it does: TT_DROP_QUEUE_FULL, or what keeps the
 * spool from taking its events. */
void tti_queue_full_for(tti_queue *queue, tt_drop_reason reason);

/* While true, the spool is being sent, and flushes wait for it. A flush makes
 * it true until it is known better. */
void tti_queue_drain(tti_queue *queue, bool draining);

/* Whether it is time to move the events to the spool: they have waited for a
 * second, or soon no more fit. */
bool tti_queue_is_ripe(tti_queue *queue);

/* Waits until it is, or until this instant; true when a flush came, since the
 * last pause or in this one. Ends when the queue is stopped. */
bool tti_queue_ripen(tti_queue *queue, int64_t until_us);

/* -- Pauses. -- */

/* Waits `ms`, or until a flush wants a try at once. */
tti_pause tti_queue_pause(tti_queue *queue, int64_t ms);

bool tti_queue_stopped(tti_queue *queue);

/* Whether a flush is waiting now. */
bool tti_queue_is_flushing(tti_queue *queue);

#endif
