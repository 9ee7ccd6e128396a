#ifndef IO_CLOCK_H
#define IO_CLOCK_H

#include "lib/base/time.h"

/* The server's clock. In the test build the control socket can set and advance
 * it; elsewhere it is the system's. */
const tti_clock *server_clock(void);

static inline int64_t server_wall_us(void) {
  return tti_wall_us(server_clock());
}
static inline int64_t server_monotonic_us(void) {
  return tti_monotonic_us(server_clock());
}

#endif
