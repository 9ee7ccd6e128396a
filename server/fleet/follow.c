#include "server/fleet/follow.h"

#include "lib/base/cond.h"
#include "lib/base/thread.h"
#include "server/io/clock.h"
#include "server/io/log.h"
#include "server/testing/fault.h"
#include <stdatomic.h>
#include <stdlib.h>

enum {
  GATHER_US = 250000, /* that updates are left to gather */
  RETRY_US = 1000000,
  LOOK_US = 60000000, /* for what is too old */
  PIECE_ROWS = 256,
  PIECE_BYTES = 1 << 20,
  BATCH_ROWS = 8192,
  BATCH_BYTES = 16 << 20,
  JOB_ENTRIES = 96, /* some two milliseconds */
  EXPIRE_US = 2000
};
#define RETAIN_US INT64_C(34560000000000)

struct fleet_follow {
  fleet_follow_options options;
  fleet_dimensions dimensions;
  pthread_t thread;
  bool started;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  /* Under the mutex. */
  bool woken, leave, answered;
  /* For the watchdog: how far, and whether it has something to do itself. */
  atomic_ullong beats;
  atomic_bool busy;
  /* The thread's. */
  int64_t positions[FLEET_SHARDS];
  fleet_gather gather;
  int64_t expired_hour;
  tti_log_ration trouble;
};

/* ---- Asking the store ---- */

static void answered(fleet_follow *f) {
  pthread_mutex_lock(&f->mutex);
  f->answered = true;
  pthread_cond_broadcast(&f->changed);
  pthread_mutex_unlock(&f->mutex);
}

static void job_done(store_job *job) {
  answered(*(fleet_follow **)job->owner);
}

static void read_done(store_read *read) {
  answered(*(fleet_follow **)read->owner);
}

/* What the store does is watched there. */
static void wait_answer(fleet_follow *f) {
  atomic_store_explicit(&f->busy, false, memory_order_relaxed);
  pthread_mutex_lock(&f->mutex);
  while (!f->answered)
    tti_cond_wait(&f->changed, &f->mutex, -1);
  f->answered = false;
  pthread_mutex_unlock(&f->mutex);
  atomic_fetch_add_explicit(&f->beats, 1, memory_order_relaxed);
  atomic_store_explicit(&f->busy, true, memory_order_relaxed);
}

/* Until the moment, or to the end; true: to the end. */
static bool rest(fleet_follow *f, int64_t us, bool until_woken) {
  int64_t until = tti_monotonic_us(&tti_clock_system) + us;
  atomic_store_explicit(&f->busy, false, memory_order_relaxed);
  pthread_mutex_lock(&f->mutex);
  while (!f->leave && !(until_woken && f->woken) &&
         tti_cond_wait(&f->changed, &f->mutex, until))
    ;
  bool leave = f->leave;
  pthread_mutex_unlock(&f->mutex);
  atomic_store_explicit(&f->busy, true, memory_order_relaxed);
  return leave;
}

static bool is_leaving(fleet_follow *f) {
  return rest(f, 0, false);
}

static void complain(fleet_follow *f, const char *what, const char *why) {
  tt_log_hook hook = server_log_hook("fleet");
  tti_log_rationed(&f->trouble, &hook, TT_LEVEL_WARN,
                   "%s: %s; tried again every second", what, why);
}

/* `owner` begins with the follow. Tries until it is done; false: leaving. */
static bool change(fleet_follow *f, void *owner,
                   tt_error (*run)(store_job *job, store_tx *tx)) {
  for (;;) {
    store_job job = {
        .kind = STORE_JOB_RUN, .done = job_done, .owner = owner, .run = run};
    tt_error error = store_submit(f->options.store, &job);
    if (!error)
      wait_answer(f);
    if (!error && job.verdict == STORE_OK)
      return true;
    complain(f, "updates of the fleet could not be added up",
             error ? tt_error_message(error) : job.reason);
    if (rest(f, RETRY_US, false))
      return false;
  }
}

static bool look(fleet_follow *f, void *owner,
                 tt_error (*run)(store_read *read, store_tx *tx)) {
  for (;;) {
    store_read read = {.done = read_done, .owner = owner, .run = run};
    tt_error error = store_read_submit(f->options.store, &read);
    if (!error)
      wait_answer(f);
    if (!error && !read.error)
      return true;
    complain(f, "updates of the fleet could not be read",
             tt_error_message(error ? error : read.error));
    if (rest(f, RETRY_US, false))
      return false;
  }
}

/* ---- Reading updates ---- */

/* A piece of the log, copied: its rows are taken apart on our thread. */
typedef struct piece {
  fleet_follow *follow;
  int64_t after_n;
  tti_buf bytes;
  size_t rows;
} piece;

static tt_error read_piece(store_read *read, store_tx *tx) {
  piece *p = read->owner;
  fleet_told told;
  sqlite3_stmt *stmt = fleet_told_after(tx, p->after_n);
  tti_buf_clear(&p->bytes);
  for (p->rows = 0; p->rows < PIECE_ROWS && p->bytes.len < PIECE_BYTES &&
                    fleet_told_next(tx, stmt, &told);
       p->rows++) {
    tti_buf_append(&p->bytes, &told, sizeof told);
    tti_buf_append_slice(&p->bytes, told.data);
    tti_buf_append_slice(&p->bytes, told.fields);
  }
  tt_error error = tx_end(tx, stmt);
  return error ? error : p->bytes.error;
}

static tti_slice take_text(const char **at, tti_slice text) {
  tti_slice taken = {text.ptr ? *at : NULL, text.len};
  *at += text.len;
  return taken;
}

/* False: no memory. */
static bool gather_piece(fleet_follow *f, piece *p) {
  const char *at = p->bytes.data;
  for (size_t i = 0; i < p->rows; i++) {
    fleet_told told;
    memcpy(&told, at, sizeof told);
    at += sizeof told;
    told.data = take_text(&at, told.data);
    told.fields = take_text(&at, told.fields);
    if (!fleet_gather_add(&f->gather, f->positions, &told))
      return false;
    p->after_n = told.n;
    if (f->gather.count >= FLEET_GATHER_MAX)
      break;
  }
  return true;
}

/* Up to which all shards are. */
static int64_t position(const fleet_follow *f) {
  int64_t n = f->positions[0];
  for (size_t i = 1; i < FLEET_SHARDS; i++)
    n = f->positions[i] < n ? f->positions[i] : n;
  return n;
}

/* Gathers a batch; *out_n is its last update. False: no memory, or leaving. */
static bool gather_batch(fleet_follow *f, int64_t *out_n, bool *out_more) {
  piece p = {.follow = f, .after_n = position(f)};
  size_t rows = 0, bytes = 0;
  bool good;
  tti_buf_init(&p.bytes, 64 << 20);
  do {
    good = look(f, &p, read_piece) && gather_piece(f, &p);
    rows += p.rows;
    bytes += p.bytes.len;
    *out_more = p.rows == PIECE_ROWS || p.bytes.len >= PIECE_BYTES ||
                f->gather.count >= FLEET_GATHER_MAX;
  } while (good && *out_more && rows < BATCH_ROWS && bytes < BATCH_BYTES &&
           f->gather.count < FLEET_GATHER_MAX && !is_leaving(f));
  *out_n = p.after_n;
  tti_buf_fini(&p.bytes);
  return good;
}

/* ---- Adding to the tables ---- */

/* Some shards of a batch, in one transaction. */
typedef struct portion {
  fleet_follow *follow;
  int first, end;
  int64_t n;
  uint64_t overflow; /* out: what went to "other", or nowhere */
  tti_buf bytes;     /* of a row */
} portion;

static tt_error add_to_bucket(portion *p, store_tx *tx, const fleet_entry *e,
                              int64_t series_n, fleet_span span) {
  int64_t at =
      fleet_bucket_of(span, fleet_bucket_begin_us(FLEET_HOURS, e->hour));
  fleet_aggregate sum = {0};
  fleet_bucket row;
  tt_error error = TT_OK;
  sqlite3_stmt *stmt = fleet_buckets(tx, series_n, span, at, at + 1);
  if (fleet_buckets_next(tx, stmt, &row))
    error = fleet_aggregate_read(&sum, &row);
  tt_error end = tx_end(tx, stmt);
  uint64_t other = sum.values.other;
  if (!error && !(error = end) && !fleet_aggregate_merge(&sum, &e->sum))
    error = TT_ENOMEM;
  if (!error)
    error = fleet_aggregate_write(&sum, &p->bytes, &row);
  row.bucket = at;
  if (!error)
    error = fleet_buckets_put(tx, series_n, span, &row);
  if (span == FLEET_HOURS)
    p->overflow += sum.values.other - other;
  fleet_aggregate_fini(&sum);
  return error;
}

static tt_error add_entry(portion *p, store_tx *tx, const fleet_entry *e,
                          int64_t *held) {
  fleet_series series = e->series;
  tt_error error = fleet_series_claim(tx, &series, held);
  if (!error && (!series.n || series.other))
    p->overflow += e->sum.updates;
  for (int span = FLEET_HOURS; !error && series.n && span <= FLEET_DAYS; span++)
    error = add_to_bucket(p, tx, e, series.n, (fleet_span)span);
  return error;
}

static tt_error add_portion(store_job *job, store_tx *tx) {
  portion *p = job->owner;
  const fleet_gather *g = &p->follow->gather;
  int64_t held = -1;
  tt_error error = FAULT_POINT("fleet.portion") ? TT_EIO : TT_OK;
  p->overflow = 0;
  for (int shard = p->first; !error && shard < p->end; shard++) {
    const fleet_entry *e = g->shards[shard];
    for (; !error && e; e = e->next_in_shard)
      error = add_entry(p, tx, e, &held);
    if (!error && p->n > p->follow->positions[shard])
      error = fleet_shards_save(tx, shard, p->n);
  }
  return error;
}

/* Shards for some JOB_ENTRIES of entries, at least one. */
static int portion_end(const fleet_gather *g, int first) {
  size_t entries = g->in_shard[first];
  int end = first + 1;
  while (end < FLEET_SHARDS && entries + g->in_shard[end] <= JOB_ENTRIES)
    entries += g->in_shard[end++];
  return end;
}

/* False: leaving. */
static bool add_batch(fleet_follow *f, int64_t n) {
  portion p = {.follow = f, .n = n};
  bool good = true;
  tti_buf_init(&p.bytes, 1 << 20);
  for (; good && p.first < FLEET_SHARDS; p.first = p.end) {
    p.end = portion_end(&f->gather, p.first);
    good = change(f, &p, add_portion);
    for (int shard = p.first; good && shard < p.end; shard++)
      if (n > f->positions[shard])
        f->positions[shard] = n;
    if (good && p.overflow)
      tt_metrics_add(f->options.metrics, TT_METRIC_FLEET_AGGREGATE_OVERFLOW,
                     p.overflow, NULL, NULL);
  }
  tti_buf_fini(&p.bytes);
  return good;
}

/* All that there is. */
static void catch_up(fleet_follow *f) {
  int64_t n;
  bool more = true;
  while (more && !is_leaving(f)) {
    bool good = gather_batch(f, &n, &more);
    if (good && n > position(f))
      good = add_batch(f, n);
    fleet_gather_clear(&f->gather);
    more = more || !good;
    if (!good && !rest(f, RETRY_US, false))
      complain(f, "updates of the fleet could not be added up",
               tt_error_message(TT_ENOMEM));
  }
}

/* ---- What is too old ---- */

typedef struct expiry {
  fleet_follow *follow;
  int64_t now_us;
  int64_t after_n, next_n;
} expiry;

static tt_error expire_some(store_job *job, store_tx *tx) {
  expiry *x = job->owner;
  int64_t hours = x->now_us - FLEET_HOURS_RETAIN_US;
  int64_t days = x->now_us - x->follow->options.retain_us;
  int64_t began_us = tti_monotonic_us(&tti_clock_system);
  tt_error error;
  x->next_n = x->after_n;
  do
    error =
        fleet_buckets_expire(tx, x->next_n, fleet_bucket_of(FLEET_HOURS, hours),
                             fleet_bucket_of(FLEET_DAYS, days), &x->next_n);
  while (!error && x->next_n &&
         tti_monotonic_us(&tti_clock_system) - began_us < EXPIRE_US);
  return error;
}

static void expire(fleet_follow *f) {
  expiry x = {.follow = f, .now_us = server_wall_us()};
  int64_t hour = fleet_bucket_of(FLEET_HOURS, x.now_us);
  if (hour == f->expired_hour || position(f) == 0)
    return;
  f->expired_hour = hour;
  while (change(f, &x, expire_some) && x.next_n)
    x.after_n = x.next_n;
}

/* ---- The thread ---- */

static tt_error load_positions(store_read *read, store_tx *tx) {
  return fleet_shards_load(tx, (*(fleet_follow **)read->owner)->positions);
}

static void *follow_main(void *context) {
  fleet_follow *f = context;
  bool leave = !look(f, &f, load_positions);
  while (!leave) {
    catch_up(f);
    expire(f);
    rest(f, LOOK_US, true);
    leave = rest(f, GATHER_US, false);
    pthread_mutex_lock(&f->mutex);
    f->woken = false;
    pthread_mutex_unlock(&f->mutex);
  }
  atomic_store_explicit(&f->busy, false, memory_order_relaxed);
  return NULL;
}

/* ---- For others ---- */

void fleet_follow_wake(fleet_follow *f) {
  pthread_mutex_lock(&f->mutex);
  if (!f->woken) {
    f->woken = true;
    pthread_cond_broadcast(&f->changed);
  }
  pthread_mutex_unlock(&f->mutex);
}

const fleet_dimensions *fleet_follow_dimensions(const fleet_follow *f) {
  return &f->dimensions;
}

static watch_state look_at(void *context) {
  fleet_follow *f = context;
  return (watch_state){
      .beats = atomic_load_explicit(&f->beats, memory_order_relaxed),
      .pending = atomic_load_explicit(&f->busy, memory_order_relaxed)};
}

watchdog_worker fleet_follow_watch(fleet_follow *f) {
  return (watchdog_worker){
      .name = "fleet aggregates", .look = look_at, .context = f};
}

static tt_error take_dimensions(fleet_follow *f, char *const *names) {
  for (size_t i = 0; names && names[i]; i++) {
    if (i == FLEET_DIMENSIONS_MAX)
      return TT_EINVAL;
    char *copy = strdup(names[i]);
    if (!copy)
      return TT_ENOMEM;
    f->dimensions.names[f->dimensions.count++] = tti_slice_of(copy);
  }
  return TT_OK;
}

tt_error fleet_follow_new(const fleet_follow_options *options,
                          fleet_follow **out_follow) {
  fleet_follow *f = calloc(1, sizeof *f);
  if (!f)
    return TT_ENOMEM;
  f->options = *options;
  if (!f->options.retain_us)
    f->options.retain_us = RETAIN_US;
  f->gather.dimensions = &f->dimensions;
  f->expired_hour = -1;
  pthread_mutex_init(&f->mutex, NULL);
  tti_cond_init(&f->changed);
  tt_error error = take_dimensions(f, options->dimensions);
  if (!error) {
    f->started = tti_thread_start(&f->thread, follow_main, f);
    error = f->started ? TT_OK : TT_ENOMEM;
  }
  if (error)
    fleet_follow_free(f);
  else
    *out_follow = f;
  return error;
}

void fleet_follow_free(fleet_follow *f) {
  if (!f)
    return;
  pthread_mutex_lock(&f->mutex);
  f->leave = true;
  pthread_cond_broadcast(&f->changed);
  pthread_mutex_unlock(&f->mutex);
  if (f->started)
    pthread_join(f->thread, NULL);
  for (size_t i = 0; i < f->dimensions.count; i++)
    free((char *)f->dimensions.names[i].ptr);
  pthread_cond_destroy(&f->changed);
  pthread_mutex_destroy(&f->mutex);
  free(f);
}
