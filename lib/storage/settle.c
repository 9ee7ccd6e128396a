#include "lib/storage/internal.h"

#include "lib/base/backoff.h"
#include "lib/base/time.h"
#include <stdio.h>

int tti_storage_left_ms(int64_t deadline_us) {
  if (deadline_us < 0)
    return -1;
  int64_t left = (deadline_us - tti_monotonic_us(&tti_clock_system)) / 1000;
  return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

static const char *problem_of(tt_error error, const tt_append_report *report) {
  return report->problem[0] ? report->problem : tt_error_message(error);
}

void tti_storage_note(tt_storage_writer *w, const char *problem) {
  tt_storage_writer_stats *s = &w->stats;
  pthread_mutex_lock(&w->mutex);
  s->failures++;
  s->failing = true;
  s->problem_us = tti_wall_us(&tti_clock_system);
  snprintf(s->problem, sizeof(s->problem), "%s", problem);
  pthread_mutex_unlock(&w->mutex);
}

void tti_storage_mended(tt_storage_writer *w) {
  pthread_mutex_lock(&w->mutex);
  w->stats.failing = false;
  pthread_mutex_unlock(&w->mutex);
}

tt_error tti_storage_failed(tt_storage_writer *w, const char *call,
                            tt_error error, const tt_append_report *report,
                            const forward_limits *limits) {
  const char *problem = problem_of(error, report);
  tti_storage_note(w, problem);
  if (error == TT_ECANCELLED)
    return error;
  tti_log_rationed(&w->rations[LOG_TROUBLE], &w->options.log, TT_LEVEL_WARN,
                   "storage %s: %s failed, trying again: %s", w->storage->name,
                   call, problem);
  int64_t delay_ms = tti_backoff_ms(++w->failures, w->options.retry_first_ms,
                                    w->options.retry_last_ms);
  if (report->retry_after_ms > delay_ms)
    delay_ms = report->retry_after_ms;
  int64_t until = tti_monotonic_us(&tti_clock_system) + delay_ms * 1000;
  bool late = limits->deadline_us >= 0 && until > limits->deadline_us;
  if (late)
    until = limits->deadline_us;
  if (tti_cancel_pause(limits->cancel, until))
    return TT_ECANCELLED;
  return late ? TT_ETIMEOUT : TT_OK;
}

/* Whether the letter was kept. Under the storage's lock. */
static bool bury(tt_storage_writer *w, size_t index, const char *reason) {
  if (!w->letters.path)
    return false;
  const tt_envelope *e = &w->batch.envelopes[index];
  tt_error error =
      tti_letters_add(&w->letters, e->seq, e->received_us,
                      tti_storage_batch_record(&w->batch, index), reason);
  if (error)
    tti_log_rationed(&w->rations[LOG_LOST], &w->options.log, TT_LEVEL_ERROR,
                     "storage %s: no dead letter in %s: %s", w->storage->name,
                     w->letters.path, tt_error_message(error));
  return error == TT_OK;
}

/* Gives the next envelope of the batch up. */
static void give_up(tt_storage_writer *w, uint64_t *counter,
                    const char *reason) {
  tti_log_rationed(&w->rations[LOG_LOST], &w->options.log, TT_LEVEL_ERROR,
                   "storage %s: seq %llu is not stored: %s", w->storage->name,
                   (unsigned long long)w->batch.envelopes[w->at].seq, reason);
  pthread_mutex_lock(&w->storage_lock);
  bool kept = bury(w, w->at, reason);
  pthread_mutex_unlock(&w->storage_lock);
  pthread_mutex_lock(&w->mutex);
  ++*counter;
  w->stats.dead_letters += kept;
  pthread_mutex_unlock(&w->mutex);
  w->at++;
}

/* Gives up what the source does not reach any more: it was tried for as long as
 * nothing was lost by it. */
static void give_up_overtaken(tt_storage_writer *w, const char *problem) {
  while (w->at < w->batch.count &&
         !w->source.ops->reaches(w->source.self, w->batch.envelopes[w->at].seq))
    give_up(w, &w->stats.given_up, problem);
}

static void count_stored(tt_storage_writer *w, size_t stored, size_t rejected) {
  pthread_mutex_lock(&w->mutex);
  w->stats.appended += stored - rejected;
  w->stats.rejected += rejected;
  pthread_mutex_unlock(&w->mutex);
  w->at += stored;
}

static tt_error append(tt_storage_writer *w, size_t count,
                       const forward_limits *limits, tt_append_report *report) {
  *report = (tt_append_report){0};
  pthread_mutex_lock(&w->storage_lock);
  tt_error error = w->storage->ops.append(
      w->storage->self, w->batch.envelopes + w->at, count,
      tti_storage_left_ms(limits->deadline_us), report);
  pthread_mutex_unlock(&w->storage_lock);
  report->problem[sizeof(report->problem) - 1] = '\0';
  if (report->stored > count)
    report->stored = count;
  if (report->rejected > count)
    report->rejected = count;
  return error;
}

static void worked(tt_storage_writer *w, size_t count,
                   const tt_append_report *report) {
  if (report->rejected)
    tti_log_rationed(&w->rations[LOG_LOST], &w->options.log, TT_LEVEL_ERROR,
                     "storage %s: %zu of %zu envelopes from seq %llu on were "
                     "rejected: %s",
                     w->storage->name, report->rejected, count,
                     (unsigned long long)w->batch.envelopes[w->at].seq,
                     report->problem);
  count_stored(w, count, report->rejected);
  w->failures = 0;
  tti_storage_mended(w);
}

tt_error tti_storage_settle(tt_storage_writer *w,
                            const forward_limits *limits) {
  size_t some = w->batch.count - w->at;
  while (w->at < w->batch.count) {
    tt_append_report report;
    size_t left = w->batch.count - w->at;
    if (some > left)
      some = left;
    tt_error error = append(w, some, limits, &report);
    if (!error) {
      worked(w, some, &report);
      some *= 2;
      continue;
    }
    count_stored(w, report.stored, 0);
    if (report.stored == some)
      continue;
    if (error == TT_ECANCELLED || tt_error_retryable(error)) {
      error = tti_storage_failed(w, "append", error, &report, limits);
      if (error)
        return error;
      give_up_overtaken(w, report.problem[0] ? report.problem
                                             : "the storage does not answer");
    } else if (some > 1) {
      some = (some - report.stored + 1) / 2;
    } else {
      tti_storage_note(w, problem_of(error, &report));
      give_up(w, &w->stats.rejected, problem_of(error, &report));
    }
  }
  return TT_OK;
}
