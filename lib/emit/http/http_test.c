#include "lib/emit/testing.h"

#include "tests/sink.h"
#include <dirent.h>
#include <telltale/logger.h>
#include <time.h>

typedef struct fixture {
  sink *sink;
  tt_emitter *emitter;
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
  f->sink = sink_new();
  pthread_mutex_init(&f->lock, NULL);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  tt_emitter_free(f->emitter);
  bool mixed = f->sink->other_body_under_key;
  sink_free(f->sink);
  pthread_mutex_destroy(&f->lock);
  free(f);
  return mixed; /* an idempotency key stands for one body */
}

/* Starts the sink and an emitter to its /events. */
static void begin_with(fixture *f, tt_emitter_options options) {
  char *url = sink_url(f->sink, "/events");
  options.url = url;
  options.source = "test";
  options.log = (tt_log_hook){on_log, f};
  assert_int_equal(tt_emitter_new(&options, &f->emitter), TT_OK);
  free(url);
}

static void begin(fixture *f) {
  sink_listen(f->sink);
  begin_with(f, (tt_emitter_options){0});
}

static void step(fixture *f, sink_act act, int status, const char *header) {
  f->sink->steps[f->sink->step_count++] = (sink_step){act, status, header};
}

/* The same in two requests, the first with one event: it is answered when the
 * others are in the queue, so that they make one batch however the threads are
 * scheduled. */
static void emit_batch(fixture *f, int first, int count) {
  size_t before = sink_request_count(f->sink);
  sink_hold(f->sink, true);
  emit_run(f->emitter, first, 1);
  sink_await_requests(f->sink, before + 1);
  emit_run(f->emitter, first + 1, count - 1);
  sink_hold(f->sink, false);
}

static void flush(fixture *f) {
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  sink_request_count(f->sink);
}

static json_int_t number_of(fixture *f, size_t at) {
  json_t *event = json_array_get(f->sink->events, at);
  return json_integer_value(
      json_object_get(json_object_get(event, "data"), "i"));
}

/* The sink has exactly the events first, first + 1, … in order. */
static void assert_run(fixture *f, int first, int count) {
  assert_int_equal(json_array_size(f->sink->events), count);
  for (int i = 0; i < count; i++)
    assert_int_equal(number_of(f, (size_t)i), first + i);
}

static void goes_in_batches_over_one_connection(void **state) {
  fixture *f = *state;
  sink_listen(f->sink);
  char *url = sink_url(f->sink, "/events?team=a#here");
  tt_emitter_options options = {
      .url = url, .source = "test", .token = "secret-token"};
  assert_int_equal(tt_emitter_new(&options, &f->emitter), TT_OK);
  free(url);
  emit_run(f->emitter, 0, 1500);
  flush(f);
  emit_run(f->emitter, 1500, 1);
  flush(f);
  assert_run(f, 0, 1501);
  assert_int_equal(stats_of(f->emitter).sent, 1501);
  assert_int_equal(f->sink->connections, 1);
  assert_true(f->sink->request_count < 100);
  for (size_t i = 0; i < f->sink->request_count; i++) {
    const sink_request *r = &f->sink->requests[i];
    assert_string_equal(r->path, "/events/batch?team=a");
    assert_string_equal(r->authorization, "Bearer secret-token");
    assert_string_equal(r->agent, "telltale/" TELLTALE_VERSION);
    assert_string_equal(r->dropped, "");
    assert_true(r->events <= 1000);
    char key[80];
    snprintf(key, sizeof(key), "%.36s/%zu", f->sink->requests[0].key, i + 1);
    assert_string_equal(r->key, key);
  }
}

static void posts_singly_where_there_is_no_batch_route(void **state) {
  fixture *f = *state;
  f->sink->no_batch = true;
  begin(f);
  emit_run(f->emitter, 0, 20);
  flush(f);
  emit_run(f->emitter, 20, 5);
  flush(f);
  assert_run(f, 0, 25);
  assert_int_equal(f->sink->request_count, 26);
  assert_string_equal(f->sink->requests[0].path, "/events/batch");
  for (size_t i = 1; i < f->sink->request_count; i++)
    assert_string_equal(f->sink->requests[i].path, "/events");
}

/* The first of them is answered when the others are in the queue. */
static void emit_lines_between_events(fixture *f) {
  sink_hold(f->sink, true);
  emit_run(f->emitter, 0, 1);
  sink_await_requests(f->sink, 1);
  tt_log_info(f->emitter, "db", "one");
  tt_log_info(f->emitter, "db", "two");
  emit_run(f->emitter, 1, 2);
  tt_log_error(f->emitter, "db", "three");
  sink_hold(f->sink, false);
  flush(f);
}

static void assert_paths(fixture *f, const char *const *paths, size_t count) {
  assert_int_equal(f->sink->request_count, count);
  for (size_t i = 0; i < count; i++)
    assert_string_equal(f->sink->requests[i].path, paths[i]);
}

static void log_lines_go_to_their_route_in_order(void **state) {
  static const char *const paths[] = {"/events/batch", "/log/batch",
                                      "/events/batch", "/log/batch"};
  fixture *f = *state;
  begin(f);
  emit_lines_between_events(f);
  assert_paths(f, paths, 4);
  assert_int_equal(f->sink->requests[1].events, 2);
  assert_int_equal(f->sink->requests[2].events, 2);
  json_t *line = json_array_get(f->sink->events, 1);
  assert_string_equal(json_string_value(json_object_get(line, "message")),
                      "one");
  assert_string_equal(json_string_value(json_object_get(line, "logger")), "db");
  assert_string_equal(json_string_value(json_object_get(line, "level")),
                      "info");
  assert_int_equal(stats_of(f->emitter).sent, 6);
}

static void kinds_that_take_turns_share_requests(void **state) {
  static const char *const paths[] = {"/events/batch", "/events/batch",
                                      "/log/batch"};
  fixture *f = *state;
  begin(f);
  sink_hold(f->sink, true);
  emit_run(f->emitter, 0, 1);
  sink_await_requests(f->sink, 1);
  for (int i = 1; i <= 50; i++) {
    tt_log_info(f->emitter, "db", "%d", i);
    emit_run(f->emitter, i, 1);
  }
  sink_hold(f->sink, false);
  flush(f);
  assert_paths(f, paths, 3);
  for (size_t i = 1; i <= 50; i++) {
    char number[16];
    snprintf(number, sizeof(number), "%zu", i);
    json_t *line = json_array_get(f->sink->events, 50 + i);
    assert_int_equal(number_of(f, i), i);
    assert_string_equal(json_string_value(json_object_get(line, "message")),
                        number);
  }
}

static void log_lines_go_singly_where_there_is_no_batch_route(void **state) {
  static const char *const paths[] = {"/events/batch", "/events", "/log/batch",
                                      "/log",          "/log",    "/events",
                                      "/events",       "/log"};
  fixture *f = *state;
  f->sink->no_batch = true;
  begin(f);
  emit_lines_between_events(f);
  assert_paths(f, paths, 8);
  assert_int_equal(stats_of(f->emitter).sent, 6);
}

/* Data of a full event that is meant for a log line: what the route has no
 * place for stays behind, and so does what is no object. */
static void a_full_log_line_keeps_what_a_line_has(void **state) {
  fixture *f = *state;
  begin(f);
  tt_event line = {.is_log = true,
                   .type = "db",
                   .level_name = "notice",
                   .agent_id = "a",
                   .duration_ms = 3,
                   .data =
                       "{\"caller\":\"x\",\"level\":1, \"message\": \"m\"}"};
  tt_emit_full(f->emitter, &line);
  line.data = "[1]";
  tt_emit_full(f->emitter, &line);
  flush(f);
  json_t *wanted = json_pack(
      "[{ss,ss,ss,ss,ss,ss},{ss,ss,ss,ss}]", "source", "test", "logger", "db",
      "level", "notice", "agent_id", "a", "message", "m", "caller", "x",
      "source", "test", "logger", "db", "level", "notice", "agent_id", "a");
  for (size_t i = 0; i < 2; i++) {
    json_t *got = json_array_get(f->sink->events, i);
    json_object_del(got, "ts");
    assert_true(json_equal(got, json_array_get(wanted, i)));
  }
  json_decref(wanted);
}

static void tries_again_what_may_succeed_later(void **state) {
  static const int statuses[] = {408, 429, 503};
  fixture *f = *state;
  for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++)
    step(f, SINK_ANSWER, statuses[i], NULL);
  begin(f);
  emit_run(f->emitter, 0, 1);
  flush(f);
  assert_run(f, 0, 1);
  assert_int_equal(f->sink->request_count, 4);
  for (size_t i = 1; i < 4; i++)
    assert_string_equal(f->sink->requests[i].key, f->sink->requests[0].key);
}

static void a_lost_answer_duplicates_nothing(void **state) {
  fixture *f = *state;
  step(f, SINK_CUT_BEFORE, 0, NULL);
  step(f, SINK_CUT_AFTER, 0, NULL);
  step(f, SINK_CUT_AFTER, 0, NULL);
  begin(f);
  emit_run(f->emitter, 0, 100);
  flush(f);
  emit_run(f->emitter, 100, 100);
  flush(f);
  assert_run(f, 0, 200);
  assert_int_equal(stats_of(f->emitter).sent, 200);
}

static void gives_up_after_its_attempts(void **state) {
  fixture *f = *state;
  for (int i = 0; i < 3; i++)
    step(f, SINK_ANSWER, 500, NULL);
  sink_listen(f->sink);
  begin_with(f, (tt_emitter_options){.max_attempts = 3});
  emit_run(f->emitter, 0, 1);
  /* No flush: one that cuts a delay short gives an attempt for nothing. */
  sink_await_requests(f->sink, 3);
  flush(f);
  emit_run(f->emitter, 1, 1);
  flush(f);
  assert_run(f, 1, 1);
  assert_int_equal(stats_of(f->emitter).dropped[TT_DROP_RETRIES], 1);
  assert_string_equal(f->sink->requests[3].dropped, "retries=1");
  assert_non_null(strstr(f->log, "giving up"));
}

static int64_t now_ms(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void retry_after_lengthens_the_delay(void **state) {
  fixture *f = *state;
  step(f, SINK_ANSWER, 429, "Retry-After: 1");
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
  emit_batch(f, 0, 300);
  flush(f);
  assert_run(f, 0, 300);
  assert_int_equal(stats_of(f->emitter).sent, 300);
}

static void drops_only_the_event_that_is_too_large(void **state) {
  fixture *f = *state;
  char large[5000];
  memset(large, 'x', sizeof(large) - 1);
  large[sizeof(large) - 1] = '\0';
  f->sink->max_body = 4000;
  begin(f);
  emit_batch(f, 0, 50);
  tt_emit(f->emitter, "large", tt_str("text", large));
  emit_run(f->emitter, 50, 50);
  flush(f);
  assert_run(f, 0, 100);
  assert_int_equal(stats_of(f->emitter).dropped[TT_DROP_TOO_LARGE], 1);
}

static void drops_only_the_event_that_is_refused(void **state) {
  fixture *f = *state;
  f->sink->poison = "poison";
  begin(f);
  emit_batch(f, 0, 100);
  tt_emit(f->emitter, "poison");
  emit_run(f->emitter, 100, 300);
  tt_emit(f->emitter, "poison");
  flush(f);
  assert_run(f, 0, 400);
  assert_int_equal(stats_of(f->emitter).dropped[TT_DROP_REJECTED], 2);
}

static void counts_what_is_refused_and_says_why(void **state) {
  fixture *f = *state;
  step(f, SINK_ANSWER, 401, NULL);
  begin_with(f, (tt_emitter_options){.token = "hidden"});
  sink_listen(f->sink);
  emit_run(f->emitter, 0, 1);
  flush(f);
  assert_int_equal(stats_of(f->emitter).dropped[TT_DROP_REJECTED], 1);
  assert_int_equal(f->sink->request_count, 1);
  assert_non_null(strstr(f->log, "status 401"));
  assert_null(strstr(f->log, "hidden"));
}

static void follows_no_redirect(void **state) {
  fixture *f = *state;
  step(f, SINK_ANSWER, 307, "Location: /elsewhere");
  begin(f);
  emit_run(f->emitter, 0, 1);
  flush(f);
  assert_int_equal(f->sink->request_count, 1);
  assert_int_equal(stats_of(f->emitter).dropped[TT_DROP_REJECTED], 1);
}

static void reports_drops_until_they_are_acknowledged(void **state) {
  fixture *f = *state;
  step(f, SINK_HANG, 0, NULL);
  step(f, SINK_ANSWER, 403, NULL);
  sink_listen(f->sink);
  begin_with(
      f, (tt_emitter_options){.queue_events = 10, .request_timeout_ms = 300});
  emit_run(f->emitter, 0, 1);
  sink_await_requests(f->sink, 1);
  emit_run(f->emitter, 1, 11); /* two more than the queue takes */
  flush(f);                    /* the first is refused at its second attempt */
  emit_run(f->emitter, 12, 1);
  flush(f);
  tt_emitter_stats stats = stats_of(f->emitter);
  assert_int_equal(stats.dropped[TT_DROP_QUEUE_FULL], 2);
  assert_int_equal(stats.dropped[TT_DROP_REJECTED], 1);
  assert_int_equal(f->sink->request_count, 4);
  assert_string_equal(f->sink->requests[1].dropped, "");
  assert_string_equal(f->sink->requests[2].dropped, "queue_full=2,rejected=1");
  assert_string_equal(f->sink->requests[3].dropped, "");
}

static void compresses_once_the_server_takes_it(void **state) {
  fixture *f = *state;
  f->sink->header = "Accept-Encoding: zstd, gzip;q=0.5";
  begin(f);
  emit_run(f->emitter, 0, 1);
  flush(f);
  emit_batch(f, 1, 500);
  flush(f);
  assert_run(f, 0, 501);
  const sink_request *last = &f->sink->requests[f->sink->request_count - 1];
  assert_string_equal(f->sink->requests[0].encoding, "");
  assert_string_equal(last->encoding, "gzip");
  assert_int_equal(last->events, 499);
  assert_true(last->bytes < last->events * 40);
}

static void goes_back_to_identity_when_gzip_is_refused(void **state) {
  fixture *f = *state;
  f->sink->header = "Accept-Encoding: gzip";
  f->sink->refuse_gzip = true;
  begin(f);
  emit_run(f->emitter, 0, 1);
  flush(f);
  emit_batch(f, 1, 500);
  flush(f);
  size_t at = 0;
  while (f->sink->requests[at].status == 200)
    at++;
  const sink_request *refused = &f->sink->requests[at];
  assert_int_equal(refused->status, 415);
  assert_string_equal(refused->encoding, "gzip");
  assert_string_equal(refused[1].key, refused->key);
  emit_batch(f, 501, 500);
  flush(f);
  assert_run(f, 0, 1001);
  while (++at < f->sink->request_count)
    assert_string_equal(f->sink->requests[at].encoding, "");
}

static void keeps_its_time_when_the_server_hangs(void **state) {
  fixture *f = *state;
  step(f, SINK_HANG, 0, NULL);
  sink_listen(f->sink);
  begin_with(f, (tt_emitter_options){.free_timeout_ms = 200});
  emit_run(f->emitter, 0, 1);
  sink_await_requests(f->sink, 1);
  emit_run(f->emitter, 1, 9);
  int64_t began = now_ms();
  assert_int_equal(tt_emitter_flush(f->emitter, 200), TT_ETIMEOUT);
  assert_int_equal(stats_of(f->emitter).queued, 10);
  tt_emitter_free(f->emitter);
  f->emitter = NULL;
  assert_true(now_ms() - began < 5000);
  assert_non_null(strstr(f->log, "10 events dropped at shutdown"));
}

static void waits_for_a_server_that_is_down(void **state) {
  fixture *f = *state;
  begin_with(f, (tt_emitter_options){.queue_events = 100});
  emit_run(f->emitter, 0, 150);
  int64_t began = now_ms();
  assert_int_equal(tt_emitter_flush(f->emitter, 100), TT_ETIMEOUT);
  assert_true(now_ms() - began < 5000);
  assert_int_equal(stats_of(f->emitter).dropped[TT_DROP_QUEUE_FULL], 50);
  sink_listen(f->sink);
  flush(f);
  assert_run(f, 0, 100);
}

static void flushing_often_uses_up_no_attempts(void **state) {
  fixture *f = *state;
  for (int i = 0; i < 4; i++)
    step(f, SINK_ANSWER, 429, "Retry-After: 60");
  sink_listen(f->sink);
  begin_with(f, (tt_emitter_options){.max_attempts = 2});
  emit_run(f->emitter, 0, 1);
  /* Each flush brings one attempt forward. */
  while (tt_emitter_flush(f->emitter, 150) != TT_OK)
    ;
  sink_request_count(f->sink);
  assert_run(f, 0, 1);
  assert_int_equal(stats_of(f->emitter).sent, 1);
}

static void refuses_options_that_cannot_work(void **state) {
  fixture *f = *state;
  static const tt_emitter_options bad[] = {
      {.url = "ftp://host/events", .source = "s"},
      {.url = "host:6060/events", .source = "s"},
      {.url = "http://", .source = "s"},
      {.url = "http://host/events"},
      {.url = "http://host/events", .source = " "},
      {.url = "http://host/events", .source = "s", .token = "a\r\nX: y"},
      {.url = "http://host/events", .source = "s", .max_attempts = -1},
  };
  for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
    assert_int_equal(tt_emitter_new(&bad[i], &f->emitter), TT_EINVAL);
  assert_null(f->emitter);
  assert_int_equal(tt_emitter_new(NULL, &f->emitter), TT_EINVAL);
}

static size_t thread_count(void) {
  size_t count = 0;
  DIR *tasks = opendir("/proc/self/task");
  assert_non_null(tasks);
  for (struct dirent *task; (task = readdir(tasks));)
    count += task->d_name[0] != '.';
  closedir(tasks);
  return count;
}

static void starts_its_thread_at_the_first_event(void **state) {
  fixture *f = *state;
  size_t before = thread_count();
  begin_with(f, (tt_emitter_options){.free_timeout_ms = 1});
  flush(f);
  tt_emitter_set_agent_id(f->emitter, "a");
  assert_int_equal(stats_of(f->emitter).emitted, 0);
  assert_int_equal(thread_count(), before);
  emit_run(f->emitter, 0, 1);
  assert_int_equal(thread_count(), before + 1);
}

static void without_a_url_it_does_nothing(void **state) {
  fixture *f = *state;
  tt_emitter_options options = {.url = ""};
  assert_int_equal(tt_emitter_new(&options, &f->emitter), TT_OK);
  emit_run(f->emitter, 0, 5);
  flush(f);
  assert_int_equal(stats_of(f->emitter).emitted, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(goes_in_batches_over_one_connection),
      TEST(posts_singly_where_there_is_no_batch_route),
      TEST(log_lines_go_to_their_route_in_order),
      TEST(kinds_that_take_turns_share_requests),
      TEST(log_lines_go_singly_where_there_is_no_batch_route),
      TEST(a_full_log_line_keeps_what_a_line_has),
      TEST(tries_again_what_may_succeed_later),
      TEST(a_lost_answer_duplicates_nothing),
      TEST(gives_up_after_its_attempts),
      TEST(retry_after_lengthens_the_delay),
      TEST(halves_what_is_too_large),
      TEST(drops_only_the_event_that_is_too_large),
      TEST(drops_only_the_event_that_is_refused),
      TEST(counts_what_is_refused_and_says_why),
      TEST(follows_no_redirect),
      TEST(reports_drops_until_they_are_acknowledged),
      TEST(compresses_once_the_server_takes_it),
      TEST(goes_back_to_identity_when_gzip_is_refused),
      TEST(keeps_its_time_when_the_server_hangs),
      TEST(waits_for_a_server_that_is_down),
      TEST(flushing_often_uses_up_no_attempts),
      TEST(refuses_options_that_cannot_work),
      TEST(starts_its_thread_at_the_first_event),
      TEST(without_a_url_it_does_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
