#ifndef TTI_BASE_COND_H
#define TTI_BASE_COND_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* A condition variable that waits by the system's monotonic clock. 0 or an
 * errno value; destroyed with pthread_cond_destroy. */
int tti_cond_init(pthread_cond_t *cond);

/* Waits until the monotonic instant in microseconds; < 0: for ever. False: it
 * has come. True: it was woken, perhaps for no reason. */
bool tti_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                   int64_t until_us);

#endif
