#include "tests/unit.h"

#include "lib/outbox/sqlite/source.h"
#include "lib/outbox/sqlite/sqlite.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A program with a database, an outbox in it, and what it was told. */
typedef struct fixture {
  char folder[40];
  char path[60];
  sqlite3 *db;
  tt_outbox *outbox;
  tt_metrics *metrics;
  char log[4096];
} fixture;

static void on_log(void *context, tt_level level, const char *message) {
  fixture *f = context;
  (void)level;
  strncat(f->log, message, sizeof(f->log) - strlen(f->log) - 1);
}

static void run(sqlite3 *db, const char *sql) {
  char *problem = NULL;
  if (sqlite3_exec(db, sql, NULL, NULL, &problem) != SQLITE_OK)
    fail_msg("%s: %s", sql, problem);
}

static int64_t ask(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt = NULL;
  assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
  int64_t value = sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  return value;
}

static sqlite3 *open_db(const char *path) {
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  sqlite3_busy_timeout(db, 5000);
  run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
  return db;
}

static int set_up_bare(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  assert_non_null(f);
  strcpy(f->folder, "/tmp/telltale-outbox-XXXXXX");
  assert_non_null(mkdtemp(f->folder));
  snprintf(f->path, sizeof(f->path), "%s/app.db", f->folder);
  f->db = open_db(f->path);
  run(f->db, "CREATE TABLE orders(id INTEGER PRIMARY KEY, price INTEGER)");
  assert_int_equal(tt_metrics_prometheus_new(&f->metrics), TT_OK);
  tt_outbox_options options = {f->metrics, {on_log, f}};
  assert_int_equal(tt_outbox_new(&options, &f->outbox), TT_OK);
  *state = f;
  return 0;
}

static int set_up(void **state) {
  set_up_bare(state);
  fixture *f = *state;
  assert_int_equal(tt_outbox_migrate(f->outbox, f->db), TT_OK);
  assert_string_equal(f->log, "");
  return 0;
}

static int set_up_attached(void **state) {
  set_up(state);
  fixture *f = *state;
  assert_int_equal(tt_outbox_attach(f->outbox, f->db), TT_OK);
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  tt_outbox_free(f->outbox);
  tt_metrics_free(f->metrics);
  assert_int_equal(sqlite3_close(f->db), SQLITE_OK);
  static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
  for (int i = 0; i < 4; i++) {
    char path[80];
    snprintf(path, sizeof(path), "%s%s", f->path, ends[i]);
    unlink(path);
  }
  assert_int_equal(rmdir(f->folder), 0);
  free(f);
  return 0;
}

/* What a counter of the program says; 0 when it has no sample. */
static long counted(fixture *f, const char *sample) {
  char *text = NULL;
  assert_int_equal(tt_metrics_prometheus_render(f->metrics, false, &text, NULL),
                   TT_OK);
  const char *at = strstr(text, sample);
  long value = at ? strtol(at + strlen(sample), NULL, 10) : 0;
  free(text);
  return value;
}

#define PUBLISHED_PAID                                                         \
  "telltale_outbox_events_published_total{type=\"order.paid\"} "
#define FAILED "telltale_outbox_failures_total{stage=\"publish\"} "

static tt_error publish(fixture *f, const char *id) {
  return tt_outbox_publish(f->outbox, f->db,
                           &(tt_outbox_event){.id = id, .type = "order.paid"});
}

static int64_t events(sqlite3 *db) {
  return ask(db, "SELECT count(*) FROM tt_outbox_events");
}

/* ---- publish ---- */

static void the_event_shares_the_transactions_fate(void **state) {
  fixture *f = *state;
  run(f->db, "BEGIN; INSERT INTO orders VALUES(1, 5)");
  assert_int_equal(publish(f, NULL), TT_OK);
  run(f->db, "ROLLBACK");
  assert_int_equal(events(f->db), 0);
  run(f->db, "BEGIN; INSERT INTO orders VALUES(1, 5)");
  assert_int_equal(publish(f, NULL), TT_OK);
  sqlite3 *other = open_db(f->path);
  assert_int_equal(events(other), 0);
  run(f->db, "COMMIT");
  assert_int_equal(events(other), 1);
  assert_int_equal(ask(other, "SELECT count(*) FROM orders"), 1);
  sqlite3_close(other);
}

static void outside_of_a_transaction_it_is_one(void **state) {
  fixture *f = *state;
  assert_int_equal(publish(f, NULL), TT_OK);
  assert_int_equal(tt_outbox_publish_best_effort(
                       f->outbox, f->db, &(tt_outbox_event){.type = "a"}),
                   TT_OK);
  assert_true(sqlite3_get_autocommit(f->db));
  sqlite3 *other = open_db(f->path);
  assert_int_equal(events(other), 2);
  sqlite3_close(other);
}

/* The same id again changes nothing, and only rows that were written count. */
static void an_id_is_written_once(void **state) {
  fixture *f = *state;
  assert_int_equal(publish(f, "evt_1"), TT_OK);
  assert_int_equal(
      tt_outbox_publish(
          f->outbox, f->db,
          &(tt_outbox_event){.id = "evt_1", .type = "order.paid", .data = "2"}),
      TT_OK);
  assert_int_equal(publish(f, "evt_2"), TT_OK);
  assert_int_equal(events(f->db), 2);
  assert_int_equal(ask(f->db, "SELECT count(*) FROM tt_outbox_events"
                              " WHERE body LIKE '%\"data\":null}'"),
                   2);
  assert_int_equal(counted(f, PUBLISHED_PAID), 2);
  assert_int_equal(counted(f, FAILED), 0);
}

/* A program asks for the row that it inserted, not for ours. */
static void the_last_rowid_stays_the_programs(void **state) {
  fixture *f = *state;
  run(f->db, "INSERT INTO orders VALUES(41, 5)");
  assert_int_equal(publish(f, "evt_1"), TT_OK);
  assert_int_equal(sqlite3_last_insert_rowid(f->db), 41);
}

static void the_row_is_pending(void **state) {
  fixture *f = *state;
  assert_int_equal(publish(f, NULL), TT_OK);
  assert_int_equal(
      ask(f->db, "SELECT count(*) FROM tt_outbox_events WHERE status='pending'"
                 " AND next_poll_at=created_at AND taken_at IS NULL AND"
                 " expires_at=created_at+30*86400000000"
                 " AND abs(created_at/1000000-unixepoch())<100"),
      1);
}

static void a_bad_event_is_refused_and_told(void **state) {
  fixture *f = *state;
  tt_outbox_event bad = {.type = "Order Paid"};
  assert_int_equal(tt_outbox_publish(f->outbox, f->db, &bad), TT_EINVAL);
  assert_string_equal(
      f->log, "outbox: not published: the type is not [a-z0-9_.-]{1,128}");
  assert_int_equal(counted(f, FAILED), 1);
  assert_int_equal(events(f->db), 0);
  assert_int_equal(tt_outbox_publish(NULL, f->db, &bad), TT_EINVAL);
  assert_int_equal(tt_outbox_publish(f->outbox, NULL, &bad), TT_EINVAL);
}

static void without_tables_it_says_what_to_do(void **state) {
  fixture *f = *state;
  assert_int_equal(publish(f, NULL), TT_ESTATE);
  assert_non_null(strstr(f->log, "was tt_outbox_migrate called?"));
}

static void another_writer_is_busy(void **state) {
  fixture *f = *state;
  sqlite3 *other = open_db(f->path);
  run(other, "BEGIN IMMEDIATE");
  sqlite3_busy_timeout(f->db, 0);
  assert_int_equal(publish(f, NULL), TT_EBUSY);
  run(other, "ROLLBACK");
  sqlite3_close(other);
  assert_int_equal(publish(f, NULL), TT_OK);
}

/* ---- best effort ---- */

/* Whatever fails, what the transaction did before stays and can be committed:
 * a bad event, a missing table, a full disk. */
static void best_effort_spares_the_transaction(void **state) {
  fixture *f = *state;
  char *large = malloc(500001);
  assert_non_null(large);
  memset(large, '1', 500000);
  large[500000] = '\0';
  const tt_outbox_event good = {.type = "order.paid"};
  const tt_outbox_event bad = {.type = ""};
  const tt_outbox_event big = {.type = "order.paid", .data = large};

  run(f->db, "BEGIN; INSERT INTO orders VALUES(1, 5)");
  assert_int_equal(tt_outbox_publish_best_effort(f->outbox, f->db, &bad),
                   TT_EINVAL);
  assert_int_equal(tt_outbox_publish_best_effort(f->outbox, f->db, &good),
                   TT_OK);
  run(f->db, "COMMIT");
  assert_int_equal(events(f->db), 1);

  run(f->db, "PRAGMA max_page_count=20; BEGIN;"
             "INSERT INTO orders VALUES(2, 5)");
  assert_int_equal(tt_outbox_publish_best_effort(f->outbox, f->db, &big),
                   TT_ENOSPACE);
  assert_false(sqlite3_get_autocommit(f->db));
  run(f->db, "INSERT INTO orders VALUES(3, 5); COMMIT");
  assert_int_equal(events(f->db), 1);

  run(f->db, "DROP TABLE tt_outbox_events; BEGIN;"
             "INSERT INTO orders VALUES(4, 5)");
  assert_int_equal(tt_outbox_publish_best_effort(f->outbox, f->db, &good),
                   TT_ESTATE);
  run(f->db, "COMMIT");
  assert_int_equal(ask(f->db, "SELECT count(*) FROM orders"), 4);
  assert_int_equal(counted(f, FAILED), 3);
  free(large);
}

/* ---- attached ---- */

/* SQLite does not close a connection that has statements of ours. */
static void an_attached_connection_is_detached_to_be_closed(void **state) {
  fixture *f = *state;
  sqlite3 *other = open_db(f->path);
  assert_int_equal(tt_outbox_attach(f->outbox, other), TT_OK);
  assert_int_equal(tt_outbox_attach(f->outbox, other), TT_OK);
  assert_int_equal(sqlite3_close(other), SQLITE_BUSY);
  tt_outbox_detach(f->outbox, other);
  tt_outbox_detach(f->outbox, other);
  assert_int_equal(publish(f, NULL), TT_OK);
  assert_int_equal(sqlite3_close(other), SQLITE_OK);
  tt_outbox_detach(f->outbox, f->db);
  assert_int_equal(publish(f, NULL), TT_OK);
  assert_int_equal(events(f->db), 2);
  assert_int_equal(tt_outbox_attach(NULL, f->db), TT_EINVAL);
  assert_int_equal(tt_outbox_attach(f->outbox, NULL), TT_EINVAL);
  tt_outbox_detach(NULL, f->db);
}

/* A connection that was let go of with it still on ends with the outbox. */
static void an_outbox_ends_what_is_attached(void **state) {
  fixture *f = *state;
  assert_int_equal(sqlite3_close_v2(f->db), SQLITE_OK);
  tt_outbox_free(f->outbox);
  f->db = open_db(f->path);
  assert_int_equal(tt_outbox_new(NULL, &f->outbox), TT_OK);
}

static void without_tables_nothing_is_attached(void **state) {
  fixture *f = *state;
  assert_int_equal(tt_outbox_attach(f->outbox, f->db), TT_ESTATE);
  assert_non_null(strstr(f->log, "was tt_outbox_migrate called?"));
  assert_null(sqlite3_next_stmt(f->db, NULL));
}

/* What was bound is gone, since it was the caller's; and a COMMIT finds nothing
 * under way. */
static void nothing_is_left_in_the_statements(void **state) {
  fixture *f = *state;
  run(f->db, "BEGIN");
  assert_int_equal(publish(f, "evt_1"), TT_OK);
  assert_int_equal(tt_outbox_publish_best_effort(
                       f->outbox, f->db, &(tt_outbox_event){.type = "a"}),
                   TT_OK);
  sqlite3_stmt *stmt = NULL;
  while ((stmt = sqlite3_next_stmt(f->db, stmt))) {
    char *text = sqlite3_expanded_sql(stmt);
    assert_null(strstr(text, "evt_"));
    sqlite3_free(text);
    assert_false(sqlite3_stmt_busy(stmt));
  }
  run(f->db, "COMMIT");
}

#define SHARED_EACH 2000

static void *publish_many(void *context) {
  fixture *f = context;
  for (int i = 0; i < SHARED_EACH; i++)
    if (publish(f, NULL))
      return f;
  return NULL;
}

static void threads_may_share_it(void **state) {
  fixture *f = *state;
  pthread_t threads[2];
  void *failed = NULL;
  run(f->db, "BEGIN");
  for (int i = 0; i < 2; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, publish_many, f), 0);
  for (int i = 0; i < 2; i++) {
    pthread_join(threads[i], &failed);
    assert_null(failed);
  }
  run(f->db, "COMMIT");
  assert_int_equal(ask(f->db, "SELECT count(*) FROM tt_outbox_events"
                              " WHERE instr(body, id) AND type='order.paid'"),
                   2 * SHARED_EACH);
}

/* ---- migrate ---- */

static void migrating_again_changes_nothing(void **state) {
  fixture *f = *state;
  assert_int_equal(publish(f, NULL), TT_OK);
  int64_t before = ask(f->db, "PRAGMA schema_version");
  sqlite3 *other = open_db(f->path);
  run(other, "BEGIN IMMEDIATE"); /* it only looks, so it need not wait */
  sqlite3_busy_timeout(f->db, 0);
  assert_int_equal(tt_outbox_migrate(f->outbox, f->db), TT_OK);
  assert_int_equal(ask(f->db, "PRAGMA schema_version"), before);
  assert_int_equal(events(f->db), 1);
  sqlite3_close(other);
}

static void migrating_inside_a_transaction_is_part_of_it(void **state) {
  fixture *f = *state;
  run(f->db, "BEGIN");
  assert_int_equal(tt_outbox_migrate(f->outbox, f->db), TT_OK);
  run(f->db, "ROLLBACK");
  assert_int_equal(
      ask(f->db, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'tt%'"),
      0);
  assert_int_equal(tt_outbox_migrate(f->outbox, f->db), TT_OK);
  assert_int_equal(publish(f, NULL), TT_OK);
}

static void tables_of_a_newer_version_are_left_alone(void **state) {
  fixture *f = *state;
  run(f->db, "UPDATE tt_outbox_schema SET version=2");
  assert_int_equal(tt_outbox_migrate(f->outbox, f->db), TT_EVERSION);
  assert_non_null(strstr(f->log, "are of version 2, this library knows 1"));
  tti_outbox_source *source;
  assert_int_equal(tti_outbox_source_open(f->path, &source), TT_EVERSION);
}

/* Settings are the program's own: they stay, and what would hurt is told. */
static void migrate_warns_and_changes_no_setting(void **state) {
  fixture *f = *state;
  run(f->db, "PRAGMA journal_mode=DELETE; PRAGMA synchronous=OFF;"
             "PRAGMA locking_mode=EXCLUSIVE");
  sqlite3_busy_timeout(f->db, 0);
  assert_int_equal(tt_outbox_migrate(f->outbox, f->db), TT_OK);
  static const char *const words[] = {"journal mode of", "is delete",
                                      "locking mode", "synchronous is off",
                                      "no busy timeout"};
  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
    if (!strstr(f->log, words[i]))
      fail_msg("no \"%s\" in \"%s\"", words[i], f->log);
  assert_int_equal(ask(f->db, "PRAGMA synchronous"), 0);
  assert_int_equal(
      ask(f->db, "SELECT journal_mode='delete' FROM pragma_journal_mode"), 1);

  f->log[0] = '\0';
  sqlite3 *memory = NULL;
  assert_int_equal(sqlite3_open(":memory:", &memory), SQLITE_OK);
  assert_int_equal(tt_outbox_migrate(f->outbox, memory), TT_OK);
  assert_non_null(strstr(f->log, "in memory"));
  sqlite3_close(memory);
}

/* ---- the other end ---- */

typedef struct taken {
  int64_t numbers[10];
  char bodies[10][200];
  char texts[10][200];
  size_t count, stop_after;
} taken;

static bool take(void *context, const tti_outbox_row *row) {
  taken *t = context;
  assert_true(t->count < 10);
  const tti_slice texts[] = {row->id,     row->type,     row->subject,
                             row->source, row->category, row->agent_id,
                             row->level,  row->labels};
  t->numbers[t->count] = row->n;
  snprintf(t->bodies[t->count], sizeof(t->bodies[0]), "%.*s",
           (int)row->body.len, row->body.ptr);
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    size_t at = strlen(t->texts[t->count]);
    snprintf(t->texts[t->count] + at, sizeof(t->texts[0]) - at, "%.*s ",
             (int)texts[i].len, texts[i].ptr ? texts[i].ptr : "");
  }
  t->count++;
  return t->count != t->stop_after;
}

static void what_was_published_is_read_and_marked(void **state) {
  fixture *f = *state;
  const char *const labels[] = {"vip"};
  tt_outbox_event event = {.id = "evt_1",
                           .type = "order.paid",
                           .subject = "c-7",
                           .source = "shop",
                           .category = "api",
                           .agent_id = "agent-7",
                           .level = TT_LEVEL_ERROR,
                           .labels = labels,
                           .label_count = 1,
                           .ts_us = 1000000,
                           .data = "{\"a\":1.0}"};
  assert_int_equal(tt_outbox_publish(f->outbox, f->db, &event), TT_OK);
  for (int i = 0; i < 4; i++)
    assert_int_equal(publish(f, NULL), TT_OK);
  tti_outbox_source *source;
  assert_int_equal(tti_outbox_source_open(f->path, &source), TT_OK);

  taken all = {0}, some = {0}, first = {.stop_after = 1}, rest = {0};
  assert_int_equal(tti_outbox_source_read(source, 0, 9, take, &all), TT_OK);
  assert_int_equal(all.count, 5);
  assert_string_equal(all.texts[0],
                      "evt_1 order.paid c-7 shop api agent-7 error [\"vip\"] ");
  assert_string_equal(all.bodies[0],
                      "{\"type\":\"order.paid\",\"id\":\"evt_1\",\"timestamp\":"
                      "\"1970-01-01T00:00:01.000000Z\",\"schema_version\":\"1\""
                      ",\"subject\":\"c-7\",\"data\":{\"a\":1.0}}");
  for (size_t i = 1; i < all.count; i++)
    assert_true(all.numbers[i] > all.numbers[i - 1]);
  /* From a position, and not more than asked for or wanted. */
  tti_outbox_source_read(source, all.numbers[1], 2, take, &some);
  assert_int_equal(some.count, 2);
  assert_int_equal(some.numbers[0], all.numbers[2]);
  tti_outbox_source_read(source, 0, 9, take, &first);
  assert_int_equal(first.count, 1);

  uint64_t marked = 0;
  assert_int_equal(
      tti_outbox_source_mark(source, all.numbers[1], all.numbers[3], &marked),
      TT_OK);
  assert_int_equal(marked, 3);
  assert_int_equal(
      tti_outbox_source_mark(source, all.numbers[1], all.numbers[3], &marked),
      TT_OK);
  assert_int_equal(marked, 0);
  assert_int_equal(tti_outbox_source_read(source, 0, 9, take, &rest), TT_OK);
  assert_int_equal(rest.count, 2);
  assert_int_equal(rest.numbers[1], all.numbers[4]);
  assert_int_equal(
      ask(f->db, "SELECT count(*) FROM tt_outbox_events WHERE status='taken'"
                 " AND taken_at>=created_at"),
      3);
  tti_outbox_source_free(source);
}

/* A commit of the program's is a change, our own marks are not. */
static void changes_are_those_of_others(void **state) {
  fixture *f = *state;
  tti_outbox_source *source;
  bool changed = false;
  assert_int_equal(tti_outbox_source_open(f->path, &source), TT_OK);
  tti_outbox_source_changed(source, &changed);
  assert_true(changed);
  tti_outbox_source_changed(source, &changed);
  assert_false(changed);
  run(f->db, "BEGIN");
  assert_int_equal(publish(f, NULL), TT_OK);
  tti_outbox_source_changed(source, &changed);
  assert_false(changed);
  run(f->db, "COMMIT");
  tti_outbox_source_changed(source, &changed);
  assert_true(changed);
  assert_int_equal(tti_outbox_source_mark(source, 0, 9, NULL), TT_OK);
  tti_outbox_source_changed(source, &changed);
  assert_false(changed);
  tti_outbox_source_free(source);
}

/* Between its calls the other end holds nothing: the program's log can be
 * written back and reset. */
static void the_source_leaves_no_lock(void **state) {
  fixture *f = *state;
  assert_int_equal(publish(f, NULL), TT_OK);
  tti_outbox_source *source;
  taken first = {.stop_after = 1};
  assert_int_equal(tti_outbox_source_open(f->path, &source), TT_OK);
  assert_int_equal(tti_outbox_source_read(source, 0, 9, take, &first), TT_OK);
  assert_int_equal(tti_outbox_source_mark(source, 0, 9, NULL), TT_OK);
  sqlite3_busy_timeout(f->db, 0);
  assert_int_equal(ask(f->db, "PRAGMA wal_checkpoint(TRUNCATE)"), 0);
  assert_int_equal(publish(f, NULL), TT_OK);
  tti_outbox_source_free(source);
}

/* The marks take nobody's turn: while the program writes, they come later. */
static void a_mark_waits_for_the_program(void **state) {
  fixture *f = *state;
  assert_int_equal(publish(f, "evt_1"), TT_OK);
  tti_outbox_source *source;
  assert_int_equal(tti_outbox_source_open(f->path, &source), TT_OK);
  run(f->db, "BEGIN IMMEDIATE");
  assert_int_equal(tti_outbox_source_mark(source, 0, 9, NULL), TT_EBUSY);
  run(f->db, "COMMIT");
  assert_int_equal(tti_outbox_source_mark(source, 0, 9, NULL), TT_OK);
  tti_outbox_source_free(source);
}

static void a_source_needs_an_outbox(void **state) {
  fixture *f = *state;
  tti_outbox_source *source = NULL;
  assert_int_equal(tti_outbox_source_open(f->path, &source), TT_ENOTFOUND);
  assert_int_equal(tti_outbox_source_open("/tmp/no/such.db", &source),
                   TT_ENOTFOUND);
  assert_null(source);
}

#define WITH_TABLES(test)                                                      \
  cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define ATTACHED(test)                                                         \
  { #test " (attached)", test, set_up_attached, tear_down, NULL }
#define BARE(test) cmocka_unit_test_setup_teardown(test, set_up_bare, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_TABLES(the_event_shares_the_transactions_fate),
      WITH_TABLES(outside_of_a_transaction_it_is_one),
      WITH_TABLES(an_id_is_written_once),
      WITH_TABLES(the_last_rowid_stays_the_programs),
      WITH_TABLES(the_row_is_pending),
      WITH_TABLES(a_bad_event_is_refused_and_told),
      BARE(without_tables_it_says_what_to_do),
      WITH_TABLES(another_writer_is_busy),
      WITH_TABLES(best_effort_spares_the_transaction),
      ATTACHED(the_event_shares_the_transactions_fate),
      ATTACHED(outside_of_a_transaction_it_is_one),
      ATTACHED(an_id_is_written_once),
      ATTACHED(the_last_rowid_stays_the_programs),
      ATTACHED(the_row_is_pending),
      ATTACHED(a_bad_event_is_refused_and_told),
      ATTACHED(another_writer_is_busy),
      ATTACHED(best_effort_spares_the_transaction),
      ATTACHED(an_attached_connection_is_detached_to_be_closed),
      ATTACHED(an_outbox_ends_what_is_attached),
      BARE(without_tables_nothing_is_attached),
      ATTACHED(nothing_is_left_in_the_statements),
      ATTACHED(threads_may_share_it),
      WITH_TABLES(migrating_again_changes_nothing),
      BARE(migrating_inside_a_transaction_is_part_of_it),
      WITH_TABLES(tables_of_a_newer_version_are_left_alone),
      BARE(migrate_warns_and_changes_no_setting),
      WITH_TABLES(what_was_published_is_read_and_marked),
      WITH_TABLES(changes_are_those_of_others),
      WITH_TABLES(the_source_leaves_no_lock),
      WITH_TABLES(a_mark_waits_for_the_program),
      BARE(a_source_needs_an_outbox),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
