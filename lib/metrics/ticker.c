#include "lib/metrics/ticker.h"

#include "lib/base/cond.h"
#include "lib/base/thread.h"
#include "lib/base/time.h"
#include <stdlib.h>
#include <unistd.h>

#define LAST_US 1000000

struct tti_ticker {
  tti_ticker_options options;
  pid_t owner;
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool stopping, over; /* under the mutex */
};

static int64_t now_us(void) {
  return tti_monotonic_us(&tti_clock_system);
}

/* True: it is to stop. */
static bool wait_ms(tti_ticker *t, int64_t ms) {
  int64_t until_us = now_us() + ms * 1000;
  pthread_mutex_lock(&t->mutex);
  while (!t->stopping && tti_cond_wait(&t->changed, &t->mutex, until_us))
    ;
  bool stopping = t->stopping;
  pthread_mutex_unlock(&t->mutex);
  return stopping;
}

static void *run(void *context) {
  tti_ticker *t = context;
  int64_t ms = t->options.first_ms;
  while (!wait_ms(t, ms))
    ms = t->options.tick(t->options.context, false);
  t->options.tick(t->options.context, true);
  pthread_mutex_lock(&t->mutex);
  t->over = true;
  pthread_cond_signal(&t->changed);
  pthread_mutex_unlock(&t->mutex);
  return NULL;
}

tt_error tti_ticker_start(const tti_ticker_options *options,
                          tti_ticker **out_ticker) {
  tti_ticker *t = calloc(1, sizeof(*t));
  if (!t)
    return TT_ENOMEM;
  t->options = *options;
  t->owner = getpid();
  pthread_mutex_init(&t->mutex, NULL);
  if (tti_cond_init(&t->changed)) {
    free(t);
    return TT_ENOMEM;
  }
  if (!tti_thread_start(&t->thread, run, t)) {
    pthread_cond_destroy(&t->changed);
    free(t);
    return TT_ENOMEM;
  }
  *out_ticker = t;
  return TT_OK;
}

bool tti_ticker_stop(tti_ticker *ticker) {
  tti_ticker *t = ticker;
  if (!t)
    return true;
  if (t->owner != getpid())
    return false;
  int64_t until_us = now_us() + LAST_US;
  pthread_mutex_lock(&t->mutex);
  t->stopping = true;
  pthread_cond_signal(&t->changed);
  while (!t->over && tti_cond_wait(&t->changed, &t->mutex, until_us))
    ;
  bool over = t->over;
  pthread_mutex_unlock(&t->mutex);
  if (!over && t->options.hurry)
    t->options.hurry(t->options.context);
  pthread_join(t->thread, NULL);
  pthread_cond_destroy(&t->changed);
  pthread_mutex_destroy(&t->mutex);
  free(t);
  return true;
}
