#include "lib/emit/queued.h"

#include "lib/base/thread.h"
#include "lib/emit/fork.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define QUEUE_EVENTS 8192
#define QUEUE_BYTES  ((size_t)8 * 1024 * 1024)

enum { THREAD_NONE, THREAD_STARTING, THREAD_RUNNING };

/* What one process has of the emitter. */
typedef struct side {
  const tti_queued_ops *ops;
  pid_t pid;
  tti_queue *queue;
  void *worker;
  atomic_int thread_state;
  pthread_t thread;
} side;

/* In fork memory: a child finds no side and makes its own. Closing what its
 * parent has open (a TLS session, say) would end the parent's. */
typedef struct shared {
  _Atomic(side *) side;
  atomic_uint_least64_t lost; /* emitted when there was no memory for one */
} shared;

typedef struct queued {
  const tti_queued_ops *ops;
  void *config;
  size_t queue_events;
  size_t queue_bytes;
  bool wiped;
  shared *shared;
} queued;

/* -- The thread. -- */

static void *run(void *context) {
  side *s = context;
  s->ops->run(s->worker);
  return NULL;
}

/* Starts the thread unless it runs; cheap once it does. False: not possible
 * now, what is queued waits for a later start. */
static bool start(side *s) {
  /* Relaxed: the new thread is ordered by its creation; others only need to
   * know that it is not for them to create it. */
  int state = atomic_load_explicit(&s->thread_state, memory_order_relaxed);
  if (state != THREAD_NONE)
    return true;
  if (!atomic_compare_exchange_strong_explicit(
          &s->thread_state, &state, THREAD_STARTING, memory_order_relaxed,
          memory_order_relaxed))
    return true;
  bool ok = tti_thread_start(&s->thread, run, s);
  if (ok)
    pthread_setname_np(s->thread, "telltale-emit");
  atomic_store_explicit(&s->thread_state, ok ? THREAD_RUNNING : THREAD_NONE,
                        memory_order_relaxed);
  return ok;
}

/* -- One side. -- */

static void side_free(side *s) {
  if (!s)
    return;
  if (s->worker) {
    bool running = atomic_load_explicit(&s->thread_state,
                                        memory_order_relaxed) == THREAD_RUNNING;
    /* In this order: once it is stopped, the thread may free what cancel
     * breaks off. */
    if (s->ops->cancel)
      s->ops->cancel(s->worker);
    tti_queue_stop(s->queue);
    if (running)
      pthread_join(s->thread, NULL);
    s->ops->close(s->worker, tti_queue_abandon(s->queue));
  }
  tti_queue_free(s->queue);
  free(s);
}

static side *side_new(const queued *q) {
  side *s = calloc(1, sizeof(*s));
  if (!s)
    return NULL;
  s->ops = q->ops;
  s->pid = getpid();
  s->queue = tti_queue_new(q->queue_events, q->queue_bytes);
  if (s->queue)
    s->worker = q->ops->open(q->config, s->queue);
  if (s->worker)
    return s;
  side_free(s);
  return NULL;
}

static tt_error side_flush(side *s, int timeout_ms) {
  tt_error error = TT_OK;
  if (!tti_queue_is_empty(s->queue)) /* start: may have been impossible yet */
    error = tti_queue_flush(s->queue, start(s) ? timeout_ms : 0);
  if (!error && s->ops->flushed)
    error = s->ops->flushed(s->worker);
  return error;
}

/* -- The side of this process. -- */

/* NULL when it has none. */
static side *side_of(queued *q) {
  /* Acquire: with the pointer we see what it points to. */
  side *s = atomic_load_explicit(&q->shared->side, memory_order_acquire);
  if (!s || q->wiped || s->pid == getpid())
    return s;
  /* If another thread was first, s becomes NULL or its new one. */
  return atomic_compare_exchange_strong_explicit(&q->shared->side, &s, NULL,
                                                 memory_order_acquire,
                                                 memory_order_acquire)
             ? NULL
             : s;
}

static side *make_side(queued *q) {
  side *fresh = side_new(q);
  side *winner = NULL;
  if (!fresh || atomic_compare_exchange_strong_explicit(
                    &q->shared->side, &winner, fresh, memory_order_acq_rel,
                    memory_order_acquire))
    return fresh;
  side_free(fresh);
  return winner;
}

/* -- The emitter. -- */

static void queued_emit(void *self, const tt_event *event,
                        const tt_field *fields) {
  queued *q = self;
  side *s = side_of(q);
  if (!s)
    s = make_side(q);
  if (!s) {
    atomic_fetch_add_explicit(&q->shared->lost, 1, memory_order_relaxed);
    return;
  }
  tti_queue_push(s->queue, event, fields);
  start(s);
}

static tt_error queued_flush(void *self, int timeout_ms) {
  side *s = side_of(self);
  return s ? side_flush(s, timeout_ms) : TT_OK;
}

static void queued_stats(void *self, tt_emitter_stats *out_stats) {
  queued *q = self;
  side *s = side_of(q);
  *out_stats = (tt_emitter_stats){0};
  if (s)
    tti_queue_stats(s->queue, out_stats);
  uint64_t lost = atomic_load_explicit(&q->shared->lost, memory_order_relaxed);
  out_stats->emitted += lost;
  out_stats->dropped[TT_DROP_NO_MEMORY] += lost;
}

/* All but the configuration. */
static void dispose(queued *q) {
  if (q->shared)
    side_free(side_of(q));
  tti_fork_memory_free(q->shared, sizeof(*q->shared));
  free(q);
}

static void queued_free(void *self, int timeout_ms) {
  queued *q = self;
  const tti_queued_ops *ops = q->ops;
  void *config = q->config;
  queued_flush(q, timeout_ms < 0 ? 0 : timeout_ms);
  dispose(q);
  ops->free_config(config);
}

tt_error tti_queued_new(const tti_queued_ops *ops, void *config,
                        const tti_queued_options *options,
                        tt_emitter **out_emitter) {
  tt_emitter_ops emitter_ops = {.version = 1,
                                .emit = queued_emit,
                                .flush = queued_flush,
                                .stats = queued_stats,
                                .free = queued_free,
                                .free_timeout_ms = options->free_timeout_ms};
  tt_error error = TT_ENOMEM;
  tt_emitter *emitter;
  queued *q = calloc(1, sizeof(*q));
  if (!q)
    return error;
  q->ops = ops;
  q->config = config;
  q->queue_events =
      options->queue_events ? options->queue_events : QUEUE_EVENTS;
  q->queue_bytes = options->queue_bytes ? options->queue_bytes : QUEUE_BYTES;
  q->shared = tti_fork_memory_new(sizeof(*q->shared), &q->wiped);
  if (!q->shared)
    goto out;
  if (!make_side(q)) /* all but its thread, to spare the first emit */
    goto out;
  error = tt_emitter_from_ops(&emitter_ops, q, options->source, &emitter);
  if (error)
    goto out;
  tt_emitter_set_agent_id(emitter, options->agent_id);
  *out_emitter = emitter;
  return TT_OK;

out:
  dispose(q);
  return error;
}
