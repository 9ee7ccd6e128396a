#include "tests/unit.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <telltale/metrics.h>

static tt_metrics *backend(void) {
  tt_metrics *metrics = NULL;
  assert_int_equal(tt_metrics_prometheus_new(&metrics), TT_OK);
  return metrics;
}

/* Not inlined: gcc 12 would take the text for the variable that held it. */
__attribute__((noinline)) static char *render(tt_metrics *metrics,
                                              bool openmetrics) {
  char *text = NULL;
  size_t len = 0;
  assert_int_equal(
      tt_metrics_prometheus_render(metrics, openmetrics, &text, &len), TT_OK);
  assert_int_equal(strlen(text), len);
  return text;
}

/* The block of one family: from its HELP to the next one's, or the end. */
static char *family(tt_metrics *metrics, bool openmetrics, const char *name) {
  char *text = render(metrics, openmetrics), start[128];
  snprintf(start, sizeof(start), "# HELP %s ", name);
  char *at = strstr(text, start);
  if (!at) {
    free(text);
    return NULL;
  }
  char *end = strstr(at + 1, "# HELP ");
  if (!end)
    end = strstr(at, "# EOF");
  if (end)
    *end = '\0';
  memmove(text, at, strlen(at) + 1);
  return text;
}

static void assert_family(tt_metrics *metrics, bool openmetrics,
                          const char *name, const char *expected) {
  char *text = family(metrics, openmetrics, name);
  assert_non_null(text);
  assert_string_equal(text, expected);
  free(text);
}

/* Both formats to the letter: a counter, a gauge with a unit, labels sorted. */
static void renders_both_formats(void **state) {
  (void)state;
  tt_metrics *m = backend();
  tt_metrics_add(m, TT_METRIC_EVENTS_RECEIVED, 40, NULL, NULL);
  tt_metrics_add(m, TT_METRIC_EVENTS_RECEIVED, 2, NULL, NULL);
  tt_metrics_set(m, TT_METRIC_STORE_WAL_BYTES, 1, NULL, NULL);
  tt_metrics_set(m, TT_METRIC_STORE_WAL_BYTES, 4128.5, NULL, NULL);
  tt_metrics_add(m, TT_METRIC_HTTP_REQUESTS, 7, "/events", "4xx");
  tt_metrics_add(m, TT_METRIC_HTTP_REQUESTS, 1, "/events", "2xx");
  tt_metrics_add(m, TT_METRIC_HTTP_REQUESTS, 1, "/events", "2xx");
  assert_family(m, false, "telltale_events_received_total",
                "# HELP telltale_events_received_total Events that arrived at "
                "the server and could be counted\n"
                "# TYPE telltale_events_received_total counter\n"
                "telltale_events_received_total 42\n");
  assert_family(m, true, "telltale_events_received",
                "# HELP telltale_events_received Events that arrived at the "
                "server and could be counted\n"
                "# TYPE telltale_events_received counter\n"
                "telltale_events_received_total 42\n");
  assert_family(m, false, "telltale_store_wal_bytes",
                "# HELP telltale_store_wal_bytes Size of the write-ahead log\n"
                "# TYPE telltale_store_wal_bytes gauge\n"
                "telltale_store_wal_bytes 4128.5\n");
  assert_family(m, true, "telltale_store_wal_bytes",
                "# HELP telltale_store_wal_bytes Size of the write-ahead log\n"
                "# TYPE telltale_store_wal_bytes gauge\n"
                "# UNIT telltale_store_wal_bytes bytes\n"
                "telltale_store_wal_bytes 4128.5\n");
  assert_family(
      m, false, "telltale_http_requests_total",
      "# HELP telltale_http_requests_total Requests answered, by route and "
      "status class\n"
      "# TYPE telltale_http_requests_total counter\n"
      "telltale_http_requests_total{route=\"/events\",status=\"2xx\"} 2\n"
      "telltale_http_requests_total{route=\"/events\",status=\"4xx\"} 7\n");
  tt_metrics_free(m);
}

/* Untouched: counters without labels are 0, nothing else is there, and the end
 * mark is OpenMetrics' own. */
static void renders_from_the_start(void **state) {
  (void)state;
  tt_metrics *m = backend();
  char *plain = render(m, false), *open = render(m, true);
  assert_non_null(strstr(plain, "\ntelltale_events_stored_total 0\n"));
  assert_null(strstr(plain, "telltale_events_lost"));
  assert_null(strstr(plain, "telltale_store_queue"));
  assert_null(strstr(plain, "# EOF"));
  assert_null(strstr(open, "\n\n"));
  assert_string_equal(open + strlen(open) - 6, "# EOF\n");
  free(plain);
  free(open);
  tt_metrics_free(m);
}

static void escapes_what_it_must(void **state) {
  (void)state;
  tt_metrics *m = backend();
  tt_metrics_add(m, TT_METRIC_EVENTS_LOST, 1, "a\\b\"c\nd", NULL);
  tt_metrics_add(m, TT_METRIC_EVENTS_LOST, 1, "bad \xc3( \xed\xa0\x80", NULL);
  tt_metrics_add(m, TT_METRIC_EVENTS_LOST, 1, "caf\xc3\xa9", "no label");
  tt_metrics_add(m, TT_METRIC_EVENTS_LOST, 1, NULL, NULL);
  assert_family(m, false, "telltale_events_lost_total",
                "# HELP telltale_events_lost_total Events accepted and then "
                "lost, by reason; 0 by promise under sync\n"
                "# TYPE telltale_events_lost_total counter\n"
                "telltale_events_lost_total{reason=\"\"} 1\n"
                "telltale_events_lost_total{reason=\"a\\\\b\\\"c\\nd\"} 1\n"
                "telltale_events_lost_total{reason=\"bad ?( ???\"} 1\n"
                "telltale_events_lost_total{reason=\"caf\xc3\xa9\"} 1\n");
  tt_metrics_add(m, TT_METRIC_LABELS_OVERFLOW, 1, "x", NULL);
  char *plain = render(m, false), *open = render(m, true);
  assert_non_null(strstr(plain, "folded into \"other\" at"));
  assert_non_null(strstr(open, "folded into \\\"other\\\" at"));
  free(plain);
  free(open);
  tt_metrics_free(m);
}

static void renders_every_double(void **state) {
  (void)state;
  static const struct {
    double value;
    const char *text;
  } rows[] = {
      {0, "0"},           {-1, "-1"},         {1e15, "1000000000000000"},
      {1e300, "1e+300"},  {0.1, "0.1"},       {NAN, "NaN"},
      {INFINITY, "+Inf"}, {-INFINITY, "-Inf"}};
  tt_metrics *m = backend();
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    char want[64];
    tt_metrics_set(m, TT_METRIC_STORE_HEAD, rows[i].value, NULL, NULL);
    char *text = family(m, false, "telltale_store_head");
    snprintf(want, sizeof(want), "\ntelltale_store_head %s", rows[i].text);
    char *at = strstr(text, "\ntelltale_store_head ");
    assert_non_null(at);
    assert_memory_equal(at, want, strlen(want));
    free(text);
  }
  tt_metrics_free(m);
}

static unsigned count_lines(const char *text, const char *start) {
  unsigned count = 0;
  for (const char *at = text; (at = strstr(at, start)); at++)
    count++;
  return count;
}

/* 256 routes; what comes after goes to "other" and is counted, those that are
 * there go on. */
static void folds_what_is_too_many(void **state) {
  (void)state;
  tt_metrics *m = backend();
  char route[32];
  for (int round = 0; round < 2; round++)
    for (int i = 0; i < 300; i++) {
      snprintf(route, sizeof(route), "/r%d", i);
      tt_metrics_add(m, TT_METRIC_HTTP_REQUESTS, 1, route, "2xx");
    }
  tt_metrics_add(m, TT_METRIC_HTTP_REQUESTS, 5, "other", "2xx");
  char *text = render(m, false);
  assert_int_equal(count_lines(text, "\ntelltale_http_requests_total{"), 257);
  assert_non_null(strstr(text, "route=\"/r255\",status=\"2xx\"} 2\n"));
  assert_null(strstr(text, "/r256\""));
  assert_non_null(strstr(text, "route=\"other\",status=\"2xx\"} 93\n"));
  assert_non_null(strstr(text, "telltale_metrics_labels_overflow_total{"
                               "metric=\"http_requests\"} 88\n"));
  free(text);
  tt_metrics_free(m);
}

/* Whatever two labels are made of, so many sets and no more. */
static void folds_sets_that_are_too_many(void **state) {
  (void)state;
  tt_metrics *m = backend();
  char category[32];
  for (int i = 0; i < 2100; i++) {
    snprintf(category, sizeof(category), "c%d", i);
    tt_metrics_add(m, TT_METRIC_SESSION_EVENTS, 1, "published", category);
  }
  char *text = render(m, false);
  assert_int_equal(count_lines(text, "\ntelltale_session_events_total{"), 2001);
  assert_non_null(
      strstr(text, "outcome=\"published\",category=\"c1999\"} 1\n"));
  assert_non_null(strstr(text, "outcome=\"other\",category=\"other\"} 100\n"));
  free(text);
  tt_metrics_free(m);
}

/* Buckets are cumulative, bounds are inclusive, the last one is the count. */
static void renders_histograms(void **state) {
  (void)state;
  static const double values[] = {0.001, 0.005, 0.3, 1, 29, 31, 0.0625};
  tt_metrics *m = backend();
  assert_null(family(m, false, "telltale_webhook_attempt_duration_seconds"));
  for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
    tt_metrics_observe(m, TT_METRIC_WEBHOOK_DURATION, values[i], NULL, NULL);
  tt_metrics_observe(m, TT_METRIC_WEBHOOK_DURATION, NAN, NULL, NULL);
#define DURATION "telltale_webhook_attempt_duration_seconds"
  assert_family(
      m, false, DURATION,
      "# HELP " DURATION " How long an attempt to deliver took\n"
      "# TYPE " DURATION " histogram\n" DURATION
      "_bucket{le=\"0.005\"} 2\n" DURATION "_bucket{le=\"0.01\"} 2\n" DURATION
      "_bucket{le=\"0.025\"} 2\n" DURATION "_bucket{le=\"0.05\"} 2\n" DURATION
      "_bucket{le=\"0.1\"} 3\n" DURATION "_bucket{le=\"0.25\"} 3\n" DURATION
      "_bucket{le=\"0.5\"} 4\n" DURATION "_bucket{le=\"1\"} 5\n" DURATION
      "_bucket{le=\"2.5\"} 5\n" DURATION "_bucket{le=\"5\"} 5\n" DURATION
      "_bucket{le=\"10\"} 5\n" DURATION "_bucket{le=\"30\"} 6\n" DURATION
      "_bucket{le=\"+Inf\"} 7\n" DURATION "_sum 61.3685\n" DURATION
      "_count 7\n");
  char *open = family(m, true, DURATION);
  assert_non_null(strstr(open, "\n# UNIT " DURATION " seconds\n"));
  assert_non_null(strstr(open, "_bucket{le=\"1.0\"} 5\n"));
  assert_non_null(strstr(open, "_bucket{le=\"2.5\"} 5\n"));
  assert_non_null(strstr(open, "_bucket{le=\"+Inf\"} 7\n"));
  free(open);
  tt_metrics_free(m);
}

/* A value is cut, never in the middle of a character. */
static void cuts_long_values(void **state) {
  (void)state;
  tt_metrics *m = backend();
  char value[400];
  memset(value, 'v', sizeof(value));
  memcpy(value + 127, "\xc3\xa9tail", 7);
  tt_metrics_add(m, TT_METRIC_EVENTS_LOST, 1, value, NULL);
  char *text = family(m, false, "telltale_events_lost_total");
  assert_non_null(text);
  assert_null(strstr(text, "\xc3"));
  assert_non_null(strstr(text, "vvv\"} 1\n"));
  free(text);
  tt_metrics_free(m);
}

#define THREADS 4
#define EACH    20000

static void *add_many(void *metrics) {
  char reason[32];
  for (int i = 0; i < EACH; i++) {
    tt_metrics_add(metrics, TT_METRIC_EVENTS_RECEIVED, 3, NULL, NULL);
    tt_metrics_observe(metrics, TT_METRIC_WEBHOOK_DURATION, 0.5, NULL, NULL);
    snprintf(reason, sizeof(reason), "r%d", i % 50);
    tt_metrics_add(metrics, TT_METRIC_EVENTS_REJECTED, 1, reason, NULL);
    tt_metrics_set(metrics, TT_METRIC_STORE_QUEUE, i, NULL, NULL);
    if (i % 5000 == 0) {
      char *text = NULL;
      if (!tt_metrics_prometheus_render(metrics, false, &text, NULL))
        free(text);
    }
  }
  return NULL;
}

/* Whatever the threads do at once, no addition is lost. */
static void sums_exactly(void **state) {
  (void)state;
  tt_metrics *m = backend();
  pthread_t threads[THREADS];
  char want[100];
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, add_many, m), 0);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  char *text = render(m, false);
  snprintf(want, sizeof(want), "\ntelltale_events_received_total %d\n",
           THREADS * EACH * 3);
  assert_non_null(strstr(text, want));
  snprintf(want, sizeof(want),
           "\ntelltale_webhook_attempt_duration_seconds_sum %d\n",
           THREADS * EACH / 2);
  assert_non_null(strstr(text, want));
  for (int i = 0; i < 50; i++) {
    snprintf(want, sizeof(want),
             "\ntelltale_events_rejected_total{reason=\"r%d\"} %d\n", i,
             THREADS * EACH / 50);
    assert_non_null(strstr(text, want));
  }
  assert_int_equal(count_lines(text, "\ntelltale_events_rejected_total{"), 50);
  snprintf(want, sizeof(want), "\ntelltale_store_queue %d\n", EACH - 1);
  assert_non_null(strstr(text, want));
  free(text);
  tt_metrics_free(m);
}

static void renders_only_its_own(void **state) {
  (void)state;
  tt_metrics *noop = NULL;
  char *text = NULL;
  assert_int_equal(tt_metrics_noop_new(&noop), TT_OK);
  assert_int_equal(tt_metrics_prometheus_render(noop, false, &text, NULL),
                   TT_EINVAL);
  assert_int_equal(tt_metrics_prometheus_render(NULL, false, &text, NULL),
                   TT_EINVAL);
  assert_int_equal(tt_metrics_prometheus_new(NULL), TT_EINVAL);
  tt_metrics_free(noop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(renders_both_formats),
      cmocka_unit_test(renders_from_the_start),
      cmocka_unit_test(escapes_what_it_must),
      cmocka_unit_test(renders_every_double),
      cmocka_unit_test(folds_what_is_too_many),
      cmocka_unit_test(folds_sets_that_are_too_many),
      cmocka_unit_test(renders_histograms),
      cmocka_unit_test(cuts_long_values),
      cmocka_unit_test(sums_exactly),
      cmocka_unit_test(renders_only_its_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
