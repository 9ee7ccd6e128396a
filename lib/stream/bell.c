#include "lib/stream/internal.h"

#include "lib/base/cond.h"
#include "lib/base/thread.h"
#include "lib/base/time.h"

/* Waking a reader costs a syscall and more, so publishers do not wake readers:
 * they ring the bell, and only while it sleeps (`armed`). The bell's thread
 * wakes all readers at once, then looks again every 5 ms for as long as there
 * was something new, and goes back to sleep.
 *
 * No wake is lost. A reader parks under `park` after it saw that head has not
 * moved; then either the bell sleeps and the reader itself arms it, checking
 * head once more under the stream's mutex, where publishers read `armed`; or
 * the bell is awake, and before it sleeps it compares head, under both locks,
 * with what it saw when it last woke everybody. */

#define BELL_PERIOD_US 5000

tt_error tti_bell_init(bell *b) {
  if (pthread_mutex_init(&b->park, NULL))
    return TT_ENOMEM;
  if (tti_cond_init(&b->parked))
    goto fail_parked;
  if (pthread_mutex_init(&b->mutex, NULL))
    goto fail_mutex;
  if (tti_cond_init(&b->ring))
    goto fail_ring;
  return TT_OK;

fail_ring:
  pthread_mutex_destroy(&b->mutex);
fail_mutex:
  pthread_cond_destroy(&b->parked);
fail_parked:
  pthread_mutex_destroy(&b->park);
  return TT_ENOMEM;
}

void tti_bell_fini(bell *b) {
  if (b->started) {
    pthread_mutex_lock(&b->mutex);
    b->stop = true;
    pthread_cond_signal(&b->ring);
    pthread_mutex_unlock(&b->mutex);
    pthread_join(b->thread, NULL);
  }
  pthread_cond_destroy(&b->ring);
  pthread_mutex_destroy(&b->mutex);
  pthread_cond_destroy(&b->parked);
  pthread_mutex_destroy(&b->park);
}

void tti_bell_ring(bell *b) {
  pthread_mutex_lock(&b->mutex);
  b->rung = true;
  pthread_cond_signal(&b->ring);
  pthread_mutex_unlock(&b->mutex);
}

void tti_bell_wake_readers(bell *b) {
  pthread_mutex_lock(&b->park);
  pthread_cond_broadcast(&b->parked);
  pthread_mutex_unlock(&b->park);
}

/* False: stop. */
static bool wait_for_ring(bell *b) {
  pthread_mutex_lock(&b->mutex);
  while (!b->rung && !b->stop)
    pthread_cond_wait(&b->ring, &b->mutex);
  b->rung = false;
  bool go_on = !b->stop;
  pthread_mutex_unlock(&b->mutex);
  return go_on;
}

/* Lets a period pass. False: stop. */
static bool pause_period(bell *b) {
  int64_t until_us = tti_monotonic_us(&tti_clock_system) + BELL_PERIOD_US;
  pthread_mutex_lock(&b->mutex);
  while (!b->stop && tti_cond_wait(&b->ring, &b->mutex, until_us))
    ;
  bool go_on = !b->stop;
  pthread_mutex_unlock(&b->mutex);
  return go_on;
}

/* Wakes everybody; what head was then. */
static uint64_t announce(tt_stream *stream) {
  bell *b = &stream->bell;
  pthread_mutex_lock(&b->park);
  b->asleep = false;
  uint64_t head = atomic_load_explicit(&stream->head, memory_order_acquire);
  pthread_cond_broadcast(&b->parked);
  pthread_mutex_unlock(&b->park);
  return head;
}

/* Whether the bell may sleep: nobody waits for anything that is there. */
static bool go_to_sleep(tt_stream *stream, uint64_t announced) {
  bell *b = &stream->bell;
  pthread_mutex_lock(&b->park);
  pthread_mutex_lock(&stream->mutex);
  uint64_t head = atomic_load_explicit(&stream->head, memory_order_relaxed);
  if (b->waiters == 0 || head == announced) {
    b->asleep = true;
    stream->armed = b->waiters > 0;
  }
  bool asleep = b->asleep;
  pthread_mutex_unlock(&stream->mutex);
  pthread_mutex_unlock(&b->park);
  return asleep;
}

static void *bell_run(void *arg) {
  tt_stream *stream = arg;
  bell *b = &stream->bell;
  while (wait_for_ring(b)) {
    uint64_t announced;
    do {
      announced = announce(stream);
      if (!pause_period(b))
        return NULL;
    } while (!go_to_sleep(stream, announced));
  }
  return NULL;
}

/* Under park. The thread begins asleep, so that the caller arms it. */
static tt_error start(tt_stream *stream) {
  bell *b = &stream->bell;
  if (b->started)
    return TT_OK;
  if (!tti_thread_start(&b->thread, bell_run, stream))
    return TT_ENOMEM;
  b->started = true;
  b->asleep = true;
  return TT_OK;
}

/* Under park: whether there is no reason to go on waiting. */
static bool is_due(tt_stream *stream, uint64_t position) {
  return atomic_load_explicit(&stream->head, memory_order_acquire) > position ||
         atomic_load_explicit(&stream->closed, memory_order_acquire);
}

/* Under park: makes sure that the next publish is heard. */
static void arm(tt_stream *stream, uint64_t position) {
  if (!stream->bell.asleep)
    return;
  pthread_mutex_lock(&stream->mutex);
  if (!is_due(stream, position))
    stream->armed = true;
  pthread_mutex_unlock(&stream->mutex);
}

static tt_error park(tt_stream *stream, uint64_t position, int64_t deadline_us,
                     tt_cancel *cancel) {
  bell *b = &stream->bell;
  pthread_mutex_lock(&b->park);
  tt_error error = start(stream);
  b->waiters++;
  while (!error && !is_due(stream, position)) {
    if (tti_cancel_triggered(cancel)) {
      error = TT_ECANCELLED;
      break;
    }
    arm(stream, position);
    if (is_due(stream, position))
      break;
    if (!tti_cond_wait(&b->parked, &b->park, deadline_us))
      error = is_due(stream, position) ? TT_OK : TT_ETIMEOUT;
  }
  b->waiters--;
  pthread_mutex_unlock(&b->park);
  return error;
}

tt_error tti_bell_wait(tt_stream *stream, uint64_t position,
                       int64_t deadline_us, tt_cancel *cancel) {
  cancel_wait wait = {.bell = &stream->bell};
  tti_cancel_enter(cancel, &wait);
  tt_error error = park(stream, position, deadline_us, cancel);
  tti_cancel_leave(cancel, &wait);
  return error;
}

bool tti_cancel_pause(tt_cancel *cancel, int64_t until_us) {
  bell own = {0};
  cancel_wait wait = {.bell = &own};
  if (tti_bell_init(&own))
    return tti_cancel_triggered(cancel);
  tti_cancel_enter(cancel, &wait);
  pthread_mutex_lock(&own.park);
  while (!tti_cancel_triggered(cancel) &&
         tti_cond_wait(&own.parked, &own.park, until_us))
    ;
  pthread_mutex_unlock(&own.park);
  tti_cancel_leave(cancel, &wait);
  tti_bell_fini(&own);
  return tti_cancel_triggered(cancel);
}
