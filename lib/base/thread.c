#include "lib/base/thread.h"

#include <signal.h>

bool tti_thread_start(pthread_t *out_thread, void *(*run)(void *context),
                      void *context) {
  sigset_t all, before;
  sigfillset(&all);
  /* The new thread inherits the mask. */
  if (pthread_sigmask(SIG_SETMASK, &all, &before))
    return false;
  bool started = pthread_create(out_thread, NULL, run, context) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return started;
}
