#ifndef IO_WATCHDOG_H
#define IO_WATCHDOG_H

#include "server/io/loop.h"
#include <stddef.h>
#include <telltale/metrics.h>

/* Watches workers: one that has work and makes no progress is stuck. That is
 * told (a metric, the log, watchdog_reason for readiness). A worker that can be
 * replaced is, when as much time has passed again. A thread that hangs cannot
 * be ended from outside without leaving locks and memory as they are, so where
 * it cannot be replaced the process gives up, for its supervisor to start it
 * again. Idle is not stuck. */
typedef struct watchdog watchdog;

/* How far a worker has come. `beats` changes with each step that it makes;
 * `pending`: it has something to do. */
typedef struct watch_state {
  uint64_t beats;
  bool pending;
} watch_state;

typedef struct watchdog_worker {
  char name[32]; /* such as "store writer": in the log, metrics, readiness */
  /* On the watchdog's thread; must not wait for the worker. */
  watch_state (*look)(void *context);
  /* Puts another one in its place; false: not now. NULL: cannot be done. */
  bool (*replace)(void *context);
  void *context;
} watchdog_worker;

typedef struct watchdog_options {
  uint64_t stuck_ms;   /* without progress */
  uint64_t give_up_ms; /* without progress; 0: never */
  uint64_t alive_ms;   /* `alive` is called about twice in it; 0: not at all */
  tt_metrics *metrics; /* may be NULL */
  /* On the watchdog's thread. give_up does not return. */
  void (*give_up)(const char *worker, uint64_t stuck_ms);
  void (*alive)(void); /* no worker is stuck */
} watchdog_options;

/* TT_ENOMEM. */
tt_error watchdog_new(const watchdog_options *options, watchdog **out_watchdog);

/* What is watched; before the start. TT_EFULL, TT_ENOMEM. A loop is watched by
 * a task that it has to run, the pool of threads by a piece of work handed over
 * on `l`. */
tt_error watchdog_add(watchdog *w, const watchdog_worker *worker);
tt_error watchdog_add_loop(watchdog *w, loop *l);
tt_error watchdog_add_pool(watchdog *w, loop *l);

/* Runs the thread. TT_EIO. */
tt_error watchdog_start(watchdog *w);
/* Ends it: before anything that is watched is taken down. */
void watchdog_stop(watchdog *w);
/* Once the loops that it watched have stopped. */
void watchdog_free(watchdog *w);

/* Which worker is stuck, as a sentence; false: none is. Any thread. */
bool watchdog_reason(watchdog *w, char *out_text, size_t size);

#endif
