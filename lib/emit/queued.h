#ifndef TTI_EMIT_QUEUED_H
#define TTI_EMIT_QUEUED_H

#include "lib/emit/queue.h"

/* An emitter behind a queue that one thread empties. Each process that emits
 * has a queue, a thread and a worker of its own: a child of fork begins empty
 * and starts its thread at its first emit. What it inherits of its parent's it
 * neither uses nor frees.
 *
 * What a worker does is given by these. `config` outlives all workers and is
 * only read by them. */
typedef struct tti_queued_ops {
  /* A worker for this queue, which outlives it; starts nothing. NULL: no
   * memory. */
  void *(*open)(const void *config, tti_queue *queue);
  /* The thread: empties the queue until tti_queue_wait says it is stopped. */
  void (*run)(void *worker);
  /* Breaks off what run waits for, now and later, but for the queue. From
   * another thread, and before the queue is stopped. May be NULL. */
  void (*cancel)(void *worker);
  /* Completes a flush that found everything settled, in the thread of its
   * caller. TT_OK or the flush's answer. May be NULL. */
  tt_error (*flushed)(void *worker);
  /* Frees it, when there is no thread any more; `left` events of its queue were
   * dropped for shutdown. */
  void (*close)(void *worker, uint64_t left);
  void (*free_config)(void *config);
} tti_queued_ops;

typedef struct tti_queued_options {
  const char *source;
  const char *agent_id;
  size_t queue_events; /* 0: 8,192 */
  size_t queue_bytes;  /* 0: 8 MiB */
  int free_timeout_ms; /* 0: that of tt_emitter_ops */
} tti_queued_options;

/* Takes `config` on success; `ops` are static. TT_ENOMEM. */
tt_error tti_queued_new(const tti_queued_ops *ops, void *config,
                        const tti_queued_options *options,
                        tt_emitter **out_emitter);

#endif
