/* What every store promises: updates of the fleet are added up, each once. */
#include "tests/contract/support/store.h"

#include "server/fleet/follow.h"
#include "server/testing/fault.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define HOUR  INT64_C(3600000000)
#define BEGIN (500000 * HOUR)

/* Some updates that come in one job, each an hour after the one before. */
typedef struct told {
  waited w;
  int count;
  int64_t first_us;
  const char *data;   /* after the member "i", its place */
  const char *fields; /* of the instance; each update has one of its own */
} told;

static tt_error put(store_job *job, store_tx *tx) {
  const told *t = (const told *)job;
  tt_error error = TT_OK;
  for (int i = 0; i < t->count && !error; i++) {
    char id[200], data[400];
    snprintf(id, sizeof id, "%s-%lld-%d", t->fields, (long long)t->first_us, i);
    snprintf(data, sizeof data, "{\"i\":%d%s}", i, t->data);
    sqlite3_stmt *stmt = tx_prepare(
        tx, "INSERT INTO fleet_instances(id, first_us, last_us, expect_next_us,"
            " ended, updates, skewed, fields, keys)"
            " VALUES(?1, 1, 1, 0, 0, 1, 0, ?2, x'')");
    tx_bind_text(stmt, 1, id);
    tx_bind_text(stmt, 2, t->fields);
    error = tx_run(tx, stmt);
    stmt = tx_prepare(
        tx, "INSERT INTO fleet_updates(instance_n, received_us, expect_next_us,"
            " data) VALUES(?1, ?2, 0, ?3)");
    tx_bind_int(stmt, 1, tx_last_rowid(tx));
    tx_bind_int(stmt, 2, t->first_us + i * HOUR);
    tx_bind_text(stmt, 3, data);
    error = error ? error : tx_run(tx, stmt);
  }
  return error;
}

static void tell(fixture *f, int count, int64_t first_us, const char *data,
                 const char *fields) {
  told t = {.w.job = {.kind = STORE_JOB_RUN, .run = put},
            .count = count,
            .first_us = first_us,
            .data = data,
            .fields = fields};
  assert_int_equal(run(f, &t.w), TT_OK);
  assert_int_equal(t.w.job.verdict, STORE_OK);
}

/* ---- What was added up ---- */

typedef struct question {
  waited_read r;
  const char *key, *dimension, *value; /* value NULL: "other" */
  fleet_span span;
  fleet_aggregate sum;
  size_t buckets;
  int64_t behind;
} question;

static tt_error add_up(store_read *read, store_tx *tx) {
  question *q = (question *)read;
  int64_t found[300];
  size_t count = 0;
  fleet_series series;
  fleet_bucket bucket;
  sqlite3_stmt *stmt =
      fleet_series_of(tx, tti_slice_of(q->key), tti_slice_of(q->dimension));
  while (fleet_series_next(tx, stmt, &series))
    if (q->value ? !series.other &&
                       tti_slice_eq(series.value, tti_slice_of(q->value))
                 : series.other)
      found[count++] = series.n;
  tx_end(tx, stmt);
  for (size_t i = 0; i < count; i++) {
    stmt = fleet_buckets(tx, found[i], q->span, 0, INT32_MAX);
    while (fleet_buckets_next(tx, stmt, &bucket)) {
      assert_int_equal(fleet_aggregate_read(&q->sum, &bucket), TT_OK);
      q->buckets++;
    }
    tx_end(tx, stmt);
  }
  assert_int_equal(fleet_shards_behind(tx, &q->behind), TT_OK);
  return TT_OK;
}

static void ask(fixture *f, question *q) {
  q->r.read.run = add_up;
  assert_int_equal(try_read(f, &q->r), TT_OK);
}

/* Sums of `key` in days, once all updates are in. */
static question settled(fixture *f, const char *key, const char *dimension,
                        const char *value, fleet_span span) {
  for (int tries = 0; tries < 3000; tries++) {
    question q = {
        .key = key, .dimension = dimension, .value = value, .span = span};
    ask(f, &q);
    if (!q.behind)
      return q;
    fleet_aggregate_fini(&q.sum);
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
  }
  fail_msg("the aggregates stay behind");
  return (question){0};
}

static void assert_sums(fixture *f, const char *key, const char *dimension,
                        const char *value, uint64_t updates, double sum) {
  for (int span = FLEET_HOURS; span <= FLEET_DAYS; span++) {
    question q = settled(f, key, dimension, value, (fleet_span)span);
    assert_int_equal(q.sum.updates, updates);
    assert_int_equal(fleet_distinct_count(&q.sum.instances), updates);
    assert_true(q.sum.sum == sum);
    fleet_aggregate_fini(&q.sum);
  }
}

static char version[] = "version", os[] = "os";

static fleet_follow *start(fixture *f) {
  char *dimensions[] = {version, os, NULL};
  fleet_follow *follow;
  assert_int_equal(
      fleet_follow_new(
          &(fleet_follow_options){.store = f->store, .dimensions = dimensions},
          &follow),
      TT_OK);
  return follow;
}

/* ---- Promises ---- */

static void updates_are_added_up_by_key_and_dimension(void **state) {
  fixture *f = *state;
  fleet_follow *follow = start(f);
  tell(f, 100, BEGIN, ",\"mode\": \"fast\", \"m\": {\"x\": 2}",
       "{\"version\":\"1.0\",\"os\":\"linux\"}");
  tell(f, 50, BEGIN, ",\"mode\": \"slow\"", "{\"version\":\"2.0\"}");
  fleet_follow_wake(follow);
  assert_sums(f, "", "", "", 150, 0);
  assert_sums(f, "i", "", "", 150, 4950 + 1225);
  assert_sums(f, "i", "version", "1.0", 100, 4950);
  assert_sums(f, "i", "os", "linux", 100, 4950);
  assert_sums(f, "", "version", "2.0", 50, 0);
  assert_sums(f, "m.x", "", "", 100, 200);
  question q = settled(f, "mode", "", "", FLEET_DAYS);
  assert_int_equal(q.sum.values.count, 2);
  assert_int_equal(q.sum.values.items[0].count, 100);
  assert_int_equal(q.buckets, 5);
  fleet_aggregate_fini(&q.sum);
  fleet_follow_free(follow);
}

static void a_new_life_goes_on_where_the_last_one_ended(void **state) {
  fixture *f = *state;
  fleet_follow *follow = start(f);
  tell(f, 10, BEGIN, ",\"n\": 1", "{\"version\":\"1.0\"}");
  fleet_follow_wake(follow);
  assert_sums(f, "n", "", "", 10, 10);
  fleet_follow_free(follow);
  tell(f, 10, BEGIN + HOUR, ",\"n\": 1", "{\"version\":\"1.0\"}");
  follow = start(f); /* nobody wakes it */
  assert_sums(f, "n", "", "", 20, 20);
  assert_sums(f, "i", "version", "1.0", 20, 90);
  fleet_follow_free(follow);
}

/* Some shards are further than others, as after a kill between two jobs. */
static void what_was_added_halfway_is_not_added_again(void **state) {
  fixture *f = *state;
  tell(f, 60, BEGIN, ",\"n\": 1, \"a\": 2, \"b\": 3, \"c\": 4",
       "{\"version\":\"1.0\",\"os\":\"linux\"}");
  fault_set("fleet.portion", EIO, 6, 1000000);
  fleet_follow *follow = start(f);
  for (int tries = 0; tries < 1000 && fault_hits("fleet.portion") < 8; tries++)
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
  assert_true(fault_hits("fleet.portion") >= 8);
  fault_clear();
  fleet_follow_free(follow);
  tell(f, 5, BEGIN, ",\"n\": 1, \"a\": 2", "{\"os\":\"mac\"}");
  follow = start(f);
  assert_sums(f, "n", "", "", 65, 65);
  assert_sums(f, "a", "version", "1.0", 60, 120);
  assert_sums(f, "a", "", "", 65, 130);
  assert_sums(f, "b", "os", "linux", 60, 180);
  assert_sums(f, "c", "", "", 60, 240);
  assert_sums(f, "i", "", "", 65, 1770 + 10);
  fleet_follow_free(follow);
}

static void values_beyond_the_ceiling_are_added_up_as_other(void **state) {
  fixture *f = *state;
  tt_metrics *metrics;
  fleet_follow *follow;
  char *dimensions[] = {version, NULL};
  assert_int_equal(tt_metrics_prometheus_new(&metrics), TT_OK);
  fleet_follow_options options = {
      .store = f->store, .dimensions = dimensions, .metrics = metrics};
  assert_int_equal(fleet_follow_new(&options, &follow), TT_OK);
  for (int i = 0; i < FLEET_DIMENSION_VALUES_MAX + 30; i++) {
    char fields[60];
    snprintf(fields, sizeof fields, "{\"version\":\"1.%d\"}", i);
    tell(f, 1, BEGIN, ",\"n\": 3", fields);
  }
  fleet_follow_wake(follow);
  assert_sums(f, "n", "", "", FLEET_DIMENSION_VALUES_MAX + 30, 3 * 230);
  assert_sums(f, "n", "version", NULL, 30, 90);
  /* Its thread counts once the sums are there. */
  fleet_follow_free(follow);
  char *text;
  assert_int_equal(tt_metrics_prometheus_render(metrics, false, &text, NULL),
                   TT_OK);
  /* Of n, of i, and of the updates themselves. */
  assert_non_null(strstr(text, "fleet_aggregate_overflow_total 90\n"));
  free(text);
  tt_metrics_free(metrics);
}

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test(updates_are_added_up_by_key_and_dimension),
      cmocka_unit_test(a_new_life_goes_on_where_the_last_one_ended),
      cmocka_unit_test(what_was_added_halfway_is_not_added_again),
      cmocka_unit_test(values_beyond_the_ceiling_are_added_up_as_other),
  };
  return store_contract(cases, sizeof cases / sizeof *cases);
}
