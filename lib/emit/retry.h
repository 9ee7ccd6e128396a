#ifndef TTI_EMIT_RETRY_H
#define TTI_EMIT_RETRY_H

#include "lib/base/log.h"
#include "lib/emit/queue.h"

/* The longest delay, in milliseconds. */
#define TTI_RETRY_LAST_MS 30000

/* How long to wait after so many failures in a row (1 is the first): capped,
 * exponential, jittered between half and all of it. */
int64_t tti_retry_delay_ms(unsigned failures);

/* Waits until `due_us` of the monotonic clock, or less when a flush comes (or,
 * with `hurry`, waits already): it is to learn at once that what failed works
 * again. Ends when the queue is stopped. */
void tti_retry_wait(tti_queue *queue, int64_t due_us, bool hurry);

/* Warns "emitter to <target>: <what>: <detail>", or counts that it did not. */
void tti_complain(tti_log_ration *complaint, const tt_log_hook *log,
                  const char *target, const char *what, const char *detail);

#endif
