#include "lib/storage/internal.h"

#include "lib/base/cond.h"
#include "lib/base/thread.h"
#include "lib/base/time.h"
#include <stdlib.h>

#define LETTERS_BYTES   ((size_t)64 << 20)
#define OPEN_TIMEOUT_MS 10000
#define RETRY_FIRST_MS  100
#define RETRY_LAST_MS   30000
/* What an interrupted storage has to end what it does. */
#define GRACE_US ((int64_t)1000000)

/* ---- Made and freed ---- */

static void fill_defaults(tt_storage_writer_options *o) {
  if (!o->dead_letters_max_bytes)
    o->dead_letters_max_bytes = LETTERS_BYTES;
  if (!o->open_timeout_ms)
    o->open_timeout_ms = OPEN_TIMEOUT_MS;
  if (!o->retry_first_ms)
    o->retry_first_ms = RETRY_FIRST_MS;
  if (!o->retry_last_ms)
    o->retry_last_ms = RETRY_LAST_MS;
}

static tt_error init(tt_storage_writer *w,
                     const tt_storage_writer_options *options) {
  if (options)
    w->options = *options;
  fill_defaults(&w->options);
  if (w->options.position && w->options.position->version != 1)
    return TT_EINVAL;
  if (w->options.retry_first_ms < 0 || w->options.open_timeout_ms < 0 ||
      w->options.retry_last_ms < w->options.retry_first_ms)
    return TT_EINVAL;
  if (w->options.dead_letters) {
    w->letters.path = strdup(w->options.dead_letters);
    if (!w->letters.path)
      return TT_ENOMEM;
  }
  w->letters.max_bytes = w->options.dead_letters_max_bytes;
  if (w->options.from == TT_STORAGE_FROM_TAIL)
    w->stats.position = w->source.ops->head(w->source.self);
  return tt_cancel_new(&w->cancel);
}

static void free_parts(tt_storage_writer *w) {
  tti_storage_batch_fini(&w->batch);
  tt_cancel_free(w->cancel);
  free(w->letters.path);
  w->source.ops->free(w->source.self);
  tt_storage_free(w->storage);
  free(w);
}

tt_error tti_storage_writer_new(tti_source source, tt_storage *storage,
                                const tt_storage_writer_options *options,
                                tt_storage_writer **out_writer) {
  tt_storage_writer *w = calloc(1, sizeof(*w));
  if (!w) {
    source.ops->free(source.self);
    tt_storage_free(storage);
    return TT_ENOMEM;
  }
  w->storage = storage;
  w->source = source;
  tti_storage_batch_init(&w->batch);
  tt_error error = init(w, options);
  if (error)
    goto fail;
  error = TT_ENOMEM;
  if (pthread_mutex_init(&w->mutex, NULL))
    goto fail;
  if (pthread_mutex_init(&w->storage_lock, NULL))
    goto fail_lock;
  if (tti_cond_init(&w->changed))
    goto fail_changed;
  *out_writer = w;
  return TT_OK;

fail_changed:
  pthread_mutex_destroy(&w->storage_lock);
fail_lock:
  pthread_mutex_destroy(&w->mutex);
fail:
  free_parts(w);
  return error;
}

tt_error tt_storage_writer_new(tt_stream *stream, tt_storage *storage,
                               const tt_storage_writer_options *options,
                               tt_storage_writer **out_writer) {
  tti_source source;
  tt_error error = TT_EINVAL;
  if (stream && storage && out_writer)
    error = tti_source_of_stream(stream, &source);
  if (error) {
    tt_storage_free(storage);
    return error;
  }
  return tti_storage_writer_new(source, storage, options, out_writer);
}

/* ---- States ---- */

static bool go(tt_storage_writer *w, writer_state from, writer_state to) {
  pthread_mutex_lock(&w->mutex);
  bool may = w->state == from;
  if (may)
    w->state = to;
  pthread_cond_broadcast(&w->changed);
  pthread_mutex_unlock(&w->mutex);
  return may;
}

static writer_state state_of(tt_storage_writer *w) {
  pthread_mutex_lock(&w->mutex);
  writer_state state = w->state;
  pthread_mutex_unlock(&w->mutex);
  return state;
}

static int64_t deadline_of(int timeout_ms) {
  if (timeout_ms < 0)
    return -1;
  return tti_monotonic_us(&tti_clock_system) + (int64_t)timeout_ms * 1000;
}

static tt_error begin(tt_storage_writer *w) {
  if (!go(w, WRITER_NEW, WRITER_RUNNING))
    return TT_ESTATE;
  tt_error error = tti_storage_begin(w);
  if (error)
    go(w, WRITER_RUNNING, WRITER_NEW);
  return error;
}

static tt_error drain(tt_storage_writer *w, int64_t deadline_us) {
  forward_limits limits = {.drain = true,
                           .until_seq = w->source.ops->head(w->source.self),
                           .deadline_us = deadline_us};
  return tti_storage_forward(w, &limits);
}

/* ---- On a thread of the caller's ---- */

tt_error tt_storage_writer_run(tt_storage_writer *writer, tt_cancel *cancel) {
  if (!writer)
    return TT_EINVAL;
  tt_error error = begin(writer);
  if (error)
    return error;
  forward_limits limits = {.cancel = cancel, .deadline_us = -1};
  error = tti_storage_forward(writer, &limits);
  go(writer, WRITER_RUNNING, WRITER_RAN);
  return error;
}

/* Whether drain and close are the caller's to call now. */
static bool ran(tt_storage_writer *w) {
  pthread_mutex_lock(&w->mutex);
  bool yes = w->state == WRITER_RAN && !w->threaded;
  pthread_mutex_unlock(&w->mutex);
  return yes;
}

tt_error tt_storage_writer_drain(tt_storage_writer *writer, int timeout_ms) {
  if (!writer)
    return TT_EINVAL;
  return ran(writer) ? drain(writer, deadline_of(timeout_ms)) : TT_ESTATE;
}

tt_error tt_storage_writer_close(tt_storage_writer *writer, int timeout_ms) {
  if (!writer)
    return TT_EINVAL;
  if (!ran(writer))
    return TT_ESTATE;
  tt_error error = tti_storage_end(writer, deadline_of(timeout_ms));
  go(writer, WRITER_RAN, WRITER_CLOSED);
  return error;
}

/* ---- On a thread of its own ---- */

static int64_t wait_for_stop(tt_storage_writer *w) {
  pthread_mutex_lock(&w->mutex);
  while (!w->stopping)
    pthread_cond_wait(&w->changed, &w->mutex);
  int64_t deadline_us = w->stop_by_us;
  pthread_mutex_unlock(&w->mutex);
  return deadline_us;
}

static void *thread_main(void *arg) {
  tt_storage_writer *w = arg;
  forward_limits limits = {.cancel = w->cancel, .deadline_us = -1};
  tti_storage_forward(w, &limits);
  go(w, WRITER_RUNNING, WRITER_RAN);
  int64_t deadline_us = wait_for_stop(w);
  tt_error error = drain(w, deadline_us);
  tt_error failure = tti_storage_end(w, deadline_us);
  pthread_mutex_lock(&w->mutex);
  w->stop_error = error == TT_ECANCELLED ? TT_ETIMEOUT
                  : error                ? error
                                         : failure;
  w->state = WRITER_CLOSED;
  pthread_cond_broadcast(&w->changed);
  pthread_mutex_unlock(&w->mutex);
  return NULL;
}

tt_error tt_storage_writer_start(tt_storage_writer *writer) {
  if (!writer)
    return TT_EINVAL;
  tt_error error = begin(writer);
  if (error)
    return error;
  pthread_mutex_lock(&writer->mutex);
  writer->threaded = true;
  if (!tti_thread_start(&writer->thread, thread_main, writer)) {
    writer->threaded = false;
    writer->state = WRITER_NEW;
    error = TT_ENOMEM;
  }
  pthread_mutex_unlock(&writer->mutex);
  return error;
}

void tt_storage_writer_cancel(tt_storage_writer *writer) {
  if (writer)
    tt_cancel_trigger(writer->cancel);
}

/* Under the mutex: waits for the thread's end until then; whether it came. */
static bool wait_closed(tt_storage_writer *w, int64_t until_us) {
  while (w->state != WRITER_CLOSED &&
         tti_cond_wait(&w->changed, &w->mutex, until_us))
    ;
  return w->state == WRITER_CLOSED;
}

void tti_storage_writer_interrupt(tt_storage_writer *writer) {
  if (writer->storage->ops.interrupt)
    writer->storage->ops.interrupt(writer->storage->self);
}

tt_error tt_storage_writer_stop(tt_storage_writer *writer, int timeout_ms) {
  if (!writer)
    return TT_EINVAL;
  pthread_mutex_lock(&writer->mutex);
  if (!writer->threaded || writer->stopping) {
    pthread_mutex_unlock(&writer->mutex);
    return TT_ESTATE;
  }
  writer->stopping = true;
  writer->stop_by_us = deadline_of(timeout_ms);
  int64_t until_us = writer->stop_by_us;
  pthread_cond_broadcast(&writer->changed);
  pthread_mutex_unlock(&writer->mutex);
  tt_cancel_trigger(writer->cancel);

  pthread_mutex_lock(&writer->mutex);
  bool closed = wait_closed(writer, until_us);
  if (!closed) {
    pthread_mutex_unlock(&writer->mutex);
    tti_storage_writer_interrupt(writer);
    pthread_mutex_lock(&writer->mutex);
    closed = wait_closed(writer, until_us + GRACE_US);
  }
  tt_error error = closed ? writer->stop_error : TT_ETIMEOUT;
  pthread_mutex_unlock(&writer->mutex);
  return error;
}

void tt_storage_writer_free(tt_storage_writer *writer) {
  if (!writer)
    return;
  tt_storage_writer_stop(writer, 0);
  if (writer->threaded)
    pthread_join(writer->thread, NULL);
  else if (state_of(writer) == WRITER_RAN)
    tti_storage_end(writer, deadline_of(0));
  pthread_cond_destroy(&writer->changed);
  pthread_mutex_destroy(&writer->storage_lock);
  pthread_mutex_destroy(&writer->mutex);
  free_parts(writer);
}

/* ---- What became of it ---- */

void tt_storage_writer_stats_get(const tt_storage_writer *writer,
                                 tt_storage_writer_stats *out_stats) {
  *out_stats = (tt_storage_writer_stats){0};
  if (!writer)
    return;
  pthread_mutex_t *mutex = &((tt_storage_writer *)writer)->mutex;
  pthread_mutex_lock(mutex);
  *out_stats = writer->stats;
  pthread_mutex_unlock(mutex);
  uint64_t head = writer->source.ops->head(writer->source.self);
  if (head > out_stats->position)
    out_stats->lag = head - out_stats->position;
}
