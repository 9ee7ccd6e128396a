#include "tests/unit.h"

#include "server/feed/frame.h"
#include "server/feed/hub.h"
#include <pthread.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A hub on a real store, bus and ring, all of them small, with connections and
 * a clock that the test holds in its hand. */
typedef struct world {
  char dir[32];
  store *store;
  bus *bus;
  hub *hub;
  uint64_t now_us;
  bool run_wanted;
  uint64_t run_at_us;
  size_t reads; /* began, in all */
  size_t pending_reads;
  pthread_mutex_t lock;
  pthread_cond_t ended;
  hub_read *first; /* ended, by task.next */
  uint64_t last_seq;
} world;

/* A client. `got` is what it will have seen once it reads on. */
typedef struct client {
  hub_sub sub;
  tti_buf got;
  size_t pending;
  size_t most_pending;
  size_t writes;
  const char *last_bytes;
  bool stuck;   /* takes nothing */
  bool leaving; /* its connection breaks at the next write */
  bool ended;
  bool connected;
} client;

static client *client_of(const hub_sub *sub) {
  return LIST_ENTRY((hub_sub *)sub, client, sub);
}

static uint64_t env_now_us(void *context) {
  return ((world *)context)->now_us;
}

static void env_run_in(void *context, uint64_t ms) {
  world *w = context;
  uint64_t at = w->now_us + ms * 1000;
  if (!w->run_wanted || at < w->run_at_us)
    w->run_at_us = at;
  w->run_wanted = true;
}

static void env_read_began(void *context) {
  world *w = context;
  w->reads++;
  w->pending_reads++;
}

static void env_read_ended(void *context, hub_read *read) {
  world *w = context;
  if (!read) {
    w->pending_reads--;
    return;
  }
  pthread_mutex_lock(&w->lock);
  read->task.next = (loop_task *)(void *)w->first;
  w->first = read;
  pthread_cond_signal(&w->ended);
  pthread_mutex_unlock(&w->lock);
}

static void env_write(hub_sub *sub, http_chunk *chunk) {
  client *c = client_of(sub);
  assert_true(c->connected);
  assert_false(c->ended);
  if (c->leaving) {
    c->connected = false;
    topic_chunk_unref(chunk);
    hub_unsubscribe(sub);
    return;
  }
  tti_buf_append(&c->got, chunk->data, chunk->len);
  c->last_bytes = chunk->data;
  c->writes++;
  if (c->stuck) {
    c->pending += chunk->len;
    if (c->pending > c->most_pending)
      c->most_pending = c->pending;
  }
  topic_chunk_unref(chunk);
}

static size_t env_pending(const hub_sub *sub) {
  return client_of(sub)->pending;
}

static void env_end(hub_sub *sub) {
  client_of(sub)->ended = true;
}

/* ---- The world ---- */

typedef struct setting {
  size_t ring_entries;
  bool memory;
  size_t cache_bytes;
  size_t max_pending;
} setting;

static world *world_new(setting s) {
  world *w = calloc(1, sizeof(*w));
  assert_non_null(w);
  snprintf(w->dir, sizeof(w->dir), "/tmp/hub_test.XXXXXX");
  assert_non_null(mkdtemp(w->dir));
  char path[64];
  snprintf(path, sizeof(path), "%s/store.db", w->dir);
  tti_buf error;
  tti_buf_init(&error, 4096);
  store_options options = {
      .path = path, .durability = STORE_COMMIT, .table_rows = 64};
  if (s.memory)
    options.retain_bytes = 16384;
  assert_int_equal((s.memory ? store_memory_open
                             : store_sqlite_open)(&options, &error, &w->store),
                   TT_OK);
  tti_buf_fini(&error);
  bus_options bus_settings = {.store = w->store,
                              .durability = STORE_COMMIT,
                              .ring_entries = s.ring_entries};
  assert_int_equal(bus_local_new(&bus_settings, &w->bus), TT_OK);
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->ended, NULL);
  w->now_us = 1000000;
  hub_options hub_settings = {.env = {.now_us = env_now_us,
                                      .run_in = env_run_in,
                                      .read_began = env_read_began,
                                      .read_ended = env_read_ended,
                                      .context = w,
                                      .write = env_write,
                                      .pending = env_pending,
                                      .end = env_end},
                              .bus = w->bus,
                              .store = w->store,
                              .cache_bytes = s.cache_bytes,
                              .max_pending = s.max_pending};
  assert_int_equal(hub_new(&hub_settings, &w->hub), TT_OK);
  store_status status;
  store_status_get(w->store, &status);
  w->last_seq = status.head_seq;
  return w;
}

static void world_free(world *w) {
  hub_free(w->hub);
  bus_close(w->bus, 1000);
  store_close(w->store, 1000);
  pthread_cond_destroy(&w->ended);
  pthread_mutex_destroy(&w->lock);
  const char *names[] = {"store.db", "store.db-wal", "store.db-shm",
                         "store.db.lock", "store.db-lock"};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    char path[64];
    snprintf(path, sizeof(path), "%s/%s", w->dir, names[i]);
    unlink(path);
  }
  assert_int_equal(rmdir(w->dir), 0);
  free(w);
}

static void on_published(bus_publish *publish) {
  atomic_bool *done = (void *)(publish + 1);
  atomic_store(done, true);
}

/* Publishes `count` events, every third of source "rare", and waits until they
 * are committed and in the ring. */
static void publish_sized(world *w, size_t count, size_t text_len) {
  bus_publish *p = calloc(1, sizeof(*p) + sizeof(atomic_bool));
  char *text = malloc(text_len + 1);
  assert_non_null(p);
  assert_non_null(text);
  memset(text, 'x', text_len);
  tti_batch_init(&p->batch, count, (size_t)64 << 20);
  for (size_t i = 0; i < count; i++) {
    uint64_t seq = w->last_seq + 1 + i;
    tti_record record = {.level = TT_LEVEL_INFO,
                         .ts_us = 1,
                         .source = seq % 3 == 0 ? TTI_SLICE("rare")
                                                : TTI_SLICE("common"),
                         .type = {text, text_len}};
    assert_int_equal(tti_batch_add(&p->batch, &record), TT_OK);
  }
  p->done = on_published;
  assert_int_equal(bus_submit(w->bus, p), TT_OK);
  while (!atomic_load((atomic_bool *)(void *)(p + 1)))
    sched_yield();
  assert_int_equal(p->verdict, BUS_ACCEPTED);
  assert_int_equal(p->count, count);
  if (w->last_seq == 0)
    w->last_seq = p->first_seq - 1;
  w->last_seq += count;
  tti_batch_fini(&p->batch);
  free(p);
  free(text);
}

static void publish(world *w, size_t count) {
  publish_sized(w, count, 20);
}

/* Takes in reads that have ended; waits for one when `wait`. */
static bool finish_reads(world *w, bool wait) {
  pthread_mutex_lock(&w->lock);
  while (wait && !w->first)
    pthread_cond_wait(&w->ended, &w->lock);
  hub_read *first = w->first;
  w->first = NULL;
  pthread_mutex_unlock(&w->lock);
  bool any = first != NULL;
  while (first) {
    hub_read *next = (hub_read *)(void *)first->task.next;
    w->pending_reads--;
    hub_read_finish(w->hub, first);
    first = next;
  }
  return any;
}

/* One thing that is due; false when nothing is. */
static bool turn(world *w) {
  if (finish_reads(w, false))
    return true;
  /* The clock does not move while a read is under way, however long the
   * machine takes for it. */
  if (w->pending_reads > 0 && !(w->run_wanted && w->run_at_us <= w->now_us))
    return finish_reads(w, true);
  if (!w->run_wanted)
    return false;
  if (w->run_at_us > w->now_us)
    w->now_us = w->run_at_us;
  w->run_wanted = false;
  hub_run(w->hub);
  return true;
}

static void settle(world *w) {
  hub_wake(w->hub);
  for (size_t i = 0; turn(w); i++)
    assert_true(i < 100000);
}

/* ---- Clients ---- */

static client *connect_with(world *w, cursor_request asked, const char *source,
                            tti_view view) {
  client *c = calloc(1, sizeof(*c));
  assert_non_null(c);
  tti_buf_init(&c->got, SIZE_MAX);
  c->connected = true;
  tti_filter *filter;
  assert_int_equal(tti_filter_new(&filter), TT_OK);
  if (source)
    assert_int_equal(
        tti_filter_add(filter, TTI_SLICE("source"), tti_slice_of(source)),
        TT_OK);
  cursor_start start =
      cursor_begin(&asked, bus_head(w->bus), tt_stream_seq(bus_stream(w->bus)));
  assert_int_equal(hub_subscribe(w->hub, &c->sub, filter,
                                 STORE_KIND_BIT(TTI_KIND_RELAY), view, &start),
                   TT_OK);
  return c;
}

static client *connect_after(world *w, uint64_t after) {
  return connect_with(w, (cursor_request){.from = CURSOR_AFTER, .after = after},
                      NULL, TTI_VIEW_RELAY);
}

static client *connect_tail(world *w) {
  return connect_with(w, (cursor_request){.from = CURSOR_TAIL}, NULL,
                      TTI_VIEW_RELAY);
}

static void disconnect(client *c) {
  if (c->connected)
    hub_unsubscribe(&c->sub);
  tti_buf_fini(&c->got);
  free(c);
}

static void release(client *c) {
  c->stuck = false;
  c->pending = 0;
  hub_writable(&c->sub);
}

/* What the client saw, frame by frame. */
typedef struct seen {
  uint64_t events;
  uint64_t first;
  uint64_t last;    /* event */
  uint64_t last_id; /* of any frame */
  uint64_t dropped;
  bool reset;
} seen;

/* Reads the client's bytes; every event's seq must be above all before it, and
 * `after` is where it stood. With `whole` each seq is either an event or within
 * a drop: no gap. */
static seen look(client *c, uint64_t after, bool whole) {
  seen s = {.last_id = after};
  tti_buf_append_char(&c->got, '\0');
  c->got.len--;
  uint64_t at = after;
  for (char *text = c->got.data; text && *text;) {
    char *end = strstr(text, "\n\n");
    assert_non_null(end);
    *end = '\0';
    unsigned long long id = 0, from = 0, to = 0;
    if (sscanf(text,
               "event: dropped\nid: %llu\ndata: {\"dropped\":%*u,"
               "\"from_seq\":%llu,\"to_seq\":%llu",
               &id, &from, &to) == 3) {
      assert_true(from > at);
      if (whole)
        assert_int_equal(from, at + 1);
      assert_int_equal(id, to);
      s.dropped += to - from + 1;
      at = to;
      s.last_id = id;
    } else if (sscanf(text, "event: reset\nid: %llu", &id) == 1) {
      s.reset = true;
      s.last_id = id;
      at = id;
    } else if (sscanf(text, "event: position\nid: %llu", &id) == 1) {
      assert_true(id >= s.last_id);
      at = id;
      s.last_id = id;
    } else if (sscanf(text, "id: %llu", &id) == 1) {
      assert_true(id > at);
      if (whole)
        assert_int_equal(id, at + 1);
      if (s.events++ == 0)
        s.first = id;
      s.last = id;
      at = id;
      s.last_id = id;
    }
    *end = '\n';
    text = end + 2;
  }
  return s;
}

/* ---- What is promised ---- */

static void live_subscribers_share_one_write_a_turn(void **state) {
  (void)state;
  world *w = world_new((setting){.ring_entries = 64});
  client *a = connect_tail(w);
  client *b = connect_tail(w);
  settle(w);
  size_t before = a->writes;
  publish(w, 5);
  settle(w);
  assert_int_equal(a->writes, before + 1);
  assert_ptr_equal(a->last_bytes, b->last_bytes);
  seen s = look(a, w->last_seq - 5, true);
  assert_int_equal(s.events, 5);
  assert_int_equal(s.last, w->last_seq);
  disconnect(a);
  disconnect(b);
  world_free(w);
}

static void every_start_leads_to_all_that_follows(void **state) {
  (void)state;
  world *w = world_new((setting){.ring_entries = 32});
  publish(w, 1);
  uint64_t base = w->last_seq - 1;
  publish(w, 299);
  client *all[301];
  for (uint64_t i = 0; i <= 300; i++)
    all[i] = connect_after(w, base + i);
  settle(w);
  publish(w, 10);
  settle(w);
  for (uint64_t i = 0; i <= 300; i++) {
    seen s = look(all[i], base + i, true);
    assert_int_equal(s.events, 310 - i);
    assert_int_equal(s.last, w->last_seq);
    assert_int_equal(s.dropped, 0);
    disconnect(all[i]);
  }
  world_free(w);
}

static void those_who_come_back_together_share_the_reads(void **state) {
  (void)state;
  world *w = world_new((setting){.ring_entries = 16});
  publish(w, 1000);
  uint64_t after = w->last_seq - 1000;
  client *all[200];
  for (size_t i = 0; i < 200; i++)
    all[i] = connect_after(w, after);
  settle(w);
  assert_true(w->reads <= 12);
  for (size_t i = 0; i < 200; i++) {
    assert_int_equal(look(all[i], after, true).events, 1000);
    disconnect(all[i]);
  }
  world_free(w);
}

static void a_filter_shows_only_its_own_and_moves_on(void **state) {
  (void)state;
  world *w = world_new((setting){.ring_entries = 16});
  publish(w, 300);
  uint64_t after = w->last_seq - 300;
  client *c =
      connect_with(w, (cursor_request){.from = CURSOR_AFTER, .after = after},
                   "rare", TTI_VIEW_RELAY);
  client *none =
      connect_with(w, (cursor_request){.from = CURSOR_AFTER, .after = after},
                   "nobody", TTI_VIEW_RELAY);
  settle(w);
  publish(w, 31);
  settle(w);
  seen s = look(c, after, false);
  assert_int_equal(s.events, (after + 331) / 3 - after / 3);
  assert_null(strstr(c->got.data, "common"));
  s = look(none, after, false);
  assert_int_equal(s.events, 0);
  /* In silence its position is told, so that it need not start over. */
  w->now_us += 16000000;
  hub_tick(w->hub);
  assert_int_equal(look(none, after, false).last_id, w->last_seq);
  assert_int_equal(look(c, after, false).last_id, w->last_seq);
  size_t len = none->got.len;
  w->now_us += 16000000;
  hub_tick(w->hub);
  assert_int_equal(none->got.len, len + 3);
  assert_memory_equal(none->got.data + len, ":\n\n", 3);
  disconnect(c);
  disconnect(none);
  world_free(w);
}

static void the_first_frames_tell_retry_and_position(void **state) {
  (void)state;
  world *w = world_new((setting){.ring_entries = 16});
  publish(w, 3);
  client *c = connect_tail(w);
  tti_buf want;
  tti_buf_init(&want, 256);
  frame_retry(&want, 2000);
  frame_position(&want, w->last_seq);
  assert_int_equal(c->got.len, want.len);
  assert_memory_equal(c->got.data, want.data, want.len);
  tti_buf_fini(&want);
  client *beyond = connect_after(w, w->last_seq + 7);
  settle(w);
  publish(w, 2);
  settle(w);
  seen s = look(beyond, w->last_seq - 2, true);
  assert_true(s.reset);
  assert_int_equal(s.events, 2);
  disconnect(c);
  disconnect(beyond);
  world_free(w);
}

static void a_slow_one_reads_on_from_the_store_and_holds_little(void **state) {
  (void)state;
  world *w = world_new((setting){.ring_entries = 16, .max_pending = 2000});
  client *slow = connect_tail(w);
  client *fast = connect_tail(w);
  settle(w);
  uint64_t after = w->last_seq;
  publish(w, 1);
  slow->stuck = true;
  for (size_t i = 0; i < 50; i++) {
    publish(w, 10);
    settle(w);
  }
  assert_true(slow->most_pending <= 4000);
  assert_int_equal(look(fast, after, true).events, 501);
  release(slow);
  settle(w);
  publish(w, 5);
  settle(w);
  seen s = look(slow, after, true);
  assert_int_equal(s.events, 506);
  assert_int_equal(s.dropped, 0);
  hub_counts counts;
  hub_counts_get(w->hub, &counts);
  assert_int_equal(counts.catchups, 1);
  assert_int_equal(counts.delivered, 506 * 2);
  disconnect(slow);
  disconnect(fast);
  world_free(w);
}

static void what_retention_took_is_told(void **state) {
  (void)state;
  world *w = world_new((setting){.ring_entries = 16, .memory = true});
  publish(w, 1);
  uint64_t after = w->last_seq - 1;
  client *slow = connect_after(w, after);
  settle(w);
  slow->stuck = true;
  publish(w, 1);
  settle(w);
  for (size_t i = 0; i < 20; i++) {
    publish_sized(w, 100, 2000);
    settle(w);
  }
  client *late = connect_after(w, after);
  settle(w);
  seen s = look(late, after, true);
  assert_true(s.dropped > 0);
  assert_int_equal(s.events + s.dropped, 2002);
  assert_non_null(strstr(late->got.data, "\"reason\":\"retention\""));
  release(slow);
  settle(w);
  s = look(slow, after, true);
  assert_true(s.dropped > 0);
  assert_int_equal(s.events + s.dropped, 2002);
  assert_non_null(strstr(slow->got.data, "\"reason\":\"slow\""));
  disconnect(slow);
  disconnect(late);
  world_free(w);
}

/* Behind the server's back: rows are gone, or no records. */
static void damage(world *w, bool gone, uint64_t from, uint64_t to) {
  char text[160];
  sqlite3 *db;
  sqlite3_stmt *tables;
  snprintf(text, sizeof(text), "%s/store.db", w->dir);
  assert_int_equal(sqlite3_open(text, &db), SQLITE_OK);
  sqlite3_busy_timeout(db, 10000);
  /* A read that becomes a write would not wait for the store's own writer. */
  assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL),
                   SQLITE_OK);
  const char *query = "SELECT name FROM sqlite_master WHERE type = 'table' AND"
                      " name GLOB 'log_[0-9]*'";
  assert_int_equal(sqlite3_prepare_v2(db, query, -1, &tables, NULL), SQLITE_OK);
  while (sqlite3_step(tables) == SQLITE_ROW) {
    snprintf(text, sizeof(text), "%s %s %s WHERE seq BETWEEN %llu AND %llu",
             gone ? "DELETE FROM" : "UPDATE", sqlite3_column_text(tables, 0),
             gone ? "" : "SET record = x'00'", (unsigned long long)from,
             (unsigned long long)to);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
  }
  sqlite3_finalize(tables);
  assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
}

static void damage_is_told_and_passed_over(void **state) {
  (void)state;
  world *w = world_new((setting){.ring_entries = 16});
  publish(w, 300);
  uint64_t after = w->last_seq - 300;
  damage(w, true, after + 101, after + 105);
  damage(w, false, after + 201, after + 201);
  client *all = connect_after(w, after);
  settle(w);
  publish(w, 3);
  settle(w);
  /* Five rows are gone: steps of 1, 2 and 4 lead over them. */
  seen s = look(all, after, true);
  assert_int_equal(s.dropped, 7 + 1);
  assert_int_equal(s.events, 303 - 8);
  assert_non_null(strstr(all->got.data, "\"reason\":\"damaged\""));
  client *some =
      connect_with(w, (cursor_request){.from = CURSOR_AFTER, .after = after},
                   "rare", TTI_VIEW_ENVELOPE);
  settle(w);
  s = look(some, after, false);
  assert_true(s.dropped >= 3 && s.dropped <= 8);
  assert_int_equal(s.last, w->last_seq - w->last_seq % 3);
  hub_counts counts;
  hub_counts_get(w->hub, &counts);
  assert_true(counts.failures >= 4);
  disconnect(all);
  disconnect(some);
  world_free(w);
}

static void a_ring_that_overtakes_the_loop_costs_nothing(void **state) {
  (void)state;
  world *w = world_new((setting){.ring_entries = 16});
  client *c = connect_tail(w);
  settle(w);
  uint64_t after = w->last_seq;
  publish(w, 500); /* no wake until the ring has long turned over */
  settle(w);
  publish(w, 3);
  settle(w);
  seen s = look(c, after, true);
  assert_int_equal(s.events, 503);
  disconnect(c);
  world_free(w);
}

static void large_events_go_through_a_small_cache(void **state) {
  (void)state;
  world *w = world_new((setting){.ring_entries = 4, .cache_bytes = 1});
  publish_sized(w, 20, 60000);
  uint64_t after = w->last_seq - 20;
  client *a = connect_after(w, after);
  client *b = connect_after(w, after + 3);
  client *c =
      connect_with(w, (cursor_request){.from = CURSOR_AFTER, .after = after},
                   NULL, TTI_VIEW_ENVELOPE);
  settle(w);
  publish_sized(w, 4, 60000);
  settle(w);
  assert_int_equal(look(a, after, true).events, 24);
  assert_int_equal(look(b, after + 3, true).events, 21);
  assert_int_equal(look(c, after, true).events, 24);
  assert_non_null(strstr(c->got.data, "\"event\":{"));
  assert_null(strstr(a->got.data, "\"event\":{"));
  disconnect(a);
  disconnect(b);
  disconnect(c);
  world_free(w);
}

static void one_that_leaves_during_a_write_is_gone(void **state) {
  (void)state;
  world *w = world_new((setting){.ring_entries = 64});
  publish(w, 30);
  client *live = connect_tail(w);
  client *stays = connect_tail(w);
  settle(w);
  live->leaving = true;
  client *behind = connect_after(w, w->last_seq - 30);
  behind->leaving = true;
  publish(w, 1);
  settle(w);
  assert_false(live->connected);
  assert_false(behind->connected);
  assert_int_equal(hub_subscribers(w->hub), 1);
  assert_int_equal(look(stays, w->last_seq - 1, true).events, 1);
  disconnect(live);
  disconnect(behind);
  disconnect(stays);
  /* Nobody watched for a while: the next one starts at the end. */
  publish(w, 100);
  client *next = connect_tail(w);
  publish(w, 2);
  settle(w);
  assert_int_equal(look(next, w->last_seq - 2, true).events, 2);
  disconnect(next);
  world_free(w);
}

static bool always(hub_sub *sub) {
  (void)sub;
  return true;
}

static void nothing_is_written_after_the_end(void **state) {
  (void)state;
  world *w = world_new((setting){.ring_entries = 64});
  publish(w, 40);
  client *a = connect_tail(w);
  client *b = connect_after(w, w->last_seq - 40);
  hub_end_where(w->hub, always);
  assert_true(a->ended);
  assert_true(b->ended);
  publish(w, 3);
  settle(w); /* env_write fails the test if it is called */
  w->now_us += 60000000;
  hub_tick(w->hub);
  disconnect(a);
  disconnect(b);
  client *c = connect_tail(w);
  hub_close(w->hub);
  assert_true(c->ended);
  unsigned long long retry;
  const char *last = strstr(c->got.data, "}\n\n");
  assert_non_null(last);
  assert_int_equal(sscanf(last, "}\n\nretry: %llu\n\n", &retry), 1);
  assert_true(retry >= 2000 && retry <= 5000);
  disconnect(c);
  world_free(w);
}

/* Whatever happens in whatever order: everybody sees everything after its
 * start, once and in order. */
static void any_order_of_things_loses_nothing(void **state) {
  (void)state;
  enum { CLIENTS = 12, ROUNDS = 1500 };
  for (unsigned seed = 1; seed <= 4; seed++) {
    unsigned random = seed * 2654435761u;
    world *w = world_new((setting){.ring_entries = 24,
                                   .cache_bytes = seed % 2 ? 4096 : 0,
                                   .max_pending = 3000});
    publish(w, 1);
    client *clients[CLIENTS] = {NULL};
    uint64_t starts[CLIENTS] = {0};
    for (size_t round = 0; round < ROUNDS; round++) {
      random = random * 1664525u + 1013904223u;
      unsigned dice = random >> 24;
      size_t i = (random >> 8) % CLIENTS;
      client *c = clients[i];
      if (dice < 60) {
        publish(w, 1 + dice % 30);
        if (dice % 3)
          hub_wake(w->hub);
      } else if (dice < 100 && !c) {
        starts[i] = w->last_seq -
                    (random >> 4) % (w->last_seq < 400 ? w->last_seq : 400);
        clients[i] = connect_after(w, starts[i]);
      } else if (dice < 108 && c) {
        seen s = look(c, starts[i], true);
        assert_int_equal(s.dropped, 0);
        disconnect(c);
        clients[i] = NULL;
      } else if (dice < 140 && c) {
        c->stuck = true;
      } else if (dice < 180 && c) {
        release(c);
      } else {
        for (unsigned n = dice % 6; n > 0 && turn(w); n--)
          ;
      }
    }
    for (size_t i = 0; i < CLIENTS; i++)
      if (clients[i])
        release(clients[i]);
    settle(w);
    for (size_t i = 0; i < CLIENTS; i++) {
      if (!clients[i])
        continue;
      seen s = look(clients[i], starts[i], true);
      assert_int_equal(s.dropped, 0);
      assert_int_equal(s.events, w->last_seq - starts[i]);
      disconnect(clients[i]);
    }
    world_free(w);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(live_subscribers_share_one_write_a_turn),
      cmocka_unit_test(every_start_leads_to_all_that_follows),
      cmocka_unit_test(those_who_come_back_together_share_the_reads),
      cmocka_unit_test(a_filter_shows_only_its_own_and_moves_on),
      cmocka_unit_test(the_first_frames_tell_retry_and_position),
      cmocka_unit_test(a_slow_one_reads_on_from_the_store_and_holds_little),
      cmocka_unit_test(what_retention_took_is_told),
      cmocka_unit_test(damage_is_told_and_passed_over),
      cmocka_unit_test(a_ring_that_overtakes_the_loop_costs_nothing),
      cmocka_unit_test(large_events_go_through_a_small_cache),
      cmocka_unit_test(one_that_leaves_during_a_write_is_gone),
      cmocka_unit_test(nothing_is_written_after_the_end),
      cmocka_unit_test(any_order_of_things_loses_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
