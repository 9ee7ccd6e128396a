#ifndef TTI_EMIT_TIMER_H
#define TTI_EMIT_TIMER_H

#include <telltale/emitter.h>

/* What the timer shows at `now_us` of the monotonic clock, in milliseconds, to
 * the nearest. */
int64_t tti_timer_ms(const tt_timer *timer, int64_t now_us);

#endif
