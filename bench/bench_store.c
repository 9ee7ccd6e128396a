/* Batches of 100 events through the bus into the embedded store, against bare
 * SQLite inserting the same rows into the same table with prepared statements
 * and 100 rows a transaction; and how long a store with a million events takes
 * to open. */
#include "bench/bench.h"

#include "lib/event/parse.h"
#include "server/bus/bus.h"
#include <semaphore.h>
#include <sqlite3.h>
#include <unistd.h>

#define ROWS      100
#define RUNS      5
#define IN_FLIGHT 16
#define MILLION   1000000

typedef struct place {
  char directory[64];
  char path[80];
} place;

static void fail(const char *what) {
  fprintf(stderr, "bench_store: %s\n", what);
  exit(1);
}

static void place_make(place *p) {
  const char *base = getenv("TMPDIR");
  snprintf(p->directory, sizeof p->directory, "%s/tt-bench-XXXXXX",
           base ? base : "/tmp");
  if (!mkdtemp(p->directory))
    fail("cannot make a folder");
  snprintf(p->path, sizeof p->path, "%s/log.db", p->directory);
}

static void place_remove(const place *p) {
  char command[96];
  snprintf(command, sizeof command, "rm -r %s", p->directory);
  if (system(command) != 0)
    fail("cannot remove its folder");
}

/* 250 bytes each, as the record. */
static void make_batch(tti_batch *batch, size_t count) {
  static const char data[] =
      "{\"env\":\"prod\",\"rows\":42,\"path\":\"/api/v1/things/17\","
      "\"user\":\"somebody@example.org\",\"took\":12.5,\"ok\":true,"
      "\"note\":\"a text of some length\"}";
  tti_batch_init(batch, 10000, 64u << 20);
  for (size_t i = 0; i < count; i++) {
    tti_record record = {.level = TT_LEVEL_INFO,
                         .ts_us = 1700000000000000,
                         .source = tti_slice_of(i % 3 ? "shop" : "billing"),
                         .type = TTI_SLICE("request"),
                         .category = TTI_SLICE("api"),
                         .data = {data, sizeof data - 1}};
    if (tti_batch_add(batch, &record) != TT_OK)
      fail("out of memory");
  }
}

typedef struct outcome {
  double rate; /* rows a second */
  double rows;
} outcome;

/* ---- Ours ---- */

typedef struct ours {
  place place;
  store *store;
  bus *bus;
} ours;

typedef struct slot {
  bus_publish publish;
  sem_t *free_slots;
  bool busy;
} slot;

static void ours_open(ours *o, store_durability durability) {
  tti_buf error;
  tti_buf_init(&error, 4096);
  store_options options = {.path = o->place.path, .durability = durability};
  if (store_sqlite_open(&options, &error, &o->store) != TT_OK)
    fail("cannot open the store");
  tti_buf_fini(&error);
  bus_options wanted = {.store = o->store, .durability = durability};
  if (bus_local_new(&wanted, &o->bus) != TT_OK)
    fail("cannot make the bus");
}

static void ours_close(ours *o) {
  bus_close(o->bus, 10000);
  store_close(o->store, 10000);
}

static void on_done(bus_publish *publish) {
  slot *s = (slot *)publish;
  if (publish->verdict != BUS_ACCEPTED)
    fail("a batch was refused");
  __atomic_store_n(&s->busy, false, __ATOMIC_RELEASE);
  sem_post(s->free_slots);
}

/* With so many batches in flight. */
static outcome ours_run(ours *o, size_t in_flight, double seconds) {
  static slot slots[IN_FLIGHT];
  sem_t free_slots;
  sem_init(&free_slots, 0, (unsigned)in_flight);
  for (size_t i = 0; i < in_flight; i++) {
    slots[i] = (slot){.free_slots = &free_slots};
    make_batch(&slots[i].publish.batch, ROWS);
    slots[i].publish.done = on_done;
  }
  int64_t begin = bench_wall_ns(), end = begin + (int64_t)(seconds * 1e9);
  size_t batches = 0;
  while (bench_wall_ns() < end) {
    sem_wait(&free_slots);
    size_t i = 0;
    while (__atomic_load_n(&slots[i].busy, __ATOMIC_ACQUIRE))
      i++;
    slots[i].busy = true;
    if (bus_submit(o->bus, &slots[i].publish) != TT_OK)
      fail("the queue is full");
    batches++;
  }
  for (size_t i = 0; i < in_flight; i++)
    sem_wait(&free_slots);
  double took = (double)(bench_wall_ns() - begin) / 1e9;
  for (size_t i = 0; i < in_flight; i++)
    tti_batch_fini(&slots[i].publish.batch);
  sem_destroy(&free_slots);
  double rows = (double)(batches * ROWS);
  return (outcome){rows / took, rows};
}

/* ---- Bare SQLite ---- */

typedef struct bare {
  place place;
  sqlite3 *db;
  sqlite3_stmt *begin, *commit, *insert;
  int64_t seq;
} bare;

static void bare_open(bare *b, bool sync) {
  static const char schema[] =
      "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;"
      "CREATE TABLE log_1(seq INTEGER PRIMARY KEY, received_us INTEGER NOT"
      " NULL, record BLOB NOT NULL);";
  if (sqlite3_open(b->place.path, &b->db) != SQLITE_OK ||
      sqlite3_exec(b->db, schema, NULL, NULL, NULL) != SQLITE_OK ||
      sqlite3_exec(
          b->db, sync ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
          NULL, NULL, NULL) != SQLITE_OK)
    fail("cannot open bare SQLite");
  sqlite3_prepare_v2(b->db, "BEGIN IMMEDIATE", -1, &b->begin, NULL);
  sqlite3_prepare_v2(b->db, "COMMIT", -1, &b->commit, NULL);
  sqlite3_prepare_v2(b->db,
                     "INSERT INTO log_1(seq, received_us, record)"
                     " VALUES(?1, ?2, ?3)",
                     -1, &b->insert, NULL);
  b->seq = 0;
}

static void bare_close(bare *b) {
  sqlite3_finalize(b->begin);
  sqlite3_finalize(b->commit);
  sqlite3_finalize(b->insert);
  sqlite3_close(b->db);
}

static void step(sqlite3_stmt *stmt) {
  if (sqlite3_step(stmt) != SQLITE_DONE)
    fail("bare SQLite refused a row");
  sqlite3_reset(stmt);
}

static outcome bare_run(bare *b, double seconds) {
  tti_batch batch;
  make_batch(&batch, ROWS);
  int64_t begin = bench_wall_ns(), end = begin + (int64_t)(seconds * 1e9);
  size_t batches = 0;
  while (bench_wall_ns() < end) {
    step(b->begin);
    const char *at = batch.bytes.data;
    for (size_t i = 0; i < batch.count; i++) {
      sqlite3_bind_int64(b->insert, 1, ++b->seq);
      sqlite3_bind_int64(b->insert, 2, 1700000000000000);
      sqlite3_bind_blob64(b->insert, 3, at, batch.lengths[i], SQLITE_STATIC);
      step(b->insert);
      at += batch.lengths[i];
    }
    step(b->commit);
    batches++;
  }
  double took = (double)(bench_wall_ns() - begin) / 1e9;
  tti_batch_fini(&batch);
  double rows = (double)(batches * ROWS);
  return (outcome){rows / took, rows};
}

/* ---- The figures ---- */

/* Every thread's CPU time, since other programs' load does not show in it. */
static double cpu_us(void) {
  return (double)bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e3;
}

static void compare(const char *name, store_durability durability,
                    size_t in_flight, double seconds) {
  ours o;
  bare b;
  bench_samples mine = {0}, theirs = {0}, my_cpu = {0}, their_cpu = {0};
  place_make(&o.place);
  place_make(&b.place);
  ours_open(&o, durability);
  bare_open(&b, durability == STORE_SYNC);
  for (int run = 0; run < RUNS; run++) {
    double cpu = cpu_us();
    outcome got = ours_run(&o, in_flight, seconds);
    bench_add(&mine, got.rate);
    bench_add(&my_cpu, (cpu_us() - cpu) / got.rows);
    cpu = cpu_us();
    got = bare_run(&b, seconds);
    bench_add(&theirs, got.rate);
    bench_add(&their_cpu, (cpu_us() - cpu) / got.rows);
  }
  ours_close(&o);
  bare_close(&b);
  place_remove(&o.place);
  place_remove(&b.place);
  char cpu_name[64];
  snprintf(cpu_name, sizeof cpu_name, "%s_cpu", name);
  bench_print(name, "rows/s", &mine, "bare sqlite", &theirs);
  bench_print(cpu_name, "us/row", &my_cpu, "bare sqlite", &their_cpu);
}

static void fill(ours *o, size_t rows) {
  for (size_t stored = 0; stored < rows; stored += 10000) {
    sem_t done;
    sem_init(&done, 0, 0);
    slot s = {.free_slots = &done};
    make_batch(&s.publish.batch, 10000);
    s.publish.done = on_done;
    if (bus_submit(o->bus, &s.publish) != TT_OK)
      fail("the queue is full");
    sem_wait(&done);
    tti_batch_fini(&s.publish.batch);
    sem_destroy(&done);
  }
}

static void measure_open(void) {
  ours o;
  bench_samples took = {0};
  place_make(&o.place);
  ours_open(&o, STORE_COMMIT);
  fill(&o, MILLION);
  ours_close(&o);
  for (int run = 0; run < RUNS; run++) {
    int64_t begin = bench_wall_ns();
    ours_open(&o, STORE_SYNC);
    bench_add(&took, (double)(bench_wall_ns() - begin) / 1e6);
    ours_close(&o);
  }
  place_remove(&o.place);
  bench_print("store_open_million", "ms", &took, NULL, NULL);
}

int main(int argc, char **argv) {
  double seconds = bench_seconds(argc, argv) / (3 * 2 * RUNS);
  compare("store_batch100", STORE_COMMIT, 1, seconds);
  compare("store_batch100_inflight16", STORE_COMMIT, IN_FLIGHT, seconds);
  compare("store_batch100_sync", STORE_SYNC, 1, seconds);
  measure_open();
  return 0;
}
