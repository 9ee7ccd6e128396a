/* Whatever a store keeps beside its rows to find and to count faster: every
 * question is answered as by looking at all events ever stored, one by one.
 * Random events, bounds and filters, over restarts and retention, on each
 * store. */
#include "tests/unit.h"

#include "server/history/needle.h"
#include "server/io/clock.h"
#include "server/store/store.h"
#include "server/testing/clock.h"
#include <semaphore.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EVENTS_MAX 20000
#define QUESTIONS  150
#define HOUR_US    INT64_C(3600000000)

typedef struct event {
  uint64_t seq;
  int64_t received_us;
  tti_record record; /* its texts are static or in `texts` */
  char texts[3][24];
} event;

typedef struct fixture {
  bool sqlite;
  store_options options;
  char directory[32];
  char path[64];
  store *store;
  event *events; /* all that were ever stored, by rising seq */
  size_t count;
  uint64_t random;
} fixture;

static uint64_t below(fixture *f, uint64_t n) {
  f->random ^= f->random << 13;
  f->random ^= f->random >> 7;
  f->random ^= f->random << 17;
  return (f->random >> 11) % n;
}

static void open_store(fixture *f) {
  tti_buf error;
  tti_buf_init(&error, 4096);
  assert_int_equal((f->sqlite ? store_sqlite_open : store_memory_open)(
                       &f->options, &error, &f->store),
                   TT_OK);
  tti_buf_fini(&error);
}

static int set_up(void **state, bool sqlite) {
  fixture *f = calloc(1, sizeof *f);
  f->sqlite = sqlite;
  f->events = calloc(EVENTS_MAX, sizeof *f->events);
  f->random = 0x9e3779b97f4a7c15u;
  strcpy(f->directory, "/tmp/tt-counts-XXXXXX");
  if (!f->events || !mkdtemp(f->directory))
    return -1;
  snprintf(f->path, sizeof f->path, "%s/log.db", f->directory);
  /* Two blocks and a half a table; the memory store keeps part of it all. */
  f->options = (store_options){.path = f->path,
                               .durability = STORE_COMMIT,
                               .table_rows = 2500,
                               .retain_bytes = sqlite ? 0 : 1u << 20};
  open_store(f);
  *state = f;
  return 0;
}

static int set_up_sqlite(void **state) {
  return set_up(state, true);
}

static int set_up_memory(void **state) {
  return set_up(state, false);
}

static int tear_down(void **state) {
  fixture *f = *state;
  char command[64];
  store_close(f->store, 5000);
  snprintf(command, sizeof command, "rm -r %s", f->directory);
  int removed = system(command);
  free(f->events);
  free(f);
  return removed;
}

/* ---- Storing ---- */

typedef struct waited {
  store_job job;
  sem_t answered;
} waited;

static void on_done(store_job *job) {
  sem_post(&((waited *)job)->answered);
}

static void run(fixture *f, waited *w) {
  w->job.done = on_done;
  sem_init(&w->answered, 0, 0);
  assert_int_equal(store_submit(f->store, &w->job), TT_OK);
  while (sem_wait(&w->answered) != 0)
    ;
  sem_destroy(&w->answered);
  assert_int_equal(w->job.verdict, STORE_OK);
}

static tti_slice one_of(fixture *f, const char *const *texts, size_t count) {
  return tti_slice_of(texts[below(f, count)]);
}

static void make_event(fixture *f, event *e) {
  static const char *const sources[] = {"often", "often", "often",
                                        "other", "other", "third"};
  static const char *const channels[] = {"", "api", "log"};
  static const char *const names[] = {"", "", "", "notice"};
  static char long_text[600];
  memset(long_text, 'x', sizeof long_text - 1);
  tti_record *r = &e->record;
  *r = (tti_record){.kind = (tti_kind)below(f, 4),
                    .level = (tt_level)(TT_LEVEL_DEBUG + below(f, 5)),
                    .source = one_of(f, sources, 6),
                    .category = one_of(f, channels, 3),
                    .has_duration = below(f, 3) == 0};
  if (below(f, 200) == 0)
    r->source = TTI_SLICE("rare");
  r->level_name = one_of(f, names, 4);
  if (r->level_name.len)
    r->level = TT_LEVEL_INFO;
  snprintf(e->texts[0], sizeof e->texts[0], "action-%u",
           (unsigned)below(f, 1 + below(f, 400)));
  r->type = tti_slice_of(e->texts[0]);
  snprintf(e->texts[1], sizeof e->texts[1], "agent-%u", (unsigned)below(f, 9));
  r->agent_id = tti_slice_of(e->texts[1]);
  snprintf(e->texts[2], sizeof e->texts[2], "{\"Word\":%u}",
           (unsigned)below(f, 1 + below(f, 100000)));
  r->data = tti_slice_of(e->texts[2]);
  /* Too long to be summed up. */
  if (below(f, 3000) == 0)
    r->agent_id = tti_slice_of(long_text);
  if (r->has_duration)
    r->duration_ms = (int64_t)below(f, 1u << below(f, 20)) - 2;
}

static void append(fixture *f, size_t count) {
  while (count > 0) {
    tti_batch batch;
    size_t n = 1 + below(f, 300);
    n = n < count ? n : count;
    tti_batch_init(&batch, n, 16u << 20);
    for (size_t i = 0; i < n; i++) {
      assert_true(f->count + i < EVENTS_MAX);
      event *e = &f->events[f->count + i];
      make_event(f, e);
      assert_int_equal(tti_batch_add(&batch, &e->record), TT_OK);
    }
    testing_clock_advance_us((int64_t)below(f, 60000000));
    waited w = {.job = {.kind = STORE_JOB_APPEND,
                        .batch = &batch,
                        .received_us = server_wall_us()}};
    run(f, &w);
    tti_batch_fini(&batch);
    for (size_t i = 0; i < n; i++) {
      f->events[f->count].seq = w.job.first_seq + i;
      f->events[f->count++].received_us = w.job.received_us;
    }
    count -= n;
  }
}

/* The store's own work gets its turns. */
static void pass_time(fixture *f) {
  for (int i = 0; i < 100; i++) {
    testing_clock_advance_us(1000000);
    waited w = {.job = {.kind = STORE_JOB_BARRIER}};
    run(f, &w);
  }
}

/* ---- Asking ---- */

typedef struct answer {
  fixture *f;
  sem_t answered;
  size_t next; /* the event that has to come next */
  int step;    /* 1 upwards, -1 downwards */
  const store_read *read;
  needle needle;
  uint64_t oldest_seq;
  size_t rows;
  bool wrong;
} answer;

static void on_read(store_read *read) {
  sem_post(&((answer *)read->owner)->answered);
}

/* One event after the other: the brute force. */
static bool is_wanted(const answer *a, const event *e) {
  const store_read *r = a->read;
  bool shows_log =
      !r->show_log_channel ||
      (r->filter && tti_filter_names_channel(r->filter, TTI_SLICE("log")));
  return e->seq >= a->oldest_seq && e->seq > r->after_seq &&
         (!r->before_seq || e->seq < r->before_seq) &&
         (!r->since_us || e->received_us >= r->since_us) &&
         (!r->until_us || e->received_us < r->until_us) &&
         (!r->kinds || r->kinds & STORE_KIND_BIT(e->record.kind)) &&
         (e->record.kind != TTI_KIND_LOG || shows_log) &&
         tti_filter_match(r->filter, &e->record) &&
         needle_in_record(&a->needle, &e->record);
}

static bool has_needle(void *context, uint64_t seq, int64_t received_us,
                       const tti_record *record) {
  (void)seq;
  (void)received_us;
  return needle_in_record(context, record);
}

/* `next` is an index, or beyond either end: the same number when it wraps. */
static void to_wanted(answer *a) {
  while (a->next < a->f->count && !is_wanted(a, &a->f->events[a->next]))
    a->next += (size_t)a->step;
}

static bool is_event(const event *e, uint64_t seq, int64_t received_us,
                     const tti_record *got) {
  const tti_record *r = &e->record;
  return seq == e->seq && received_us == e->received_us &&
         got->kind == r->kind && got->level == r->level &&
         tti_slice_eq(got->level_name, r->level_name) &&
         tti_slice_eq(got->source, r->source) &&
         tti_slice_eq(got->category, r->category) &&
         tti_slice_eq(got->type, r->type) &&
         tti_slice_eq(got->agent_id, r->agent_id) &&
         got->has_duration == r->has_duration &&
         got->duration_ms == r->duration_ms;
}

static bool take(void *context, uint64_t seq, int64_t received_us,
                 const tti_record *record) {
  answer *a = context;
  to_wanted(a);
  if (a->next >= a->f->count ||
      !is_event(&a->f->events[a->next], seq, received_us, record))
    a->wrong = true;
  a->next += (size_t)a->step;
  a->rows++;
  return false;
}

static void take_rows(answer *a, const store_read *read) {
  store_row row;
  tti_slice bytes;
  tti_record record;
  for (size_t at = 0; store_row_next(read, &at, &row, &bytes);) {
    assert_int_equal(tti_record_decode(bytes, &record), TT_OK);
    take(a, row.seq, row.received_us, &record);
  }
}

/* By counting, or by reading the rows. */
static size_t ask(fixture *f, const store_read *question, bool brief) {
  store_status now;
  store_status_get(f->store, &now);
  bool down = question->order == STORE_DESCENDING;
  answer a = {.f = f,
              .step = down ? -1 : 1,
              .next = down ? f->count - 1 : 0,
              .read = question,
              .oldest_seq = now.oldest_seq};
  sem_init(&a.answered, 0, 0);
  store_read read = *question;
  read.done = on_read;
  read.owner = &a;
  read.brief = brief;
  assert_true(needle_init(&a.needle, read.text));
  read.accept = brief ? take : read.text.len ? has_needle : NULL;
  read.accept_context = brief ? (void *)&a : (void *)&a.needle;
  tti_buf_init(&read.rows, SIZE_MAX);
  do {
    tti_buf_clear(&read.rows);
    assert_int_equal(store_read_submit(f->store, &read), TT_OK);
    while (sem_wait(&a.answered) != 0)
      ;
    assert_int_equal(read.error, TT_OK);
    take_rows(&a, &read);
    if (down)
      read.before_seq = read.next_seq;
    else
      read.after_seq = read.next_seq;
  } while (read.more);
  tti_buf_fini(&read.rows);
  sem_destroy(&a.answered);
  to_wanted(&a);
  assert_false(a.wrong);
  assert_true(a.next >= f->count); /* none is missing */
  return a.rows;
}

static void add(tti_filter *filter, const char *key, const char *values) {
  assert_int_equal(
      tti_filter_add(filter, tti_slice_of(key), tti_slice_of(values)), TT_OK);
}

static tti_filter *random_filter(fixture *f) {
  static const char *const levels[] = {">=warn", "debug,fatal", "notice",
                                       "error,>=fatal", "nothing"};
  static const char *const actions[] = {"action-0,action-1", "action-399",
                                        "none", "action-7"};
  tti_filter *filter;
  assert_int_equal(tti_filter_new(&filter), TT_OK);
  if (below(f, 3) == 0)
    add(filter, "source", below(f, 2) ? "rare" : "third,other");
  if (below(f, 4) == 0)
    add(filter, "channel", below(f, 2) ? "log" : "api");
  if (below(f, 4) == 0)
    add(filter, "level", levels[below(f, 5)]);
  if (below(f, 5) == 0)
    add(filter, "action", actions[below(f, 4)]);
  if (below(f, 5) == 0)
    add(filter, "agent_id", "agent-3,agent-8");
  return filter;
}

static tti_slice random_text(fixture *f, char text[24]) {
  static const char *const before[] = {"ord\":", "", "TION-", ""};
  uint64_t kind = below(f, 4);
  int len = snprintf(text, 24, "%s%u%s", before[kind], (unsigned)below(f, 3000),
                     kind < 2 ? "}" : "");
  return (tti_slice){text, (size_t)len};
}

static void ask_anything(fixture *f) {
  size_t rows = 0, found = 0;
  for (int i = 0; i < QUESTIONS; i++) {
    const event *a = &f->events[below(f, f->count)];
    const event *b = &f->events[below(f, f->count)];
    tti_filter *filter = random_filter(f);
    store_read question = {
        .order = below(f, 2) ? STORE_DESCENDING : STORE_ASCENDING,
        .filter = below(f, 5) ? filter : NULL,
        .kinds = below(f, 2) ? (unsigned)below(f, 16) : 0,
        .show_log_channel = below(f, 2),
        .after_seq = below(f, 3) ? 0 : a->seq,
        .before_seq = below(f, 3) ? 0 : b->seq,
        .since_us = below(f, 3) ? 0 : b->received_us,
        .until_us = below(f, 3) ? 0 : a->received_us + (int64_t)below(f, 2)};
    size_t counted = ask(f, &question, true);
    assert_int_equal(ask(f, &question, false), counted);
    char text[24];
    question.text = random_text(f, text);
    found += ask(f, &question, false);
    rows += counted;
    tti_filter_free(filter);
  }
  assert_true(rows > 0);
  assert_true(found > 0);
}

/* ---- The promise ---- */

/* The first number of a statement's answer; 0 without any. */
static int64_t look_inside(fixture *f, const char *sql) {
  sqlite3 *db;
  sqlite3_stmt *stmt;
  assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READWRITE, NULL),
                   SQLITE_OK);
  sqlite3_busy_timeout(db, 10000);
  assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
  int64_t value = 0;
  if (sqlite3_step(stmt) == SQLITE_ROW)
    value = sqlite3_column_int64(stmt, 0);
  assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
  sqlite3_close(db);
  return value;
}

/* As after a crash that skipped numbers beyond the end of the open table. */
static void restart(fixture *f) {
  store_close(f->store, 5000);
  look_inside(f, "UPDATE meta SET reserved_to = next_seq + 4000");
  open_store(f);
}

/* That what is tested is there at all. */
static void check_blocks(fixture *f) {
  static const char blocks[] = "SELECT count(*) FROM log_blocks WHERE ";
  char sql[128];
  assert_int_equal(look_inside(f, "SELECT count(*) FROM log_tables WHERE"
                                  " state = 1 AND summarised_to < to_seq"),
                   0);
  snprintf(sql, sizeof sql, "%s columns IS NOT NULL", blocks);
  assert_in_range(look_inside(f, sql), 6, 14);
  snprintf(sql, sizeof sql, "%s columns IS NULL", blocks);
  assert_in_range(look_inside(f, sql), 1, 8);
  snprintf(sql, sizeof sql, "%s grams IS NOT NULL", blocks);
  assert_in_range(look_inside(f, sql), 10, 14);
}

static void every_answer_is_that_of_all_events(void **state) {
  fixture *f = *state;
  append(f, 6000);
  ask_anything(f);
  pass_time(f);
  ask_anything(f);
  append(f, 3500);
  ask_anything(f);
  if (f->sqlite) {
    restart(f);
    ask_anything(f);
  }
  pass_time(f);
  append(f, 500);
  ask_anything(f);
  pass_time(f);
  if (f->sqlite)
    check_blocks(f);
  /* Most of it goes. */
  testing_clock_advance_us(7 * 24 * HOUR_US);
  append(f, 3000);
  pass_time(f);
  store_status now;
  store_status_get(f->store, &now);
  assert_true(now.oldest_seq > f->events[0].seq);
  ask_anything(f);
  append(f, 3000);
  ask_anything(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(every_answer_is_that_of_all_events,
                                      set_up_sqlite, tear_down),
      cmocka_unit_test_setup_teardown(every_answer_is_that_of_all_events,
                                      set_up_memory, tear_down),
  };
  return cmocka_run_group_tests_name("counts", tests, NULL, NULL);
}
