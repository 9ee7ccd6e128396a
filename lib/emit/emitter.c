#include "lib/emit/emitter.h"

#include "lib/base/time.h"
#include "lib/emit/fork.h"
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define FREE_TIMEOUT_MS 2000

/* An agent id that several threads may be reading while it is replaced. */
typedef struct agent {
  atomic_uint refs;
  char text[];
} agent;

/* In fork memory: a child never finds the lock held. */
typedef struct shared {
  atomic_uint lock;
} shared;

struct tt_emitter {
  tt_emitter_ops ops;
  void *self;
  char *source;
  bool wiped;
  shared *shared;
  _Atomic(agent *) agent; /* changed and referenced under shared->lock */
};

const char *tt_drop_reason_name(tt_drop_reason reason) {
  switch (reason) {
#define X(id, name)                                                            \
  case id:                                                                     \
    return name;
    TELLTALE_DROP_REASON_MAP(X)
#undef X
  case TT_DROP_REASON_COUNT:
    break;
  }
  return "unknown";
}

/* A spin lock, held for a few instructions and never across a call: a mutex
 * could be found locked after a fork. Where fork memory is not wiped the lock
 * holds the owner's process id, and one of another process is taken over. */
static void lock(tt_emitter *e) {
  unsigned mark = e->wiped ? 1 : (unsigned)getpid();
  for (;;) {
    unsigned seen = 0;
    /* Acquire: what the last holder wrote is visible from here. */
    if (atomic_compare_exchange_strong_explicit(&e->shared->lock, &seen, mark,
                                                memory_order_acquire,
                                                memory_order_relaxed))
      return;
    if (seen != 0 && seen != mark &&
        atomic_compare_exchange_strong_explicit(&e->shared->lock, &seen, mark,
                                                memory_order_acquire,
                                                memory_order_relaxed))
      return;
    sched_yield();
  }
}

static void unlock(tt_emitter *e) {
  atomic_store_explicit(&e->shared->lock, 0, memory_order_release);
}

static agent *agent_ref(tt_emitter *e) {
  /* Most emitters have none: no lock then. Relaxed: a thread that is told of
   * the id by other means than this pointer has synchronised by those. */
  if (!atomic_load_explicit(&e->agent, memory_order_relaxed))
    return NULL;
  lock(e);
  agent *a = atomic_load_explicit(&e->agent, memory_order_relaxed);
  if (a)
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
  unlock(e);
  return a;
}

static void agent_unref(agent *a) {
  /* Release: our reads come before the free; acquire: all others' do too. */
  if (a && atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) == 1)
    free(a);
}

tt_error tt_emitter_from_ops(const tt_emitter_ops *ops, void *self,
                             const char *source, tt_emitter **out_emitter) {
  if (!ops || ops->version != 1 || !out_emitter)
    return TT_EINVAL;
  tt_emitter *e = calloc(1, sizeof(*e));
  if (!e)
    return TT_ENOMEM;
  e->source = strdup(source ? source : "");
  e->shared = tti_fork_memory_new(sizeof(*e->shared), &e->wiped);
  if (!e->source || !e->shared) {
    tti_fork_memory_free(e->shared, sizeof(*e->shared));
    free(e->source);
    free(e);
    return TT_ENOMEM;
  }
  e->ops = *ops;
  e->self = self;
  if (!e->ops.free_timeout_ms)
    e->ops.free_timeout_ms = FREE_TIMEOUT_MS;
  *out_emitter = e;
  return TT_OK;
}

void tt_emitter_set_agent_id(tt_emitter *emitter, const char *agent_id) {
  if (!emitter)
    return;
  agent *fresh = NULL;
  if (agent_id && *agent_id) {
    size_t size = strlen(agent_id) + 1;
    fresh = malloc(sizeof(*fresh) + size);
    if (!fresh)
      return;
    atomic_init(&fresh->refs, 1);
    memcpy(fresh->text, agent_id, size);
  }
  lock(emitter);
  agent *old = atomic_load_explicit(&emitter->agent, memory_order_relaxed);
  atomic_store_explicit(&emitter->agent, fresh, memory_order_relaxed);
  unlock(emitter);
  agent_unref(old);
}

static bool is_empty(const char *text) {
  return !text || !*text;
}

static void emit(tt_emitter *e, tt_event *event, const tt_field *fields) {
  agent *a = NULL;
  if (event->ts_us == 0)
    event->ts_us = tti_wall_us(&tti_clock_system);
  if (is_empty(event->source))
    event->source = e->source;
  if (is_empty(event->agent_id)) {
    a = agent_ref(e);
    event->agent_id = a ? a->text : NULL;
  }
  e->ops.emit(e->self, event, fields);
  agent_unref(a);
}

bool tti_emitter_keeps(const tt_emitter *emitter) {
  return emitter && emitter->ops.emit;
}

void tt_emit_fields(tt_emitter *emitter, tt_level level, const char *agent_id,
                    const char *type, const tt_field *fields) {
  if (!tti_emitter_keeps(emitter))
    return;
  tt_event event = {.type = type, .level = level, .agent_id = agent_id};
  emit(emitter, &event, fields);
}

void tti_emitter_emit(tt_emitter *emitter, const tt_event *event,
                      const tt_field *fields) {
  if (!tti_emitter_keeps(emitter))
    return;
  tt_event copy = *event;
  emit(emitter, &copy, fields);
}

void tt_emit_full(tt_emitter *emitter, const tt_event *event) {
  if (event)
    tti_emitter_emit(emitter, event, NULL);
}

tt_error tt_emitter_flush(tt_emitter *emitter, int timeout_ms) {
  if (!emitter || !emitter->ops.flush)
    return TT_OK;
  return emitter->ops.flush(emitter->self, timeout_ms);
}

void tt_emitter_stats_get(tt_emitter *emitter, tt_emitter_stats *out_stats) {
  if (!out_stats)
    return;
  *out_stats = (tt_emitter_stats){0};
  if (emitter && emitter->ops.stats)
    emitter->ops.stats(emitter->self, out_stats);
}

int tti_emitter_free_timeout_ms(const tt_emitter *emitter) {
  return emitter->ops.free_timeout_ms;
}

void tti_emitter_free_within(tt_emitter *emitter, int timeout_ms) {
  if (!emitter)
    return;
  if (timeout_ms > emitter->ops.free_timeout_ms)
    timeout_ms = emitter->ops.free_timeout_ms;
  if (emitter->ops.free)
    emitter->ops.free(emitter->self, timeout_ms);
  agent_unref(atomic_load_explicit(&emitter->agent, memory_order_relaxed));
  tti_fork_memory_free(emitter->shared, sizeof(*emitter->shared));
  free(emitter->source);
  free(emitter);
}

void tt_emitter_free(tt_emitter *emitter) {
  if (emitter)
    tti_emitter_free_within(emitter, emitter->ops.free_timeout_ms);
}
