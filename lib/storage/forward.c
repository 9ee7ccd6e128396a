#include "lib/storage/internal.h"

#include "lib/base/time.h"

/* What was appended is flushed when nothing came for so long, or under load
 * when the last time is so long ago. */
#define QUIET_MS       50
#define FLUSH_EVERY_US ((int64_t)1000000)

static int64_t now_us(void) {
  return tti_monotonic_us(&tti_clock_system);
}

static void set_position(tt_storage_writer *w, uint64_t seq) {
  pthread_mutex_lock(&w->mutex);
  w->stats.position = seq;
  pthread_mutex_unlock(&w->mutex);
}

/* ---- Where it begins ---- */

/* What is behind the position there already, as the storage says, is believed
 * only if this stream can have had it. */
static uint64_t beginning(tt_storage_writer *w, uint64_t position, bool resumed,
                          uint64_t there) {
  uint64_t head = w->source.ops->head(w->source.self);
  if (resumed && there > position && there <= head)
    return there;
  return position;
}

static tt_error load_position(tt_storage_writer *w, uint64_t *out_position,
                              bool *out_resumed) {
  *out_position = w->stats.position;
  *out_resumed = false;
  if (!w->options.position)
    return TT_OK;
  tt_error error =
      w->options.position->load(w->options.position_self, out_position);
  *out_resumed = error == TT_OK;
  return error == TT_ENOTFOUND ? TT_OK : error;
}

/* A position that the stream has not come to is of another one, whose numbers
 * began elsewhere: to wait there would lose what comes before. */
static void check_position(tt_storage_writer *w, uint64_t *position,
                           bool *resumed) {
  uint64_t head = w->source.ops->head(w->source.self);
  if (*position <= head)
    return;
  tti_log(&w->options.log, TT_LEVEL_WARN,
          "storage %s: its position, seq %llu, is ahead of the stream, which "
          "is at %llu: it begins anew",
          w->storage->name, (unsigned long long)*position,
          (unsigned long long)head);
  *position = w->stats.position;
  *resumed = false;
}

tt_error tti_storage_begin(tt_storage_writer *w) {
  tt_append_report report = {0};
  uint64_t there = 0, position;
  bool resumed;
  tt_error error = load_position(w, &position, &resumed);
  if (!error && w->storage->ops.open) {
    pthread_mutex_lock(&w->storage_lock);
    error = w->storage->ops.open(w->storage->self, w->options.open_timeout_ms,
                                 &there, &report);
    pthread_mutex_unlock(&w->storage_lock);
  }
  if (error) {
    report.problem[sizeof(report.problem) - 1] = '\0';
    tti_log(&w->options.log, TT_LEVEL_ERROR, "storage %s: it cannot begin: %s",
            w->storage->name,
            report.problem[0] ? report.problem : tt_error_message(error));
    tti_storage_note(w, report.problem[0] ? report.problem
                                          : tt_error_message(error));
    return error;
  }
  tti_storage_mended(w);
  check_position(w, &position, &resumed);
  position = beginning(w, position, resumed, there);
  if (resumed || position != 0)
    w->source.ops->seek(w->source.self, position);
  w->settled_seq = position;
  w->flushed_us = now_us();
  set_position(w, position);
  return TT_OK;
}

/* ---- One batch ---- */

static void behind(tt_storage_writer *w, uint64_t count, uint64_t from_seq,
                   uint64_t to_seq) {
  if (count == 0)
    return;
  tti_log_rationed(&w->rations[LOG_BEHIND], &w->options.log, TT_LEVEL_WARN,
                   "storage %s: %llu envelopes were overwritten before they "
                   "could be stored (seq %llu to %llu)",
                   w->storage->name, (unsigned long long)count,
                   (unsigned long long)from_seq, (unsigned long long)to_seq);
  pthread_mutex_lock(&w->mutex);
  w->stats.behind += count;
  pthread_mutex_unlock(&w->mutex);
}

static bool is_full(const tt_storage_writer *w) {
  return w->batch.count >= w->storage->ops.max_records ||
         w->batch.bytes.len >= TTI_STORAGE_BATCH_BYTES;
}

/* How long to wait for the next record, given when the batch's first came. */
static int wait_ms(const tt_storage_writer *w, const forward_limits *limits,
                   int64_t first_us) {
  if (limits->drain)
    return 0;
  if (w->batch.count == 0)
    return w->dirty ? QUIET_MS : TELLTALE_FOREVER;
  int64_t left_us =
      first_us + (int64_t)w->storage->ops.linger_ms * 1000 - now_us();
  return left_us > 0 ? (int)((left_us + 999) / 1000) : 0;
}

/* Takes the entry into the batch, or counts it as lost when it is no record.
 * TT_ENOMEM: it is read again. */
static tt_error take(tt_storage_writer *w, const tti_stream_entry *entry) {
  tt_error error = tti_storage_batch_add(&w->batch, entry);
  if (error != TT_ECORRUPT)
    return error;
  behind(w, 1, entry->seq, entry->seq);
  w->skip_to = entry->seq;
  return TT_OK;
}

/* Fills the batch. TT_OK: there is something in it, or `skip_to` is set. */
static tt_error collect(tt_storage_writer *w, const forward_limits *limits) {
  int64_t first_us = 0;
  tt_error error = TT_OK;
  tti_storage_batch_clear(&w->batch);
  w->at = 0;
  w->skip_to = 0;
  while (!error && !is_full(w) && !w->skip_to) {
    tti_stream_entry entry;
    tt_read_result drop;
    error = w->source.ops->next(w->source.self, wait_ms(w, limits, first_us),
                                limits->cancel, &entry, &drop);
    if (error && w->batch.count) {
      error = TT_OK;
      break;
    }
    if (error)
      return error;
    if (!entry.record.ptr) {
      behind(w, drop.dropped, drop.from_seq, drop.to_seq);
      w->skip_to = drop.to_seq;
      break;
    }
    if (w->batch.count == 0 && w->storage->ops.linger_ms > 0)
      first_us = now_us();
    error = take(w, &entry);
  }
  if (!error)
    error = tti_storage_batch_seal(&w->batch);
  /* Without memory for them they are read again. */
  if (error) {
    w->source.ops->seek(w->source.self, w->settled_seq);
    tti_storage_batch_clear(&w->batch);
  }
  return error;
}

static void batch_settled(tt_storage_writer *w) {
  uint64_t seq = w->settled_seq;
  if (w->batch.count)
    seq = w->batch.envelopes[w->batch.count - 1].seq;
  if (w->skip_to > seq)
    seq = w->skip_to;
  if (seq > w->settled_seq) {
    w->settled_seq = seq;
    w->dirty = true;
  }
  w->batch.count = w->at = 0;
  w->skip_to = 0;
}

/* ---- Flushing ---- */

static tt_error call_flush(tt_storage_writer *w, int timeout_ms,
                           tt_append_report *report) {
  *report = (tt_append_report){0};
  if (!w->storage->ops.flush)
    return TT_OK;
  tt_error error = TT_EIO;
  pthread_mutex_lock(&w->storage_lock);
  if (!w->flush_failed)
    error = w->storage->ops.flush(w->storage->self, timeout_ms, report);
  w->flush_failed = false;
  pthread_mutex_unlock(&w->storage_lock);
  report->problem[sizeof(report->problem) - 1] = '\0';
  return error;
}

static void save_position(tt_storage_writer *w) {
  set_position(w, w->settled_seq);
  w->dirty = false;
  if (!w->options.position)
    return;
  tt_error error =
      w->options.position->save(w->options.position_self, w->settled_seq);
  if (error)
    tti_log_rationed(&w->rations[LOG_TROUBLE], &w->options.log, TT_LEVEL_WARN,
                     "storage %s: its position was not kept: %s",
                     w->storage->name, tt_error_message(error));
}

/* After a failure all since the position is read and appended again. */
static tt_error flush(tt_storage_writer *w, const forward_limits *limits) {
  tt_append_report report;
  tt_error error =
      call_flush(w, tti_storage_left_ms(limits->deadline_us), &report);
  w->flushed_us = now_us();
  if (!error) {
    save_position(w);
    return TT_OK;
  }
  error = tti_storage_failed(w, "flush", error, &report, limits);
  w->settled_seq = w->stats.position; /* only this thread writes it */
  w->dirty = false;
  w->batch.count = w->at = 0;
  w->source.ops->seek(w->source.self, w->settled_seq);
  return error;
}

/* ---- All of it ---- */

static bool is_drained(const tt_storage_writer *w,
                       const forward_limits *limits) {
  return limits->drain && w->settled_seq >= limits->until_seq;
}

/* One batch, a rest of one, or a flush. TT_ETIMEOUT from the source, in a
 * drain, says that there is no more. */
static tt_error step(tt_storage_writer *w, const forward_limits *limits) {
  if (w->dirty && now_us() - w->flushed_us >= FLUSH_EVERY_US)
    return flush(w, limits);
  if (w->at == w->batch.count) {
    tt_error error = collect(w, limits);
    if (error == TT_ETIMEOUT && w->dirty)
      return flush(w, limits);
    if (error == TT_ENOMEM)
      return tti_storage_failed(w, "read", error, &(tt_append_report){0},
                                limits);
    if (error)
      return error;
  }
  tt_error error = tti_storage_settle(w, limits);
  if (!error)
    batch_settled(w);
  return error;
}

tt_error tti_storage_forward(tt_storage_writer *w,
                             const forward_limits *limits) {
  tt_error error = TT_OK;
  while (!error && !is_drained(w, limits)) {
    if (limits->drain && tti_storage_left_ms(limits->deadline_us) == 0)
      return TT_ETIMEOUT;
    error = step(w, limits);
    bool late = tti_storage_left_ms(limits->deadline_us) == 0;
    if (limits->drain &&
        (error == TT_ECLOSED || (error == TT_ETIMEOUT && !late)))
      return TT_OK;
  }
  return error;
}

tt_error tti_storage_end(tt_storage_writer *w, int64_t deadline_us) {
  tt_append_report report = {0};
  tt_error error = TT_OK;
  if (w->dirty) {
    error = call_flush(w, tti_storage_left_ms(deadline_us), &report);
    if (!error)
      save_position(w);
  }
  if (w->storage->ops.close) {
    tt_append_report closing = {0};
    pthread_mutex_lock(&w->storage_lock);
    tt_error failure = w->storage->ops.close(
        w->storage->self, tti_storage_left_ms(deadline_us), &closing);
    pthread_mutex_unlock(&w->storage_lock);
    if (!error && failure) {
      error = failure;
      report = closing;
    }
  }
  if (error) {
    report.problem[sizeof(report.problem) - 1] = '\0';
    tti_log(&w->options.log, TT_LEVEL_ERROR,
            "storage %s: it was not closed well: %s", w->storage->name,
            report.problem[0] ? report.problem : tt_error_message(error));
  }
  return error;
}
