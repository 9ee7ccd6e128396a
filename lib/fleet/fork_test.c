#include "lib/fleet/testing.h"

#include "tests/fork.h"
#include <sys/wait.h>

/* A child that deadlocks must end, and fail, the test. */
#define CHILD_SECONDS 60

/* ThreadSanitizer cannot follow a thread that is started in a child of a
 * process with threads. */
#if !defined(__SANITIZE_THREAD__)
static void a_child_starts_for_itself(void **state) {
  fixture *f = *state;
  tt_fleet_add(f->fleet, "n", 5);
  tt_fleet_start_emitting(f->fleet);
  waiting_us(f);
  tt_fleet_add(f->fleet, "n", 1);
  pid_t child = fork_for_test();
  if (child == 0) {
    alarm(CHILD_SECONDS);
    tt_fleet_add(f->fleet, "n", 100);
    bool ok = tt_fleet_stop_emitting(f->fleet, LONG_MS) == TT_OK &&
              tt_fleet_start_emitting(f->fleet) == TT_OK &&
              tt_fleet_stop_emitting(f->fleet, LONG_MS) == TT_OK;
    tt_fleet_free(f->fleet);
    _exit(ok ? 0 : 1);
  }
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  size_t of_child = body_count(f);
  int64_t sum = 0;
  for (size_t i = 1; i < of_child; i++)
    sum += number(f, i, "n") > 0 ? number(f, i, "n") : 0;
  assert_int_equal(sum, 100);
  assert_int_equal(tt_fleet_stop_emitting(f->fleet, LONG_MS), TT_OK);
  assert_int_equal(number(f, of_child, "n"), 1);
}
#endif

static void a_child_that_frees_it_takes_nothing(void **state) {
  fixture *f = *state;
  tt_fleet_add(f->fleet, "n", 5);
  pid_t child = fork_for_test();
  if (child == 0) {
    alarm(CHILD_SECONDS);
    tt_fleet_free(f->fleet);
    _exit(0);
  }
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  tt_fleet_start_emitting(f->fleet);
  assert_int_equal(tt_fleet_stop_emitting(f->fleet, LONG_MS), TT_OK);
  assert_int_equal(number(f, 0, "n"), 5);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
    TEST(a_child_that_frees_it_takes_nothing),
#if !defined(__SANITIZE_THREAD__)
    TEST(a_child_starts_for_itself),
#endif
  };
#undef TEST
  return cmocka_run_group_tests(tests, NULL, NULL);
}
