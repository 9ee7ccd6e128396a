#include "tests/unit.h"

#include "lib/otlp/logs.h"
#include "tests/sink.h"
#include <telltale/storage.h>

#define MAX_SEQ 4096

typedef struct fixture {
  sink *sink;
  tt_stream *stream;
  tt_storage_writer *writer;
  unsigned times[MAX_SEQ]; /* each seq was taken */
  size_t largest;
  char *url;
  char service[64];
  int status; /* of what is taken; 0: 200 */
} fixture;

static int64_t seq_of(const Tti__Otlp__LogRecord *record) {
  static const char key[] = "telltale.event.seq";
  for (size_t i = 0; i < record->n_attributes; i++)
    if (record->attributes[i]->key.len == sizeof(key) - 1 &&
        memcmp(record->attributes[i]->key.data, key, sizeof(key) - 1) == 0)
      return record->attributes[i]->value->int_;
  return 0;
}

static int take(void *context, const char *body, size_t len) {
  fixture *f = context;
  Tti__Otlp__LogsRequest *request =
      tti__otlp__logs_request__unpack(NULL, len, (const uint8_t *)body);
  if (!request)
    return 400;
  const Tti__Otlp__ResourceLogs *logs = request->resource_logs[0];
  const Tti__Otlp__ScopeLogs *scope = logs->scope_logs[0];
  const ProtobufCBinaryData *name =
      &logs->resource->attributes[0]->value->string;
  snprintf(f->service, sizeof(f->service), "%.*s", (int)name->len,
           (const char *)name->data);
  for (size_t i = 0; i < scope->n_log_records; i++)
    f->times[seq_of(scope->log_records[i])]++;
  if (scope->n_log_records > f->largest)
    f->largest = scope->n_log_records;
  tti__otlp__logs_request__free_unpacked(request, NULL);
  return f->status ? f->status : 200;
}

static int setup(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  if (!f || tt_stream_new(NULL, &f->stream))
    return -1;
  f->sink = sink_new();
  f->sink->take = take;
  f->sink->context = f;
  f->sink->answer = "";
  f->url = sink_url(f->sink, "");
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  tt_storage_writer_free(f->writer);
  tt_stream_free(f->stream);
  sink_free(f->sink);
  free(f->url);
  free(f);
  return 0;
}

static void begin(fixture *f, tt_storage_otlp_options options) {
  char problem[TELLTALE_PROBLEM_MAX] = "";
  tt_storage *storage = NULL;
  tt_storage_writer_options how = {.retry_first_ms = 1, .retry_last_ms = 2};
  options.endpoint = f->url;
  assert_int_equal(tt_storage_otlp_new(&options, problem, &storage), TT_OK);
  assert_int_equal(tt_storage_writer_new(f->stream, storage, &how, &f->writer),
                   TT_OK);
  assert_int_equal(tt_storage_writer_start(f->writer), TT_OK);
}

/* A stop ends the waiting for a batch to become full: what there is, is sent
 * then. So only after the first request. */
static tt_storage_writer_stats end(fixture *f) {
  tt_storage_writer_stats stats;
  sink_await_requests(f->sink, 1);
  assert_int_equal(tt_storage_writer_stop(f->writer, 30000), TT_OK);
  tt_storage_writer_stats_get(f->writer, &stats);
  return stats;
}

static void publish(fixture *f, unsigned count, const char *category) {
  for (unsigned i = 0; i < count; i++) {
    tt_event event = {
        .type = "tick", .category = category, .data = "{\"n\":1}"};
    assert_int_equal(tt_stream_publish(f->stream, &event, NULL), TT_OK);
  }
}

static void expect_all(fixture *f, unsigned count) {
  for (unsigned seq = 1; seq <= count; seq++)
    assert_int_equal(f->times[seq], 1);
}

static void sends_batches_of_200(void **state) {
  fixture *f = *state;
  sink_listen(f->sink);
  publish(f, 1000, "api");
  begin(f,
        (tt_storage_otlp_options){.service_name = "shop",
                                  .headers = "x=1,authorization=Bearer%20t"});
  end(f);
  expect_all(f, 1000);
  assert_int_equal(f->largest, 200);
  assert_string_equal(f->service, "shop");
  assert_string_equal(f->sink->requests[0].path, "/v1/logs");
  assert_string_equal(f->sink->requests[0].authorization, "Bearer t");
}

static void compresses(void **state) {
  fixture *f = *state;
  sink_listen(f->sink);
  publish(f, 300, "api");
  begin(f, (tt_storage_otlp_options){.compression = "gzip"});
  end(f);
  expect_all(f, 300);
  assert_string_equal(f->sink->requests[0].encoding, "gzip");
}

static void leaves_categories_out(void **state) {
  fixture *f = *state;
  sink_listen(f->sink);
  publish(f, 3, "screenshot");
  publish(f, 2, "monitor");
  publish(f, 1, "api");
  begin(f, (tt_storage_otlp_options){0});
  tt_storage_writer_stats stats = end(f);
  assert_int_equal(stats.position, 6);
  for (int seq = 1; seq <= 5; seq++)
    assert_int_equal(f->times[seq], 0);
  assert_int_equal(f->times[6], 1);
}

/* Every failure that may pass, one after the other; the connection cut after
 * the request may bring its records a second time, nothing else may. */
static void outlives_a_bad_day_of_the_server(void **state) {
  fixture *f = *state;
  static const sink_step bad_day[] = {
      {SINK_ANSWER, 500, NULL}, {SINK_ANSWER, 429, "Retry-After: 1"},
      {SINK_ANSWER, 503, NULL}, {SINK_CUT_BEFORE, 0, NULL},
      {SINK_ANSWER, 401, NULL}, {SINK_ANSWER, 413, NULL},
      {SINK_CUT_AFTER, 0, NULL}};
  memcpy(f->sink->steps, bad_day, sizeof(bad_day));
  f->sink->step_count = sizeof(bad_day) / sizeof(bad_day[0]);
  sink_listen(f->sink);
  publish(f, 500, "api");
  begin(f, (tt_storage_otlp_options){0});
  tt_storage_writer_stats stats = end(f);
  assert_int_equal(stats.appended, 500);
  assert_int_equal(stats.rejected, 0);
  unsigned twice = 0;
  for (unsigned seq = 1; seq <= 500; seq++) {
    assert_true(f->times[seq] == 1 || f->times[seq] == 2);
    twice += f->times[seq] == 2;
  }
  assert_true(twice <= 200);
}

/* Not every receiver answers 200 when it means it. */
static void any_2xx_is_a_success(void **state) {
  fixture *f = *state;
  f->status = 204;
  sink_listen(f->sink);
  publish(f, 10, "api");
  begin(f, (tt_storage_otlp_options){0});
  assert_int_equal(end(f).appended, 10);
  expect_all(f, 10);
}

static void finds_the_record_that_is_refused(void **state) {
  fixture *f = *state;
  static const sink_step refuse = {SINK_ANSWER, 400, NULL};
  /* 200, 100, 50, 25, 13, 7, 4, 2, 1: the first record is the one. */
  for (int i = 0; i < 9; i++)
    f->sink->steps[i] = refuse;
  f->sink->step_count = 9;
  f->sink->answer = "\x08\x03\x12\x03why";
  f->sink->answer_len = 7;
  sink_listen(f->sink);
  publish(f, 200, "api");
  begin(f, (tt_storage_otlp_options){0});
  tt_storage_writer_stats stats = end(f);
  assert_int_equal(stats.rejected, 1);
  assert_int_equal(f->times[1], 0);
  assert_int_equal(f->times[2], 1);
  assert_int_equal(f->times[200], 1);
  assert_non_null(strstr(stats.problem, "/v1/logs answers 400: why"));
}

static void counts_partial_success(void **state) {
  fixture *f = *state;
  f->sink->answer = "\x0a\x06\x08\x03\x12\x02no";
  f->sink->answer_len = 8;
  sink_listen(f->sink);
  publish(f, 10, "api");
  begin(f, (tt_storage_otlp_options){0});
  tt_storage_writer_stats stats = end(f);
  assert_int_equal(stats.rejected, 3);
  assert_int_equal(stats.appended, 7);
  assert_int_equal(sink_request_count(f->sink), 1);
}

/* The token is another by the time of the second request. */
static void reads_the_token_each_time(void **state) {
  fixture *f = *state;
  char path[] = "/tmp/tt-otlp-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "one\n", 4), 4);
  f->sink->steps[0] = (sink_step){SINK_ANSWER, 401, NULL};
  f->sink->step_count = 1;
  sink_listen(f->sink);
  sink_hold(f->sink, true);
  publish(f, 1, "api");
  begin(f, (tt_storage_otlp_options){.token_file = path});
  sink_await_requests(f->sink, 1);
  assert_int_equal(pwrite(fd, "two\n", 4, 0), 4);
  sink_hold(f->sink, false);
  end(f);
  close(fd);
  unlink(path);
  assert_string_equal(f->sink->requests[0].authorization, "Bearer one");
  assert_string_equal(f->sink->requests[1].authorization, "Bearer two");
  expect_all(f, 1);
}

static void a_server_that_hangs_delays_nobody(void **state) {
  fixture *f = *state;
  f->sink->steps[0] = (sink_step){.act = SINK_HANG};
  f->sink->step_count = 1;
  sink_listen(f->sink);
  publish(f, 10, "api");
  begin(f, (tt_storage_otlp_options){0});
  sink_await_requests(f->sink, 1);
  publish(f, 3000, "api");
  assert_int_equal(tt_storage_writer_stop(f->writer, 50), TT_ETIMEOUT);
}

static void expect_refused(tt_storage_otlp_options options, const char *why) {
  char problem[TELLTALE_PROBLEM_MAX] = "";
  tt_storage *storage = NULL;
  assert_int_equal(tt_storage_otlp_new(&options, problem, &storage), TT_EINVAL);
  assert_non_null(strstr(problem, why));
}

static void says_which_setting_is_wrong(void **state) {
  (void)state;
  const char *url = "http://localhost:4318";
  expect_refused((tt_storage_otlp_options){0},
                 "OTEL_EXPORTER_OTLP_ENDPOINT: there is no endpoint");
  expect_refused((tt_storage_otlp_options){.endpoint = "ftp://x"},
                 "endpoint: it is not an http or https URL");
  expect_refused((tt_storage_otlp_options){.endpoint = url, .headers = "x"},
                 "headers: it is not of the form");
  expect_refused(
      (tt_storage_otlp_options){.endpoint = url, .headers = "x=%0d%0ay"},
      "headers: a name or value");
  expect_refused(
      (tt_storage_otlp_options){.endpoint = url, .compression = "zstd"},
      "compression: it is neither");
  setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", 1);
  expect_refused((tt_storage_otlp_options){.endpoint = url},
                 "OTEL_EXPORTER_OTLP_TIMEOUT: it is not a number");
  unsetenv("OTEL_EXPORTER_OTLP_TIMEOUT");
}

static void takes_the_environment(void **state) {
  fixture *f = *state;
  tt_storage *storage = NULL;
  tt_storage_otlp_options options = {0};
  char *logs = sink_url(f->sink, "/own/path");
  setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", 1);
  setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", logs, 1);
  setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=env", 1);
  setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=from%20env,a=b", 1);
  tt_error error = tt_storage_otlp_new(&options, NULL, &storage);
  unsetenv("OTEL_EXPORTER_OTLP_ENDPOINT");
  unsetenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT");
  unsetenv("OTEL_EXPORTER_OTLP_HEADERS");
  unsetenv("OTEL_RESOURCE_ATTRIBUTES");
  free(logs);
  assert_int_equal(error, TT_OK);
  sink_listen(f->sink);
  publish(f, 1, "api");
  assert_int_equal(tt_storage_writer_new(f->stream, storage, NULL, &f->writer),
                   TT_OK);
  assert_int_equal(tt_storage_writer_start(f->writer), TT_OK);
  end(f);
  assert_string_equal(f->sink->requests[0].path, "/own/path");
  assert_string_equal(f->sink->requests[0].authorization, "env");
  assert_string_equal(f->service, "from env");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(sends_batches_of_200),
      TEST(compresses),
      TEST(leaves_categories_out),
      TEST(outlives_a_bad_day_of_the_server),
      TEST(any_2xx_is_a_success),
      TEST(finds_the_record_that_is_refused),
      TEST(counts_partial_success),
      TEST(reads_the_token_each_time),
      TEST(a_server_that_hangs_delays_nobody),
      cmocka_unit_test(says_which_setting_is_wrong),
      TEST(takes_the_environment),
  };
#undef TEST
  return cmocka_run_group_tests(tests, NULL, NULL);
}
