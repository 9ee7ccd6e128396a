#include "server/testing/clock.h"

#include <stdatomic.h>

/* Read by every thread, written by the control socket; nothing else is ordered
 * by it, so relaxed is enough. */
static _Atomic int64_t offset_us;

static int64_t wall_us(void *context) {
  (void)context;
  return tti_wall_us(&tti_clock_system) +
         atomic_load_explicit(&offset_us, memory_order_relaxed);
}

static int64_t monotonic_us(void *context) {
  (void)context;
  return tti_monotonic_us(&tti_clock_system) +
         atomic_load_explicit(&offset_us, memory_order_relaxed);
}

static const tti_clock clock_with_offset = {wall_us, monotonic_us, NULL};

const tti_clock *testing_clock(void) {
  return &clock_with_offset;
}

void testing_clock_advance_us(int64_t by_us) {
  atomic_fetch_add_explicit(&offset_us, by_us, memory_order_relaxed);
}
