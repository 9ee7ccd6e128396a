#include "bench/bench.h"
#include <sqlite3.h>
#include <telltale/outbox.h>
#include <unistd.h>

/* What a publish costs in a transaction with 1 event, and with 100, beside an
 * insert of the same row that is prepared once and whose body is made already.
 * In WAL mode with synchronous=NORMAL, as this thread's CPU time, so that the
 * disk does not count; each in a database of its own. */

typedef struct way {
  const char *path;
  sqlite3 *db;
  tt_outbox *outbox;
  sqlite3_stmt *insert; /* NULL: publishes */
  unsigned each;        /* events a transaction */
  bool best_effort;
  unsigned long long count;
} way;

static const char data[] =
    "{\"order\":\"A-1042\",\"total\":129.95,\"currency\":\"EUR\",\"items\":["
    "{\"sku\":\"4711\",\"n\":2},{\"sku\":\"4712\",\"n\":1}],\"customer\":"
    "{\"id\":\"c-7\",\"name\":\"Grace Hopper\",\"vip\":true},\"note\":null}";

static void check(bool good, const char *what) {
  if (good)
    return;
  fprintf(stderr, "bench_outbox: %s failed\n", what);
  exit(1);
}

static void run(sqlite3 *db, const char *sql) {
  check(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
}

static void insert(way *w, const char *id) {
  static const char head[] = "{\"type\":\"order.paid\",\"id\":\"";
  static char body[1024];
  int len =
      snprintf(body, sizeof(body),
               "%s%s\",\"timestamp\":\"2026-01-02T03:04:05.000006Z\","
               "\"schema_version\":\"1\",\"subject\":\"c-7\",\"data\":%s}",
               head, id, data);
  sqlite3_stmt *s = w->insert;
  const char *const texts[] = {id,   "order.paid", "c-7", "shop",
                               NULL, NULL,         NULL,  NULL};
  for (int i = 0; i < 8; i++)
    sqlite3_bind_text(s, i + 1, texts[i], -1, SQLITE_STATIC);
  sqlite3_bind_text(s, 9, body, len, SQLITE_STATIC);
  for (int i = 10; i <= 12; i++)
    sqlite3_bind_int64(s, i, 1767225600000000 + (int64_t)w->count);
  check(sqlite3_step(s) == SQLITE_DONE, "the insert");
  sqlite3_reset(s);
}

static void publish(way *w, const char *id) {
  tt_outbox_event event = {.id = id,
                           .type = "order.paid",
                           .subject = "c-7",
                           .source = "shop",
                           .data = data,
                           .data_len = sizeof(data) - 1};
  check((w->best_effort ? tt_outbox_publish_best_effort
                        : tt_outbox_publish)(w->outbox, w->db, &event) == TT_OK,
        "a publish");
}

static void work(void *context, size_t times) {
  way *w = context;
  char id[TELLTALE_OUTBOX_ID_SIZE];
  for (size_t i = 0; i < times; i++) {
    run(w->db, "BEGIN");
    for (unsigned j = 0; j < w->each; j++) {
      /* As spread as real ones are. */
      w->count++;
      snprintf(id, sizeof(id), "evt_%016llx%016llx",
               w->count * 0x9e3779b97f4a7c15u, w->count);
      (w->insert ? insert : publish)(w, id);
    }
    run(w->db, "COMMIT");
  }
}

static void open_way(way *w, const char *directory, bool attached, bool bare) {
  char path[64];
  snprintf(path, sizeof(path), "%s/%s.db", directory, w->path);
  check(sqlite3_open(path, &w->db) == SQLITE_OK, "opening a database");
  sqlite3_busy_timeout(w->db, 1000);
  run(w->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
  check(tt_outbox_new(NULL, &w->outbox) == TT_OK, "tt_outbox_new");
  check(tt_outbox_migrate(w->outbox, w->db) == TT_OK, "tt_outbox_migrate");
  if (attached)
    check(tt_outbox_attach(w->outbox, w->db) == TT_OK, "tt_outbox_attach");
  if (bare)
    check(sqlite3_prepare_v2(
              w->db,
              "INSERT INTO tt_outbox_events(id,type,subject,source,category,"
              "agent_id,level,labels,body,created_at,next_poll_at,expires_at)"
              "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
              -1, &w->insert, NULL) == SQLITE_OK,
          "preparing");
}

static void close_way(way *w, const char *directory) {
  char command[96];
  sqlite3_finalize(w->insert);
  tt_outbox_free(w->outbox);
  check(sqlite3_close(w->db) == SQLITE_OK, "closing");
  snprintf(command, sizeof(command), "rm %s/%s.db*", directory, w->path);
  check(system(command) == 0, command);
}

enum { BARE, PLAIN, ATTACHED, SPARED, WAYS };

static void bench(const char *directory, unsigned each, int64_t ns,
                  const char *const names[WAYS]) {
  static bench_samples samples[WAYS];
  way ways[WAYS] = {{.path = "bare"},
                    {.path = "plain"},
                    {.path = "attached"},
                    {.path = "spared", .best_effort = true}};
  for (int i = 0; i < WAYS; i++) {
    samples[i].count = 0;
    ways[i].each = each;
    open_way(&ways[i], directory, i >= ATTACHED, i == BARE);
    work(&ways[i], 1000 / each);
  }
  for (int run = 0; run < BENCH_RUNS_MIN; run++)
    for (int i = 0; i < WAYS; i++)
      bench_add(&samples[i], 1e9 * each / bench_run_ns(work, &ways[i], ns));
  for (int i = PLAIN; i < WAYS; i++)
    bench_print(names[i], "events/CPU-s", &samples[i], "bare insert",
                &samples[BARE]);
  for (int i = 0; i < WAYS; i++)
    close_way(&ways[i], directory);
}

int main(int argc, char **argv) {
  int64_t ns =
      (int64_t)(bench_seconds(argc, argv) * 1e9 / 2 / WAYS / BENCH_RUNS_MIN);
  char directory[] = "/tmp/telltale-bench-XXXXXX";
  check(mkdtemp(directory) != NULL, "mkdtemp");
  bench(directory, 1, ns,
        (const char *const[WAYS]){NULL, "outbox_publish", "outbox_attached",
                                  "outbox_attached_best_effort"});
  bench(directory, 100, ns,
        (const char *const[WAYS]){NULL, "outbox_publish_100",
                                  "outbox_attached_100",
                                  "outbox_attached_best_effort_100"});
  return rmdir(directory);
}
