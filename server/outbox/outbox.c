#include "server/outbox/internal.h"

#include "lib/base/cond.h"
#include "lib/base/time.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static int64_t now_us(void) {
  return tti_monotonic_us(&tti_clock_system);
}

/* ---- Waiting for the store ---- */

static void answered(outbox *o) {
  pthread_mutex_lock(&o->mutex);
  o->answered = true;
  pthread_cond_broadcast(&o->cond);
  pthread_mutex_unlock(&o->mutex);
}

static void wait_for_answer(outbox *o) {
  pthread_mutex_lock(&o->mutex);
  while (!o->answered)
    tti_cond_wait(&o->cond, &o->mutex, -1);
  o->answered = false;
  pthread_mutex_unlock(&o->mutex);
}

static void job_done(store_job *job) {
  outbox *o = job->owner;
  if (job->verdict == STORE_OK && o->outcome.inserted && o->options.deliver)
    o->options.deliver(o->options.deliver_context);
  answered(o);
}

static void read_done(store_read *read) {
  answered(read->owner);
}

store_verdict outbox_change(outbox *o,
                            tt_error (*run)(store_job *job, store_tx *tx)) {
  o->outcome.inserted = 0;
  o->job = (store_job){
      .kind = STORE_JOB_RUN, .run = run, .done = job_done, .owner = o};
  tt_error error = store_submit(o->options.store, &o->job);
  if (error) {
    snprintf(o->job.reason, sizeof o->job.reason, "%s",
             tt_error_message(error));
    return STORE_RETRY;
  }
  wait_for_answer(o);
  return o->job.verdict;
}

tt_error outbox_read(outbox *o,
                     tt_error (*run)(store_read *read, store_tx *tx)) {
  o->read = (store_read){.run = run, .done = read_done, .owner = o};
  tt_error error = store_read_submit(o->options.store, &o->read);
  if (error)
    return error;
  wait_for_answer(o);
  return o->read.error;
}

/* ---- The thread ---- */

/* Until a wake, the next poll or the end. False: the end. */
static bool wait_for_work(outbox *o, int64_t poll_us, bool *out_announced) {
  pthread_mutex_lock(&o->mutex);
  while (!o->stopping && !o->woken &&
         tti_cond_wait(&o->cond, &o->mutex, poll_us))
    ;
  *out_announced = o->woken;
  o->woken = false;
  bool stopping = o->stopping;
  pthread_mutex_unlock(&o->mutex);
  return !stopping;
}

static void *work(void *context) {
  outbox *o = context;
  bool announced;
  while (wait_for_work(o, now_us() + POLL_US, &announced)) {
    atomic_store_explicit(&o->busy, true, memory_order_relaxed);
    outbox_drain(o, announced);
    atomic_store_explicit(&o->busy, false, memory_order_relaxed);
  }
  pthread_mutex_lock(&o->mutex);
  o->stopped = true;
  pthread_cond_broadcast(&o->cond);
  pthread_mutex_unlock(&o->mutex);
  return NULL;
}

tt_error outbox_start(outbox *o) {
  sigset_t all, before;
  o->woken = true; /* what was left from before */
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  o->has_thread = pthread_create(&o->thread, NULL, work, o) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return o->has_thread ? TT_OK : TT_EIO;
}

tt_error outbox_new(const outbox_options *options, outbox **out_outbox) {
  outbox *o = calloc(1, sizeof *o);
  if (!o)
    return TT_ENOMEM;
  if (tti_cond_init(&o->cond)) {
    free(o);
    return TT_ENOMEM;
  }
  pthread_mutex_init(&o->mutex, NULL);
  o->options = *options;
  tti_buf_init(&o->texts, (size_t)BATCH_MAX << 20);
  for (size_t i = 0; i < BATCH_MAX; i++)
    tti_buf_init(&o->batch[i].found, (size_t)64 << 20);
  *out_outbox = o;
  return TT_OK;
}

void outbox_wake(outbox *o) {
  pthread_mutex_lock(&o->mutex);
  o->woken = true;
  pthread_cond_broadcast(&o->cond);
  pthread_mutex_unlock(&o->mutex);
}

void outbox_webhooks_changed(outbox *o) {
  atomic_fetch_add_explicit(&o->generation, 1, memory_order_release);
}

static watch_state look(void *context) {
  outbox *o = context;
  return (watch_state){
      .beats = atomic_load_explicit(&o->beats, memory_order_relaxed),
      .pending = atomic_load_explicit(&o->busy, memory_order_relaxed)};
}

watchdog_worker outbox_watch(outbox *o) {
  return (watchdog_worker){
      .name = "outbox fan-out", .look = look, .context = o};
}

bool outbox_stop(outbox *o, int timeout_ms) {
  if (!o || !o->has_thread)
    return true;
  int64_t until_us = now_us() + (int64_t)timeout_ms * 1000;
  pthread_mutex_lock(&o->mutex);
  o->stopping = true;
  pthread_cond_broadcast(&o->cond);
  while (!o->stopped && tti_cond_wait(&o->cond, &o->mutex, until_us))
    ;
  bool stopped = o->stopped;
  pthread_mutex_unlock(&o->mutex);
  if (stopped) {
    pthread_join(o->thread, NULL);
    o->has_thread = false;
  }
  return stopped;
}

void outbox_free(outbox *o) {
  if (!o)
    return;
  matcher_free(o->matcher);
  tti_buf_fini(&o->texts);
  for (size_t i = 0; i < BATCH_MAX; i++)
    tti_buf_fini(&o->batch[i].found);
  pthread_mutex_destroy(&o->mutex);
  pthread_cond_destroy(&o->cond);
  free(o);
}
