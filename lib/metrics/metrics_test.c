#include "tests/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <telltale/metrics.h>

/* The table's rows are found by id, and each can be shown as it is: names are
 * of the letters that every backend takes. */
static void finds_every_instrument(void **state) {
  (void)state;
  for (unsigned id = 0; id < TT_METRIC_COUNT; id++) {
    const tt_metric_info *info = tt_metric_lookup((tt_metric)id);
    assert_non_null(info);
    assert_int_equal(info->id, id);
    assert_true(strlen(info->name) > 0 && strlen(info->help) > 0);
    assert_int_equal(strspn(info->name, "abcdefghijklmnopqrstuvwxyz_"),
                     strlen(info->name));
    for (unsigned other = 0; other < id; other++)
      assert_string_not_equal(info->name,
                              tt_metric_lookup((tt_metric)other)->name);
  }
  const tt_metric_info *requests = tt_metric_lookup(TT_METRIC_HTTP_REQUESTS);
  assert_string_equal(requests->labels[0], "route");
  assert_string_equal(requests->labels[1], "status");
  assert_null(tt_metric_lookup(TT_METRIC_COUNT));
  assert_null(tt_metric_lookup((tt_metric)-1));
}

/* ---- The log ---- */

typedef struct lines {
  char text[4096];
  int count;
} lines;

static void keep(void *context, tt_level level, const char *message) {
  lines *l = context;
  assert_int_equal(level, TT_LEVEL_INFO);
  l->count++;
  strncpy(l->text, message, sizeof(l->text) - 1);
}

static tt_metrics *log_to(lines *got, const char *const *only, size_t count) {
  tt_metrics *metrics = NULL;
  tt_metrics_log_options options = {{keep, got}, only, count};
  memset(got, 0, sizeof(*got));
  assert_int_equal(tt_metrics_log_new(&options, NULL, &metrics), TT_OK);
  return metrics;
}

static void logs_one_line_a_call(void **state) {
  (void)state;
  static lines got;
  tt_metrics *metrics = log_to(&got, NULL, 0);
  tt_metrics_add(metrics, TT_METRIC_EVENTS_RECEIVED, 3, NULL, NULL);
  assert_string_equal(got.text, "[metrics] event=events_received n=3");
  tt_metrics_set(metrics, TT_METRIC_STORE_QUEUE, 2, NULL, NULL);
  assert_string_equal(got.text, "[metrics] gauge=store_queue value=2.00");
  tt_metrics_observe(metrics, TT_METRIC_WEBHOOK_DURATION, 0.25, NULL, NULL);
  assert_string_equal(
      got.text, "[metrics] histogram=webhook_attempt_duration value=0.25");
  tt_metrics_add(metrics, TT_METRIC_HTTP_REQUESTS, 1, "/events", "2xx");
  assert_string_equal(
      got.text, "[metrics] event=http_requests route=/events status=2xx n=1");
  tt_metrics_add(metrics, TT_METRIC_EVENTS_REJECTED, 1, "a \"b\"\nc", "x");
  assert_string_equal(
      got.text, "[metrics] event=events_rejected reason=\"a \\\"b\\\" c\" n=1");
  assert_int_equal(got.count, 5);
  /* Nothing happened, or not to such an instrument. */
  tt_metrics_add(metrics, TT_METRIC_EVENTS_RECEIVED, 0, NULL, NULL);
  tt_metrics_add(metrics, TT_METRIC_STORE_QUEUE, 1, NULL, NULL);
  tt_metrics_set(metrics, TT_METRIC_EVENTS_RECEIVED, 1, NULL, NULL);
  tt_metrics_observe(metrics, TT_METRIC_EVENTS_RECEIVED, 1, NULL, NULL);
  tt_metrics_add(metrics, TT_METRIC_COUNT, 1, NULL, NULL);
  assert_int_equal(got.count, 5);
  tt_metrics_free(metrics);
}

/* The lines that collectors of the outbox's log already read, to the letter. */
static void logs_the_outbox_as_it_is_known(void **state) {
  (void)state;
  static const struct {
    tt_metric id;
    uint64_t n;
    const char *label, *line;
  } rows[] = {
      {TT_METRIC_OUTBOX_PUBLISHED, 1, "email.sent",
       "[metrics] event=outbox.published type=email.sent"},
      {TT_METRIC_OUTBOX_MATCHED, 3, "email.sent",
       "[metrics] event=outbox.fanout type=email.sent matched=3"},
      {TT_METRIC_OUTBOX_NO_MATCH, 1, "email.sent",
       "[metrics] event=outbox.no_match type=email.sent"},
      {TT_METRIC_OUTBOX_FAILURES, 1, "list_webhooks",
       "[metrics] event=outbox.failure stage=list_webhooks"},
      {TT_METRIC_REDELIVER_REQUESTS, 1, "since",
       "[metrics] event=redeliver.request scope=since"},
      {TT_METRIC_JANITOR_DELETED, 12, "outbox",
       "[metrics] event=janitor.delete table=outbox count=12"},
      {TT_METRIC_NOTIFY_MISSED, 1, NULL, "[metrics] event=notify.missed"},
  };
  static lines got;
  tt_metrics *metrics = log_to(&got, NULL, 0);
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    tt_metrics_add(metrics, rows[i].id, rows[i].n, rows[i].label, NULL);
    assert_string_equal(got.text, rows[i].line);
    assert_int_equal(got.count, i + 1);
  }
  /* An event's line is the one that has the number; a clean-up that removed
   * nothing has none. */
  tt_metrics_add(metrics, TT_METRIC_OUTBOX_FANOUT, 1, "email.sent", NULL);
  tt_metrics_add(metrics, TT_METRIC_JANITOR_DELETED, 0, "outbox", NULL);
  assert_int_equal(got.count, sizeof(rows) / sizeof(rows[0]));
  tt_metrics_free(metrics);
}

static void logs_the_lag_each_minute_or_when_it_matters(void **state) {
  (void)state;
  static lines got;
  tt_metrics *metrics = log_to(&got, NULL, 0);
  for (int i = 1; i <= 150; i++) {
    tt_metrics_set(metrics, TT_METRIC_PUBLISHER_LAG, i == 60 ? 1.5 : 30, NULL,
                   NULL);
    assert_int_equal(got.count, i / 60);
    if (i == 60)
      assert_string_equal(got.text,
                          "[metrics] gauge=publisher.lag_seconds value=1.50");
  }
  tt_metrics_set(metrics, TT_METRIC_PUBLISHER_LAG, 30.01, NULL, NULL);
  tt_metrics_set(metrics, TT_METRIC_PUBLISHER_LAG, 31, NULL, NULL);
  assert_int_equal(got.count, 4);
  tt_metrics_free(metrics);
}

static void logs_only_what_is_asked_for(void **state) {
  (void)state;
  static const char *const only[] = {"outbox_*", "notify_missed"};
  static const char *const wrong[] = {"outbox_*", "outbox_lag"};
  static lines got;
  char problem[TELLTALE_PROBLEM_MAX];
  tt_metrics *metrics = log_to(&got, only, 2), *none = NULL;
  tt_metrics_add(metrics, TT_METRIC_EVENTS_RECEIVED, 1, NULL, NULL);
  tt_metrics_set(metrics, TT_METRIC_STORE_QUEUE, 1, NULL, NULL);
  tt_metrics_add(metrics, TT_METRIC_REDELIVER_REQUESTS, 1, "single", NULL);
  assert_int_equal(got.count, 0);
  tt_metrics_add(metrics, TT_METRIC_OUTBOX_NO_MATCH, 1, "a.b", NULL);
  tt_metrics_add(metrics, TT_METRIC_NOTIFY_MISSED, 1, NULL, NULL);
  assert_int_equal(got.count, 2);
  tt_metrics_free(metrics);
  tt_metrics_log_options options = {{keep, &got}, wrong, 2};
  assert_int_equal(tt_metrics_log_new(&options, problem, &none), TT_EINVAL);
  assert_non_null(strstr(problem, "outbox_lag"));
}

/* A value as long as it likes makes no line longer than the ceiling, and takes
 * no number away. */
static void cuts_long_values(void **state) {
  (void)state;
  static lines got;
  static char value[5000];
  tt_metrics *metrics = log_to(&got, NULL, 0);
  for (int i = 0; i < 2; i++) {
    memset(value, i ? '"' : 'v', sizeof(value) - 1);
    tt_metrics_add(metrics, TT_METRIC_HTTP_REQUESTS, 17, value, value);
    assert_int_equal(got.count, i + 1);
    assert_true(strlen(got.text) <= 1000);
    assert_string_equal(strrchr(got.text, ' '), " n=17");
  }
  tt_metrics_free(metrics);
}

/* ---- Backends of a program's own ---- */

/* One that was built when the table ended with TT_METRIC_SINK_FAILING. */
enum { OLD_COUNT = TT_METRIC_SINK_FAILING + 1 };
typedef struct old_backend {
  uint64_t counts[OLD_COUNT];
  unsigned ignored;
  bool freed;
  char last[300];
} old_backend;

static void old_add(void *self, tt_metric id, uint64_t n, const char *label_a,
                    const char *label_b) {
  old_backend *old = self;
  if ((unsigned)id >= OLD_COUNT) {
    old->ignored++;
    return;
  }
  old->counts[id] += n;
  snprintf(old->last, sizeof(old->last), "%s/%s", label_a ? label_a : "-",
           label_b ? label_b : "-");
}

static void old_free(void *self) {
  old_backend *old = self;
  old->freed = true;
}

static const tt_metrics_ops old_ops = {
    .version = 1, .add = old_add, .free = old_free};

/* It gets what it knows, can ignore what is newer than itself, and need not
 * have every function. */
static void takes_a_backend_built_against_an_older_table(void **state) {
  (void)state;
  static old_backend old;
  tt_metrics *metrics = NULL;
  assert_int_equal(tt_metrics_new(&old_ops, &old, &metrics), TT_OK);
  tt_metrics_add(metrics, TT_METRIC_EVENTS_RECEIVED, 2, "none", "none");
  assert_string_equal(old.last, "-/-");
  tt_metrics_add(metrics, TT_METRIC_SESSION_EVENTS, 1, "published", "page");
  assert_string_equal(old.last, "published/page");
  tt_metrics_set(metrics, TT_METRIC_STORE_QUEUE, 1, NULL, NULL);
  tt_metrics_observe(metrics, TT_METRIC_WEBHOOK_DURATION, 1, NULL, NULL);
  assert_int_equal(old.ignored, 0);
  for (unsigned id = OLD_COUNT; id < TT_METRIC_COUNT; id++) {
    tt_metrics_add(metrics, (tt_metric)id, 1, NULL, NULL);
    tt_metrics_set(metrics, (tt_metric)id, 1, NULL, NULL);
    tt_metrics_observe(metrics, (tt_metric)id, 1, NULL, NULL);
  }
  assert_true(old.ignored > 0);
  assert_int_equal(old.counts[TT_METRIC_EVENTS_RECEIVED], 2);
  assert_false(old.freed);
  tt_metrics_free(metrics);
  assert_true(old.freed);
}

/* The other way round: an instrument that only the caller's table has. */
static void ignores_instruments_of_a_newer_table(void **state) {
  (void)state;
  tt_metrics *all[3] = {NULL}, *metrics = NULL;
  static lines got;
  char *before = NULL, *after = NULL;
  assert_int_equal(tt_metrics_prometheus_new(&all[0]), TT_OK);
  all[1] = log_to(&got, NULL, 0);
  assert_int_equal(tt_metrics_tee_new(all, 3, &metrics), TT_OK);
  assert_int_equal(tt_metrics_prometheus_render(all[0], false, &before, NULL),
                   TT_OK);
  for (unsigned id = TT_METRIC_COUNT; id < TT_METRIC_COUNT + 5u; id++) {
    tt_metrics_add(metrics, (tt_metric)id, 1, "a", "b");
    tt_metrics_set(metrics, (tt_metric)id, 1, "a", "b");
    tt_metrics_observe(metrics, (tt_metric)id, 1, "a", "b");
  }
  assert_int_equal(tt_metrics_prometheus_render(all[0], false, &after, NULL),
                   TT_OK);
  assert_string_equal(before, after);
  assert_int_equal(got.count, 0);
  free(before);
  free(after);
  tt_metrics_free(metrics);
}

/* What a backend sees keeps to the ceilings, whoever wrote it. */
static void holds_every_backend_to_the_ceilings(void **state) {
  (void)state;
  static old_backend old;
  static lines got;
  static const char *const only[] = {"outbox_*"};
  char value[32];
  tt_metrics *all[2] = {NULL}, *metrics = NULL;
  assert_int_equal(tt_metrics_new(&old_ops, &old, &all[0]), TT_OK);
  all[1] = log_to(&got, only, 1);
  assert_int_equal(tt_metrics_tee_new(all, 2, &metrics), TT_OK);
  for (int i = 0; i < 300; i++) {
    snprintf(value, sizeof(value), "/r%d", i);
    tt_metrics_add(metrics, TT_METRIC_HTTP_REQUESTS, 1, value, "2xx");
    assert_string_equal(strrchr(old.last, '/'), "/2xx");
    assert_int_equal(strncmp(old.last, "other", 5) == 0, i >= 256);
    snprintf(value, sizeof(value), "t%d", i);
    tt_metrics_add(metrics, TT_METRIC_OUTBOX_PUBLISHED, 1, value, NULL);
    assert_int_equal(strstr(got.text, "type=other") != NULL, i >= 64);
  }
  assert_int_equal(old.counts[TT_METRIC_LABELS_OVERFLOW], 300 - 256 + 300 - 64);
  /* A label with a list of values has no others. */
  tt_metrics_add(metrics, TT_METRIC_OUTBOX_FAILURES, 1, "lease", NULL);
  assert_string_equal(got.text, "[metrics] event=outbox.failure stage=lease");
  tt_metrics_add(metrics, TT_METRIC_OUTBOX_FAILURES, 1, "leas", NULL);
  assert_string_equal(got.text, "[metrics] event=outbox.failure stage=other");
  tt_metrics_free(metrics);
}

static void swallows_in_noop(void **state) {
  (void)state;
  tt_metrics *metrics = NULL, *tee = NULL;
  assert_int_equal(tt_metrics_noop_new(&metrics), TT_OK);
  for (int i = 0; i < 2; i++) {
    tt_metrics_add(metrics, TT_METRIC_EVENTS_RECEIVED, 1, NULL, NULL);
    tt_metrics_set(metrics, TT_METRIC_STORE_QUEUE, 1, NULL, NULL);
    tt_metrics_observe(metrics, TT_METRIC_WEBHOOK_DURATION, 1, NULL, NULL);
    tt_metrics_free(metrics);
    metrics = NULL;
  }
  tt_metrics_ops newer = {.version = 2};
  tt_metrics_log_options nowhere = {.only = NULL};
  assert_int_equal(tt_metrics_noop_new(NULL), TT_EINVAL);
  assert_int_equal(tt_metrics_log_new(NULL, NULL, &metrics), TT_EINVAL);
  assert_int_equal(tt_metrics_log_new(&nowhere, NULL, &metrics), TT_EINVAL);
  assert_int_equal(tt_metrics_new(&newer, NULL, &metrics), TT_EINVAL);
  assert_int_equal(tt_metrics_noop_new(&metrics), TT_OK);
  tt_metrics *twice[] = {metrics, metrics};
  assert_int_equal(tt_metrics_tee_new(twice, 2, &tee), TT_EINVAL);
  tt_metrics_free(metrics);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_every_instrument),
      cmocka_unit_test(logs_one_line_a_call),
      cmocka_unit_test(logs_the_outbox_as_it_is_known),
      cmocka_unit_test(logs_the_lag_each_minute_or_when_it_matters),
      cmocka_unit_test(logs_only_what_is_asked_for),
      cmocka_unit_test(cuts_long_values),
      cmocka_unit_test(takes_a_backend_built_against_an_older_table),
      cmocka_unit_test(ignores_instruments_of_a_newer_table),
      cmocka_unit_test(holds_every_backend_to_the_ceilings),
      cmocka_unit_test(swallows_in_noop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
