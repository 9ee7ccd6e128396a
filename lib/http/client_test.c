#include "tests/unit.h"

#include "lib/http/client.h"
#include "tests/sink.h"

static tti_http_answer answer_with(const char *head) {
  tti_http_answer answer;
  tti_http_answer_init(&answer);
  tti_buf_append_text(&answer.head, head);
  return answer;
}

static void finds_headers_without_regard_to_case(void **state) {
  (void)state;
  tti_http_answer a =
      answer_with("Date: now\r\nretry-AFTER:  7 \r\nEmpty:\r\nRetry-After: 9");
  tti_slice value = tti_http_header(&a, "Retry-After");
  assert_true(tti_slice_eq(value, TTI_SLICE("7")));
  value = tti_http_header(&a, "Empty");
  assert_true(value.ptr && value.len == 0);
  assert_null(tti_http_header(&a, "Retry").ptr);
  tti_http_answer_fini(&a);
  a = answer_with("");
  assert_null(tti_http_header(&a, "Date").ptr);
  tti_http_answer_fini(&a);
}

static void reads_retry_after(void **state) {
  (void)state;
  static const struct {
    const char *head;
    int64_t seconds;
  } rows[] = {
      {"Retry-After: 0\r\n", 0},
      {"Retry-After: 59\r\n", 59},
      {"Retry-After: 3600\r\n", 60},
      {"Retry-After: 99999999999999999999999\r\n", -1},
      {"Retry-After: -1\r\n", -1},
      {"Retry-After: soon\r\n", -1},
      {"Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", 0},
      {"Retry-After: Wed, 21 Oct 2105 07:28:00 GMT\r\n", 60},
      {"Other: 1\r\n", -1},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
    tti_http_answer a = answer_with(rows[i].head);
    assert_int_equal(tti_http_retry_after_s(&a, 60), rows[i].seconds);
    tti_http_answer_fini(&a);
  }
}

static void finds_an_item_of_a_list(void **state) {
  (void)state;
  static const struct {
    const char *list;
    bool has;
  } rows[] = {
      {"gzip", true},       {"deflate, GZIP", true}, {"gzip;q=0.1", true},
      {"gzip ; q=1", true}, {"gzip;q=0", false},     {"gzip; q=0.000", false},
      {"identity", false},  {"xgzip, gzipx", false}, {"", false},
      {",,gzip", true},     {"zstd;q=1,gzip", true}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
    assert_int_equal(tti_http_list_has(tti_slice_of(rows[i].list), "gzip"),
                     rows[i].has);
  assert_false(tti_http_list_has((tti_slice){NULL, 0}, "gzip"));
}

static void adds_to_the_path_and_keeps_the_query(void **state) {
  (void)state;
  static const struct {
    const char *url;
    const char *batch;
    const char *log;
    const char *shown;
  } rows[] = {
      {"http://h:6060/events", "http://h:6060/events/batch",
       "http://h:6060/log", "http://h:6060/events"},
      {"https://u:p@h/a/events/?k=v#f", "https://u:p@h/a/events/batch?k=v",
       "https://u:p@h/a/log?k=v", "https://h/a/events/"},
      {"http://h", "http://h/batch", "http://h/log", "http://h/"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
    char *url = NULL;
    assert_int_equal(tti_http_url(rows[i].url, "/batch", &url), TT_OK);
    assert_string_equal(url, rows[i].batch);
    free(url);
    assert_int_equal(tti_http_url(rows[i].url, "log", &url), TT_OK);
    assert_string_equal(url, rows[i].log);
    free(url);
    assert_int_equal(tti_http_url_shown(rows[i].url, &url), TT_OK);
    assert_string_equal(url, rows[i].shown);
    free(url);
  }
}

static void refuses_what_is_no_http_url(void **state) {
  (void)state;
  static const char *const bad[] = {
      "",        "h",          "h/events", "/events", "file:///etc/passwd",
      "http://", "http://a b/"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
    char *url = NULL;
    assert_int_equal(tti_http_url(bad[i], "", &url), TT_EINVAL);
    assert_null(url);
  }
}

typedef struct fixture {
  sink *sink;
  tti_http_client *client;
  tti_http_answer answer;
  char *url;
} fixture;

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  f->sink = sink_new();
  f->url = sink_url(f->sink, "/x");
  tti_http_answer_init(&f->answer);
  *state = f;
  return tti_http_client_new("test", &(tti_http_files){0}, &f->client);
}

static int tear_down(void **state) {
  fixture *f = *state;
  tti_http_client_free(f->client);
  tti_http_answer_fini(&f->answer);
  sink_free(f->sink);
  free(f->url);
  free(f);
  return 0;
}

static tt_error post(fixture *f, int timeout_ms) {
  tti_http_request request = {
      .url = f->url, .body = TTI_SLICE("[]"), .timeout_ms = timeout_ms};
  return tti_http_post(f->client, &request, &f->answer);
}

static void tells_a_refused_connection_from_a_timeout(void **state) {
  fixture *f = *state;
  assert_int_equal(post(f, 30000), TT_EIO);
  assert_true(f->answer.problem[0]);
  assert_int_equal(f->answer.status, 0);
  f->sink->steps[0] = (sink_step){.act = SINK_HANG};
  f->sink->step_count = 1;
  sink_listen(f->sink);
  assert_int_equal(post(f, 100), TT_ETIMEOUT);
  assert_int_equal(post(f, 30000), TT_OK);
  assert_int_equal(f->answer.status, 200);
  assert_int_equal(f->answer.problem[0], '\0');
  assert_true(tti_slice_eq(tti_buf_slice(&f->answer.body), TTI_SLICE("{}")));
}

static void *cancel_it(void *context) {
  fixture *f = context;
  sink_await_requests(f->sink, 1);
  tti_http_cancel(f->client);
  return NULL;
}

static void can_be_cancelled_by_another_thread(void **state) {
  fixture *f = *state;
  f->sink->steps[0] = (sink_step){.act = SINK_HANG};
  f->sink->step_count = 1;
  sink_listen(f->sink);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, cancel_it, f), 0);
  assert_int_equal(post(f, 60000), TT_ECANCELLED);
  pthread_join(thread, NULL);
  assert_int_equal(post(f, 60000), TT_ECANCELLED);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_headers_without_regard_to_case),
      cmocka_unit_test(reads_retry_after),
      cmocka_unit_test(finds_an_item_of_a_list),
      cmocka_unit_test(adds_to_the_path_and_keeps_the_query),
      cmocka_unit_test(refuses_what_is_no_http_url),
      TEST(tells_a_refused_connection_from_a_timeout),
      TEST(can_be_cancelled_by_another_thread),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
