#include "server/outbox/internal.h"

#include "server/io/clock.h"
#include "server/store/tables/deliveries.h"
#include "server/store/tables/webhooks.h"
#include "server/testing/clock.h"
#include "server/testing/fault.h"
#include "tests/unit.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>

/* The thread is not run: what it does is called here. On a store in memory,
 * which answers at once. */
typedef struct fixture {
  store *store;
  outbox *outbox;
  tt_metrics *metrics;
  int wakes; /* of the deliverer */
} fixture;

static void on_deliver(void *context) {
  ((fixture *)context)->wakes++;
}

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  store_options options = {0};
  tti_buf error;
  tti_buf_init(&error, 1024);
  assert_int_equal(store_memory_open(&options, &error, &f->store), TT_OK);
  tti_buf_fini(&error);
  assert_int_equal(tt_metrics_prometheus_new(&f->metrics), TT_OK);
  outbox_options wanted = {.store = f->store,
                           .metrics = f->metrics,
                           .deliver = on_deliver,
                           .deliver_context = f};
  assert_int_equal(outbox_new(&wanted, &f->outbox), TT_OK);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  fault_clear();
  outbox_free(f->outbox);
  store_close(f->store, 1000);
  tt_metrics_free(f->metrics);
  free(f);
  return 0;
}

/* ---- What is in the tables ---- */

typedef struct question {
  const char *sql;
  int64_t number;
  char text[2048];
  sem_t answered;
} question;

static void ignore(store_job *job) {
  (void)job;
}

static void on_read(store_read *read) {
  sem_post(&((question *)read->owner)->answered);
}

static tt_error ask_first(store_read *read, store_tx *tx) {
  question *q = read->owner;
  sqlite3_stmt *stmt = tx_prepare(tx, q->sql);
  if (tx_step(tx, stmt)) {
    tti_slice text = column_blob(stmt, 0);
    snprintf(q->text, sizeof q->text, "%.*s", (int)text.len,
             text.ptr ? text.ptr : "");
    q->number = sqlite3_column_int64(stmt, 0);
  }
  return tx_end(tx, stmt);
}

static question ask(fixture *f, const char *sql) {
  question q = {.sql = sql};
  store_read read = {.run = ask_first, .done = on_read, .owner = &q};
  sem_init(&q.answered, 0, 0);
  assert_int_equal(store_read_submit(f->store, &read), TT_OK);
  while (sem_wait(&q.answered) != 0)
    ;
  sem_destroy(&q.answered);
  assert_int_equal(read.error, TT_OK);
  return q;
}

static tt_error run_text(store_job *job, store_tx *tx) {
  return tx_run(tx, tx_prepare(tx, job->owner));
}

static void change(fixture *f, const char *sql) {
  store_job job = {.kind = STORE_JOB_RUN, .run = run_text, .done = ignore};
  job.owner = (void *)(uintptr_t)sql;
  assert_int_equal(store_submit(f->store, &job), TT_OK);
  assert_int_equal(job.verdict, STORE_OK);
}

static void add_webhook(fixture *f, const char *id, const char *events) {
  char sql[400];
  static char kept[64][400]; /* a statement's text must stay */
  static unsigned next;
  snprintf(sql, sizeof sql,
           "INSERT INTO webhooks(id, url, events, format, ordered, secret,"
           " enabled, created_us, updated_us)"
           " VALUES('%s', 'https://x', '[\"%s\"]', 'standard', 0, '', 1, 1, 1)",
           id, events);
  strcpy(kept[next], sql);
  change(f, kept[next++]);
  outbox_webhooks_changed(f->outbox);
}

#define PUBLISH(id, type)                                                      \
  "INSERT INTO outbox(id, type, body, next_poll_us, created_us, expires_us)"   \
  " VALUES('" id "', '" type "', '{}', 1, 1, 2)"

static double counted(fixture *f, const char *line) {
  char *text;
  double value = 0;
  assert_int_equal(tt_metrics_prometheus_render(f->metrics, false, &text, NULL),
                   TT_OK);
  char head[120];
  snprintf(head, sizeof head, "\n%s ", line);
  const char *at = strstr(text, head);
  if (at)
    sscanf(at + strlen(head), "%lf", &value);
  free(text);
  return value;
}

/* ---- Promises ---- */

static void an_event_gets_a_delivery_for_each_webhook(void **state) {
  fixture *f = *state;
  add_webhook(f, "wh_2", "order.*");
  add_webhook(f, "wh_1", "*");
  add_webhook(f, "wh_3", "refund");
  change(f, PUBLISH("evt_1", "order.paid"));
  outbox_drain(f->outbox, true);
  assert_string_equal(ask(f, "SELECT group_concat(webhook_id || event_id ||"
                             " event_type || status, ' ') FROM (SELECT * FROM"
                             " deliveries ORDER BY webhook_id)")
                          .text,
                      "wh_1evt_1order.paid0 wh_2evt_1order.paid0");
  assert_string_equal(
      ask(f, "SELECT status || matched || matched_count FROM outbox").text,
      "1[\"wh_1\",\"wh_2\"]2");
  assert_int_equal(f->wakes, 1);
  assert_true(counted(f, "telltale_outbox_events_fanout_total"
                         "{type=\"order.paid\"}") == 1);
  assert_true(counted(f, "telltale_outbox_fanout_matched_total"
                         "{type=\"order.paid\"}") == 2);
  assert_true(counted(f, "telltale_notify_missed_total") == 0);
}

static void what_nobody_wants_is_no_match(void **state) {
  fixture *f = *state;
  add_webhook(f, "wh_1", "refund");
  change(f, PUBLISH("evt_1", "order.paid"));
  outbox_drain(f->outbox, true);
  assert_string_equal(
      ask(f, "SELECT status || matched || matched_count FROM outbox").text,
      "2[]0");
  assert_int_equal(f->wakes, 0);
  assert_true(counted(f, "telltale_outbox_events_no_match_total"
                         "{type=\"order.paid\"}") == 1);
}

static void a_webhook_is_met_from_its_answer_on(void **state) {
  fixture *f = *state;
  change(f, PUBLISH("evt_1", "a"));
  outbox_drain(f->outbox, true);
  add_webhook(f, "wh_1", "a");
  change(f, PUBLISH("evt_2", "a"));
  outbox_drain(f->outbox, true);
  change(f, "UPDATE webhooks SET enabled = 0");
  outbox_webhooks_changed(f->outbox);
  change(f, PUBLISH("evt_3", "a"));
  outbox_drain(f->outbox, true);
  assert_string_equal(
      ask(f, "SELECT group_concat(event_id) FROM deliveries").text, "evt_2");
  assert_string_equal(ask(f, "SELECT group_concat(status, '') FROM (SELECT *"
                             " FROM outbox ORDER BY n)")
                          .text,
                      "212");
}

/* One that went after it was matched: the table has the last word. */
static void a_webhook_that_went_gets_nothing(void **state) {
  fixture *f = *state;
  add_webhook(f, "wh_1", "a");
  add_webhook(f, "wh_2", "a");
  change(f, PUBLISH("evt_1", "b"));
  outbox_drain(f->outbox, true);
  change(f, "DELETE FROM webhooks WHERE id = 'wh_1'");
  change(f, PUBLISH("evt_2", "a"));
  outbox_drain(f->outbox, true);
  assert_string_equal(ask(f, "SELECT matched FROM outbox WHERE n = 2").text,
                      "[\"wh_2\"]");
}

static void many_matches_go_on_in_further_jobs(void **state) {
  fixture *f = *state;
  change(f,
         "INSERT INTO webhooks(id, url, events, format, ordered, secret,"
         " enabled, created_us, updated_us) SELECT printf('wh_%04d', value),"
         " 'https://x', '[\"*\"]', 'standard', 0, '', 1, 1, 1"
         " FROM (WITH RECURSIVE c(value) AS (SELECT 1 UNION ALL"
         " SELECT value + 1 FROM c WHERE value < 1200) SELECT value FROM c)");
  change(f, PUBLISH("evt_1", "a"));
  change(f, PUBLISH("evt_2", "a"));
  outbox_drain(f->outbox, true);
  assert_int_equal(ask(f, "SELECT count(*) FROM deliveries").number, 2400);
  question q =
      ask(f, "SELECT matched_count || ' ' || json_array_length(matched)"
             " FROM outbox WHERE n = 2 AND status = 1");
  assert_string_equal(q.text, "1200 50");
  assert_true(f->wakes > 2);
}

static void a_failure_is_tried_again_after_a_minute(void **state) {
  static const char *const stages[] = {"list_webhooks", "insert_delivery",
                                       "update_status"};
  fixture *f = *state;
  add_webhook(f, "wh_1", "a");
  for (unsigned i = 0; i < 3; i++) {
    char point[64], line[100];
    int64_t began_us = server_wall_us();
    snprintf(point, sizeof point, "outbox.%s", stages[i]);
    snprintf(line, sizeof line, "telltale_outbox_failures_total{stage=\"%s\"}",
             stages[i]);
    fault_set(point, EIO, 0, 1);
    if (i == 0)
      change(f, PUBLISH("evt_1", "a"));
    outbox_webhooks_changed(f->outbox);
    outbox_drain(f->outbox, true);
    assert_true(counted(f, line) == 1);
    question q = ask(f, "SELECT status || ' ' || attempts || ' ' || last_error"
                        " FROM outbox");
    char expected[100];
    snprintf(expected, sizeof expected, "0 %u %s: ", i + 1, stages[i]);
    assert_memory_equal(q.text, expected, strlen(expected));
    assert_int_equal(ask(f, "SELECT count(*) FROM deliveries").number, 0);
    assert_true(ask(f, "SELECT next_poll_us FROM outbox").number >
                began_us + POSTPONE_US - 1);
    outbox_drain(f->outbox, true); /* not due */
    assert_int_equal(ask(f, "SELECT attempts FROM outbox").number, i + 1);
    testing_clock_advance_us(POSTPONE_US);
  }
  outbox_drain(f->outbox, false);
  assert_int_equal(ask(f, "SELECT status FROM outbox").number, 1);
  assert_int_equal(ask(f, "SELECT count(*) FROM deliveries").number, 1);
  /* The poll that came for it had nothing to be told of. */
  assert_true(counted(f, "telltale_notify_missed_total") == 0);
}

static void one_bad_event_holds_up_no_other(void **state) {
  fixture *f = *state;
  add_webhook(f, "wh_1", "a");
  change(f, PUBLISH("evt_1", "a"));
  change(f, PUBLISH("evt_2", "a"));
  fault_set("outbox.insert_delivery", EIO, 0, 1);
  outbox_drain(f->outbox, true);
  assert_string_equal(
      ask(f, "SELECT group_concat(event_id) FROM deliveries").text, "evt_2");
}

static void a_batch_that_cannot_be_read_stays(void **state) {
  fixture *f = *state;
  add_webhook(f, "wh_1", "a");
  change(f, PUBLISH("evt_1", "a"));
  fault_set("outbox.lease", EIO, 0, 1);
  outbox_drain(f->outbox, true);
  assert_true(counted(f, "telltale_outbox_failures_total{stage=\"lease\"}") ==
              1);
  outbox_drain(f->outbox, false);
  assert_true(counted(f, "telltale_notify_missed_total") == 1);
  assert_int_equal(ask(f, "SELECT status FROM outbox").number, 1);
}

static void the_lag_is_that_of_the_oldest(void **state) {
  fixture *f = *state;
  outbox_drain(f->outbox, true);
  assert_true(counted(f, "telltale_publisher_lag_seconds") == 0);
  change(f, PUBLISH("evt_1", "a"));
  f->outbox->gauge_us = 0;
  outbox_drain(f->outbox, true);
  /* Created in the first second of 1970. */
  double now_s = (double)server_wall_us() / 1e6;
  double lag_s = counted(f, "telltale_publisher_lag_seconds");
  assert_true(lag_s > 1e9 && lag_s <= now_s);
}

static void the_thread_does_it_when_it_is_woken(void **state) {
  fixture *f = *state;
  add_webhook(f, "wh_1", "a");
  change(f, PUBLISH("evt_1", "a"));
  assert_int_equal(outbox_start(f->outbox), TT_OK);
  outbox_wake(f->outbox);
  assert_true(outbox_stop(f->outbox, 60000));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest cases[] = {
      CASE(an_event_gets_a_delivery_for_each_webhook),
      CASE(what_nobody_wants_is_no_match),
      CASE(a_webhook_is_met_from_its_answer_on),
      CASE(a_webhook_that_went_gets_nothing),
      CASE(many_matches_go_on_in_further_jobs),
      CASE(a_failure_is_tried_again_after_a_minute),
      CASE(one_bad_event_holds_up_no_other),
      CASE(a_batch_that_cannot_be_read_stays),
      CASE(the_lag_is_that_of_the_oldest),
      CASE(the_thread_does_it_when_it_is_woken),
  };
  return cmocka_run_group_tests(cases, NULL, NULL);
}
