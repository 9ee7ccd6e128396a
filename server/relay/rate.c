#include "server/relay/rate.h"

#include <string.h>

/* Never a second of the monotonic clock. */
#define NO_SECOND INT64_MIN

void relay_rate_init(relay_rate *rate) {
  memset(rate, 0, sizeof(*rate));
  pthread_mutex_init(&rate->mutex, NULL);
  for (size_t i = 0; i < RELAY_RATE_SECONDS; i++)
    rate->second[i] = NO_SECOND;
}

void relay_rate_fini(relay_rate *rate) {
  pthread_mutex_destroy(&rate->mutex);
}

static int64_t second_of(int64_t now_us) {
  return now_us / 1000000;
}

static size_t slot_of(int64_t second) {
  return (size_t)(second % RELAY_RATE_SECONDS);
}

void relay_rate_add(relay_rate *rate, int64_t now_us, uint64_t events) {
  int64_t second = second_of(now_us);
  size_t slot = slot_of(second);
  pthread_mutex_lock(&rate->mutex);
  if (rate->second[slot] != second) {
    rate->second[slot] = second;
    rate->count[slot] = 0;
  }
  rate->count[slot] += events;
  pthread_mutex_unlock(&rate->mutex);
}

void relay_rate_buckets(relay_rate *rate, int64_t now_us, unsigned window_s,
                        unsigned buckets, uint64_t *out_sums) {
  int64_t first = second_of(now_us) - (int64_t)window_s + 1;
  memset(out_sums, 0, buckets * sizeof(*out_sums));
  pthread_mutex_lock(&rate->mutex);
  for (unsigned i = 0; i < window_s; i++) {
    int64_t second = first + i;
    if (second < 0 || rate->second[slot_of(second)] != second)
      continue;
    size_t bucket = (size_t)((uint64_t)i * buckets / window_s);
    out_sums[bucket] += rate->count[slot_of(second)];
  }
  pthread_mutex_unlock(&rate->mutex);
}
