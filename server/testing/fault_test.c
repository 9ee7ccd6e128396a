#include "server/testing/fault.h"
#include "tests/unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void fails_as_often_as_told(void **state) {
  (void)state;
  fault_clear();
  assert_int_equal(fault_point("a.b"), 0);
  fault_set("a.b", ENOSPC, 1, 2);
  static const int want[] = {0, ENOSPC, ENOSPC, 0, 0};
  for (size_t i = 0; i < 5; i++)
    assert_int_equal(fault_point("a.b"), want[i]);
  assert_int_equal(fault_point("a.c"), 0);
  assert_int_equal(fault_hits("a.b"), 6);
  assert_int_equal(fault_hits("a.c"), 1);
  assert_int_equal(fault_hits("never"), 0);
  fault_set("a.b", EIO, 0, 5);
  fault_clear();
  assert_int_equal(fault_point("a.b"), 0);
  assert_int_equal(fault_hits("a.b"), 1);
}

static void refuses_what_it_cannot_hold(void **state) {
  (void)state;
  fault_clear();
  assert_false(fault_arm("", FAULT_FAIL, EIO, 0, 1));
  assert_false(fault_arm("a.name.that.is.longer.than.anyone.would.ever.write",
                         FAULT_FAIL, EIO, 0, 1));
  char name[16] = "p.";
  int armed = 0;
  for (int i = 0; i < 200; i++) {
    name[2] = (char)('a' + i / 26);
    name[3] = (char)('a' + i % 26);
    armed += fault_arm(name, FAULT_FAIL, EIO, 0, 1);
  }
  assert_true(armed > 0 && armed < 200);
  assert_int_equal(fault_point("one.more"), 0);
  fault_clear();
}

static void *pass(void *arg) {
  *(int *)arg = fault_point("w.w");
  return NULL;
}

/* Waits until all threads are at the point, lets them go, and they all go. */
static void let_go(void (*release)(const char *)) {
  pthread_t threads[4];
  int results[4] = {-1, -1, -1, -1};
  fault_clear();
  assert_true(fault_arm("w.w", FAULT_WAIT, 0, 0, 4));
  for (int i = 0; i < 4; i++)
    pthread_create(&threads[i], NULL, pass, &results[i]);
  while (fault_hits("w.w") < 4)
    sched_yield();
  assert_int_equal(fault_point("w.w"), 0); /* no more than it was told */
  release("w.w");
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(results[i], 0);
  }
  assert_int_equal(fault_point("w.w"), 0);
}

static void clear_by_name(const char *name) {
  (void)name;
  fault_clear();
}

static void waits_until_released(void **state) {
  (void)state;
  let_go(fault_release);
  let_go(clear_by_name);
}

static int status_of_child(fault_action action) {
  pid_t child = fork();
  if (child == 0) {
    fault_arm("d.d", action, 0, 1, 1);
    if (fault_point("d.d") == 0)
      fault_point("d.d");
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

static void dies_as_told(void **state) {
  (void)state;
  int status = status_of_child(FAULT_KILL);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  status = status_of_child(FAULT_EXIT);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fails_as_often_as_told),
      cmocka_unit_test(refuses_what_it_cannot_hold),
      cmocka_unit_test(waits_until_released),
      cmocka_unit_test(dies_as_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
