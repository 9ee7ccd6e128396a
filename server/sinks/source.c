#include "server/sinks/source.h"

#include "lib/base/cond.h"
#include "server/io/clock.h"
#include "server/io/log.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* How soon a cancel is seen during a read of the store, which takes a few
 * milliseconds unless the disk hangs. */
#define POLL_US ((int64_t)20000)
/* Before a read that failed is tried again. */
#define RETRY_US ((int64_t)100000)
/* How often it is told that records were passed over, and looked how close
 * retention is. */
#define TELL_US    ((int64_t)1000000)
#define RANGES_MAX 64
#define WARN_FROM  80

/* One read of the store. It may outlive the source: a store whose disk hangs
 * answers late. */
typedef struct fetch {
  store_read read;
  pthread_mutex_t mutex;
  pthread_cond_t ended;
  bool done;     /* with the mutex */
  bool orphaned; /* the source is gone: the last one frees */
  tti_filter *filter;
  char session_id[32]; /* "": any */
} fetch;

typedef struct source {
  sink_source_options o;
  tt_reader *reader;
  uint64_t at;   /* everything up to here was handed out or passed over */
  uint64_t told; /* … and so far the writer knows */
  int64_t told_us;
  bool live; /* in the ring */

  fetch *fetch;
  bool reading; /* it is with the store */
  bool stale;   /* what it brings is not wanted any more */
  bool walking; /* its rows are being handed out */
  size_t offset;
  uint64_t committed; /* the head before the read */
  uint64_t damage_to; /* the damage that was stepped over last ends here */
  uint64_t damage_step;

  int64_t received_us; /* of what was handed out last; 0: nothing yet */
  int64_t looked_us;
  tti_log_ration failure, damage, close;
} source;

/* Of the waits, which a test's clock does not move. */
static int64_t now_us(void) {
  return tti_monotonic_us(&tti_clock_system);
}

/* ---- The store ---- */

static void fetch_free(fetch *f) {
  tti_buf_fini(&f->read.rows);
  tti_filter_free(f->filter);
  pthread_cond_destroy(&f->ended);
  pthread_mutex_destroy(&f->mutex);
  free(f);
}

static void fetch_ended(store_read *read) {
  fetch *f = read->owner;
  pthread_mutex_lock(&f->mutex);
  f->done = true;
  bool orphaned = f->orphaned;
  pthread_cond_signal(&f->ended);
  pthread_mutex_unlock(&f->mutex);
  if (orphaned)
    fetch_free(f);
}

static bool of_session(void *context, uint64_t seq, int64_t received_us,
                       const tti_record *record) {
  const fetch *f = context;
  size_t len = strlen(f->session_id);
  (void)seq;
  (void)received_us;
  return len == 0 || (record->session_id.len >= len &&
                      memcmp(record->session_id.ptr, f->session_id, len) == 0);
}

static fetch *fetch_new(tti_filter *filter, const char *session_id) {
  fetch *f = calloc(1, sizeof(*f));
  if (!f)
    return NULL;
  pthread_mutex_init(&f->mutex, NULL);
  tti_cond_init(&f->ended);
  tti_buf_init(&f->read.rows, SIZE_MAX);
  f->filter = filter;
  snprintf(f->session_id, sizeof(f->session_id), "%s",
           session_id ? session_id : "");
  return f;
}

static bool fetch_wait(fetch *f, tt_cancel *cancel) {
  pthread_mutex_lock(&f->mutex);
  while (!f->done && !(cancel && tti_cancel_pause(cancel, 0)))
    tti_cond_wait(&f->ended, &f->mutex, now_us() + POLL_US);
  bool done = f->done;
  pthread_mutex_unlock(&f->mutex);
  return done;
}

static tt_error fetch_start(source *s) {
  store_status status;
  store_status_get(s->o.store, &status); /* before: the read sees no less */
  s->committed = status.head_seq;
  store_read *r = &s->fetch->read;
  tti_buf_clear(&r->rows);
  tti_buf rows = r->rows;
  *r = (store_read){.done = fetch_ended,
                    .owner = s->fetch,
                    .order = STORE_ASCENDING,
                    .after_seq = s->at,
                    .kinds = s->o.kinds,
                    .filter = s->fetch->filter,
                    .accept = *s->fetch->session_id ? of_session : NULL,
                    .accept_context = s->fetch,
                    .show_damaged = true,
                    .rows = rows};
  s->fetch->done = false;
  tt_error error = store_read_submit(s->o.store, r);
  s->reading = error == TT_OK;
  s->stale = false;
  if (error)
    s->fetch->done = true;
  return error;
}

/* All that exists up to here is in the read's rows. Where the read came to its
 * end, next_seq may be ahead of what is committed (numbers are reserved in
 * blocks), and what is between is yet to come. */
static uint64_t fetch_end(const source *s) {
  const store_read *r = &s->fetch->read;
  if (r->more)
    return r->next_seq;
  uint64_t end = s->committed;
  size_t offset = 0;
  store_row row;
  tti_slice record;
  while (store_row_next(r, &offset, &row, &record))
    if (row.seq > end)
      end = row.seq;
  return end > s->at ? end : s->at;
}

/* What retention took between the position and the first row. Other holes never
 * were events that anybody had an answer for. */
static bool overtaken(source *s, tt_read_result *out_drop) {
  store_range ranges[RANGES_MAX];
  size_t offset = 0;
  store_row row;
  tti_slice record;
  uint64_t to = store_row_next(&s->fetch->read, &offset, &row, &record)
                    ? row.seq - 1
                    : fetch_end(s);
  if (to <= s->at)
    return false;
  size_t count = store_ranges(s->o.store, s->at, to, ranges, RANGES_MAX);
  tt_read_result drop = {0};
  for (size_t i = 0; i < count; i++) {
    if (strcmp(ranges[i].reason, "retention") != 0)
      continue;
    uint64_t from = ranges[i].from_seq > s->at ? ranges[i].from_seq : s->at + 1;
    uint64_t end = ranges[i].to_seq < to ? ranges[i].to_seq : to;
    if (drop.dropped == 0)
      drop.from_seq = from;
    drop.to_seq = end;
    drop.dropped += end - from + 1;
  }
  if (drop.dropped)
    *out_drop = drop;
  return drop.dropped > 0;
}

/* The writer counts it; for people it is kept beside the position. */
static void missed(source *s, const tt_read_result *drop) {
  sink_position_missed(s->o.position, drop->dropped, drop->from_seq,
                       drop->to_seq);
  s->at = s->told = drop->to_seq;
}

static void go_live(source *s) {
  s->live = true;
  tti_reader_seek(s->reader, s->at);
}

/* The row after the position cannot be read, now or ever. How many follow it
 * is found by steps that double. */
static void step_over(source *s, tt_read_result *out_drop) {
  bool again = s->at == s->damage_to;
  s->damage_step = again ? s->damage_step * 2 : 1;
  uint64_t most = s->committed > s->at ? s->committed - s->at : 1;
  uint64_t step = s->damage_step < most ? s->damage_step : most;
  *out_drop = (tt_read_result){
      .dropped = step, .from_seq = s->at + 1, .to_seq = s->at + step};
  tt_log_hook hook = server_log_hook("sinks");
  tti_log_rationed(&s->damage, &hook, TT_LEVEL_ERROR,
                   "the store is damaged between seq %llu and %llu: sink %s "
                   "does not get that; a backup may have it",
                   (unsigned long long)out_drop->from_seq,
                   (unsigned long long)out_drop->to_seq, s->o.name);
  s->damage_to = out_drop->to_seq;
}

/* ---- How close retention is ---- */

static unsigned percent(double part, double whole) {
  double p = whole > 0 ? 100 * part / whole : 0;
  return p > 100 ? 100 : p > 0 ? (unsigned)p : 0;
}

static void look(source *s) {
  int64_t now = now_us();
  if (now - s->looked_us < TELL_US)
    return;
  s->looked_us = now;
  store_status status;
  store_status_get(s->o.store, &status);
  unsigned used = 0;
  if (status.head_seq > s->told) {
    double share = (double)(status.head_seq - s->told) /
                   (double)(status.head_seq - status.oldest_seq + 1);
    used = percent((double)status.used_bytes * (share < 1 ? share : 1),
                   (double)store_retain_bytes(s->o.store));
    unsigned age = s->received_us
                       ? percent((double)(server_wall_us() - s->received_us),
                                 (double)store_retain_us(s->o.store))
                       : 0;
    if (age > used)
      used = age;
  }
  atomic_store_explicit(s->o.reach_percent, used, memory_order_relaxed);
  tt_log_hook hook = server_log_hook("sinks");
  if (used >= WARN_FROM)
    tti_log_rationed(&s->close, &hook, TT_LEVEL_WARN,
                     "sink %s is far behind, at seq %llu: %u %% of what "
                     "retention leaves is used; mend it, or raise retain and "
                     "retain_bytes, before events are lost to it",
                     s->o.name, (unsigned long long)s->told, used);
}

/* ---- One step; *out_found: the outputs are set ---- */

static bool wanted(const source *s, tti_slice bytes) {
  tti_record record;
  return tti_record_decode(bytes, &record) == TT_OK &&
         (s->o.kinds & STORE_KIND_BIT(record.kind)) &&
         tti_filter_match(s->fetch->filter, &record) &&
         of_session(s->fetch, 0, 0, &record);
}

static void hand_out(source *s, const tti_stream_entry *entry) {
  s->at = s->told = entry->seq;
  s->received_us = entry->received_us;
}

/* Nothing of what was passed over was wanted: the writer may move on. */
static bool tell(source *s, bool now, tti_stream_entry *out_entry,
                 tt_read_result *out_drop) {
  int64_t us = now_us();
  if (s->at <= s->told || (!now && us - s->told_us < TELL_US))
    return false;
  *out_drop = (tt_read_result){.from_seq = s->told + 1, .to_seq = s->at};
  out_entry->record = (tti_slice){NULL, 0};
  s->told = s->at;
  s->told_us = us;
  return true;
}

static tt_error from_ring(source *s, int timeout_ms, tt_cancel *cancel,
                          tti_stream_entry *out_entry, tt_read_result *out_drop,
                          bool *out_found) {
  int wait_ms = timeout_ms;
  if (s->at > s->told && (wait_ms < 0 || wait_ms > TELL_US / 1000))
    wait_ms = TELL_US / 1000;
  tt_error error =
      tti_reader_wait_next(s->reader, wait_ms, cancel, out_entry, out_drop);
  if (error == TT_ETIMEOUT) {
    *out_found = tell(s, timeout_ms == 0, out_entry, out_drop);
    return *out_found || wait_ms != timeout_ms ? TT_OK : error;
  }
  if (error)
    return error;
  if (!out_entry->record.ptr) {
    s->live = false; /* the store has what the ring has not any more */
    return TT_OK;
  }
  if (wanted(s, out_entry->record)) {
    hand_out(s, out_entry);
    *out_found = true;
    return TT_OK;
  }
  s->at = out_entry->seq;
  *out_found = tell(s, false, out_entry, out_drop);
  return TT_OK;
}

/* A read that failed: later again, but not in a drain, which nothing cancels.
 */
static tt_error failed(source *s, tt_error error, tt_cancel *cancel) {
  tt_log_hook hook = server_log_hook("sinks");
  if (error != TT_EFULL)
    tti_log_rationed(&s->failure, &hook, TT_LEVEL_WARN,
                     "the events after %llu cannot be read from the store "
                     "(%s); sink %s waits until they can",
                     (unsigned long long)s->at, tt_error_message(error),
                     s->o.name);
  if (!cancel)
    return error;
  return tti_cancel_pause(cancel, now_us() + RETRY_US) ? TT_ECANCELLED : TT_OK;
}

static bool row_found(source *s, tti_stream_entry *out_entry) {
  store_row row;
  tti_slice record;
  if (!store_row_next(&s->fetch->read, &s->offset, &row, &record))
    return false;
  *out_entry = (tti_stream_entry){row.seq, row.received_us, record};
  hand_out(s, out_entry);
  return true;
}

/* The rows are handed out. */
static tt_error rows_ended(source *s, tt_cancel *cancel) {
  uint64_t end = fetch_end(s);
  bool idle = end == s->at && s->fetch->read.row_count == 0;
  s->walking = false;
  s->at = end;
  if (s->fetch->read.more)
    return TT_OK;
  go_live(s);
  /* The ring may be ahead of what is committed: no busy turns between them. */
  tti_stream_usage ring;
  tti_stream_usage_get(bus_stream(s->o.bus), &ring);
  if (idle && ring.first_seq > end + 1 && cancel &&
      tti_cancel_pause(cancel, now_us() + POLL_US))
    return TT_ECANCELLED;
  return TT_OK;
}

static tt_error from_store(source *s, tt_cancel *cancel,
                           tti_stream_entry *out_entry,
                           tt_read_result *out_drop, bool *out_found) {
  if (s->walking) {
    *out_found = row_found(s, out_entry);
    return *out_found ? TT_OK : rows_ended(s, cancel);
  }
  look(s);
  *out_found = tell(s, false, out_entry, out_drop);
  if (*out_found)
    return TT_OK;
  tt_error error = s->reading ? TT_OK : fetch_start(s);
  if (error)
    return failed(s, error, cancel);
  if (!fetch_wait(s->fetch, cancel))
    return TT_ECANCELLED;
  s->reading = false;
  if (s->stale)
    return TT_OK;
  error = s->fetch->read.error;
  out_entry->record = (tti_slice){NULL, 0};
  if (error == TT_ECORRUPT) {
    step_over(s, out_drop);
    missed(s, out_drop);
    *out_found = true;
    return TT_OK;
  }
  if (error)
    return failed(s, error, cancel);
  s->walking = true;
  s->offset = 0;
  *out_found = overtaken(s, out_drop);
  if (*out_found)
    missed(s, out_drop);
  return TT_OK;
}

/* ---- The interface ---- */

static tt_error source_next(void *self, int timeout_ms, tt_cancel *cancel,
                            tti_stream_entry *out_entry,
                            tt_read_result *out_drop) {
  source *s = self;
  int64_t until_us = timeout_ms > 0 ? now_us() + (int64_t)timeout_ms * 1000 : 0;
  bool found = false;
  tt_error error = TT_OK;
  while (!found && !error) {
    if (!s->live) {
      error = from_store(s, cancel, out_entry, out_drop, &found);
      continue;
    }
    if (timeout_ms > 0) {
      int64_t left_us = until_us - now_us();
      timeout_ms = left_us > 0 ? (int)((left_us + 999) / 1000) : 0;
    }
    error = from_ring(s, timeout_ms, cancel, out_entry, out_drop, &found);
  }
  return error;
}

static uint64_t source_head(void *self) {
  return tt_stream_seq(bus_stream(((source *)self)->o.bus));
}

static bool source_reaches(void *self, uint64_t seq) {
  source *s = self;
  store_status status;
  tti_stream_usage ring;
  look(s);
  store_status_get(s->o.store, &status);
  tti_stream_usage_get(bus_stream(s->o.bus), &ring);
  return seq >= status.oldest_seq || (ring.first_seq && seq >= ring.first_seq);
}

static void source_seek(void *self, uint64_t seq) {
  source *s = self;
  s->at = s->told = seq;
  s->walking = false;
  s->stale = true;
  s->live = false;
  if (seq == source_head(s))
    go_live(s);
}

static void source_free(void *self) {
  source *s = self;
  fetch *f = s->fetch;
  tt_reader_free(s->reader);
  free(s);
  pthread_mutex_lock(&f->mutex);
  f->orphaned = true;
  bool done = f->done;
  pthread_mutex_unlock(&f->mutex);
  if (done)
    fetch_free(f);
}

tt_error sink_source_new(const sink_source_options *options, tti_filter *filter,
                         tti_source *out_source) {
  static const tti_source_ops ops = {.next = source_next,
                                     .head = source_head,
                                     .reaches = source_reaches,
                                     .seek = source_seek,
                                     .free = source_free};
  source *s = calloc(1, sizeof(*s));
  fetch *f = s ? fetch_new(filter, options->session_id) : NULL;
  if (!f) {
    free(s);
    tti_filter_free(filter);
    return TT_ENOMEM;
  }
  f->done = true; /* nothing is under way */
  s->o = *options;
  s->fetch = f;
  tt_error error = tt_reader_new(bus_stream(s->o.bus), 0, &s->reader);
  if (error) {
    fetch_free(f);
    free(s);
    return error;
  }
  source_seek(s, 0);
  *out_source = (tti_source){&ops, s};
  return TT_OK;
}
