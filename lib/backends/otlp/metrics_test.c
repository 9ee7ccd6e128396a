#include "tests/unit.h"

#include "lib/base/time.h"
#include "lib/otlp/metrics.h"
#include "tests/fork.h"
#include "tests/sink.h"
#include <sys/wait.h>
#include <telltale/metrics.h>

#define NEVER_MS 3600000
#define POINTS   1000

/* A data point, taken apart. */
typedef struct point {
  char name[64], unit[8], labels[2][64];
  bool cumulative, monotonic;
  uint64_t start_ns, time_ns;
  int64_t count;
  double value;
  uint64_t buckets[20];
  size_t bucket_count, bound_count;
} point;

typedef struct fixture {
  sink *sink;
  char *url;
  char service[64];
  point points[POINTS]; /* of the last request that was taken */
  size_t point_count;
  unsigned requests;
  int64_t asked_us[64]; /* when each request came; monotonic */
} fixture;

static void text(ProtobufCBinaryData from, char *out, size_t size) {
  snprintf(out, size, "%.*s", (int)from.len, (const char *)from.data);
}

static point *new_point(fixture *f, const Tti__Otlp__Metric *metric,
                        size_t label_count, Tti__Otlp__KeyValue **labels) {
  assert_true(f->point_count < POINTS && label_count <= 2);
  point *p = &f->points[f->point_count++];
  *p = (point){0};
  text(metric->name, p->name, sizeof(p->name));
  text(metric->unit, p->unit, sizeof(p->unit));
  assert_true(metric->description.len > 0);
  for (size_t i = 0; i < label_count; i++) {
    char key[30], value[30];
    text(labels[i]->key, key, sizeof(key));
    text(labels[i]->value->string, value, sizeof(value));
    snprintf(p->labels[i], sizeof(p->labels[i]), "%s=%s", key, value);
  }
  return p;
}

static void take_number(fixture *f, const Tti__Otlp__Metric *metric,
                        const Tti__Otlp__NumberDataPoint *n) {
  point *p = new_point(f, metric, n->n_attributes, n->attributes);
  const Tti__Otlp__Sum *sum =
      metric->data_case == TTI__OTLP__METRIC__DATA_SUM ? metric->sum : NULL;
  p->start_ns = n->start_time_unix_nano;
  p->time_ns = n->time_unix_nano;
  p->cumulative =
      sum && sum->aggregation_temporality == TTI__OTLP__TEMPORALITY__CUMULATIVE;
  p->monotonic = sum && sum->is_monotonic;
  if (n->value_case == TTI__OTLP__NUMBER_DATA_POINT__VALUE_AS_INT)
    p->count = n->as_int;
  else
    p->value = n->as_double;
}

static void take_histogram(fixture *f, const Tti__Otlp__Metric *metric,
                           const Tti__Otlp__HistogramDataPoint *h) {
  point *p = new_point(f, metric, h->n_attributes, h->attributes);
  p->start_ns = h->start_time_unix_nano;
  p->time_ns = h->time_unix_nano;
  p->cumulative = metric->histogram->aggregation_temporality ==
                  TTI__OTLP__TEMPORALITY__CUMULATIVE;
  p->count = (int64_t)h->count;
  p->value = h->sum;
  p->bucket_count = h->n_bucket_counts;
  p->bound_count = h->n_explicit_bounds;
  memcpy(p->buckets, h->bucket_counts, h->n_bucket_counts * sizeof(uint64_t));
}

static int take(void *context, const char *body, size_t len) {
  fixture *f = context;
  Tti__Otlp__MetricsRequest *request =
      tti__otlp__metrics_request__unpack(NULL, len, (const uint8_t *)body);
  if (!request)
    return 400;
  const Tti__Otlp__ResourceMetrics *all = request->resource_metrics[0];
  text(all->resource->attributes[0]->value->string, f->service,
       sizeof(f->service));
  f->point_count = 0;
  for (size_t i = 0; i < all->scope_metrics[0]->n_metrics; i++) {
    const Tti__Otlp__Metric *metric = all->scope_metrics[0]->metrics[i];
    if (metric->data_case == TTI__OTLP__METRIC__DATA_HISTOGRAM)
      for (size_t k = 0; k < metric->histogram->n_data_points; k++)
        take_histogram(f, metric, metric->histogram->data_points[k]);
    else if (metric->data_case == TTI__OTLP__METRIC__DATA_SUM)
      for (size_t k = 0; k < metric->sum->n_data_points; k++)
        take_number(f, metric, metric->sum->data_points[k]);
    else
      for (size_t k = 0; k < metric->gauge->n_data_points; k++)
        take_number(f, metric, metric->gauge->data_points[k]);
  }
  f->requests++;
  tti__otlp__metrics_request__free_unpacked(request, NULL);
  return 200;
}

static const point *find(const fixture *f, const char *name,
                         const char *label) {
  for (size_t i = 0; i < f->point_count; i++)
    if (strcmp(f->points[i].name, name) == 0 &&
        strcmp(f->points[i].labels[0], label) == 0)
      return &f->points[i];
  return NULL;
}

static int setup(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  if (!f)
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
  sink_free(f->sink);
  free(f->url);
  free(f);
  return 0;
}

static tt_metrics *begin(const fixture *f, tt_metrics_otlp_options options) {
  char problem[TELLTALE_PROBLEM_MAX] = "";
  tt_metrics *metrics = NULL;
  options.endpoint = f->url;
  assert_int_equal(tt_metrics_otlp_new(&options, problem, &metrics), TT_OK);
  return metrics;
}

static void shows_all_that_was_counted(void **state) {
  fixture *f = *state;
  int64_t before_us = tti_wall_us(&tti_clock_system);
  sink_listen(f->sink);
  tt_metrics *m = begin(
      f, (tt_metrics_otlp_options){.push = {.interval_ms = NEVER_MS},
                                   .service_name = "shop",
                                   .compression = "gzip",
                                   .headers = "authorization=Bearer%20t"});
  tt_metrics_add(m, TT_METRIC_EVENTS_RECEIVED, 3, NULL, NULL);
  tt_metrics_add(m, TT_METRIC_EVENTS_RECEIVED, 4, NULL, NULL);
  tt_metrics_add(m, TT_METRIC_WEBHOOK_ATTEMPTS, 2, "delivered", "2xx");
  tt_metrics_add(m, TT_METRIC_WEBHOOK_ATTEMPTS, 1, "exhausted", "5xx");
  tt_metrics_set(m, TT_METRIC_STORE_WAL_BYTES, 4128.5, NULL, NULL);
  tt_metrics_observe(m, TT_METRIC_WEBHOOK_DURATION, 0.25, NULL, NULL);
  tt_metrics_observe(m, TT_METRIC_WEBHOOK_DURATION, 31, NULL, NULL);
  tt_metrics_free(m);
  assert_int_equal(f->sink->request_count, 1);
  assert_string_equal(f->sink->requests[0].path, "/v1/metrics");
  assert_string_equal(f->sink->requests[0].encoding, "gzip");
  assert_string_equal(f->sink->requests[0].authorization, "Bearer t");
  assert_string_equal(f->service, "shop");
  const point *p = find(f, "telltale.events_received", "");
  assert_int_equal(p->count, 7);
  assert_true(p->cumulative && p->monotonic);
  assert_true(p->start_ns >= (uint64_t)before_us * 1000);
  assert_true(p->time_ns >= p->start_ns);
  assert_int_equal(find(f, "telltale.events_stored", "")->count, 0);
  p = find(f, "telltale.webhook_attempts", "outcome=delivered");
  assert_int_equal(p->count, 2);
  assert_string_equal(p->labels[1], "status_class=2xx");
  assert_non_null(find(f, "telltale.webhook_attempts", "outcome=exhausted"));
  p = find(f, "telltale.store_wal", "");
  assert_true(p->value == 4128.5 && !p->monotonic);
  assert_string_equal(p->unit, "By");
  p = find(f, "telltale.webhook_attempt_duration", "");
  assert_true(p->count == 2 && p->value == 31.25 && p->cumulative);
  assert_string_equal(p->unit, "s");
  assert_int_equal(p->bucket_count, p->bound_count + 1);
  assert_int_equal(p->buckets[5], 1);
  assert_int_equal(p->buckets[p->bound_count], 1);
  assert_null(find(f, "telltale.store_queue", ""));
}

/* Whatever a request meets, the next one has everything; what it met is counted
 * by reason. */
static void outlives_a_bad_day_of_the_server(void **state) {
  fixture *f = *state;
  /* Cut at first, since curl asks again by itself on a connection that was
   * used before. */
  static const sink_step bad_day[] = {{SINK_CUT_BEFORE, 0, NULL},
                                      {SINK_ANSWER, 503, NULL},
                                      {SINK_ANSWER, 400, NULL},
                                      {SINK_ANSWER, 429, NULL}};
  size_t steps = sizeof(bad_day) / sizeof(bad_day[0]);
  tt_metrics *failures = NULL;
  char *shown = NULL;
  memcpy(f->sink->steps, bad_day, sizeof(bad_day));
  f->sink->step_count = steps;
  sink_listen(f->sink);
  assert_int_equal(tt_metrics_prometheus_new(&failures), TT_OK);
  tt_metrics *m =
      begin(f, (tt_metrics_otlp_options){
                   .push = {.interval_ms = 20, .failures = failures}});
  for (size_t i = 1; i <= steps + 2; i++) {
    tt_metrics_add(m, TT_METRIC_EVENTS_RECEIVED, 1, NULL, NULL);
    sink_await_requests(f->sink, i);
  }
  tt_metrics_free(m);
  assert_int_equal(find(f, "telltale.events_received", "")->count, steps + 2);
  assert_non_null(find(f, "telltale.metrics_export_failures", "backend=otlp"));
  assert_int_equal(tt_metrics_prometheus_render(failures, false, &shown, NULL),
                   TT_OK);
#define FAILURES                                                               \
  "telltale_metrics_export_failures_total{backend=\"otlp\",reason="
  assert_non_null(strstr(shown, FAILURES "\"busy\"} 2\n"));
  assert_non_null(strstr(shown, FAILURES "\"refused\"} 1\n"));
  assert_non_null(strstr(shown, FAILURES "\"unreachable\"} "));
  free(shown);
  tt_metrics_free(failures);
}

static int note_time(void *context, const char *body, size_t len) {
  fixture *f = context;
  f->asked_us[f->requests] = tti_monotonic_us(&tti_clock_system);
  return f->requests == 0 ? f->requests++, 503 : take(context, body, len);
}

/* The server says when it wants to be asked again. */
static void comes_not_before_retry_after(void **state) {
  fixture *f = *state;
  f->sink->take = note_time;
  f->sink->header = "Retry-After: 1";
  sink_listen(f->sink);
  tt_metrics *m =
      begin(f, (tt_metrics_otlp_options){.push = {.interval_ms = 20}});
  sink_await_requests(f->sink, 2);
  tt_metrics_free(m);
  assert_true(f->asked_us[1] - f->asked_us[0] >= 990000);
}

/* What the server would not have is counted, and not sent again by itself. */
static void counts_partial_success(void **state) {
  fixture *f = *state;
  tt_metrics *failures = NULL;
  char *shown = NULL;
  f->sink->answer = "\x0a\x06\x08\x03\x12\x02no";
  f->sink->answer_len = 8;
  sink_listen(f->sink);
  assert_int_equal(tt_metrics_prometheus_new(&failures), TT_OK);
  tt_metrics_free(
      begin(f, (tt_metrics_otlp_options){
                   .push = {.interval_ms = NEVER_MS, .failures = failures}}));
  assert_int_equal(f->sink->request_count, 1);
  assert_int_equal(tt_metrics_prometheus_render(failures, false, &shown, NULL),
                   TT_OK);
  assert_non_null(strstr(shown, FAILURES "\"rejected\"} 1\n"));
  free(shown);
  tt_metrics_free(failures);
}

static void collect(void *context) {
  tt_metrics *const *m = context;
  tt_metrics_set(*m, TT_METRIC_STORE_QUEUE, 9, NULL, NULL);
}

static void collects_before_it_sends(void **state) {
  fixture *f = *state;
  static tt_metrics *m;
  sink_listen(f->sink);
  m = begin(f, (tt_metrics_otlp_options){.push = {.interval_ms = NEVER_MS,
                                                  .collect = collect,
                                                  .context = &m}});
  tt_metrics_free(m);
  assert_true(find(f, "telltale.store_queue", "")->value == 9);
}

/* A server that never answers does not keep a program from ending, nor does its
 * parent's exporter keep a child. */
static void ends_beside_a_server_that_hangs(void **state) {
  fixture *f = *state;
  int status;
  f->sink->steps[0] = (sink_step){SINK_HANG, 0, NULL};
  f->sink->step_count = 1;
  sink_listen(f->sink);
  tt_metrics *m = begin(f, (tt_metrics_otlp_options){.push = {.interval_ms = 1},
                                                     .timeout_ms = 600000});
  sink_await_requests(f->sink, 1);
  pid_t child = fork_for_test();
  if (child == 0) {
    tt_metrics_add(m, TT_METRIC_EVENTS_RECEIVED, 1, NULL, NULL);
    tt_metrics_free(m);
    _exit(0);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  tt_metrics_free(m);
}

static void says_which_option_is_wrong(void **state) {
  (void)state;
  static const struct {
    tt_metrics_otlp_options options;
    const char *problem;
  } rows[] = {
      {{.endpoint = NULL}, "OTEL_EXPORTER_OTLP_ENDPOINT"},
      {{.endpoint = "ftp://localhost"}, "endpoint"},
      {{.endpoint = "http://a", .headers = "x"}, "headers"},
      {{.endpoint = "http://a", .compression = "zstd"}, "compression"},
      {{.endpoint = "http://a", .timeout_ms = -1}, "timeout_ms"},
      {{.endpoint = "http://a", .push = {.interval_ms = -1}}, "interval_ms"},
      {{.endpoint = "http://a", .push = {.interval_ms = 3600001}},
       "interval_ms"},
  };
  char problem[TELLTALE_PROBLEM_MAX];
  tt_metrics *m = NULL;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    assert_int_equal(tt_metrics_otlp_new(&rows[i].options, problem, &m),
                     TT_EINVAL);
    assert_int_equal(strncmp(problem, rows[i].problem, strlen(rows[i].problem)),
                     0);
  }
  /* Only checked: there is nothing to free, and nothing is sent. */
  assert_int_equal(
      tt_metrics_otlp_new(&(tt_metrics_otlp_options){.endpoint = "http://a"},
                          NULL, NULL),
      TT_OK);
}

/* Of the signal's own variables, not those of logs. */
static void reads_the_environment(void **state) {
  fixture *f = *state;
  char problem[TELLTALE_PROBLEM_MAX];
  char *own = sink_url(f->sink, "/own");
  tt_metrics *m = NULL;
  sink_listen(f->sink);
  setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", own, 1);
  setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://127.0.0.1:1/logs", 1);
  setenv("OTEL_METRIC_EXPORT_INTERVAL", "soon", 1);
  assert_int_equal(tt_metrics_otlp_new(NULL, problem, &m), TT_EINVAL);
  assert_int_equal(strncmp(problem, "OTEL_METRIC_EXPORT_INTERVAL", 27), 0);
  setenv("OTEL_METRIC_EXPORT_INTERVAL", "15", 1);
  assert_int_equal(tt_metrics_otlp_new(NULL, problem, &m), TT_OK);
  sink_await_requests(f->sink, 2);
  tt_metrics_free(m);
  assert_string_equal(f->sink->requests[0].path, "/own");
  unsetenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
  unsetenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT");
  unsetenv("OTEL_METRIC_EXPORT_INTERVAL");
  free(own);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(shows_all_that_was_counted),
      TEST(outlives_a_bad_day_of_the_server),
      TEST(comes_not_before_retry_after),
      TEST(counts_partial_success),
      TEST(collects_before_it_sends),
      TEST(ends_beside_a_server_that_hangs),
      cmocka_unit_test(says_which_option_is_wrong),
      TEST(reads_the_environment),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
