#include "server/io/watchdog.h"

#include "lib/base/cond.h"
#include "lib/base/thread.h"
#include "server/io/clock.h"
#include "server/io/log.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define WATCHES_MAX 320 /* more than the loops there may be */
#define TICK_MAX_MS 1000
#define TICK_MIN_MS 10

typedef struct watched {
  watchdog_worker worker;
  uint64_t beats;
  int64_t moved_us; /* monotonic: the last progress, or idleness */
  bool stuck;
  bool replaced; /* was tried since it is stuck */
} watched;

/* A question that a loop, or the pool by way of it, has to answer. */
typedef struct ping {
  struct ping *next;
  loop *l;
  loop_task task;
  loop_work work;
  atomic_int state;
  atomic_ullong beats;
} ping;

enum { PING_IDLE, PING_POSTED, PING_OFFLOADED };

struct watchdog {
  watchdog_options options;
  watched watches[WATCHES_MAX];
  size_t count;
  ping *pings; /* owned */
  int64_t alive_us;
  int64_t looked_us; /* monotonic; 0: not yet */
  pthread_t thread;
  bool started;
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  bool stopping;
  char reason[160]; /* under the mutex; "": nothing is stuck */
};

tt_error watchdog_new(const watchdog_options *options,
                      watchdog **out_watchdog) {
  watchdog *w = calloc(1, sizeof(*w));
  if (!w)
    return TT_ENOMEM;
  w->options = *options;
  pthread_mutex_init(&w->mutex, NULL);
  tti_cond_init(&w->wake);
  *out_watchdog = w;
  return TT_OK;
}

tt_error watchdog_add(watchdog *w, const watchdog_worker *worker) {
  if (w->count == WATCHES_MAX)
    return TT_EFULL;
  w->watches[w->count++].worker = *worker;
  return TT_OK;
}

/* ---- Loops and the pool ---- */

/* Relaxed: a counter that says nothing about other memory. */
static void answer(ping *p) {
  atomic_fetch_add_explicit(&p->beats, 1, memory_order_relaxed);
}

/* Release: the loop is done with the task and the work before they are posted
 * anew, which the acquire in ask() sees to. The other states only count. */
static void settle(ping *p) {
  atomic_store_explicit(&p->state, PING_IDLE, memory_order_release);
}

static ping *of_task(loop_task *task) {
  return (ping *)((char *)task - offsetof(ping, task));
}

static ping *of_work(loop_work *work) {
  return (ping *)((char *)work - offsetof(ping, work));
}

static void on_loop(loop_task *task) {
  answer(of_task(task));
  settle(of_task(task));
}

static void on_pool(loop_work *work) {
  answer(of_work(work));
}

static void on_worked(loop_work *work) {
  settle(of_work(work));
}

static void hand_over(loop_task *task) {
  ping *p = of_task(task);
  p->work.run = on_pool;
  p->work.done = on_worked;
  atomic_store_explicit(&p->state, PING_OFFLOADED, memory_order_relaxed);
  if (loop_offload(p->l, &p->work) != TT_OK)
    settle(p);
}

static watch_state ask(ping *p, int awaited) {
  int state = atomic_load_explicit(&p->state, memory_order_acquire);
  if (state == PING_IDLE) {
    atomic_store_explicit(&p->state, PING_POSTED, memory_order_relaxed);
    loop_post(p->l, &p->task);
  }
  return (watch_state){atomic_load_explicit(&p->beats, memory_order_relaxed),
                       state == awaited};
}

static watch_state look_loop(void *context) {
  return ask(context, PING_POSTED);
}

/* While the loop has not handed it over the pool knows nothing of it. */
static watch_state look_pool(void *context) {
  return ask(context, PING_OFFLOADED);
}

static tt_error add_ping(watchdog *w, loop *l, watchdog_worker *worker,
                         void (*run)(loop_task *task)) {
  ping *p = calloc(1, sizeof(*p));
  if (!p)
    return TT_ENOMEM;
  p->l = l;
  p->task.run = run;
  atomic_init(&p->state, PING_IDLE);
  atomic_init(&p->beats, 0);
  p->next = w->pings;
  w->pings = p;
  worker->context = p;
  return watchdog_add(w, worker);
}

tt_error watchdog_add_loop(watchdog *w, loop *l) {
  watchdog_worker worker = {.look = look_loop};
  snprintf(worker.name, sizeof(worker.name), "loop %u", loop_index(l));
  return add_ping(w, l, &worker, on_loop);
}

tt_error watchdog_add_pool(watchdog *w, loop *l) {
  watchdog_worker worker = {.name = "thread pool", .look = look_pool};
  return add_ping(w, l, &worker, hand_over);
}

/* ---- Looking ---- */

static void set_stuck(watchdog *w, watched *at, bool stuck) {
  at->stuck = stuck;
  at->replaced = false;
  tt_metrics_set(w->options.metrics, TT_METRIC_WORKER_STUCK, stuck,
                 at->worker.name, NULL);
}

static void found_stuck(watchdog *w, watched *at, uint64_t still_ms) {
  if (!at->stuck) {
    set_stuck(w, at, true);
    tt_metrics_add(w->options.metrics, TT_METRIC_WORKER_STALLS, 1,
                   at->worker.name, NULL);
    server_log(TT_LEVEL_ERROR, "watchdog",
               "%s has work and makes no progress since %llu ms",
               at->worker.name, (unsigned long long)still_ms);
  }
  if (w->options.give_up_ms && still_ms >= w->options.give_up_ms)
    w->options.give_up(at->worker.name, still_ms);
  if (at->replaced || !at->worker.replace || still_ms < w->options.stuck_ms * 2)
    return;
  at->replaced = true;
  if (!at->worker.replace(at->worker.context))
    return;
  tt_metrics_add(w->options.metrics, TT_METRIC_WORKER_RESTARTS, 1,
                 at->worker.name, NULL);
  server_log(TT_LEVEL_WARN, "watchdog", "%s is replaced by a new one",
             at->worker.name);
}

static void look_at(watchdog *w, watched *at, int64_t now_us) {
  watch_state state = at->worker.look(at->worker.context);
  if (state.pending && state.beats == at->beats) {
    uint64_t still_ms = (uint64_t)(now_us - at->moved_us) / 1000;
    if (still_ms >= w->options.stuck_ms)
      found_stuck(w, at, still_ms);
    return;
  }
  if (at->stuck) {
    server_log(TT_LEVEL_INFO, "watchdog", "%s goes on after %lld ms",
               at->worker.name, (long long)(now_us - at->moved_us) / 1000);
    set_stuck(w, at, false);
  }
  at->beats = state.beats;
  at->moved_us = now_us;
}

static uint64_t tick_ms(const watchdog *w) {
  uint64_t tick = w->options.stuck_ms / 4;
  if (w->options.alive_ms && w->options.alive_ms / 4 < tick)
    tick = w->options.alive_ms / 4;
  if (tick > TICK_MAX_MS)
    return TICK_MAX_MS;
  return tick < TICK_MIN_MS ? TICK_MIN_MS : tick;
}

/* Time in which this thread did not run either, since the process was stopped
 * or its machine was paused, is nobody's. */
static void pass_over_pauses(watchdog *w, int64_t now_us) {
  int64_t late_us = now_us - w->looked_us - (int64_t)tick_ms(w) * 1000;
  for (size_t i = 0; w->looked_us && late_us > 0 && i < w->count; i++)
    w->watches[i].moved_us += late_us;
  w->looked_us = now_us;
}

static void look_at_all(watchdog *w) {
  int64_t now_us = server_monotonic_us();
  const watched *first = NULL;
  pass_over_pauses(w, now_us);
  for (size_t i = 0; i < w->count; i++) {
    look_at(w, &w->watches[i], now_us);
    if (w->watches[i].stuck && !first)
      first = &w->watches[i];
  }
  pthread_mutex_lock(&w->mutex);
  w->reason[0] = '\0';
  if (first)
    snprintf(w->reason, sizeof(w->reason),
             "the worker \"%s\" has work and makes no progress since %lld s; "
             "see the server's log",
             first->worker.name,
             (long long)(now_us - first->moved_us) / 1000000);
  pthread_mutex_unlock(&w->mutex);
  if (!first && w->options.alive_ms &&
      now_us - w->alive_us >= (int64_t)w->options.alive_ms * 1000 / 2) {
    w->alive_us = now_us;
    w->options.alive();
  }
}

/* False: the end. */
static bool wait_tick(watchdog *w) {
  int64_t until_us =
      tti_monotonic_us(&tti_clock_system) + (int64_t)tick_ms(w) * 1000;
  pthread_mutex_lock(&w->mutex);
  while (!w->stopping && tti_cond_wait(&w->wake, &w->mutex, until_us))
    ;
  bool go_on = !w->stopping;
  pthread_mutex_unlock(&w->mutex);
  return go_on;
}

static void *run(void *argument) {
  watchdog *w = argument;
  do
    look_at_all(w);
  while (wait_tick(w));
  return NULL;
}

/* ---- Life ---- */

tt_error watchdog_start(watchdog *w) {
  for (size_t i = 0; i < w->count; i++) {
    w->watches[i].moved_us = server_monotonic_us();
    set_stuck(w, &w->watches[i], false);
  }
  w->started = tti_thread_start(&w->thread, run, w);
  return w->started ? TT_OK : TT_EIO;
}

void watchdog_stop(watchdog *w) {
  if (!w || !w->started)
    return;
  pthread_mutex_lock(&w->mutex);
  w->stopping = true;
  pthread_cond_signal(&w->wake);
  pthread_mutex_unlock(&w->mutex);
  pthread_join(w->thread, NULL);
  w->started = false;
}

void watchdog_free(watchdog *w) {
  if (!w)
    return;
  while (w->pings) {
    ping *next = w->pings->next;
    free(w->pings);
    w->pings = next;
  }
  pthread_mutex_destroy(&w->mutex);
  pthread_cond_destroy(&w->wake);
  free(w);
}

bool watchdog_reason(watchdog *w, char *out_text, size_t size) {
  pthread_mutex_lock(&w->mutex);
  bool stuck = w->reason[0] != '\0';
  snprintf(out_text, size, "%s", w->reason);
  pthread_mutex_unlock(&w->mutex);
  return stuck;
}
