/* Fills a store for bench/history.mjs: history_fill PATH COUNT. As a busy week
 * would: 20 sources and one rare one, 50 actions, five levels, a duration on
 * three events in ten, received evenly over the last 6.9 days. Ends when the
 * store has summed up what it can. */
#include "bench/bench.h"

#include "server/store/store.h"
#include <semaphore.h>
#include <sqlite3.h>
#include <unistd.h>

#define BATCH     20
#define IN_FLIGHT 64
#define SPAN_US   (INT64_C(69) * 24 * 360 * 1000000)
#define RARE      10000

typedef struct slot {
  store_job job;
  tti_batch batch;
} slot;

static sem_t free_slots;

static void fail(const char *what) {
  fprintf(stderr, "history_fill: %s\n", what);
  exit(1);
}

/* xorshift64: the same events in every run. */
static uint64_t next_random(void) {
  static uint64_t x = 88172645463325252u;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return x;
}

/* Below `n`; small numbers are more frequent. */
static unsigned skewed(unsigned n) {
  return (unsigned)(next_random() % n * (next_random() % n) / n);
}

static void add_event(tti_batch *batch, uint64_t i) {
  static const tt_level levels[] = {
      TT_LEVEL_INFO,  TT_LEVEL_INFO,  TT_LEVEL_INFO, TT_LEVEL_INFO,
      TT_LEVEL_DEBUG, TT_LEVEL_DEBUG, TT_LEVEL_WARN, TT_LEVEL_ERROR};
  char source[32], action[32], agent[32], data[256];
  unsigned host = skewed(20);
  snprintf(source, sizeof source, "service-%u", host);
  if (i % RARE == RARE / 2)
    snprintf(source, sizeof source, "rare");
  snprintf(action, sizeof action, "request.handler%u", skewed(50));
  snprintf(agent, sizeof agent, "host-%u.example", host % 7);
  uint64_t chance = next_random() % 100;
  tti_record record = {.ts_us = 1700000000000000,
                       .level = levels[next_random() % 8],
                       .source = tti_slice_of(source),
                       .type = tti_slice_of(action),
                       .category = TTI_SLICE("api"),
                       .agent_id = tti_slice_of(agent)};
  if (i % RARE == 17)
    record.level = TT_LEVEL_FATAL;
  if (chance < 30) {
    record.has_duration = true;
    record.duration_ms = (int64_t)(next_random() % (1u << next_random() % 12));
  }
  int len = snprintf(data, sizeof data,
                     "{\"env\":\"prod\",\"rows\":%u,\"path\":\"/api/v1/things/"
                     "%llu\",\"user\":\"somebody@example.org\",\"ok\":true,"
                     "\"note\":\"a text of some length\"}",
                     (unsigned)(next_random() % 1000), (unsigned long long)i);
  record.data = (tti_slice){data, (size_t)len};
  if (tti_batch_add(batch, &record) != TT_OK)
    fail("out of memory");
}

static void on_done(store_job *job) {
  if (job->verdict != STORE_OK)
    fail("a batch was refused");
  __atomic_store_n(&job->owner, NULL, __ATOMIC_RELEASE);
  sem_post(&free_slots);
}

static void fill(store *s, uint64_t count) {
  static slot slots[IN_FLIGHT];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  int64_t begin_us = now.tv_sec * INT64_C(1000000) - SPAN_US;
  sem_init(&free_slots, 0, IN_FLIGHT);
  for (uint64_t stored = 0; stored < count; stored += BATCH) {
    sem_wait(&free_slots);
    slot *at = slots;
    while (__atomic_load_n(&at->job.owner, __ATOMIC_ACQUIRE))
      at++;
    tti_batch_fini(&at->batch);
    tti_batch_init(&at->batch, BATCH, 1u << 20);
    for (uint64_t i = 0; i < BATCH; i++)
      add_event(&at->batch, stored + i);
    at->job = (store_job){
        .kind = STORE_JOB_APPEND,
        .done = on_done,
        .owner = at,
        .batch = &at->batch,
        .received_us = begin_us + (int64_t)((double)SPAN_US * (double)stored /
                                            (double)count)};
    if (store_submit(s, &at->job) != TT_OK)
      fail("the queue is full");
  }
  for (int i = 0; i < IN_FLIGHT; i++)
    sem_wait(&free_slots);
  for (int i = 0; i < IN_FLIGHT; i++)
    tti_batch_fini(&slots[i].batch);
}

/* How far the summaries lack behind, by the file. */
static sqlite3_int64 behind(const char *path) {
  sqlite3 *db;
  sqlite3_stmt *stmt;
  sqlite3_int64 rows = -1;
  if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
      sqlite3_prepare_v2(
          db,
          "SELECT (SELECT next_seq - 1 FROM meta) - max(summarised_to)"
          " FROM log_tables",
          -1, &stmt, NULL) == SQLITE_OK) {
    if (sqlite3_step(stmt) == SQLITE_ROW)
      rows = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
  }
  sqlite3_close(db);
  return rows;
}

int main(int argc, char **argv) {
  store *s;
  tti_buf error;
  char *end = NULL;
  uint64_t count = argc == 3 ? strtoull(argv[2], &end, 10) : 0;
  if (!end || *end || count == 0)
    fail("usage: history_fill PATH COUNT");
  tti_buf_init(&error, 4096);
  store_options options = {.path = argv[1], .durability = STORE_COMMIT};
  if (store_sqlite_open(&options, &error, &s) != TT_OK)
    fail("cannot open the store");
  tti_buf_fini(&error);
  fill(s, count);
  for (int i = 0; i < 600 && behind(argv[1]) >= 1024; i++)
    usleep(100000);
  if (behind(argv[1]) >= 1024)
    fail("the store did not sum up its events within a minute");
  store_close(s, 10000);
  return 0;
}
