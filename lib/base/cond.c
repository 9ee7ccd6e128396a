#include "lib/base/cond.h"

#include <errno.h>
#include <time.h>

int tti_cond_init(pthread_cond_t *cond) {
  pthread_condattr_t attributes;
  int failed = pthread_condattr_init(&attributes);
  if (failed)
    return failed;
  failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  if (!failed)
    failed = pthread_cond_init(cond, &attributes);
  pthread_condattr_destroy(&attributes);
  return failed;
}

bool tti_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                   int64_t until_us) {
  if (until_us < 0)
    return pthread_cond_wait(cond, mutex) == 0;
  struct timespec until = {.tv_sec = (time_t)(until_us / 1000000),
                           .tv_nsec = (long)(until_us % 1000000) * 1000};
  return pthread_cond_timedwait(cond, mutex, &until) != ETIMEDOUT;
}
