#include "lib/emit/testing.h"

#include "tests/fork.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct fixture {
  char path[32];
  tt_emitter *emitter;
} fixture;

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  strcpy(f->path, "/tmp/telltale-jsonl-XXXXXX");
  int fd = mkstemp(f->path);
  tt_jsonl_options options = {.path = f->path, .source = "test"};
  *state = f;
  return fd < 0 || close(fd) || tt_emitter_jsonl_new(&options, &f->emitter);
}

static int tear_down(void **state) {
  fixture *f = *state;
  tt_emitter_free(f->emitter);
  int left = unlink(f->path);
  free(f);
  return left;
}

static void assert_good(pid_t child) {
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The file has each number once. */
static void assert_numbers(fixture *f, int count) {
  char line[512];
  int times[20] = {0};
  FILE *file = fopen(f->path, "r");
  assert_non_null(file);
  while (fgets(line, sizeof(line), file)) {
    const char *data = strstr(line, "{\"i\":");
    assert_non_null(data);
    int i = atoi(data + strlen("{\"i\":"));
    assert_in_range(i, 0, count - 1);
    times[i]++;
  }
  fclose(file);
  for (int i = 0; i < count; i++)
    assert_int_equal(times[i], 1);
}

static void a_child_finds_it_empty(void **state) {
  fixture *f = *state;
  emit_run(f->emitter, 0, 10);
  pid_t child = fork_for_test();
  if (child == 0) {
    alarm(CHILD_SECONDS);
    bool ok =
        stats_of(f->emitter).emitted == 0 && stats_of(f->emitter).queued == 0;
    tt_emitter_free(f->emitter);
    _exit(ok ? 0 : 1);
  }
  assert_good(child);
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  assert_numbers(f, 10);
}

/* ThreadSanitizer cannot follow a thread that is started in a child of a
 * process with threads. */
#if !defined(__SANITIZE_THREAD__)
static void a_child_emits_and_its_parent_goes_on(void **state) {
  fixture *f = *state;
  emit_run(f->emitter, 0, 10);
  pid_t child = fork_for_test();
  if (child == 0) {
    alarm(CHILD_SECONDS);
    emit_run(f->emitter, 10, 5);
    bool ok = tt_emitter_flush(f->emitter, LONG_MS) == TT_OK &&
              stats_of(f->emitter).sent == 5;
    tt_emitter_free(f->emitter);
    _exit(ok ? 0 : 1);
  }
  assert_good(child);
  emit_run(f->emitter, 15, 5);
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  assert_int_equal(stats_of(f->emitter).sent, 15);
  assert_numbers(f, 20);
}
#endif

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
    TEST(a_child_finds_it_empty),
#if !defined(__SANITIZE_THREAD__)
    TEST(a_child_emits_and_its_parent_goes_on),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
