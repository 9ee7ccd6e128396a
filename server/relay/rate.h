#ifndef RELAY_RATE_H
#define RELAY_RATE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* Events a second, for the last hour, by time of receipt. Monotonic time: a
 * clock that is set bends no window. Thread-safe. */
enum { RELAY_RATE_SECONDS = 3600 };

typedef struct relay_rate {
  pthread_mutex_t mutex;
  int64_t second[RELAY_RATE_SECONDS]; /* which second a slot is about */
  uint64_t count[RELAY_RATE_SECONDS];
} relay_rate;

void relay_rate_init(relay_rate *rate);
void relay_rate_fini(relay_rate *rate);

void relay_rate_add(relay_rate *rate, int64_t now_us, uint64_t events);

/* The last `window_s` seconds (1 to 3,600), the current one included, as
 * `buckets` sums, oldest first. A bucket may be shorter than a second: the
 * events of a second then stand in the first bucket that it begins in. */
void relay_rate_buckets(relay_rate *rate, int64_t now_us, unsigned window_s,
                        unsigned buckets, uint64_t *out_sums);

#endif
