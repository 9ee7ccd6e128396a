#include "lib/base/backoff.h"

#include "lib/base/random.h"

int64_t tti_backoff_ms(unsigned failures, int64_t first_ms, int64_t last_ms) {
  int64_t delay = first_ms;
  while (failures-- > 1 && delay < last_ms)
    delay *= 2;
  if (delay > last_ms)
    delay = last_ms;
  return delay / 2 + (int64_t)tti_random_below((uint64_t)delay / 2 + 1);
}
