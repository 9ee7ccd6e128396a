#include "server/deliver/schedule.h"

#include <stddef.h>

#define MINUTE_US ((int64_t)60 * 1000000)
#define HOUR_US   (60 * MINUTE_US)

/* No jitter: how many requests a receiver gets at once is bounded by its queue,
 * not spread by chance. */
static const int64_t delays_us[SCHEDULE_ATTEMPTS - 1] = {
    MINUTE_US,   5 * MINUTE_US, 15 * MINUTE_US, HOUR_US,
    4 * HOUR_US, 8 * HOUR_US,   16 * HOUR_US,   24 * HOUR_US};

bool schedule_expired(int64_t created_us, int64_t now_us) {
  return now_us - created_us >= SCHEDULE_EXPIRY_US;
}

static schedule_verdict failed(schedule_verdict v, const char *reason) {
  v.fate = SCHEDULE_FAILED;
  v.reason = reason;
  return v;
}

static bool asks_to_wait(const schedule_answer *answer) {
  return (answer->status == 429 || answer->status == 503) &&
         answer->retry_after_s > 0;
}

/* What did not count waits as long as what counted last would. */
static int64_t delay_of(const schedule_answer *answer, unsigned attempts) {
  int64_t delay_us = delays_us[attempts ? attempts - 1 : 0];
  if (!asks_to_wait(answer))
    return delay_us;
  int64_t asked_s = answer->retry_after_s < SCHEDULE_RETRY_AFTER_MAX_S
                        ? answer->retry_after_s
                        : SCHEDULE_RETRY_AFTER_MAX_S;
  int64_t asked_us = asked_s * 1000000;
  return asked_us > delay_us ? asked_us : delay_us;
}

schedule_verdict schedule_judge(const schedule_answer *answer,
                                unsigned attempts, int64_t created_us,
                                int64_t now_us) {
  schedule_verdict v = {.attempts = attempts + answer->sent};
  if (answer->status / 100 == 2) {
    v.fate = SCHEDULE_DELIVERED;
    return v;
  }
  v.gone = answer->status == 410;
  if (v.gone)
    return failed(v, "gone");
  if (v.attempts >= SCHEDULE_ATTEMPTS)
    return failed(v, "exhausted");
  if (schedule_expired(created_us, now_us))
    return failed(v, "expired");
  v.fate = SCHEDULE_RETRY;
  v.retry_us = now_us + delay_of(answer, v.attempts);
  /* So that it is found then, and told to have expired. */
  if (schedule_expired(created_us, v.retry_us))
    v.retry_us = created_us + SCHEDULE_EXPIRY_US;
  return v;
}

bool schedule_is_ill(const schedule_answer *answer) {
  return answer->status < 100 || answer->status >= 500 || answer->status == 429;
}

/* ---- The breaker ---- */

static bool is_open(const breaker *b, int64_t now_us) {
  return b->trips && now_us < b->open_until_us;
}

bool breaker_lets(const breaker *b, unsigned in_flight, int64_t now_us) {
  return !b->trips || (in_flight == 0 && !is_open(b, now_us));
}

bool breaker_report(breaker *b, bool ill, int64_t now_us) {
  if (!ill) {
    *b = (breaker){0};
    return false;
  }
  b->failures++;
  /* Those that began before it opened say nothing new. */
  if (b->failures < BREAKER_FAILURES || is_open(b, now_us))
    return false;
  int64_t open_us = BREAKER_FIRST_US;
  for (unsigned i = 0; i < b->trips && open_us < BREAKER_LAST_US; i++)
    open_us *= 2;
  b->open_until_us =
      now_us + (open_us < BREAKER_LAST_US ? open_us : BREAKER_LAST_US);
  b->trips++;
  return true;
}
