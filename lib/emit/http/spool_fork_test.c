#include "lib/emit/testing.h"

#include "tests/fork.h"
#include "tests/sink.h"
#include <sys/wait.h>

/* The emitter with a spool, where valgrind cannot follow: a child that ends
 * where it stands, and the system calls of one thread, of which valgrind makes
 * some of its own. */

typedef struct fixture {
  sink *sink;
  tt_emitter *emitter;
  char directory[32];
} fixture;

static int begin(fixture *f) {
  char *url = sink_url(f->sink, "/events");
  tt_emitter_options options = {
      .url = url, .source = "test", .spool_directory = f->directory};
  int error = tt_emitter_new(&options, &f->emitter);
  free(url);
  return error;
}

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  strcpy(f->directory, "/tmp/telltale-spool-XXXXXX");
  f->sink = sink_new();
  *state = f;
  return !mkdtemp(f->directory) || begin(f);
}

static int tear_down(void **state) {
  fixture *f = *state;
  char command[80];
  tt_emitter_free(f->emitter);
  sink_free(f->sink);
  snprintf(command, sizeof(command), "rm -r %s", f->directory);
  free(f);
  return system(command);
}

/* How often this thread has written. */
static long writes(void) {
  char line[64];
  long count = -1;
  FILE *file = fopen("/proc/thread-self/io", "r");
  assert_non_null(file);
  while (fgets(line, sizeof(line), file))
    sscanf(line, "syscw: %ld", &count);
  fclose(file);
  assert_true(count >= 0);
  return count;
}

static void the_caller_never_writes(void **state) {
  fixture *f = *state;
  emit_run(f->emitter, 0, 1); /* names the thread, which is a write */
  long before = writes();
  for (int i = 1; i < 20001; i += 1000) {
    emit_run(f->emitter, i, 1000);
    tt_emitter_flush(f->emitter, LONG_MS);
  }
  assert_int_equal(writes(), before);
  assert_int_equal(stats_of(f->emitter).spooled, 20001);
}

/* A child that lives on keeps nobody from what its parent left. */
static void a_child_does_not_hold_what_was_let_go(void **state) {
  fixture *f = *state;
  int ends[2], status;
  char byte;
  assert_int_equal(pipe(ends), 0);
  emit_run(f->emitter, 0, 10);
  tt_emitter_flush(f->emitter, LONG_MS);
  assert_int_equal(stats_of(f->emitter).spooled, 10);
  pid_t child = fork();
  if (child == 0) {
    alarm(CHILD_SECONDS);
    close(ends[1]);
    _exit((int)read(ends[0], &byte, 1));
  }
  tt_emitter_free(f->emitter);
  assert_int_equal(begin(f), 0);
  emit_run(f->emitter, 10, 1);
  tt_emitter_flush(f->emitter, LONG_MS);
  assert_int_equal(stats_of(f->emitter).adopted, 10);
  close(ends[0]);
  close(ends[1]);
  assert_int_equal(waitpid(child, &status, 0), child);
}

/* ThreadSanitizer cannot follow a thread that is started in a child of a
 * process with threads. */
#if !defined(__SANITIZE_THREAD__)
static void a_child_leaves_its_parents_spool_alone(void **state) {
  fixture *f = *state;
  int status;
  emit_run(f->emitter, 0, 10);
  tt_emitter_flush(f->emitter, LONG_MS);
  pid_t child = fork_for_test();
  if (child == 0) {
    alarm(CHILD_SECONDS);
    emit_run(f->emitter, 10, 5);
    tt_emitter_flush(f->emitter, LONG_MS);
    bool ok =
        stats_of(f->emitter).spooled == 5 && stats_of(f->emitter).adopted == 0;
    tt_emitter_free(f->emitter);
    _exit(ok ? 0 : 1);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_int_equal(stats_of(f->emitter).spooled, 10);
  tt_emitter_free(f->emitter);
  assert_int_equal(begin(f), 0); /* it adopts both */
  sink_listen(f->sink);
  emit_run(f->emitter, 15, 1);
  while (stats_of(f->emitter).sent < 16) {
    tt_emitter_flush(f->emitter, 100);
    poll(NULL, 0, 5);
  }
  sink_request_count(f->sink);
  assert_int_equal(json_array_size(f->sink->events), 16);
  bool seen[16] = {false};
  for (size_t at = 0; at < 16; at++) {
    json_t *data = json_object_get(json_array_get(f->sink->events, at), "data");
    seen[json_integer_value(json_object_get(data, "i"))] = true;
  }
  for (size_t i = 0; i < 16; i++)
    assert_true(seen[i]);
}
#endif

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
    TEST(the_caller_never_writes),
    TEST(a_child_does_not_hold_what_was_let_go),
#if !defined(__SANITIZE_THREAD__)
    TEST(a_child_leaves_its_parents_spool_alone),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
