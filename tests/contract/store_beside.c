/* What every store promises: the tables beside the log. */
#include "tests/contract/support/store.h"

#include "server/store/tables/tables.h"
#include "tests/contract/records.h"

/* What a job or a read below is about. */
typedef struct subject {
  const char *id;
  const char *url;
  tt_error result;
  bool refuses;
  int64_t count;
  char found[64];
  uint64_t seq;
} subject;

static tt_error put(store_job *job, store_tx *tx) {
  subject *s = job->owner;
  sqlite3_stmt *stmt = tx_prepare(
      tx, "INSERT INTO webhooks(id, url, events, format, ordered, secret,"
          " enabled, created_us, updated_us)"
          " VALUES(?1, ?2, '[]', 'standard', 0, '', 1, 1, 1)");
  tx_bind_text(stmt, 1, s->id);
  tx_bind_text(stmt, 2, s->url);
  tt_error error = tx_run(tx, stmt);
  s->seq = job->first_seq;
  if (job->kind == STORE_JOB_RUN && !error) {
    job->first_seq = 77;
    job->count = 1;
  }
  if (s->refuses)
    job->verdict = STORE_EXISTS;
  return error ? error : s->result;
}

static tt_error get(store_read *read, store_tx *tx) {
  subject *s = read->owner;
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT count(*), max(url) FROM webhooks WHERE id = ?1");
  tx_bind_text(stmt, 1, s->id);
  if (tx_step(tx, stmt)) {
    s->count = sqlite3_column_int64(stmt, 0);
    tti_slice url = column_blob(stmt, 1);
    memcpy(s->found, url.ptr ? url.ptr : "", url.len);
    s->found[url.len] = '\0';
  }
  tt_error error = tx_end(tx, stmt);
  return error ? error : s->result;
}

static store_verdict change(fixture *f, subject *s, const char *key,
                            char body) {
  waited w = {.job = {.kind = STORE_JOB_RUN, .run = put}};
  w.job.owner = s;
  if (key)
    w.job.key = (store_key){.scope = TTI_SLICE("t"), .key = tti_slice_of(key)};
  memset(w.job.key.body_sha256, body, 32);
  assert_int_equal(run(f, &w), TT_OK);
  if (w.job.verdict == STORE_REPLAYED)
    assert_int_equal(w.job.first_seq, 77);
  return w.job.verdict;
}

static tt_error look(fixture *f, subject *s) {
  waited_read r = {.read = {.run = get, .owner = s}};
  return try_read(f, &r);
}

static int64_t count_of(fixture *f, const char *id) {
  subject s = {.id = id};
  assert_int_equal(look(f, &s), TT_OK);
  return s.count;
}

static void a_change_is_there_for_reads(void **state) {
  fixture *f = *state;
  subject s = {.id = "wh_1", .url = "https://one"};
  assert_int_equal(change(f, &s, NULL, 0), STORE_OK);
  if (f->impl->persists) {
    close_store(f);
    assert_int_equal(open_again(f), TT_OK);
  }
  subject seen = {.id = "wh_1"};
  assert_int_equal(look(f, &seen), TT_OK);
  assert_int_equal(seen.count, 1);
  assert_string_equal(seen.found, "https://one");
  seen.result = TT_ENOTFOUND;
  assert_int_equal(look(f, &seen), TT_ENOTFOUND);
}

static void what_fails_is_undone_alone(void **state) {
  fixture *f = *state;
  subject good = {.id = "wh_1", .url = "u"};
  subject bad = {.id = "wh_2", .url = "u", .result = TT_EINVAL};
  subject refused = {
      .id = "wh_3", .url = "u", .result = TT_EINVAL, .refuses = true};
  assert_int_equal(change(f, &good, NULL, 0), STORE_OK);
  assert_int_equal(change(f, &bad, NULL, 0), STORE_RETRY);
  assert_int_equal(change(f, &refused, NULL, 0), STORE_EXISTS);
  /* The same id again: the table itself refuses. */
  assert_int_equal(change(f, &good, NULL, 0), STORE_RETRY);
  assert_int_equal(count_of(f, "wh_1"), 1);
  assert_int_equal(count_of(f, "wh_2"), 0);
  assert_int_equal(count_of(f, "wh_3"), 0);
}

static void a_keyed_change_is_made_once(void **state) {
  fixture *f = *state;
  subject s = {.id = "wh_1", .url = "u"};
  assert_int_equal(change(f, &s, "k", 'a'), STORE_OK);
  assert_int_equal(change(f, &s, "k", 'a'), STORE_REPLAYED);
  assert_int_equal(change(f, &s, "k", 'b'), STORE_MISMATCH);
}

static store_verdict append_beside(fixture *f, subject *s) {
  tti_batch batch;
  records_make(&batch, "shop", "test", 1);
  waited w = {.job = {.kind = STORE_JOB_APPEND, .batch = &batch, .run = put}};
  w.job.owner = s;
  assert_int_equal(run(f, &w), TT_OK);
  tti_batch_fini(&batch);
  return w.job.verdict;
}

static void a_row_and_what_is_beside_it_come_together(void **state) {
  fixture *f = *state;
  uint64_t head = append(f, "before", 1);
  subject s = {.id = "wh_1", .url = "u"};
  assert_int_equal(append_beside(f, &s), STORE_OK);
  assert_int_equal(s.seq, head + 1);
  assert_int_equal(count_of(f, "wh_1"), 1);
  subject bad = {
      .id = "wh_2", .url = "u", .result = TT_EINVAL, .refuses = true};
  assert_int_equal(append_beside(f, &bad), STORE_EXISTS);
  assert_int_equal(count_of(f, "wh_2"), 0);
  assert_int_equal(status(f).head_seq, head + 1);
}

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test(a_change_is_there_for_reads),
      cmocka_unit_test(what_fails_is_undone_alone),
      cmocka_unit_test(a_keyed_change_is_made_once),
      cmocka_unit_test(a_row_and_what_is_beside_it_come_together),
  };
  return store_contract(cases, sizeof cases / sizeof *cases);
}
