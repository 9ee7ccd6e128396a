#ifndef TTI_BASE_THREAD_H
#define TTI_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Starts a thread that blocks all signals: they are for the host's threads. It
 * is joined, or detached, by the caller. False: none could be started. */
bool tti_thread_start(pthread_t *out_thread, void *(*run)(void *context),
                      void *context);

#endif
