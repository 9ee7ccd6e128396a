#include "lib/emit/retry.h"

#include "lib/base/backoff.h"
#include "lib/base/time.h"

#define FIRST_DELAY_MS 100
/* A flush cuts a delay short, but not below this. */
#define LEAST_DELAY_MS 100

int64_t tti_retry_delay_ms(unsigned failures) {
  return tti_backoff_ms(failures, FIRST_DELAY_MS, TTI_RETRY_LAST_MS);
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

void tti_complain(tti_log_ration *complaint, const tt_log_hook *log,
                  const char *target, const char *what, const char *detail) {
  tti_log_rationed(complaint, log, TT_LEVEL_WARN, "emitter to %s: %s: %s",
                   target, what, detail);
}
