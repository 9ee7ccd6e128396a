#include "server/io/loop.h"
#include "tests/unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#define POSTS   2000
#define POSTERS 4

typedef struct numbered {
  loop_task task;
  unsigned poster, number;
  struct order *order;
} numbered;

typedef struct order {
  unsigned next[POSTERS];
  unsigned wrong, ran;
  sem_t done;
} order;

static void check_order(loop_task *task) {
  numbered *n = (numbered *)task;
  if (n->order->next[n->poster]++ != n->number)
    n->order->wrong++;
  if (++n->order->ran == POSTS * POSTERS)
    sem_post(&n->order->done);
  free(n);
}

typedef struct poster {
  loop *l;
  order *o;
  unsigned index;
} poster;

static void *post_all(void *argument) {
  poster *p = argument;
  for (unsigned i = 0; i < POSTS; i++) {
    numbered *n = calloc(1, sizeof(*n));
    *n = (numbered){{NULL, check_order}, p->index, i, p->o};
    loop_post(p->l, &n->task);
  }
  return NULL;
}

/* Each thread's tasks run, every one once, in the order it posted them. */
static void test_posts_keep_their_order(void **state) {
  (void)state;
  loop *l;
  order o = {.wrong = 0};
  pthread_t threads[POSTERS];
  poster posters[POSTERS];
  sem_init(&o.done, 0, 0);
  assert_int_equal(loop_new(3, &l), TT_OK);
  assert_int_equal(loop_index(l), 3);
  assert_int_equal(loop_start(l), TT_OK);
  for (unsigned i = 0; i < POSTERS; i++) {
    posters[i] = (poster){l, &o, i};
    pthread_create(&threads[i], NULL, post_all, &posters[i]);
  }
  for (unsigned i = 0; i < POSTERS; i++)
    pthread_join(threads[i], NULL);
  sem_wait(&o.done);
  assert_int_equal(o.wrong, 0);
  loop_stop(l);
  loop_free(l);
  sem_destroy(&o.done);
}

typedef struct timed {
  loop_task task;
  loop_timer timer;
  loop *l, *seen;
  unsigned fired;
  bool blocked, closed;
} timed;

static void timer_closed(loop_timer *timer) {
  timed *t = (timed *)((char *)timer - offsetof(timed, timer));
  t->closed = true;
}

static void timer_fired(loop_timer *timer) {
  timed *t = (timed *)((char *)timer - offsetof(timed, timer));
  if (++t->fired == 3)
    loop_timer_close(timer, timer_closed);
}

static void start_timer(loop_task *task) {
  timed *t = (timed *)task;
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  t->blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGPIPE);
  t->seen = loop_current();
  loop_timer_init(t->l, &t->timer, timer_fired);
  loop_timer_start(&t->timer, 1, 1);
}

/* A stop waits until the handles on the loop are closed; until then their
 * timers fire. */
static void test_stop_waits_for_handles(void **state) {
  (void)state;
  timed t = {.task.run = start_timer};
  assert_int_equal(loop_new(0, &t.l), TT_OK);
  loop_post(t.l, &t.task); /* before the start: runs all the same */
  assert_int_equal(loop_start(t.l), TT_OK);
  loop_stop(t.l);
  assert_int_equal(t.fired, 3);
  assert_true(t.closed);
  assert_true(t.blocked);
  assert_ptr_equal(t.seen, t.l);
  assert_null(loop_current());
  loop_free(t.l);
}

typedef struct offloaded {
  loop_task task;
  loop_work work;
  loop *l, *ran_on, *done_on;
  bool ran;
} offloaded;

static void run_work(loop_work *work) {
  offloaded *o = (offloaded *)((char *)work - offsetof(offloaded, work));
  o->ran = true;
  o->ran_on = loop_current();
}

static void work_done(loop_work *work) {
  offloaded *o = (offloaded *)((char *)work - offsetof(offloaded, work));
  o->done_on = o->ran ? loop_current() : NULL;
}

static void start_work(loop_task *task) {
  offloaded *o = (offloaded *)task;
  o->work.run = run_work;
  o->work.done = work_done;
  assert_int_equal(loop_offload(o->l, &o->work), TT_OK);
}

/* The work runs on no loop, its end on the one that gave it, before the loop
 * stops. */
static void test_offload(void **state) {
  (void)state;
  offloaded o = {.task.run = start_work};
  assert_int_equal(loop_new(0, &o.l), TT_OK);
  assert_int_equal(loop_start(o.l), TT_OK);
  loop_post(o.l, &o.task);
  loop_stop(o.l);
  assert_true(o.ran);
  assert_null(o.ran_on);
  assert_ptr_equal(o.done_on, o.l);
  loop_free(o.l);
}

typedef struct looker {
  loop_task task;
  const atomic_int *seen; /* what is looked at; 0 once it is freed */
  sem_t *in_turn, *go_on;
  int found;
} looker;

static void look(loop_task *task) {
  looker *l = (looker *)task;
  sem_post(l->in_turn);
  sem_wait(l->go_on);
  l->found = atomic_load(l->seen);
}

static void free_what_is_seen(void *what) {
  atomic_store((atomic_int *)what, 0);
}

/* Who is in a turn may look until its end, whatever was put in its place. */
static void test_retired_is_freed_after_every_turn(void **state) {
  (void)state;
  loop *loops[2];
  loop_retired *retired;
  atomic_int seen;
  sem_t in_turn, go_on;
  atomic_init(&seen, 1);
  sem_init(&in_turn, 0, 0);
  sem_init(&go_on, 0, 0);
  looker l = {.task.run = look, .seen = &seen, &in_turn, &go_on, .found = -1};
  for (unsigned i = 0; i < 2; i++) {
    assert_int_equal(loop_new(i, &loops[i]), TT_OK);
    assert_int_equal(loop_start(loops[i]), TT_OK);
  }
  loop_post(loops[1], &l.task);
  sem_wait(&in_turn);
  assert_int_equal(loop_retired_new(2, &retired), TT_OK);
  loop_retire(retired, loops, free_what_is_seen, &seen);
  loop_stop(loops[0]); /* the other one is done with it */
  sem_post(&go_on);
  loop_stop(loops[1]);
  assert_int_equal(l.found, 1);
  assert_int_equal(atomic_load(&seen), 0);
  loop_free(loops[0]);
  loop_free(loops[1]);
  sem_destroy(&in_turn);
  sem_destroy(&go_on);
}

static void test_free_without_start(void **state) {
  (void)state;
  loop *l;
  assert_int_equal(loop_new(0, &l), TT_OK);
  loop_free(l);
  loop_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_posts_keep_their_order),
      cmocka_unit_test(test_stop_waits_for_handles),
      cmocka_unit_test(test_offload),
      cmocka_unit_test(test_retired_is_freed_after_every_turn),
      cmocka_unit_test(test_free_without_start),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
