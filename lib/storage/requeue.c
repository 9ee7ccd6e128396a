#include "lib/storage/internal.h"

#include "lib/base/time.h"
#include <stdio.h>
#include <time.h>

typedef struct requeue {
  tt_storage_writer *writer;
  tti_storage_batch batch;
  int64_t deadline_us;
  tt_error error; /* that ended it: the rest is kept as it is */
} requeue;

static tti_letter_fate send_again(void *context, const tti_letter *letter,
                                  char out_reason[TTI_LETTER_REASON_MAX]) {
  requeue *r = context;
  const tt_storage *storage = r->writer->storage;
  tti_stream_entry entry = {letter->seq, letter->received_us, letter->record};
  tt_append_report report = {0};
  if (!r->error && tti_storage_left_ms(r->deadline_us) == 0)
    r->error = TT_ETIMEOUT;
  if (r->error)
    return TTI_LETTER_KEPT;
  tti_storage_batch_clear(&r->batch);
  tt_error error = tti_storage_batch_add(&r->batch, &entry);
  if (!error)
    error = tti_storage_batch_seal(&r->batch);
  if (!error)
    error = storage->ops.append(storage->self, r->batch.envelopes, 1,
                                tti_storage_left_ms(r->deadline_us), &report);
  if (!error && report.rejected == 0) {
    tti_storage_mended(r->writer);
    return TTI_LETTER_SENT;
  }
  if (error == TT_ECANCELLED || (error && tt_error_retryable(error))) {
    r->error = error;
    return TTI_LETTER_KEPT;
  }
  report.problem[sizeof(report.problem) - 1] = '\0';
  snprintf(out_reason, TTI_LETTER_REASON_MAX, "%s",
           report.problem[0] ? report.problem : tt_error_message(error));
  return TTI_LETTER_REJECTED;
}

/* A flush that fails may take what the writer has appended too. */
static tt_error settle(void *context) {
  requeue *r = context;
  const tt_storage *storage = r->writer->storage;
  tt_append_report report = {0};
  if (!storage->ops.flush)
    return TT_OK;
  tt_error error = storage->ops.flush(
      storage->self, tti_storage_left_ms(r->deadline_us), &report);
  if (error)
    r->writer->flush_failed = true;
  return error;
}

/* The lock's clock is the wall's; a jump of it costs one wait. */
static bool lock_until(pthread_mutex_t *mutex, int64_t deadline_us) {
  if (deadline_us < 0)
    return pthread_mutex_lock(mutex) == 0;
  int64_t until = tti_wall_us(&tti_clock_system) + deadline_us -
                  tti_monotonic_us(&tti_clock_system);
  struct timespec at = {.tv_sec = (time_t)(until / 1000000),
                        .tv_nsec = (long)(until % 1000000) * 1000};
  return pthread_mutex_timedlock(mutex, &at) == 0;
}

static bool is_running(tt_storage_writer *w) {
  pthread_mutex_lock(&w->mutex);
  bool running = w->state == WRITER_RUNNING && !w->stopping;
  pthread_mutex_unlock(&w->mutex);
  return running;
}

tt_error tt_storage_writer_requeue(tt_storage_writer *writer, int timeout_ms,
                                   uint64_t *out_sent, uint64_t *out_left) {
  if (!writer)
    return TT_EINVAL;
  requeue r = {.writer = writer, .deadline_us = -1};
  uint64_t sent = 0, left = 0;
  if (timeout_ms >= 0)
    r.deadline_us =
        tti_monotonic_us(&tti_clock_system) + (int64_t)timeout_ms * 1000;
  if (!writer->letters.path || !is_running(writer))
    return TT_ESTATE;
  if (!lock_until(&writer->storage_lock, r.deadline_us))
    return TT_ETIMEOUT;
  tt_error error = TT_ESTATE;
  tti_storage_batch_init(&r.batch);
  if (is_running(writer)) {
    error = tti_letters_walk(&writer->letters, send_again, settle, &r, &sent,
                             &left);
    if (error == TT_ENOTFOUND)
      error = TT_OK;
  }
  pthread_mutex_unlock(&writer->storage_lock);
  tti_storage_batch_fini(&r.batch);
  if (error)
    return error;
  if (out_sent)
    *out_sent = sent;
  if (out_left)
    *out_left = left;
  return r.error;
}
