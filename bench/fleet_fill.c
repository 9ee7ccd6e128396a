/* For bench/fleet_sums.mjs. fleet_fill PATH UPDATES fills a store with the
 * updates of 10,000 instances of ten versions and three systems, 30 keys each
 * time, 480 an hour until now. fleet_fill PATH: what the tables take on disk,
 * as JSON. */
#include "bench/bench.h"

#include "server/store/tables/fleet_instances.h"
#include "server/store/tables/fleet_updates.h"
#include <semaphore.h>
#include <sqlite3.h>

#define INSTANCES 10000
#define NUMBERS   26
#define JOB_ROWS  500
/* 29 days of the ten million values that it is made for. */
#define PAUSE_US (INT64_C(7500000))

typedef struct filling {
  store_job job;
  sem_t done;
  int64_t now_us;
  int64_t from, to, count;
} filling;

static void fail(const char *what) {
  fprintf(stderr, "fleet_fill: %s\n", what);
  exit(1);
}

/* xorshift64: the same updates in every run. */
static uint64_t next_random(void) {
  static uint64_t x = 88172645463325252u;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return x;
}

static tt_error put_instances(store_job *job, store_tx *tx) {
  static const char *const systems[] = {"linux", "mac", "windows"};
  filling *f = job->owner;
  tt_error error = TT_OK;
  for (int64_t n = f->from; n < f->to && !error; n++) {
    fleet_instance one = {
        .first_us = f->now_us, .last_us = f->now_us, .updates = 1};
    snprintf(one.id, sizeof one.id, "7d8f9a52-6c1e-4d57-9d0e-%012llx",
             (unsigned long long)n);
    one.fields_len = (size_t)snprintf(
        one.fields, sizeof one.fields,
        "{\"version\":\"1.%lld\",\"os\":\"%s\",\"arch\":\"amd64\"}",
        (long long)(n % 10), systems[n % 3]);
    error = fleet_instances_insert(tx, &one);
  }
  return error;
}

static size_t write_data(char *out, size_t size, int64_t n) {
  size_t len = (size_t)snprintf(
      out, size,
      "{\"version\":\"1.%lld\",\"mode\":\"%s\",\"browsers\":[{\"value\":\"f%"
      "u\","
      "\"count\":%u},{\"value\":\"c%u\",\"count\":7}],\"process\":{\"threads\":"
      "%u}",
      (long long)(n % 10), n % 4 ? "fast" : "careful",
      (unsigned)(next_random() % 30), (unsigned)(next_random() % 9 + 1),
      (unsigned)(next_random() % 5), (unsigned)(next_random() % 16 + 1));
  for (int key = 0; key < NUMBERS; key++)
    len += (size_t)snprintf(
        out + len, size - len, ",\"requests_%d\":%u", key,
        (unsigned)(next_random() % (1u << (next_random() % 14))));
  out[len++] = '}';
  return len;
}

static tt_error put_updates(store_job *job, store_tx *tx) {
  filling *f = job->owner;
  tt_error error = TT_OK;
  for (int64_t i = f->from; i < f->to && !error; i++) {
    char data[2048];
    int64_t n = i % INSTANCES + 1;
    size_t len = write_data(data, sizeof data, n);
    fleet_update_row row = {.instance_n = n,
                            .received_us =
                                f->now_us - (f->count - i) * PAUSE_US,
                            .timestamp_us = INT64_MIN,
                            .data = {data, len}};
    error = fleet_updates_insert(tx, &row);
  }
  return error;
}

static void on_done(store_job *job) {
  sem_post(&((filling *)job)->done);
}

static void fill(store *s, filling *f, int64_t count,
                 tt_error (*run)(store_job *job, store_tx *tx)) {
  f->count = count;
  for (f->from = 0; f->from < count; f->from = f->to) {
    f->to = f->from + JOB_ROWS < count ? f->from + JOB_ROWS : count;
    f->job = (store_job){
        .kind = STORE_JOB_RUN, .run = run, .done = on_done, .owner = f};
    if (store_submit(s, &f->job) != TT_OK)
      fail("the store takes nothing");
    sem_wait(&f->done);
    if (f->job.verdict != STORE_OK)
      fail(f->job.reason);
  }
}

static int64_t bytes_of(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt;
  if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK ||
      sqlite3_step(stmt) != SQLITE_ROW)
    fail(sqlite3_errmsg(db));
  int64_t bytes = sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  return bytes;
}

static int tell_sizes(const char *path) {
  sqlite3 *db;
  if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
    fail("cannot open the store");
  printf("{\"aggregates\":%lld,\"updates\":%lld}\n",
         (long long)bytes_of(db, "SELECT sum(pgsize) FROM dbstat WHERE name IN"
                                 " ('fleet_buckets', 'fleet_series')"),
         (long long)bytes_of(db, "SELECT sum(pgsize) FROM dbstat WHERE name"
                                 " LIKE 'fleet_updates%'"));
  sqlite3_close(db);
  return 0;
}

int main(int argc, char **argv) {
  store *s;
  tti_buf error;
  if (argc == 2)
    return tell_sizes(argv[1]);
  if (argc != 3)
    fail("usage: fleet_fill PATH [UPDATES]");
  tti_buf_init(&error, 4096);
  store_options options = {.path = argv[1], .durability = STORE_COMMIT};
  if (store_sqlite_open(&options, &error, &s) != TT_OK)
    fail("cannot open the store");
  filling f = {.now_us = (int64_t)time(NULL) * 1000000};
  sem_init(&f.done, 0, 0);
  fill(s, &f, INSTANCES, put_instances);
  fill(s, &f, strtoll(argv[2], NULL, 10), put_updates);
  store_close(s, 60000);
  tti_buf_fini(&error);
  return 0;
}
