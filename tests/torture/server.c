/* The server: stores, the bus, configuration, tokens, requests, the feed. */
#include "tests/torture/scenario.h"

#include "lib/stream/stream.h"
#include "server/auth/auth.h"
#include "server/bus/bus.h"
#include "server/config/config.h"
#include "server/feed/frame.h"
#include "server/feed/piece.h"
#include "server/feed/topic.h"
#include "server/http/head.h"
#include "server/store/store.h"
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void wait_for(sem_t *sem) {
  while (sem_wait(sem) != 0)
    ;
}

static bool make_batch(tti_batch *batch, size_t count) {
  tti_record record = {.level = TT_LEVEL_INFO,
                       .source = TTI_SLICE("torture"),
                       .type = TTI_SLICE("deploy"),
                       .data = TTI_SLICE("{}")};
  tti_batch_init(batch, 1000, 1 << 20);
  for (size_t i = 0; i < count; i++) {
    if (tti_batch_add(batch, &record))
      return false;
  }
  return true;
}

/* ---- Stores ---- */

typedef struct waited {
  store_job job;
  sem_t answered;
} waited;

static void on_done(store_job *job) {
  sem_post(&((waited *)job)->answered);
}

/* A job is answered whatever happens, and a failure has a reason. */
static store_verdict submit(store *s, waited *w) {
  w->job.done = on_done;
  sem_init(&w->answered, 0, 0);
  tt_error error = store_submit(s, &w->job);
  require(error == TT_OK || error == TT_ENOMEM || error == TT_EFULL);
  if (!error)
    wait_for(&w->answered);
  else
    w->job.verdict = STORE_RETRY;
  sem_destroy(&w->answered);
  require(error || w->job.verdict != STORE_RETRY || w->job.reason[0]);
  return w->job.verdict;
}

static bool append(store *s, const char *key, uint64_t *io_stored) {
  tti_batch batch;
  bool well = make_batch(&batch, 20);
  if (well) {
    waited w = {.job = {.kind = STORE_JOB_APPEND, .batch = &batch}};
    if (key)
      w.job.key = (store_key){.scope = TTI_SLICE("t /events"),
                              .key = tti_slice_of(key)};
    store_verdict verdict = submit(s, &w);
    require(verdict == STORE_OK || verdict == STORE_RETRY);
    well = verdict == STORE_OK;
    *io_stored += well ? 20 : 0;
  }
  tti_batch_fini(&batch);
  return well;
}

static bool token(store *s) {
  waited w = {.job = {.kind = STORE_JOB_TOKEN_CREATE}};
  snprintf(w.job.token.id, sizeof(w.job.token.id), "id");
  snprintf(w.job.token.name, sizeof(w.job.token.name), "torture");
  w.job.token.scopes = AUTH_READ;
  store_verdict verdict = submit(s, &w);
  require(verdict == STORE_OK || verdict == STORE_RETRY ||
          verdict == STORE_EXISTS);
  return verdict != STORE_RETRY;
}

typedef struct waited_read {
  store_read read;
  sem_t answered;
} waited_read;

static void on_read(store_read *read) {
  sem_post(&((waited_read *)read)->answered);
}

/* Reads to the end and counts; false: an error was reported. */
static bool read_all(store *s, uint64_t *out_rows) {
  uint64_t rows = 0, after = 0;
  bool well = true, more = true;
  while (well && more) {
    waited_read r = {.read = {.done = on_read, .after_seq = after}};
    tti_buf_init(&r.read.rows, 8u << 20);
    sem_init(&r.answered, 0, 0);
    tt_error error = store_read_submit(s, &r.read);
    require(error == TT_OK || error == TT_ENOMEM || error == TT_EFULL);
    if (!error) {
      wait_for(&r.answered);
      error = r.read.error;
    }
    well = !error;
    rows += well ? r.read.row_count : 0;
    after = r.read.next_seq;
    more = r.read.more;
    tti_buf_fini(&r.read.rows);
    sem_destroy(&r.answered);
  }
  *out_rows = rows;
  return well;
}

/* Whatever failed: everything that was answered OK is there afterwards, and
 * nothing else is. */
static bool use_store(store *s) {
  uint64_t stored = 0, rows = 0;
  bool well = append(s, NULL, &stored);
  well = append(s, "foreign", &stored) && well;
  well = append(s, "00000000-0000-4000-8000-000000000000/1", &stored) && well;
  well = token(s) && well;
  well = read_all(s, &rows) && well;
  if (!well)
    require(read_all(s, &rows));
  require(rows == stored);
  store_status now;
  store_status_get(s, &now);
  require(now.stored_total == stored);
  return well;
}

static bool store_memory(void) {
  tti_buf error;
  tti_buf_init(&error, 4096);
  store_options options = {.durability = STORE_SYNC};
  store *s;
  bool well = !store_memory_open(&options, &error, &s);
  if (well) {
    well = use_store(s);
    store_close(s, 5000);
  }
  tti_buf_fini(&error);
  return well;
}

static void remove_store(const char *path) {
  static const char *const parts[] = {"", "-wal", "-shm", ".lock", "-lock"};
  for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
    char name[128];
    snprintf(name, sizeof(name), "%s%s", path, parts[i]);
    unlink(name);
  }
}

static bool open_sqlite(const char *path, store **out_store) {
  tti_buf error;
  tti_buf_init(&error, 4096);
  store_options options = {
      .path = path, .durability = STORE_COMMIT, .table_rows = 50};
  bool well = !store_sqlite_open(&options, &error, out_store);
  tti_buf_fini(&error);
  return well;
}

static bool store_sqlite(void) {
  char path[96];
  store *s;
  snprintf(path, sizeof(path), "%s/log.db", scenario_folder());
  bool well = open_sqlite(path, &s);
  if (well) {
    well = use_store(s);
    store_close(s, 5000);
    /* A file that is there: the recovery. */
    if (open_sqlite(path, &s))
      store_close(s, 5000);
    else
      well = false;
  }
  if (!well) { /* what failed is over: the file opens */
    require(open_sqlite(path, &s));
    store_close(s, 5000);
  }
  remove_store(path);
  return well;
}

/* ---- The bus ---- */

typedef struct waited_publish {
  bus_publish publish;
  sem_t answered;
} waited_publish;

static void on_published(bus_publish *publish) {
  sem_post(&((waited_publish *)publish)->answered);
}

#define EVENTS 5 /* a batch */

static bool publish(bus *b) {
  waited_publish w = {.publish = {.done = on_published}};
  bool well = make_batch(&w.publish.batch, EVENTS);
  if (well) {
    sem_init(&w.answered, 0, 0);
    tt_error error = bus_submit(b, &w.publish);
    if (!error)
      wait_for(&w.answered);
    well = !error && w.publish.verdict == BUS_ACCEPTED;
    sem_destroy(&w.answered);
  }
  tti_batch_fini(&w.publish.batch);
  return well;
}

/* Who reads only the ring gets each event that was accepted, or is told that it
 * was dropped. Answers how many there were of both. */
static uint64_t read_ring(tt_reader *r) {
  uint64_t seen = 0;
  tti_stream_entry entry;
  tt_read_result drop;
  for (tti_read got; (got = tti_reader_next(r, &entry, &drop));)
    seen += got == TTI_READ_DROPPED ? drop.dropped : 1;
  return seen;
}

static bool bus_over(store_durability durability) {
  tti_buf error;
  store *s;
  bus *b;
  tti_buf_init(&error, 4096);
  store_options options = {.durability = durability};
  bool well = !store_memory_open(&options, &error, &s);
  tti_buf_fini(&error);
  if (!well)
    return false;
  bus_options with = {.store = s, .durability = durability, .ring_entries = 64};
  well = !bus_local_new(&with, &b);
  if (well) {
    tt_reader *r = NULL;
    uint64_t accepted = 0;
    well = !tt_reader_new(bus_stream(b), 0, &r);
    for (int i = 0; i < 5; i++)
      accepted += publish(b) ? EVENTS : 0;
    well = well && accepted == 5 * EVENTS;
    if (r)
      require(read_ring(r) == accepted);
    tt_reader_free(r);
    bus_counts counts;
    bus_counts_get(b, &counts);
    require(counts.received == counts.stored + counts.rejected_full +
                                   counts.rejected_failed + counts.lost);
    bus_close(b, 5000);
  }
  store_close(s, 5000);
  return well;
}

static bool bus_commit(void) {
  return bus_over(STORE_COMMIT);
}
static bool bus_memory(void) {
  return bus_over(STORE_MEMORY);
}

/* ---- Configuration and tokens ---- */

static bool configuration(void) {
  char path[96];
  snprintf(path, sizeof(path), "%s/telltale.yaml", scenario_folder());
  FILE *file = fopen(path, "w");
  if (!file)
    return false;
  fputs("listen: 127.0.0.1:0\nhosts: [a, b]\nring: {entries: 99}\n", file);
  fclose(file);
  const char *const args[] = {"serve",  "--config", path,       "--store",
                              "memory", "--host",   "c.example"};
  tti_buf error, help;
  tti_buf_init(&error, 4096);
  tti_buf_init(&help, 1 << 20);
  config c = {0};
  tt_error result =
      config_load(sizeof(args) / sizeof(args[0]), (char **)args, &error, &c);
  char *store_path = NULL;
  if (!result)
    result = config_store_path(&c, &error, &store_path);
  config_help(&help);
  bool well = !result && !help.error;
  free(store_path);
  config_fini(&c);
  tti_buf_fini(&error);
  tti_buf_fini(&help);
  return well;
}

static bool tokens(void) {
  tti_buf error;
  store *s;
  auth *a;
  tti_buf_init(&error, 4096);
  store_options options = {.durability = STORE_SYNC};
  bool well = !store_memory_open(&options, &error, &s);
  if (!well)
    goto out;
  char text[AUTH_TOKEN_TEXT];
  store_token made;
  tt_error result = auth_token_create_offline(s, TTI_SLICE("ci"), AUTH_READ,
                                              &error, text, &made);
  well = !result;
  auth_options with = {.store = s, .tokens.ingest = "tt_one"};
  if (!auth_new(&with, &a)) {
    require(auth_has_tokens(a));
    well = !auth_refresh(a) && well;
    auth_free(a);
  } else {
    well = false;
  }
  store_token *list = NULL;
  size_t count;
  if (!auth_tokens_in_force(s, &list, &count)) {
    require(count == (result ? 0 : 1));
    free(list);
  } else {
    well = false;
  }
  store_close(s, 5000);
out:
  tti_buf_fini(&error);
  return well;
}

/* ---- Requests and the feed ---- */

static bool request_head(void) {
  static const char text[] = "POST /events?a=b HTTP/1.1\r\nHost: a\r\n"
                             "Content-Length: 3\r\n\r\n";
  http_scanner scanner = {0};
  http_field fields[HTTP_FIELDS_MAX];
  http_head head;
  const http_refusal *refusal;
  require(http_scanner_run(&scanner, text, sizeof(text) - 1, 65536, &refusal) ==
          HTTP_SCAN_DONE);
  return http_head_parse(text, sizeof(text) - 1, scanner.lines, fields, &head,
                         &refusal);
}

static bool fill_rows(store_read *read) {
  tti_record record = {.level = TT_LEVEL_INFO, .source = TTI_SLICE("torture")};
  store_row row = {.len = tti_record_size(&record)};
  for (row.seq = 1; row.seq < 40; row.seq++) {
    tti_buf_append(&read->rows, &row, sizeof(row));
    char *at = tti_buf_reserve(&read->rows, row.len);
    if (!at)
      return false;
    tti_record_encode(&record, at);
    read->rows.len += row.len;
    read->row_count++;
  }
  return true;
}

static bool feed(void) {
  list_node topics, pieces;
  piece_cache cache;
  tti_filter *f;
  list_init(&topics);
  if (tti_filter_new(&f))
    return false;
  topic *t = topic_ref(&topics, f, 1);
  if (!t) {
    require(list_is_empty(&topics));
    return false;
  }
  cache_init(&cache, 4096);
  store_read read = {0};
  tti_buf_init(&read.rows, 1 << 20);
  bool well = fill_rows(&read);
  piece_key key = {.topic = t};
  const store_range range = {.from_seq = 40, .to_seq = 50, .reason = "crash"};
  if (well) {
    tt_error error = piece_from_read(&key, &read, &range, 1, 60, &pieces);
    require(error == TT_OK || error == TT_ENOMEM);
    well = !error;
  }
  while (well && !list_is_empty(&pieces)) {
    piece *p = LIST_ENTRY(pieces.next, piece, age);
    list_remove(&p->age);
    cache_put(&cache, p);
  }
  if (well)
    require(cache_find(&cache, &key));
  cache_forget(&cache, t);
  cache_fini(&cache);
  tti_buf_fini(&read.rows);
  topic_unref(t);
  return well;
}

const scenario server_scenarios[] = {
    {"store-memory", store_memory, true},
    {"store-sqlite", store_sqlite, true},
    {"bus-commit", bus_commit, true},
    {"bus-memory", bus_memory, true},
    {"configuration", configuration, true},
    {"tokens", tokens, false},
    {"request-head", request_head, false},
    {"feed", feed, true},
};
const size_t server_scenario_count =
    sizeof(server_scenarios) / sizeof(server_scenarios[0]);
