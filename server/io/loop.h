#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "lib/base/time.h"
#include <telltale/error.h>
#include <uv.h>

/* One libuv loop on a thread of its own. What belongs to a loop is touched only
 * on its thread; loop_post is the one call that crosses. All signals are
 * blocked on the thread. */
typedef struct loop loop;

/* A piece of work for a loop, embedded in whatever it is about. */
typedef struct loop_task {
  struct loop_task *next;
  void (*run)(struct loop_task *task);
} loop_task;

/* `index` counts the loops of a server from 0. TT_ENOMEM, TT_EIO. */
tt_error loop_new(unsigned index, loop **out_loop);

/* Runs the thread. */
tt_error loop_start(loop *l);

/* Asks the loop to end once every handle on it is closed; joins. */
void loop_stop(loop *l);
void loop_free(loop *l);

unsigned loop_index(const loop *l);
uv_loop_t *loop_uv(loop *l);

/* Runs the task on the loop, in the order of posting. Any thread; never blocks,
 * never fails, never allocates. The task must stay valid until it runs. */
void loop_post(loop *l, loop_task *task);

/* Monotonic milliseconds, as of this turn of the loop. Loop thread. */
uint64_t loop_now_ms(loop *l);

/* A one-shot or repeating timer; embed it, init once, stop before freeing what
 * holds it. Loop thread. loop_timer_close is asynchronous: `closed` may free.
 */
typedef struct loop_timer {
  uv_timer_t uv;
  void (*fire)(struct loop_timer *timer);
  void (*closed)(struct loop_timer *timer);
} loop_timer;
void loop_timer_init(loop *l, loop_timer *timer,
                     void (*fire)(loop_timer *timer));
void loop_timer_start(loop_timer *timer, uint64_t after_ms, uint64_t every_ms);
void loop_timer_stop(loop_timer *timer);
void loop_timer_close(loop_timer *timer, void (*closed)(loop_timer *timer));

/* Work for the pool of threads that all loops share: `run` there, then `done`
 * back on the loop. The loop does not end before. Loop thread. TT_ENOMEM. */
typedef struct loop_work {
  uv_work_t uv;
  void (*run)(struct loop_work *work);
  void (*done)(struct loop_work *work);
} loop_work;
tt_error loop_offload(loop *l, loop_work *work);

/* Something that loops may be looking at, replaced while they run: it is freed
 * once each loop has ended the turn that it is in. */
typedef struct loop_retired loop_retired;
/* Made beforehand, so that retiring cannot fail. TT_ENOMEM. */
tt_error loop_retired_new(size_t loop_count, loop_retired **out_retired);
/* No loop can find `what` any more; `free_fn` is called for it later, on a
 * loop. Frees `retired`. Any thread, while the loops run. */
void loop_retire(loop_retired *retired, loop *const *loops,
                 void (*free_fn)(void *what), void *what);

/* The loop whose thread this is; NULL elsewhere. */
loop *loop_current(void);

#endif
