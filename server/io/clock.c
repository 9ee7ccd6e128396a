#include "server/io/clock.h"

#ifdef TELLTALE_TESTING
#include "server/testing/clock.h"
const tti_clock *server_clock(void) {
  return testing_clock();
}
#else
const tti_clock *server_clock(void) {
  return &tti_clock_system;
}
#endif
