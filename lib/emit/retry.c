#include "lib/emit/retry.h"

#include "lib/base/log.h"
#include "lib/base/random.h"
#include "lib/base/time.h"
#include <stdio.h>

#define FIRST_DELAY_MS 100
/* A flush cuts a delay short, but not below this. */
#define LEAST_DELAY_MS 100
#define LOG_EVERY_US   ((int64_t)10 * 1000000)

int64_t tti_retry_delay_ms(unsigned failures) {
  unsigned doublings = failures > 1 ? failures - 1 : 0;
  int64_t delay =
      doublings < 9 ? FIRST_DELAY_MS << doublings : TTI_RETRY_LAST_MS;
  if (delay > TTI_RETRY_LAST_MS)
    delay = TTI_RETRY_LAST_MS;
  return delay / 2 + (int64_t)tti_random_below((uint64_t)delay / 2 + 1);
}

void tti_retry_wait(tti_queue *queue, int64_t due_us, bool hurry) {
  int64_t begin = tti_monotonic_us(&tti_clock_system);
  int64_t early = begin + LEAST_DELAY_MS * 1000;
  for (;;) {
    int64_t until = hurry && early < due_us ? early : due_us;
    int64_t left_us = until - tti_monotonic_us(&tti_clock_system);
    if (left_us <= 0)
      return;
    tti_pause how = tti_queue_pause(queue, (left_us + 999) / 1000);
    if (how == TTI_PAUSE_STOPPED)
      return;
    hurry = hurry || how == TTI_PAUSE_NUDGED;
  }
}

void tti_complain(tti_complaint *complaint, const tt_log_hook *log,
                  const char *target, const char *what, const char *detail) {
  int64_t now = tti_monotonic_us(&tti_clock_system);
  if (complaint->at_us && now - complaint->at_us < LOG_EVERY_US) {
    complaint->held_back++;
    return;
  }
  char more[64] = "";
  if (complaint->held_back)
    snprintf(more, sizeof(more), " (%llu more like it)",
             (unsigned long long)complaint->held_back);
  tti_log(log, TT_LEVEL_WARN, "emitter to %s: %s: %s%s", target, what, detail,
          more);
  complaint->at_us = now;
  complaint->held_back = 0;
}
