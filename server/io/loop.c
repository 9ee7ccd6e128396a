#include "server/io/loop.h"

#include "lib/base/thread.h"
#include "server/testing/fault.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct loop {
  uv_loop_t uv;
  uv_async_t wake;
  /* Posted tasks, newest first. */
  _Atomic(loop_task *) posted;
  pthread_t thread;
  unsigned index;
  bool started;
  loop_task stop;
};

static _Thread_local loop *current;

/* Runs what was posted, oldest first; false when there was nothing. */
static bool run_posted(loop *l) {
  /* Acquire pairs with the release in loop_post: what the poster wrote before
   * is seen by the task. */
  loop_task *newest =
      atomic_exchange_explicit(&l->posted, NULL, memory_order_acquire);
  if (!newest)
    return false;
  loop_task *oldest = NULL;
  while (newest) {
    loop_task *next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest) {
    loop_task *next = oldest->next; /* the task may free itself */
    oldest->run(oldest);
    oldest = next;
  }
  return true;
}

/* Where the test build can make a loop hang: "loop.0", "loop.1", … */
static void pass_fault_point(const loop *l) {
#ifdef TELLTALE_TESTING
  char name[24];
  snprintf(name, sizeof(name), "loop.%u", l->index);
  fault_point(name);
#else
  (void)l;
#endif
}

static void on_wake(uv_async_t *wake) {
  pass_fault_point(wake->data);
  run_posted(wake->data);
}

tt_error loop_new(unsigned index, loop **out_loop) {
  loop *l = calloc(1, sizeof(*l));
  if (!l)
    return TT_ENOMEM;
  l->index = index;
  if (uv_loop_init(&l->uv) != 0) {
    free(l);
    return TT_EIO;
  }
  l->uv.data = l;
  if (uv_async_init(&l->uv, &l->wake, on_wake) != 0) {
    uv_loop_close(&l->uv);
    free(l);
    return TT_EIO;
  }
  l->wake.data = l;
  *out_loop = l;
  return TT_OK;
}

static void *run(void *argument) {
  loop *l = argument;
  current = l;
  do {
    uv_run(&l->uv, UV_RUN_DEFAULT);
  } while (run_posted(l));
  current = NULL;
  return NULL;
}

tt_error loop_start(loop *l) {
  assert(!l->started);
  l->started = tti_thread_start(&l->thread, run, l);
  return l->started ? TT_OK : TT_EIO;
}

/* Unreferenced, not closed: tasks still run while other handles live, and a
 * late loop_post from another thread stays harmless until loop_free. */
static void on_stop(loop_task *task) {
  loop *l = (loop *)((char *)task - offsetof(loop, stop));
  uv_unref((uv_handle_t *)&l->wake);
}

void loop_stop(loop *l) {
  if (!l || !l->started)
    return;
  l->stop.run = on_stop;
  loop_post(l, &l->stop);
  pthread_join(l->thread, NULL);
  l->started = false;
}

void loop_free(loop *l) {
  if (!l)
    return;
  assert(!l->started);
  uv_close((uv_handle_t *)&l->wake, NULL);
  uv_run(&l->uv, UV_RUN_DEFAULT);
  int busy = uv_loop_close(&l->uv);
  assert(busy == 0);
  (void)busy;
  free(l);
}

unsigned loop_index(const loop *l) {
  return l->index;
}

uv_loop_t *loop_uv(loop *l) {
  return &l->uv;
}

void loop_post(loop *l, loop_task *task) {
  loop_task *head = atomic_load_explicit(&l->posted, memory_order_relaxed);
  do {
    task->next = head;
    /* Release publishes the task and all that its poster wrote before. */
  } while (!atomic_compare_exchange_weak_explicit(
      &l->posted, &head, task, memory_order_release, memory_order_relaxed));
  /* Whoever found the list empty wakes; the others ride along, since the loop
   * takes all at once after the wake. */
  if (!head)
    uv_async_send(&l->wake);
}

uint64_t loop_now_ms(loop *l) {
  return uv_now(&l->uv);
}

static void on_timer(uv_timer_t *uv) {
  loop_timer *timer = uv->data;
  timer->fire(timer);
}

static void on_timer_closed(uv_handle_t *uv) {
  loop_timer *timer = uv->data;
  if (timer->closed)
    timer->closed(timer);
}

void loop_timer_init(loop *l, loop_timer *timer,
                     void (*fire)(loop_timer *timer)) {
  uv_timer_init(&l->uv, &timer->uv);
  timer->uv.data = timer;
  timer->fire = fire;
  timer->closed = NULL;
}

void loop_timer_start(loop_timer *timer, uint64_t after_ms, uint64_t every_ms) {
  uv_timer_start(&timer->uv, on_timer, after_ms, every_ms);
}

void loop_timer_stop(loop_timer *timer) {
  uv_timer_stop(&timer->uv);
}

void loop_timer_close(loop_timer *timer, void (*closed)(loop_timer *timer)) {
  timer->closed = closed;
  uv_close((uv_handle_t *)&timer->uv, on_timer_closed);
}

static void on_work(uv_work_t *uv) {
  loop_work *work = uv->data;
  (void)FAULT_POINT("pool.work");
  work->run(work);
}

static void on_worked(uv_work_t *uv, int status) {
  loop_work *work = uv->data;
  (void)status; /* never cancelled */
  work->done(work);
}

tt_error loop_offload(loop *l, loop_work *work) {
  work->uv.data = work;
  int failed = uv_queue_work(&l->uv, &work->uv, on_work, on_worked);
  return failed ? TT_ENOMEM : TT_OK;
}

loop *loop_current(void) {
  return current;
}

typedef struct farewell {
  loop_task task;
  struct loop_retired *retired;
} farewell;

struct loop_retired {
  atomic_size_t left;
  void (*free_fn)(void *what);
  void *what;
  farewell farewells[];
};

tt_error loop_retired_new(size_t loop_count, loop_retired **out_retired) {
  loop_retired *r = malloc(sizeof(*r) + loop_count * sizeof(farewell));
  if (!r)
    return TT_ENOMEM;
  atomic_init(&r->left, loop_count);
  *out_retired = r;
  return TT_OK;
}

static void on_farewell(loop_task *task) {
  loop_retired *r = ((farewell *)task)->retired;
  /* Release ends this loop's looking, acquire orders the freeing behind that of
   * the others. */
  if (atomic_fetch_sub_explicit(&r->left, 1, memory_order_acq_rel) != 1)
    return;
  r->free_fn(r->what);
  free(r);
}

void loop_retire(loop_retired *r, loop *const *loops,
                 void (*free_fn)(void *what), void *what) {
  /* Not read from it: the last of the loops frees it. */
  size_t count = atomic_load_explicit(&r->left, memory_order_relaxed);
  r->free_fn = free_fn;
  r->what = what;
  for (size_t i = 0; i < count; i++) {
    r->farewells[i] = (farewell){.task.run = on_farewell, .retired = r};
    loop_post(loops[i], &r->farewells[i].task);
  }
}
