#include "lib/emit/queue.h"

#include "lib/base/cond.h"
#include "lib/base/time.h"
#include "lib/emit/pack.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define POLL_US  10000
#define AWAKE_US 1000000
#define RIPE_US  1000000
/* Most events are packed on the caller's stack, outside the lock. */
#define SCRATCH_BYTES 1024
/* More turns of events and log lines than this are as many requests too many.
 */
#define GROUP_TURNS 8
/* A side keeps this much of its memory; what a burst took more goes back. */
#define KEEP_BYTES ((size_t)1024 * 1024)

struct tti_queue {
  pthread_mutex_t lock;
  pthread_cond_t work;    /* the sender waits on it */
  pthread_cond_t settled; /* flushes wait on it */
  size_t max_events;
  size_t max_bytes;
  char *memory;  /* the two sides */
  size_t stride; /* from one to the other: max_bytes in whole pages */
  unsigned active;
  size_t len; /* of the active side */
  size_t events;
  size_t hand_bytes; /* taken and not settled */
  size_t hand_events;
  size_t taken_bytes;   /* of the taken side, when it was taken */
  uint64_t accepted;    /* entered the queue, ever */
  uint64_t done;        /* left it, ever */
  uint64_t done_before; /* those that are taken, when they were */
  bool grouped;         /* those that are taken lie in another order */
  unsigned flushes;     /* that wait now */
  uint64_t nudges;      /* flushes that began to, ever */
  uint64_t nudges_seen; /* the sender's */
  int64_t taken_us;     /* when it took some last */
  int64_t found_us;     /* when tti_queue_is_ripe first saw what is there */
  bool draining;
  tt_drop_reason full_for;
  bool sleeping; /* the sender waits to be woken */
  bool stopping;
  atomic_bool full;       /* a hint: so many events that none can be added */
  tt_emitter_stats stats; /* `queued` is derived */
};

static bool init_conditions(tti_queue *q) {
  if (tti_cond_init(&q->work))
    return false;
  if (tti_cond_init(&q->settled) == 0)
    return true;
  pthread_cond_destroy(&q->work);
  return false;
}

tti_queue *tti_queue_new(size_t max_events, size_t max_bytes) {
  tti_queue *q = calloc(1, sizeof(*q));
  if (!q)
    return NULL;
  if (max_bytes > SIZE_MAX / 4)
    goto no_memory;
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  q->stride = (max_bytes + page - 1) / page * page;
  q->max_events = max_events;
  q->full_for = TT_DROP_QUEUE_FULL;
  q->max_bytes = max_bytes;
  q->memory = mmap(NULL, 2 * q->stride, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (q->memory == MAP_FAILED)
    goto no_memory;
#ifdef MADV_DONTFORK
  /* A child has no use for it, and fork none for the work of copying it. */
  madvise(q->memory, 2 * q->stride, MADV_DONTFORK);
#endif
  if (pthread_mutex_init(&q->lock, NULL))
    goto no_lock;
  if (!init_conditions(q))
    goto no_conditions;
  return q;

no_conditions:
  pthread_mutex_destroy(&q->lock);
no_lock:
  munmap(q->memory, 2 * q->stride);
no_memory:
  free(q);
  return NULL;
}

void tti_queue_free(tti_queue *queue) {
  if (!queue)
    return;
  pthread_cond_destroy(&queue->settled);
  pthread_cond_destroy(&queue->work);
  pthread_mutex_destroy(&queue->lock);
  munmap(queue->memory, 2 * queue->stride);
  free(queue);
}

static char *side(tti_queue *q, unsigned which) {
  return q->memory + which * q->stride;
}

/* Under the lock. */
static bool has_all_events(const tti_queue *q) {
  return q->events + q->hand_events >= q->max_events;
}

/* Under the lock. */
static bool has_room(const tti_queue *q, size_t bytes) {
  return !has_all_events(q) && q->len + q->hand_bytes <= q->max_bytes &&
         bytes <= q->max_bytes - q->len - q->hand_bytes;
}

/* An event that did not fit the scratch has `packed` NULL. */
static bool append(tti_queue *q, const char *packed, size_t size,
                   const tt_event *event, const tt_field *fields) {
  char *at = side(q, q->active) + q->len;
  if (packed)
    memcpy(at, packed, size);
  else if (!tti_pack(at, size, event, fields))
    return false; /* it grew since it was measured */
  q->len += size;
  q->events++;
  q->accepted++;
  return true;
}

/* While the server is down the queue stays full: then an event is counted
 * without being packed first. */
static bool drop_early(tti_queue *q) {
  /* Relaxed: only a hint, the truth is read under the lock. */
  if (!atomic_load_explicit(&q->full, memory_order_relaxed))
    return false;
  pthread_mutex_lock(&q->lock);
  bool dropped = has_all_events(q) && !q->stopping;
  if (dropped) {
    q->stats.emitted++;
    q->stats.dropped[q->full_for]++;
  }
  pthread_mutex_unlock(&q->lock);
  return dropped;
}

void tti_queue_push(tti_queue *queue, const tt_event *event,
                    const tt_field *fields) {
  if (drop_early(queue))
    return;
  char scratch[SCRATCH_BYTES];
  const char *packed = scratch;
  size_t size = tti_pack(scratch, sizeof(scratch), event, fields);
  if (!size) {
    packed = NULL;
    size = tti_pack_size(event, fields);
  }
  bool fits = size <= TTI_QUEUE_EVENT_MAX_BYTES && size <= queue->max_bytes;
  bool wake = false;

  pthread_mutex_lock(&queue->lock);
  queue->stats.emitted++;
  if (!fits) {
    queue->stats.dropped[TT_DROP_TOO_LARGE]++;
  } else if (queue->stopping) {
    queue->stats.dropped[TT_DROP_SHUTDOWN]++;
  } else if (!has_room(queue, size)) {
    queue->stats.dropped[queue->full_for]++;
  } else if (!append(queue, packed, size, event, fields)) {
    queue->stats.dropped[TT_DROP_TOO_LARGE]++;
  } else {
    wake = queue->sleeping;
    queue->sleeping = false;
  }
  if (has_all_events(queue))
    atomic_store_explicit(&queue->full, true, memory_order_relaxed);
  pthread_mutex_unlock(&queue->lock);
  if (wake)
    pthread_cond_signal(&queue->work);
}

void tti_queue_stats(tti_queue *queue, tt_emitter_stats *out_stats) {
  pthread_mutex_lock(&queue->lock);
  *out_stats = queue->stats;
  out_stats->queued = queue->accepted - queue->done;
  pthread_mutex_unlock(&queue->lock);
}

static int64_t now_us(void) {
  return tti_monotonic_us(&tti_clock_system);
}

bool tti_queue_is_empty(tti_queue *queue) {
  pthread_mutex_lock(&queue->lock);
  bool empty = queue->done == queue->accepted && queue->stats.spooled == 0;
  pthread_mutex_unlock(&queue->lock);
  return empty;
}

/* Under the lock. Of all that entered, so many in front are certain to have
 * left. */
static uint64_t settled_in_order(const tti_queue *q) {
  return q->grouped && q->hand_events ? q->done_before : q->done;
}

tt_error tti_queue_flush(tti_queue *queue, int timeout_ms) {
  int64_t until_us =
      timeout_ms < 0 ? -1 : now_us() + (int64_t)timeout_ms * 1000;
  pthread_mutex_lock(&queue->lock);
  uint64_t mark = queue->accepted;
  queue->draining = queue->stats.spooled > 0;
  bool pending = settled_in_order(queue) < mark || queue->draining;
  if (pending) {
    queue->nudges++;
    queue->flushes++;
    queue->sleeping = false;
  }
  pthread_mutex_unlock(&queue->lock);
  if (!pending)
    return TT_OK;
  pthread_cond_signal(&queue->work);

  pthread_mutex_lock(&queue->lock);
  while ((settled_in_order(queue) < mark || queue->draining) &&
         tti_cond_wait(&queue->settled, &queue->lock, until_us))
    ;
  queue->flushes--;
  bool ok = settled_in_order(queue) >= mark;
  pthread_mutex_unlock(&queue->lock);
  return ok ? TT_OK : TT_ETIMEOUT;
}

void tti_queue_stop(tti_queue *queue) {
  pthread_mutex_lock(&queue->lock);
  queue->stopping = true;
  queue->sleeping = false;
  pthread_mutex_unlock(&queue->lock);
  pthread_cond_signal(&queue->work);
}

bool tti_queue_stopped(tti_queue *queue) {
  pthread_mutex_lock(&queue->lock);
  bool stopping = queue->stopping;
  pthread_mutex_unlock(&queue->lock);
  return stopping;
}

bool tti_queue_is_flushing(tti_queue *queue) {
  pthread_mutex_lock(&queue->lock);
  bool flushing = queue->flushes > 0;
  pthread_mutex_unlock(&queue->lock);
  return flushing;
}

uint64_t tti_queue_abandon(tti_queue *queue) {
  pthread_mutex_lock(&queue->lock);
  uint64_t left = queue->accepted - queue->done;
  queue->stats
      .dropped[queue->full_for == TT_DROP_QUEUE_FULL ? TT_DROP_SHUTDOWN
                                                     : queue->full_for] += left;
  queue->done = queue->accepted;
  queue->events = queue->len = 0;
  queue->hand_events = queue->hand_bytes = 0;
  pthread_mutex_unlock(&queue->lock);
  pthread_cond_broadcast(&queue->settled);
  return left;
}

/* Under the lock. */
static void sleep_until(tti_queue *q, int64_t until_us) {
  q->sleeping = true;
  tti_cond_wait(&q->work, &q->lock,
                until_us == TTI_QUEUE_FOREVER ? -1 : until_us);
  q->sleeping = false;
}

static int64_t earlier(int64_t a, int64_t b) {
  return a < b ? a : b;
}

bool tti_queue_wait(tti_queue *queue, int64_t until_us) {
  pthread_mutex_lock(&queue->lock);
  while (queue->events == 0 && !queue->stopping) {
    int64_t now = now_us();
    if (now >= until_us)
      break;
    if (now < queue->taken_us + AWAKE_US)
      tti_cond_wait(&queue->work, &queue->lock,
                    earlier(now + POLL_US, until_us));
    else
      sleep_until(queue, until_us);
  }
  bool more = queue->events > 0 && !queue->stopping;
  pthread_mutex_unlock(&queue->lock);
  return more;
}

tti_slice tti_queue_take(tti_queue *queue) {
  unsigned other = !queue->active; /* only the sender changes `active` */
  if (queue->taken_bytes > KEEP_BYTES)
    madvise(side(queue, other) + KEEP_BYTES, queue->stride - KEEP_BYTES,
            MADV_DONTNEED);
  int64_t now = now_us();
  pthread_mutex_lock(&queue->lock);
  queue->taken_us = now;
  queue->found_us = 0;
  tti_slice taken = {side(queue, queue->active), queue->len};
  queue->hand_bytes = queue->len;
  queue->hand_events = queue->events;
  queue->taken_bytes = queue->len;
  queue->len = 0;
  queue->events = 0;
  queue->active = other;
  queue->grouped = false;
  queue->done_before = queue->done;
  pthread_mutex_unlock(&queue->lock);
  return taken;
}

/* The next packed event at the front; *out_size is how much it takes. */
static bool next_packed(tti_slice *rest, bool *out_is_log, size_t *out_size) {
  tti_packed packed;
  size_t before = rest->len;
  if (!tti_unpack(rest, &packed))
    return false;
  *out_is_log = packed.is_log;
  *out_size = before - rest->len;
  return true;
}

/* Moves the log lines behind the events. False: they take turns too seldom for
 * it, or there is no memory. */
static bool group(char *bytes, size_t len) {
  tti_slice rest = {bytes, len};
  bool is_log, last = false;
  size_t size, turns = 0, events_len = 0, lines_len = 0;
  while (next_packed(&rest, &is_log, &size)) {
    turns += is_log != last;
    last = is_log;
    lines_len += is_log ? size : 0;
  }
  char *lines = turns > GROUP_TURNS ? malloc(lines_len) : NULL;
  if (!lines)
    return false;
  rest = (tti_slice){bytes, len};
  lines_len = 0;
  for (const char *at = bytes; next_packed(&rest, &is_log, &size); at += size) {
    if (is_log) {
      memcpy(lines + lines_len, at, size);
      lines_len += size;
    } else {
      memmove(bytes + events_len, at, size);
      events_len += size;
    }
  }
  memcpy(bytes + events_len, lines, lines_len);
  free(lines);
  return true;
}

tti_slice tti_queue_take_grouped(tti_queue *queue) {
  tti_slice taken = tti_queue_take(queue);
  if (group((char *)taken.ptr, taken.len)) {
    pthread_mutex_lock(&queue->lock);
    queue->grouped = true;
    pthread_mutex_unlock(&queue->lock);
  }
  return taken;
}

/* Under the lock. */
static void settle(tti_queue *q, uint64_t events, size_t bytes) {
  q->hand_events -= events;
  q->hand_bytes -= bytes;
  q->done += events;
  atomic_store_explicit(&q->full, has_all_events(q), memory_order_relaxed);
}

void tti_queue_sent(tti_queue *queue, uint64_t events, size_t bytes) {
  pthread_mutex_lock(&queue->lock);
  queue->stats.sent += events;
  settle(queue, events, bytes);
  pthread_mutex_unlock(&queue->lock);
  pthread_cond_broadcast(&queue->settled);
}

void tti_queue_dropped(tti_queue *queue, tt_drop_reason reason, uint64_t events,
                       size_t bytes) {
  pthread_mutex_lock(&queue->lock);
  queue->stats.dropped[reason] += events;
  settle(queue, events, bytes);
  pthread_mutex_unlock(&queue->lock);
  pthread_cond_broadcast(&queue->settled);
}

/* -- The spool. -- */

void tti_queue_spooled(tti_queue *queue, uint64_t events, size_t bytes) {
  pthread_mutex_lock(&queue->lock);
  queue->stats.spooled += events;
  settle(queue, events, bytes);
  pthread_mutex_unlock(&queue->lock);
  pthread_cond_broadcast(&queue->settled);
}

void tti_queue_adopted(tti_queue *queue, uint64_t events) {
  pthread_mutex_lock(&queue->lock);
  queue->stats.adopted += events;
  queue->stats.spooled += events;
  pthread_mutex_unlock(&queue->lock);
}

void tti_queue_spool_sent(tti_queue *queue, uint64_t events) {
  pthread_mutex_lock(&queue->lock);
  queue->stats.sent += events;
  queue->stats.spooled -= events;
  pthread_mutex_unlock(&queue->lock);
}

void tti_queue_spool_dropped(tti_queue *queue, tt_drop_reason reason,
                             uint64_t events) {
  pthread_mutex_lock(&queue->lock);
  queue->stats.dropped[reason] += events;
  queue->stats.spooled -= events;
  pthread_mutex_unlock(&queue->lock);
}

void tti_queue_spool_damaged(tti_queue *queue, uint64_t segments) {
  pthread_mutex_lock(&queue->lock);
  queue->stats.spool_damaged = segments;
  pthread_mutex_unlock(&queue->lock);
}

void tti_queue_full_for(tti_queue *queue, tt_drop_reason reason) {
  pthread_mutex_lock(&queue->lock);
  queue->full_for = reason;
  pthread_mutex_unlock(&queue->lock);
}

void tti_queue_drain(tti_queue *queue, bool draining) {
  pthread_mutex_lock(&queue->lock);
  queue->draining = draining;
  pthread_mutex_unlock(&queue->lock);
  if (!draining)
    pthread_cond_broadcast(&queue->settled);
}

/* Under the lock. */
static bool is_ripe(tti_queue *q, int64_t now) {
  if (q->events == 0)
    return false;
  if (q->found_us == 0)
    q->found_us = now;
  return now >= q->found_us + RIPE_US ||
         q->events + q->hand_events >= q->max_events - q->max_events / 4 ||
         q->len + q->hand_bytes >= q->max_bytes - q->max_bytes / 4;
}

bool tti_queue_is_ripe(tti_queue *queue) {
  int64_t now = now_us();
  pthread_mutex_lock(&queue->lock);
  bool ripe = is_ripe(queue, now);
  pthread_mutex_unlock(&queue->lock);
  return ripe;
}

bool tti_queue_ripen(tti_queue *queue, int64_t until_us) {
  pthread_mutex_lock(&queue->lock);
  while (!queue->stopping && queue->nudges == queue->nudges_seen) {
    int64_t now = now_us();
    if (now >= until_us || is_ripe(queue, now))
      break;
    if (queue->events)
      tti_cond_wait(&queue->work, &queue->lock,
                    earlier(now + POLL_US, until_us));
    else
      sleep_until(queue, until_us);
  }
  bool nudged = queue->nudges != queue->nudges_seen;
  queue->nudges_seen = queue->nudges;
  pthread_mutex_unlock(&queue->lock);
  return nudged;
}

tti_pause tti_queue_pause(tti_queue *queue, int64_t ms) {
  int64_t until = now_us() + ms * 1000;
  pthread_mutex_lock(&queue->lock);
  while (!queue->stopping && queue->nudges == queue->nudges_seen &&
         tti_cond_wait(&queue->work, &queue->lock, until))
    ;
  tti_pause how = queue->stopping                       ? TTI_PAUSE_STOPPED
                  : queue->nudges != queue->nudges_seen ? TTI_PAUSE_NUDGED
                                                        : TTI_PAUSE_OVER;
  queue->nudges_seen = queue->nudges;
  pthread_mutex_unlock(&queue->lock);
  return how;
}
