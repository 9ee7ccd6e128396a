#ifndef TTI_BASE_BACKOFF_H
#define TTI_BASE_BACKOFF_H

#include <stdint.h>

/* How long to wait after so many failures in a row (1 is the first): doubling
 * from `first_ms` up to `last_ms`, jittered between half and all of it. */
int64_t tti_backoff_ms(unsigned failures, int64_t first_ms, int64_t last_ms);

#endif
