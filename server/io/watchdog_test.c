#include "tests/unit.h"

#include "server/io/watchdog.h"
#include <pthread.h>
#include <stdatomic.h>

/* A worker of the test's own, on the real clock: what is waited for comes, and
 * what must not come is looked for at a later event. */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned alive, given_up, replaced;
static watch_state worker_state;
static bool replaceable;

static void note(unsigned *count) {
  pthread_mutex_lock(&lock);
  ++*count;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

static unsigned wait_for(const unsigned *count, unsigned least) {
  pthread_mutex_lock(&lock);
  while (*count < least)
    pthread_cond_wait(&changed, &lock);
  unsigned now = *count;
  pthread_mutex_unlock(&lock);
  return now;
}

static void set_worker(uint64_t beats, bool pending) {
  pthread_mutex_lock(&lock);
  worker_state = (watch_state){beats, pending};
  pthread_mutex_unlock(&lock);
}

static void on_alive(void) {
  note(&alive);
}

static void on_give_up(const char *worker, uint64_t stuck_ms) {
  assert_string_equal(worker, "the worker");
  assert_true(stuck_ms >= 200);
  note(&given_up);
}

static watch_state look(void *context) {
  assert_string_equal(context, "context");
  pthread_mutex_lock(&lock);
  watch_state state = worker_state;
  pthread_mutex_unlock(&lock);
  return state;
}

static bool replace(void *context) {
  (void)context;
  if (replaceable)
    set_worker(0, false);
  note(&replaced);
  return replaceable;
}

static watchdog *start(bool can_replace) {
  static char context[] = "context";
  const watchdog_options options = {.stuck_ms = 40,
                                    .give_up_ms = 200,
                                    .alive_ms = 20,
                                    .give_up = on_give_up,
                                    .alive = on_alive};
  const watchdog_worker worker = {.name = "the worker",
                                  .look = look,
                                  .replace = can_replace ? replace : NULL,
                                  .context = context};
  watchdog *w;
  alive = given_up = replaced = 0;
  set_worker(7, false);
  assert_int_equal(watchdog_new(&options, &w), TT_OK);
  assert_int_equal(watchdog_add(w, &worker), TT_OK);
  return w;
}

static void end(watchdog *w) {
  watchdog_stop(w);
  watchdog_free(w);
}

static void idle_is_not_stuck(void **state) {
  (void)state;
  char reason[200];
  watchdog *w = start(false);
  assert_int_equal(watchdog_start(w), TT_OK);
  wait_for(&alive, 30); /* at 10 ms each: longer than anything may be stuck */
  assert_false(watchdog_reason(w, reason, sizeof(reason)));
  assert_int_equal(wait_for(&given_up, 0), 0);
  end(w);
}

static void work_without_progress_is_stuck_until_it_goes_on(void **state) {
  (void)state;
  char reason[200];
  watchdog *w = start(false);
  assert_int_equal(watchdog_start(w), TT_OK);
  wait_for(&alive, 1);
  set_worker(8, true);
  wait_for(&given_up, 1);
  assert_true(watchdog_reason(w, reason, sizeof(reason)));
  assert_non_null(strstr(reason, "\"the worker\""));
  /* The manager heard nothing since. */
  unsigned heard = wait_for(&alive, 0);
  wait_for(&given_up, 4);
  assert_int_equal(wait_for(&alive, 0), heard);
  set_worker(9, true);
  wait_for(&alive, heard + 1);
  assert_false(watchdog_reason(w, reason, sizeof(reason)));
  end(w);
}

static void what_can_be_replaced_is(void **state) {
  (void)state;
  char reason[200];
  watchdog *w = start(true);
  replaceable = true;
  set_worker(8, true);
  assert_int_equal(watchdog_start(w), TT_OK);
  wait_for(&replaced, 1);
  unsigned heard = wait_for(&alive, 0);
  wait_for(&alive, heard + 1);
  assert_false(watchdog_reason(w, reason, sizeof(reason)));
  end(w);
  /* It cannot be for now: it is tried once, and then given up. */
  w = start(true);
  replaceable = false;
  set_worker(8, true);
  assert_int_equal(watchdog_start(w), TT_OK);
  wait_for(&given_up, 1);
  assert_int_equal(wait_for(&replaced, 0), 1);
  end(w);
}

static void loops_and_the_pool_answer(void **state) {
  (void)state;
  loop *l;
  char reason[200];
  watchdog *w = start(false);
  assert_int_equal(loop_new(0, &l), TT_OK);
  assert_int_equal(loop_start(l), TT_OK);
  assert_int_equal(watchdog_add_loop(w, l), TT_OK);
  assert_int_equal(watchdog_add_pool(w, l), TT_OK);
  assert_int_equal(watchdog_start(w), TT_OK);
  wait_for(&alive, 30);
  assert_false(watchdog_reason(w, reason, sizeof(reason)));
  watchdog_stop(w);
  loop_stop(l);
  loop_free(l);
  watchdog_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(idle_is_not_stuck),
      cmocka_unit_test(work_without_progress_is_stuck_until_it_goes_on),
      cmocka_unit_test(what_can_be_replaced_is),
      cmocka_unit_test(loops_and_the_pool_answer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
