/* The two ends of an outbox in an SQLite file, as programs that can be killed:
 *
 *   outbox-run app FILE        books orders, one in seven rolled back, until
 *                              SIGTERM; a line for every 20, and at the end how
 *                              long the longest wait for a lock was
 *   outbox-run take FILE COPY  copies events into another database and marks
 *                              them, until SIGTERM and nothing is pending
 *   outbox-run copy FILE COPY  as take would have if it were killed before its
 *                              first mark
 *   outbox-run sql FILE QUERY  prints what the query answers */
#include "lib/outbox/sqlite/source.h"
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static volatile sig_atomic_t stopping;

static void on_signal(int number) {
  (void)number;
  stopping = 1;
}

static double now_ms(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void die(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static void must(tt_error error, const char *what) {
  if (error)
    die(what, tt_error_name(error));
}

static sqlite3 *open_db(const char *path) {
  sqlite3 *db = NULL;
  if (sqlite3_open(path, &db))
    die(path, sqlite3_errmsg(db));
  sqlite3_busy_timeout(db, 20000);
  return db;
}

static void run(sqlite3 *db, const char *sql) {
  if (sqlite3_exec(db, sql, NULL, NULL, NULL))
    die(sql, sqlite3_errmsg(db));
}

/* ---- The application ---- */

static void book(tt_outbox *outbox, sqlite3 *db, double *longest_ms) {
  char number[24], id[TELLTALE_OUTBOX_ID_SIZE], data[60];
  double begin = now_ms();
  run(db, "BEGIN IMMEDIATE");
  double waited = now_ms() - begin;
  if (waited > *longest_ms)
    *longest_ms = waited;
  run(db, "INSERT INTO orders(at) VALUES(unixepoch())");
  long long order = sqlite3_last_insert_rowid(db);
  snprintf(number, sizeof(number), "%lld", order);
  snprintf(data, sizeof(data), "{\"order\": %lld}", order);
  must(tt_outbox_id(id, "order", number), "id");
  tt_outbox_event event = {.id = id, .type = "order.booked", .data = data};
  must(tt_outbox_publish(outbox, db, &event), "publish");
  run(db, order % 7 == 0 && rand() % 2 ? "ROLLBACK" : "COMMIT");
}

static void log_line(void *context, tt_level level, const char *message) {
  (void)context;
  (void)level;
  fprintf(stderr, "%s\n", message);
}

static void application(const char *path) {
  sqlite3 *db = open_db(path);
  tt_outbox *outbox = NULL;
  double longest_ms = 0;
  run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
          "CREATE TABLE IF NOT EXISTS orders(number INTEGER PRIMARY KEY,"
          "at INTEGER)");
  must(tt_outbox_new(&(tt_outbox_options){.log = {.log = log_line}}, &outbox),
       "new");
  must(tt_outbox_migrate(outbox, db), "migrate");
  srand((unsigned)time(NULL));
  for (int i = 1; !stopping; i++) {
    book(outbox, db, &longest_ms);
    if (i % 20 == 0) {
      printf("%d\n", i);
      fflush(stdout);
    }
  }
  printf("waited %.1f ms\n", longest_ms);
  tt_outbox_free(outbox);
  sqlite3_close(db);
}

/* ---- The other end ---- */

typedef struct taker {
  sqlite3 *copy;
  sqlite3_stmt *insert;
  int64_t first, last; /* of what was copied by one read */
} taker;

static bool take_row(void *context, const tti_outbox_row *row) {
  taker *t = context;
  sqlite3_bind_text(t->insert, 1, row->id.ptr, (int)row->id.len, SQLITE_STATIC);
  sqlite3_bind_text(t->insert, 2, row->body.ptr, (int)row->body.len,
                    SQLITE_STATIC);
  if (sqlite3_step(t->insert) != SQLITE_DONE)
    die("copy", sqlite3_errmsg(t->copy));
  sqlite3_reset(t->insert);
  if (!t->first)
    t->first = row->n;
  t->last = row->n;
  return true;
}

static tti_outbox_source *open_source(const char *path) {
  tti_outbox_source *source = NULL;
  tt_error error;
  while ((error = tti_outbox_source_open(path, &source)) == TT_ENOTFOUND)
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
  must(error, "open");
  return source;
}

static void take(const char *path, const char *copy_path, bool mark) {
  taker t = {.copy = open_db(copy_path)};
  run(t.copy, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
              "CREATE TABLE IF NOT EXISTS copied(id TEXT PRIMARY KEY,"
              "body TEXT, seen INTEGER DEFAULT 1)");
  if (sqlite3_prepare_v2(t.copy,
                         "INSERT INTO copied(id,body) VALUES(?1,?2)"
                         " ON CONFLICT DO UPDATE SET seen=seen+1",
                         -1, &t.insert, NULL))
    die("prepare", sqlite3_errmsg(t.copy));
  tti_outbox_source *source = open_source(path);
  int64_t after = 0;
  puts("ready");
  fflush(stdout);
  for (;;) {
    bool ending = stopping, changed = false;
    must(tti_outbox_source_changed(source, &changed), "changed");
    t.first = 0;
    run(t.copy, "BEGIN");
    must(tti_outbox_source_read(source, after, 64, take_row, &t), "read");
    run(t.copy, "COMMIT");
    if (!mark)
      break;
    if (t.first) {
      tt_error error;
      do
        error = tti_outbox_source_mark(source, t.first, t.last, NULL);
      while (error == TT_EBUSY);
      must(error, "mark");
      after = t.last;
    } else if (ending) {
      break;
    } else if (!changed) {
      nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
  }
  tti_outbox_source_free(source);
  sqlite3_finalize(t.insert);
  sqlite3_close(t.copy);
}

static int print_row(void *context, int count, char **values, char **names) {
  (void)context;
  (void)names;
  for (int i = 0; i < count; i++)
    printf("%s%c", values[i] ? values[i] : "", i + 1 < count ? ' ' : '\n');
  return 0;
}

static void query(const char *path, const char *sql) {
  sqlite3 *db = open_db(path);
  if (sqlite3_exec(db, sql, print_row, NULL, NULL))
    die(sql, sqlite3_errmsg(db));
  sqlite3_close(db);
}

int main(int argc, char **argv) {
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  const char *mode = argc > 2 ? argv[1] : "";
  if (strcmp(mode, "app") == 0)
    application(argv[2]);
  else if (argc > 3 && strcmp(mode, "sql") == 0)
    query(argv[2], argv[3]);
  else if (argc > 3)
    take(argv[2], argv[3], strcmp(mode, "take") == 0);
  else
    return 2;
  return 0;
}
