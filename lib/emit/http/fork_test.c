#include "lib/emit/testing.h"

#include "tests/fork.h"
#include "tests/sink.h"
#include <stdatomic.h>
#include <sys/wait.h>

typedef struct fixture {
  sink *sink;
  tt_emitter *emitter;
} fixture;

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  f->sink = sink_new();
  char *url = sink_url(f->sink, "/events");
  tt_emitter_options options = {
      .url = url, .source = "test", .request_timeout_ms = 1000};
  int error = tt_emitter_new(&options, &f->emitter);
  free(url);
  *state = f;
  return error;
}

static int tear_down(void **state) {
  fixture *f = *state;
  tt_emitter_free(f->emitter);
  bool mixed = f->sink->other_body_under_key;
  sink_free(f->sink);
  free(f);
  return mixed;
}

static int exit_of(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
    return -1;
  return WEXITSTATUS(status);
}

static void a_child_finds_it_empty(void **state) {
  fixture *f = *state;
  emit_run(f->emitter, 0, 10);
  pid_t child = fork_for_test();
  if (child == 0) {
    alarm(CHILD_SECONDS);
    tt_emitter_set_agent_id(f->emitter, "child");
    bool ok = stats_of(f->emitter).emitted == 0 &&
              stats_of(f->emitter).queued == 0 &&
              tt_emitter_flush(f->emitter, 0) == TT_OK;
    tt_emitter_free(f->emitter);
    _exit(ok ? 0 : 1);
  }
  assert_int_equal(exit_of(child), 0);
  assert_int_equal(stats_of(f->emitter).emitted, 10);
  assert_int_equal(stats_of(f->emitter).queued, 10);
}

/* ThreadSanitizer cannot follow a thread that is started in a child of a
 * process with threads. */
#if !defined(__SANITIZE_THREAD__)

static void a_child_emits_and_its_parent_goes_on(void **state) {
  fixture *f = *state;
  f->sink->steps[f->sink->step_count++] = (sink_step){.act = SINK_HANG};
  sink_listen(f->sink);
  emit_run(f->emitter, 0, 1);
  sink_await_requests(f->sink, 1);
  emit_run(f->emitter, 1, 9);
  pid_t child = fork_for_test();
  if (child == 0) {
    alarm(CHILD_SECONDS);
    emit_run(f->emitter, 100, 1);
    bool ok = tt_emitter_flush(f->emitter, LONG_MS) == TT_OK &&
              stats_of(f->emitter).emitted == 1 &&
              stats_of(f->emitter).sent == 1;
    tt_emitter_free(f->emitter);
    _exit(ok ? 0 : 1);
  }
  assert_int_equal(exit_of(child), 0);
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  assert_int_equal(stats_of(f->emitter).sent, 10);
  /* Each event once, and each process counts its keys for itself. */
  sink_request_count(f->sink);
  bool seen[101] = {false};
  assert_int_equal(json_array_size(f->sink->events), 11);
  for (size_t i = 0; i < 11; i++) {
    json_t *event = json_array_get(f->sink->events, i);
    json_t *data = json_object_get(event, "data");
    seen[json_integer_value(json_object_get(data, "i"))] = true;
  }
  for (int i = 0; i < 10; i++)
    assert_true(seen[i]);
  assert_true(seen[100]);
}

#if !FORKS_AT_REST
typedef struct busy {
  tt_emitter *emitter;
  atomic_bool stop;
} busy;

static void *emit_busily(void *context) {
  busy *b = context;
  while (!atomic_load(&b->stop)) {
    tt_emit(b->emitter, "busy");
    tt_emitter_set_agent_id(b->emitter, "a");
  }
  return NULL;
}

/* The fork may come while the other threads hold any of the locks, even the
 * allocator's. */
static void a_lock_held_at_the_fork_stops_no_child(void **state) {
  fixture *f = *state;
  sink_listen(f->sink);
  pthread_t threads[2];
  busy b = {.emitter = f->emitter};
  int good = 0;
  for (int i = 0; i < 2; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, emit_busily, &b), 0);
  for (int i = 0; i < 50; i++) {
    pid_t child = fork();
    if (child == 0) {
      alarm(CHILD_SECONDS);
      tt_emitter_set_agent_id(f->emitter, "b");
      emit_run(f->emitter, 0, 1);
      _exit(stats_of(f->emitter).emitted == 1 ? 0 : 1);
    }
    good += exit_of(child) == 0;
  }
  atomic_store(&b.stop, true);
  for (int i = 0; i < 2; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(good, 50);
}
#endif
#endif

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
    TEST(a_child_finds_it_empty),
#if !defined(__SANITIZE_THREAD__)
    TEST(a_child_emits_and_its_parent_goes_on),
#if !FORKS_AT_REST
    TEST(a_lock_held_at_the_fork_stops_no_child),
#endif
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
