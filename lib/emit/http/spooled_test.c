#include "lib/emit/testing.h"

#include "tests/sink.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <telltale/logger.h>
#include <time.h>

/* The emitter with a spool, under servers that misbehave: what was emitted is
 * sent once, is in the spool, or is counted as dropped. */

typedef struct fixture {
  sink *sink;
  tt_emitter *emitter;
  char directory[32];
  char spool[48];
  pthread_mutex_t lock;
  char log[8192]; /* every line of the log hook */
} fixture;

static void on_log(void *context, tt_level level, const char *message) {
  fixture *f = context;
  (void)level;
  pthread_mutex_lock(&f->lock);
  size_t len = strlen(f->log);
  snprintf(f->log + len, sizeof(f->log) - len, "%s\n", message);
  pthread_mutex_unlock(&f->lock);
}

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  strcpy(f->directory, "/tmp/telltale-spool-XXXXXX");
  if (!mkdtemp(f->directory))
    return -1;
  snprintf(f->spool, sizeof(f->spool), "%s/spool", f->directory);
  f->sink = sink_new();
  pthread_mutex_init(&f->lock, NULL);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  char command[80];
  tt_emitter_free(f->emitter);
  bool mixed = f->sink->other_body_under_key;
  sink_free(f->sink);
  snprintf(command, sizeof(command), "rm -rf %s", f->directory);
  int status = system(command);
  pthread_mutex_destroy(&f->lock);
  free(f);
  return mixed || status; /* an idempotency key stands for one body */
}

static tt_emitter *emitter_with(fixture *f, tt_emitter_options options) {
  tt_emitter *emitter;
  char *url = sink_url(f->sink, "/events");
  options.url = url;
  options.source = "test";
  if (!options.spool_directory)
    options.spool_directory = f->spool;
  options.log = (tt_log_hook){on_log, f};
  assert_int_equal(tt_emitter_new(&options, &emitter), TT_OK);
  free(url);
  return emitter;
}

static void begin(fixture *f) {
  f->emitter = emitter_with(f, (tt_emitter_options){0});
}

/* As another process would after this one. */
static void restart(fixture *f) {
  tt_emitter_free(f->emitter);
  begin(f);
}

static void step(fixture *f, sink_act act, int status, const char *header) {
  f->sink->steps[f->sink->step_count++] = (sink_step){act, status, header};
}

static int64_t now_ms(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits until so many events are sent; flushes bring attempts forward. */
static void await_sent(tt_emitter *emitter, uint64_t count) {
  int64_t end = now_ms() + LONG_MS;
  while (stats_of(emitter).sent < count && now_ms() < end) {
    tt_emitter_flush(emitter, 100);
    poll(NULL, 0, 5);
  }
  assert_int_equal(stats_of(emitter).sent, count);
}

/* The sink has exactly the events 0, 1, … once each; in order, if they are all
 * of one emitter. */
static void assert_run(fixture *f, size_t count, bool ordered) {
  sink_request_count(f->sink);
  assert_int_equal(json_array_size(f->sink->events), count);
  bool *seen = calloc(count, sizeof(*seen));
  for (size_t at = 0; at < count; at++) {
    json_t *data = json_object_get(json_array_get(f->sink->events, at), "data");
    size_t i = (size_t)json_integer_value(json_object_get(data, "i"));
    assert_in_range(i, 0, count - 1);
    assert_false(seen[i]);
    assert_true(!ordered || i == at);
    seen[i] = true;
  }
  free(seen);
}

static int files_in_spool(fixture *f) {
  int count = 0;
  DIR *entries = opendir(f->spool);
  for (struct dirent *e; entries && (e = readdir(entries));)
    count += e->d_name[0] != '.';
  if (entries)
    closedir(entries);
  return count;
}

/* -- A server that is away. -- */

static void goes_to_the_spool_while_it_is_down(void **state) {
  fixture *f = *state;
  begin(f);
  emit_run(f->emitter, 0, 5000);
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  assert_int_equal(stats_of(f->emitter).spooled, 5000);
  emit_run(f->emitter, 5000, 5000);
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  assert_int_equal(stats_of(f->emitter).spooled, 10000);
  sink_listen(f->sink);
  await_sent(f->emitter, 10000);
  assert_run(f, 10000, true);
  assert_int_equal(files_in_spool(f), 0);
  emit_run(f->emitter, 10000, 1);
  await_sent(f->emitter, 10001);
  assert_run(f, 10001, true);
}

static void log_lines_keep_their_route(void **state) {
  fixture *f = *state;
  begin(f);
  emit_run(f->emitter, 0, 1);
  tt_log_info(f->emitter, "db", "one");
  tt_log_info(f->emitter, "db", "two");
  restart(f);
  sink_listen(f->sink);
  emit_run(f->emitter, 1, 1);
  await_sent(f->emitter, 4);
  size_t count = sink_request_count(f->sink);
  assert_int_equal(count, 3);
  assert_string_equal(f->sink->requests[0].path, "/events/batch");
  assert_string_equal(f->sink->requests[1].path, "/log/batch");
  assert_string_equal(f->sink->requests[2].path, "/events/batch");
}

static void the_next_process_sends_what_one_left(void **state) {
  fixture *f = *state;
  begin(f);
  emit_run(f->emitter, 0, 100);
  int64_t began = now_ms();
  restart(f);
  assert_true(now_ms() - began < 5000);
  assert_int_equal(files_in_spool(f), 1);
  sink_listen(f->sink);
  emit_run(f->emitter, 100, 1);
  await_sent(f->emitter, 101);
  assert_int_equal(stats_of(f->emitter).adopted, 100);
  assert_int_equal(stats_of(f->emitter).emitted, 1);
  assert_run(f, 101, true);
  assert_int_equal(files_in_spool(f), 0);
}

static void free_without_a_flush_leaves_all_in_the_spool(void **state) {
  fixture *f = *state;
  step(f, SINK_HANG, 0, NULL);
  sink_listen(f->sink);
  f->emitter = emitter_with(f, (tt_emitter_options){.free_timeout_ms = 1});
  emit_run(f->emitter, 0, 1);
  sink_await_requests(f->sink, 1);
  emit_run(f->emitter, 1, 2999);
  int64_t began = now_ms();
  restart(f);
  assert_true(now_ms() - began < 5000);
  emit_run(f->emitter, 3000, 1);
  await_sent(f->emitter, 3001);
  assert_run(f, 3001, true);
  /* The one that was broken off came again under its key. */
  assert_string_equal(f->sink->requests[1].key, f->sink->requests[0].key);
}

static void a_server_that_hangs_fills_no_queue(void **state) {
  fixture *f = *state;
  step(f, SINK_HANG, 0, NULL);
  sink_listen(f->sink);
  f->emitter =
      emitter_with(f, (tt_emitter_options){.queue_events = 100,
                                           .request_timeout_ms = 10 * LONG_MS});
  emit_run(f->emitter, 0, 1);
  sink_await_requests(f->sink, 1);
  /* The request stays under way for as long as this takes. */
  for (int i = 1; i < 1000; i += 90) {
    emit_run(f->emitter, i, i + 90 < 1000 ? 90 : 1000 - i);
    int64_t end = now_ms() + LONG_MS;
    while (stats_of(f->emitter).queued > 0 && now_ms() < end)
      poll(NULL, 0, 5);
    assert_int_equal(stats_of(f->emitter).queued, 0);
  }
  assert_int_equal(stats_of(f->emitter).spooled, 1000);
  assert_int_equal(sink_request_count(f->sink), 1);
  restart(f);
  emit_run(f->emitter, 1000, 1);
  await_sent(f->emitter, 1001);
  assert_run(f, 1001, true);
}

static void keeps_its_time_when_the_server_hangs(void **state) {
  fixture *f = *state;
  for (int i = 0; i < 8; i++)
    step(f, SINK_HANG, 0, NULL);
  sink_listen(f->sink);
  f->emitter = emitter_with(f, (tt_emitter_options){.free_timeout_ms = 200});
  emit_run(f->emitter, 0, 1);
  sink_await_requests(f->sink, 1);
  emit_run(f->emitter, 1, 9);
  int64_t began = now_ms();
  tt_emitter_flush(f->emitter, 200);
  tt_emitter_free(f->emitter);
  f->emitter = NULL;
  assert_true(now_ms() - began < 5000);
  assert_int_equal(files_in_spool(f), 1);
  assert_null(strstr(f->log, "dropped"));
}

/* -- Answers. -- */

/* A script of bad answers, then good ones: everything arrives, once. */
static void survives(fixture *f) {
  sink_listen(f->sink);
  begin(f);
  for (int i = 0; i < 400; i += 100) {
    emit_run(f->emitter, i, 100);
    assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  }
  await_sent(f->emitter, 400);
  assert_run(f, 400, true);
  assert_int_equal(files_in_spool(f), 0);
}

static void tries_again_what_may_succeed_later(void **state) {
  fixture *f = *state;
  static const int statuses[] = {500, 429, 503, 408, 502};
  for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++)
    step(f, SINK_ANSWER, statuses[i], NULL);
  survives(f);
}

static void a_lost_answer_duplicates_nothing(void **state) {
  fixture *f = *state;
  step(f, SINK_CUT_AFTER, 0, NULL);
  step(f, SINK_CUT_BEFORE, 0, NULL);
  step(f, SINK_CUT_AFTER, 0, NULL);
  survives(f);
  assert_string_equal(f->sink->requests[1].key, f->sink->requests[0].key);
}

static void nor_does_one_lost_by_a_process_that_ended(void **state) {
  fixture *f = *state;
  step(f, SINK_CUT_AFTER, 0, NULL);
  sink_listen(f->sink);
  f->emitter = emitter_with(f, (tt_emitter_options){.free_timeout_ms = 1});
  /* Time that the server asks for keeps the first emitter from trying again:
   * it is the second that finds out. */
  for (int i = 0; i < 8; i++)
    step(f, SINK_ANSWER, 503, "Retry-After: 60");
  emit_run(f->emitter, 0, 50);
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  tt_emitter_free(f->emitter);
  begin(f);
  emit_run(f->emitter, 50, 1);
  await_sent(f->emitter, 51);
  assert_run(f, 51, true);
}

static void retry_after_lengthens_the_delay(void **state) {
  fixture *f = *state;
  step(f, SINK_ANSWER, 429, "Retry-After: 1");
  sink_listen(f->sink);
  begin(f);
  int64_t began = now_ms();
  emit_run(f->emitter, 0, 1);
  sink_await_requests(f->sink, 2);
  assert_true(now_ms() - began >= 1000);
}

static void halves_what_is_too_large(void **state) {
  fixture *f = *state;
  f->sink->max_body = 2000;
  begin(f);
  emit_run(f->emitter, 0, 1100);
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  sink_listen(f->sink);
  await_sent(f->emitter, 1100);
  assert_run(f, 1100, true);
}

static void drops_only_the_event_that_is_refused(void **state) {
  fixture *f = *state;
  f->sink->poison = "poison";
  begin(f);
  emit_run(f->emitter, 0, 100);
  tt_emit(f->emitter, "poison");
  emit_run(f->emitter, 100, 300);
  tt_emit(f->emitter, "poison");
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  sink_listen(f->sink);
  await_sent(f->emitter, 400);
  assert_run(f, 400, true);
  int64_t end = now_ms() + LONG_MS;
  while (stats_of(f->emitter).spooled && now_ms() < end)
    poll(NULL, 0, 5);
  assert_int_equal(stats_of(f->emitter).dropped[TT_DROP_REJECTED], 2);
}

static void posts_singly_where_there_is_no_batch_route(void **state) {
  fixture *f = *state;
  f->sink->no_batch = true;
  begin(f);
  emit_run(f->emitter, 0, 20);
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  sink_listen(f->sink);
  await_sent(f->emitter, 20);
  assert_run(f, 20, true);
}

/* A request at which the server breaks must not keep the others for ever. */
static void gives_up_what_breaks_the_server(void **state) {
  fixture *f = *state;
  for (int i = 0; i < 2; i++)
    step(f, SINK_ANSWER, 502, NULL);
  for (int i = 0; i < 2; i++)
    step(f, SINK_ANSWER, 500, NULL);
  sink_listen(f->sink);
  f->emitter = emitter_with(f, (tt_emitter_options){.max_attempts = 2});
  emit_run(f->emitter, 0, 1);
  sink_await_requests(f->sink, 4);
  int64_t end = now_ms() + LONG_MS;
  while (stats_of(f->emitter).dropped[TT_DROP_RETRIES] == 0 && now_ms() < end)
    poll(NULL, 0, 5);
  emit_run(f->emitter, 0, 1);
  await_sent(f->emitter, 1);
  assert_int_equal(stats_of(f->emitter).dropped[TT_DROP_RETRIES], 1);
  assert_string_equal(f->sink->requests[4].dropped, "retries=1");
}

/* -- A spool that does not take what it is given. -- */

/* With the server down: everything is counted, and sent when it is up. */
static tt_emitter_stats without_a_spool(fixture *f, const char *directory,
                                        const char *why) {
  f->emitter =
      emitter_with(f, (tt_emitter_options){.spool_directory = directory,
                                           .queue_events = 100});
  emit_run(f->emitter, 0, 1);
  tt_emitter_flush(f->emitter, 300);
  emit_run(f->emitter, 1, 149);
  tt_emitter_stats stats = stats_of(f->emitter);
  assert_int_equal(stats.spooled, 0);
  assert_int_equal(stats.dropped[TT_DROP_SPOOL_ERROR], 50);
  assert_non_null(strstr(f->log, why));
  sink_listen(f->sink);
  await_sent(f->emitter, 100);
  assert_run(f, 100, true);
  return stats;
}

static void a_file_is_no_spool(void **state) {
  fixture *f = *state;
  close(open(f->spool, O_WRONLY | O_CREAT, 0600));
  without_a_spool(f, f->spool, "it is not a directory");
}

static void a_directory_is_missing(void **state) {
  fixture *f = *state;
  char path[80];
  snprintf(path, sizeof(path), "%s/a/b", f->directory);
  without_a_spool(f, path, "its parent directory does not exist");
}

static void nothing_can_be_written_there(void **state) {
  fixture *f = *state;
  without_a_spool(f, "/proc/self", "the spool takes no events");
}

static void a_full_spool_leaves_the_newest_out(void **state) {
  fixture *f = *state;
  f->emitter = emitter_with(
      f, (tt_emitter_options){.spool_bytes = 100000, .queue_events = 1000});
  uint64_t full = 0;
  for (int i = 0; i < 100000 && full == 0; i += 100) {
    emit_run(f->emitter, i, 100);
    tt_emitter_flush(f->emitter, 50);
    full = stats_of(f->emitter).dropped[TT_DROP_SPOOL_FULL];
  }
  assert_true(full > 0);
  tt_emitter_stats stats = stats_of(f->emitter);
  assert_int_equal(stats.queued, 1000);
  assert_true(stats.spooled > 100);
  assert_non_null(strstr(f->log, "it is full"));
  sink_listen(f->sink);
  await_sent(f->emitter, stats.emitted - full);
  assert_run(f, stats.emitted - full, true);
}

/* A disk that is full, to this process. */
static void a_full_disk_loses_nothing_that_fits_the_queue(void **state) {
  fixture *f = *state;
  struct rlimit before, limit;
  getrlimit(RLIMIT_FSIZE, &before);
  limit = (struct rlimit){4096, before.rlim_max};
  signal(SIGXFSZ, SIG_DFL); /* which would end us: it must not come */
  setrlimit(RLIMIT_FSIZE, &limit);
  begin(f);
  emit_run(f->emitter, 0, 2000);
  tt_emitter_flush(f->emitter, 300);
  tt_emitter_stats stats = stats_of(f->emitter);
  setrlimit(RLIMIT_FSIZE, &before);
  assert_int_equal(stats.queued + stats.spooled, 2000);
  assert_true(stats.queued > 0);
  sink_listen(f->sink);
  await_sent(f->emitter, 2000);
  assert_run(f, 2000, true);
}

static void garbage_in_it_is_set_aside(void **state) {
  fixture *f = *state;
  begin(f);
  emit_run(f->emitter, 0, 10);
  tt_emitter_free(f->emitter);
  char path[320] = "";
  DIR *entries = opendir(f->spool);
  for (struct dirent *e; (e = readdir(entries));) {
    if (e->d_name[0] != '.')
      snprintf(path, sizeof(path), "%s/%s", f->spool, e->d_name);
  }
  closedir(entries);
  FILE *file = fopen(path, "a");
  fputs("garbage", file);
  fclose(file);
  sink_listen(f->sink);
  begin(f);
  emit_run(f->emitter, 10, 1);
  await_sent(f->emitter, 11);
  assert_run(f, 11, true);
  assert_int_equal(stats_of(f->emitter).spool_damaged, 1);
  assert_non_null(strstr(f->log, "set aside"));
}

/* -- Processes. -- */

static void two_share_a_spool(void **state) {
  fixture *f = *state;
  tt_emitter *other = emitter_with(f, (tt_emitter_options){0});
  begin(f);
  for (int i = 0; i < 1000; i += 20) {
    emit_run(f->emitter, i, 10);
    emit_run(other, i + 10, 10);
    tt_emitter_flush(f->emitter, 100);
    tt_emitter_flush(other, 100);
  }
  assert_int_equal(stats_of(f->emitter).spooled, 500);
  assert_int_equal(stats_of(other).spooled, 500);
  sink_listen(f->sink);
  await_sent(f->emitter, 500);
  await_sent(other, 500);
  tt_emitter_free(other);
  assert_run(f, 1000, false);
  assert_int_equal(files_in_spool(f), 0);
}

/* While this emitter is idle it finds what another process leaves. */
static void adopts_while_it_runs(void **state) {
  fixture *f = *state;
  begin(f);
  emit_run(f->emitter, 0, 1);
  tt_emitter_flush(f->emitter, LONG_MS); /* has looked into the spool */
  tt_emitter *other = emitter_with(f, (tt_emitter_options){0});
  emit_run(other, 1, 10);
  tt_emitter_flush(other, LONG_MS);
  sink_listen(f->sink);
  await_sent(f->emitter, 1);
  step(f, SINK_ANSWER, 503, NULL);
  tt_emitter_free(other);
  await_sent(f->emitter, stats_of(f->emitter).adopted + 1);
  int64_t end = now_ms() + LONG_MS;
  while (json_array_size(f->sink->events) < 11 && now_ms() < end) {
    poll(NULL, 0, 20);
    sink_request_count(f->sink);
  }
  assert_run(f, 11, false);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(goes_to_the_spool_while_it_is_down),
      TEST(log_lines_keep_their_route),
      TEST(the_next_process_sends_what_one_left),
      TEST(free_without_a_flush_leaves_all_in_the_spool),
      TEST(a_server_that_hangs_fills_no_queue),
      TEST(keeps_its_time_when_the_server_hangs),
      TEST(tries_again_what_may_succeed_later),
      TEST(a_lost_answer_duplicates_nothing),
      TEST(nor_does_one_lost_by_a_process_that_ended),
      TEST(retry_after_lengthens_the_delay),
      TEST(halves_what_is_too_large),
      TEST(drops_only_the_event_that_is_refused),
      TEST(posts_singly_where_there_is_no_batch_route),
      TEST(gives_up_what_breaks_the_server),
      TEST(a_file_is_no_spool),
      TEST(a_directory_is_missing),
      TEST(nothing_can_be_written_there),
      TEST(a_full_spool_leaves_the_newest_out),
      TEST(a_full_disk_loses_nothing_that_fits_the_queue),
      TEST(garbage_in_it_is_set_aside),
      TEST(two_share_a_spool),
      TEST(adopts_while_it_runs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
