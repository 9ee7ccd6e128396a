#ifndef TESTING_CLOCK_H
#define TESTING_CLOCK_H

#include "lib/base/time.h"

/* The system's clocks plus an offset that the control socket moves. */
const tti_clock *testing_clock(void);

/* Moves both clocks forward (wall time also backward). Thread-safe. */
void testing_clock_advance_us(int64_t by_us);

#endif
