#ifndef DELIVER_SCHEDULE_H
#define DELIVER_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

/* When a delivery is tried again, and when no more. Times are unix
 * microseconds. Functions of what they are given alone. */

/* One attempt at once, then one after each of the eight delays: 1 min, 5 min,
 * 15 min, 1 h, 4 h, 8 h, 16 h, 24 h. */
#define SCHEDULE_ATTEMPTS 9

/* Older than this a delivery is not tried any more. */
#define SCHEDULE_EXPIRY_US ((int64_t)72 * 3600 * 1000000)

/* A disabled webhook's deliveries are looked at again after so long. */
#define SCHEDULE_DISABLED_US ((int64_t)3600 * 1000000)

/* The most that a receiver's Retry-After can ask for. */
#define SCHEDULE_RETRY_AFTER_MAX_S ((int64_t)24 * 3600)

/* How an attempt ended. */
typedef struct schedule_answer {
  int status;            /* 0: no answer came */
  bool sent;             /* bytes of the request left this machine */
  int64_t retry_after_s; /* 0: the receiver did not say */
} schedule_answer;

typedef enum schedule_fate {
  SCHEDULE_DELIVERED,
  SCHEDULE_RETRY,
  SCHEDULE_FAILED
} schedule_fate;

typedef struct schedule_verdict {
  schedule_fate fate;
  unsigned attempts;  /* with this one, if it counts */
  int64_t retry_us;   /* RETRY: not before */
  const char *reason; /* FAILED: "exhausted", "gone" or "expired"; static */
  bool gone;          /* 410: the webhook is to be disabled */
} schedule_verdict;

/* What an answer at `now_us` means for a delivery of which `attempts` were
 * counted before. One without a byte sent does not count: what was never tried
 * cannot be exhausted, but expires. */
schedule_verdict schedule_judge(const schedule_answer *answer,
                                unsigned attempts, int64_t created_us,
                                int64_t now_us);

bool schedule_expired(int64_t created_us, int64_t now_us);

/* Whether an answer speaks of a receiver in trouble: none, a 5xx, a 429. One
 * that refuses what it is sent is well. */
bool schedule_is_ill(const schedule_answer *answer);

/* ---- A webhook's circuit breaker ---- */

/* Open after so many answers of an ill receiver in a row, for 30 s, and twice
 * as long each time that the one request that is let through then fails too, up
 * to 10 min. All zero: closed. */
#define BREAKER_FAILURES 5
#define BREAKER_FIRST_US ((int64_t)30 * 1000000)
#define BREAKER_LAST_US  ((int64_t)600 * 1000000)

typedef struct breaker {
  unsigned failures; /* in a row */
  unsigned trips;    /* times it opened since it was closed */
  int64_t open_until_us;
} breaker;

/* Whether a request may begin while `in_flight` are under way: while it is
 * half-open one alone, the probe. */
bool breaker_lets(const breaker *b, unsigned in_flight, int64_t now_us);

/* True: it opened, until open_until_us. */
bool breaker_report(breaker *b, bool ill, int64_t now_us);

#endif
