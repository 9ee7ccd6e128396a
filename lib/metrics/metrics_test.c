#include "tests/unit.h"

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

typedef struct lines {
  char text[4096];
  int count;
} lines;

static void keep(void *context, tt_level level, const char *message) {
  lines *l = context;
  (void)level;
  l->count++;
  strncpy(l->text, message, sizeof(l->text) - 1);
}

static void logs_one_line_a_call(void **state) {
  (void)state;
  static lines got;
  tt_log_hook hook = {keep, &got};
  tt_metrics *metrics = NULL;
  assert_int_equal(tt_metrics_log_new(&hook, &metrics), TT_OK);
  tt_metrics_add(metrics, TT_METRIC_EVENTS_RECEIVED, 3, NULL, NULL);
  assert_string_equal(got.text, "[metrics] event=events_received n=3");
  tt_metrics_set(metrics, TT_METRIC_STORE_QUEUE, 2, NULL, NULL);
  assert_string_equal(got.text, "[metrics] gauge=store_queue value=2.00");
  tt_metrics_add(metrics, TT_METRIC_HTTP_REQUESTS, 1, "/events", "2xx");
  assert_string_equal(
      got.text, "[metrics] event=http_requests route=/events status=2xx n=1");
  tt_metrics_add(metrics, TT_METRIC_EVENTS_REJECTED, 1, "a \"b\"\nc", "x");
  assert_string_equal(
      got.text, "[metrics] event=events_rejected reason=\"a \\\"b\\\" c\" n=1");
  assert_int_equal(got.count, 4);
  /* Nothing happened, or not to such an instrument. */
  tt_metrics_add(metrics, TT_METRIC_EVENTS_RECEIVED, 0, NULL, NULL);
  tt_metrics_add(metrics, TT_METRIC_STORE_QUEUE, 1, NULL, NULL);
  tt_metrics_set(metrics, TT_METRIC_EVENTS_RECEIVED, 1, NULL, NULL);
  tt_metrics_add(metrics, TT_METRIC_COUNT, 1, NULL, NULL);
  assert_int_equal(got.count, 4);
  tt_metrics_free(metrics);
}

/* A value as long as it likes makes no line longer than the ceiling, and takes
 * no number away. */
static void cuts_long_values(void **state) {
  (void)state;
  static lines got;
  static char value[5000];
  tt_log_hook hook = {keep, &got};
  tt_metrics *metrics = NULL;
  assert_int_equal(tt_metrics_log_new(&hook, &metrics), TT_OK);
  for (int i = 0; i < 2; i++) {
    memset(value, i ? '"' : 'v', sizeof(value) - 1);
    tt_metrics_add(metrics, TT_METRIC_HTTP_REQUESTS, 17, value, value);
    assert_int_equal(got.count, i + 1);
    assert_true(strlen(got.text) <= 1000);
    assert_string_equal(strrchr(got.text, ' '), " n=17");
  }
  tt_metrics_free(metrics);
}

static void swallows_in_noop(void **state) {
  (void)state;
  tt_metrics *metrics = NULL;
  assert_int_equal(tt_metrics_noop_new(&metrics), TT_OK);
  for (int i = 0; i < 2; i++) {
    tt_metrics_add(metrics, TT_METRIC_EVENTS_RECEIVED, 1, NULL, NULL);
    tt_metrics_set(metrics, TT_METRIC_STORE_QUEUE, 1, NULL, NULL);
    tt_metrics_free(metrics);
    metrics = NULL;
  }
  assert_int_equal(tt_metrics_noop_new(NULL), TT_EINVAL);
  assert_int_equal(tt_metrics_log_new(NULL, &metrics), TT_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_every_instrument),
      cmocka_unit_test(logs_one_line_a_call),
      cmocka_unit_test(cuts_long_values),
      cmocka_unit_test(swallows_in_noop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
