#include "lib/emit/testing.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct fixture {
  char directory[32];
  char path[64];
  tt_emitter *emitter;
  pthread_mutex_t lock;
  pthread_cond_t told;
  char log[1024]; /* the last line */
  unsigned logs;
} fixture;

/* The disk, as far as fsync goes: this one is in place of the system's. */
static atomic_int fsyncs;
static atomic_bool fsync_fails;

int fsync(int fd) {
  (void)fd;
  atomic_fetch_add(&fsyncs, 1);
  return atomic_load(&fsync_fails) ? -1 : 0;
}

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  *state = f;
  pthread_mutex_init(&f->lock, NULL);
  pthread_cond_init(&f->told, NULL);
  strcpy(f->directory, "/tmp/telltale-jsonl-XXXXXX");
  if (!mkdtemp(f->directory))
    return 1;
  snprintf(f->path, sizeof(f->path), "%s/events.jsonl", f->directory);
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  tt_emitter_free(f->emitter);
  unlink(f->path);
  int left = rmdir(f->directory);
  pthread_cond_destroy(&f->told);
  pthread_mutex_destroy(&f->lock);
  free(f);
  return left;
}

static void note(void *context, tt_level level, const char *message) {
  fixture *f = context;
  (void)level;
  pthread_mutex_lock(&f->lock);
  snprintf(f->log, sizeof(f->log), "%s", message);
  f->logs++;
  pthread_cond_signal(&f->told);
  pthread_mutex_unlock(&f->lock);
}

static void await_log(fixture *f) {
  pthread_mutex_lock(&f->lock);
  while (!f->logs)
    pthread_cond_wait(&f->told, &f->lock);
  pthread_mutex_unlock(&f->lock);
}

static tt_emitter *open_emitter(fixture *f, tt_jsonl_options options) {
  tt_emitter *emitter = NULL;
  options.source = "test";
  options.log = (tt_log_hook){note, f};
  if (!options.path)
    options.path = f->path;
  assert_int_equal(tt_emitter_jsonl_new(&options, &emitter), TT_OK);
  return emitter;
}

/* The numbers of the events in the file, each line of which is one. */
static size_t numbers(fixture *f, int out_numbers[], size_t room) {
  char line[512];
  size_t count = 0;
  FILE *file = fopen(f->path, "r");
  assert_non_null(file);
  while (fgets(line, sizeof(line), file)) {
    json_t *event = json_loads(line, 0, NULL);
    assert_non_null(event);
    json_t *data = json_object_get(event, "data");
    assert_true(count < room);
    out_numbers[count++] = (int)json_integer_value(json_object_get(data, "i"));
    json_decref(event);
  }
  fclose(file);
  return count;
}

static void assert_run(fixture *f, size_t count) {
  int got[64];
  assert_int_equal(numbers(f, got, 64), count);
  for (size_t i = 0; i < count; i++)
    assert_int_equal(got[i], i);
}

static void events_are_lines_of_the_relay_form(void **state) {
  fixture *f = *state;
  char line[512] = "";
  struct stat file;
  f->emitter = open_emitter(f, (tt_jsonl_options){.agent_id = "agent-1"});
  tt_event event = {.type = "deploy", .ts_us = 1767323045000006};
  tt_emit_full(f->emitter, &event);
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  FILE *lines = fopen(f->path, "r");
  assert_non_null(lines);
  assert_non_null(fgets(line, sizeof(line), lines));
  fclose(lines);
  assert_int_equal(stat(f->path, &file), 0);
  assert_int_equal(file.st_mode & 0777, 0600);
  json_t *got = json_loads(line, 0, NULL);
  json_t *expected = json_pack("{ss, ss, ss, ss, ss}", "source", "test",
                               "action", "deploy", "level", "info", "agent_id",
                               "agent-1", "ts", "2026-01-02T03:04:05.000006Z");
  assert_non_null(got);
  assert_true(json_object_update_missing(expected, got) == 0);
  assert_true(json_equal(got, expected));
  json_decref(expected);
  json_decref(got);
}

static void a_later_emitter_goes_on_in_the_file(void **state) {
  fixture *f = *state;
  emit_run(f->emitter = open_emitter(f, (tt_jsonl_options){0}), 0, 3);
  tt_emitter_free(f->emitter); /* writes them first */
  emit_run(f->emitter = open_emitter(f, (tt_jsonl_options){0}), 3, 3);
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  assert_run(f, 6);
}

static void several_in_one_file_keep_lines_whole(void **state) {
  fixture *f = *state;
  tt_emitter *emitters[3];
  int got[300];
  for (int i = 0; i < 3; i++)
    emitters[i] = open_emitter(f, (tt_jsonl_options){0});
  for (int round = 0; round < 100; round++) {
    for (int i = 0; i < 3; i++)
      emit_run(emitters[i], 1, 1);
  }
  for (int i = 0; i < 3; i++)
    tt_emitter_free(emitters[i]);
  assert_int_equal(numbers(f, got, 300), 300);
}

/* Room for a few lines, then none: the writing thread blocks the signal. */
static void a_disk_that_was_full_gets_every_event_once(void **state) {
  fixture *f = *state;
  struct rlimit before, small;
  f->emitter = open_emitter(f, (tt_jsonl_options){0});
  getrlimit(RLIMIT_FSIZE, &before);
  small = (struct rlimit){.rlim_cur = 300, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  emit_run(f->emitter, 0, 20);
  await_log(f);
  setrlimit(RLIMIT_FSIZE, &before);
  assert_non_null(strstr(f->log, "trying again: File too large"));
  assert_non_null(strstr(f->log, f->path));
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  assert_int_equal(stats_of(f->emitter).sent, 20);
  assert_run(f, 20);
}

static void a_file_that_cannot_be_is_counted_and_recovers(void **state) {
  fixture *f = *state;
  char directory[64], path[96];
  snprintf(directory, sizeof(directory), "%s/later", f->directory);
  snprintf(path, sizeof(path), "%s/events", directory);
  f->emitter =
      open_emitter(f, (tt_jsonl_options){.path = path, .max_attempts = 1});
  emit_run(f->emitter, 0, 3);
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  assert_int_equal(stats_of(f->emitter).dropped[TT_DROP_IO], 3);
  assert_string_equal(tt_drop_reason_name(TT_DROP_IO), "io");
  assert_non_null(strstr(f->log, "its directory does not exist"));

  assert_int_equal(mkdir(directory, 0700), 0);
  emit_run(f->emitter, 3, 2);
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  tt_emitter_stats stats = stats_of(f->emitter);
  unlink(path);
  rmdir(directory);
  assert_int_equal(stats.sent, 2);
  assert_int_equal(stats.dropped[TT_DROP_IO], 3);
}

static void what_is_not_written_at_its_end_is_counted(void **state) {
  fixture *f = *state;
  tt_emitter *emitter = open_emitter(
      f, (tt_jsonl_options){
             .path = "/dev/null", .max_attempts = 1000, .free_timeout_ms = 1});
  emit_run(emitter, 0, 3);
  assert_int_equal(tt_emitter_flush(emitter, 1), TT_ETIMEOUT);
  assert_int_equal(stats_of(emitter).queued, 3);
  tt_emitter_free(emitter);
  assert_non_null(strstr(f->log, "3 events dropped at shutdown"));
}

static void only_a_flush_that_asks_for_it_syncs(void **state) {
  fixture *f = *state;
  tt_emitter *plain = open_emitter(f, (tt_jsonl_options){0});
  atomic_store(&fsyncs, 0);
  emit_run(plain, 0, 1);
  assert_int_equal(tt_emitter_flush(plain, LONG_MS), TT_OK);
  tt_emitter_free(plain);
  assert_int_equal(atomic_load(&fsyncs), 0);

  f->emitter = open_emitter(f, (tt_jsonl_options){.fsync_on_flush = true});
  emit_run(f->emitter, 1, 1);
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  assert_true(atomic_load(&fsyncs) > 0);
  emit_run(f->emitter, 2, 1);
  atomic_store(&fsync_fails, true);
  tt_error error = tt_emitter_flush(f->emitter, LONG_MS);
  atomic_store(&fsync_fails, false);
  assert_int_equal(error, TT_EIO);
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
}

static void bad_options_are_refused(void **state) {
  fixture *f = *state;
  static const tt_jsonl_options bad[] = {
      {.path = "x"},
      {.path = "x", .source = " "},
      {.path = "x", .source = "s", .max_attempts = -1},
      {.path = "x", .source = "s", .free_timeout_ms = -1},
  };
  for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
    assert_int_equal(tt_emitter_jsonl_new(&bad[i], &f->emitter), TT_EINVAL);
  assert_int_equal(tt_emitter_jsonl_new(NULL, &f->emitter), TT_EINVAL);
  assert_null(f->emitter);
  tt_jsonl_options none = {.path = ""};
  assert_int_equal(tt_emitter_jsonl_new(&none, &f->emitter), TT_OK);
  tt_emit(f->emitter, "nobody reads");
  assert_int_equal(stats_of(f->emitter).emitted, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(events_are_lines_of_the_relay_form),
      TEST(a_later_emitter_goes_on_in_the_file),
      TEST(several_in_one_file_keep_lines_whole),
      TEST(a_disk_that_was_full_gets_every_event_once),
      TEST(a_file_that_cannot_be_is_counted_and_recovers),
      TEST(what_is_not_written_at_its_end_is_counted),
      TEST(only_a_flush_that_asks_for_it_syncs),
      TEST(bad_options_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
