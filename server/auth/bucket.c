#include "server/auth/bucket.h"

#include "lib/base/hash.h"
#include "lib/base/random.h"

#include <pthread.h>
#include <stdlib.h>

/* Addresses of one hash compete for the places of one set. */
enum { WAYS = 8 };

/* Kept as the instant at which it is full again: an empty place is one that has
 * been full since the beginning, and time fills all of them by itself. */
typedef struct bucket {
  http_address address;
  int64_t full_us; /* monotonic */
} bucket;

struct auth_buckets {
  pthread_mutex_t mutex;
  size_t sets;
  unsigned char seed[16]; /* so that nobody can choose whom to displace */
  bucket *places; /* sets × WAYS, under the mutex; NULL: none taken yet */
};

tt_error auth_buckets_new(size_t addresses, auth_buckets **out_buckets) {
  auth_buckets *b = calloc(1, sizeof(*b));
  if (!b)
    return TT_ENOMEM;
  pthread_mutex_init(&b->mutex, NULL);
  b->sets = addresses / WAYS + 1;
  tti_random_bytes(b->seed, sizeof(b->seed));
  *out_buckets = b;
  return TT_OK;
}

void auth_buckets_free(auth_buckets *b) {
  if (!b)
    return;
  pthread_mutex_destroy(&b->mutex);
  free(b->places);
  free(b);
}

/* The address's place, or the one that it may have. */
static bucket *place_of(auth_buckets *b, const http_address *address) {
  unsigned char key[32];
  memcpy(key, b->seed, 16);
  memcpy(key + 16, address->bytes, 16);
  bucket *set = &b->places[tti_hash64(key, sizeof(key)) % b->sets * WAYS];
  bucket *fullest = set;
  for (size_t i = 0; i < WAYS; i++) {
    if (memcmp(set[i].address.bytes, address->bytes, 16) == 0)
      return &set[i];
    if (set[i].full_us < fullest->full_us)
      fullest = &set[i];
  }
  *fullest = (bucket){*address, 0};
  return fullest;
}

static uint64_t take(auth_buckets *b, const http_address *address,
                     const auth_pace *pace, int64_t now_us, bool really) {
  http_address subscriber = http_address_subscriber(address);
  int64_t one_us = (int64_t)(pace->per_s * 1000000 / pace->rate);
  uint64_t wait_s = 0;
  pthread_mutex_lock(&b->mutex);
  if (!b->places)
    b->places = calloc(b->sets, WAYS * sizeof(*b->places));
  if (b->places) {
    bucket *at = place_of(b, &subscriber);
    int64_t full_us = at->full_us > now_us ? at->full_us : now_us;
    int64_t late_us = full_us + one_us - now_us - (int64_t)pace->burst * one_us;
    if (late_us > 0)
      wait_s = (uint64_t)late_us / 1000000 + 1;
    else if (really)
      at->full_us = full_us + one_us;
  }
  pthread_mutex_unlock(&b->mutex);
  return wait_s;
}

uint64_t auth_bucket_take(auth_buckets *b, const http_address *address,
                          const auth_pace *pace, int64_t now_us) {
  return take(b, address, pace, now_us, true);
}

uint64_t auth_bucket_ask(auth_buckets *b, const http_address *address,
                         const auth_pace *pace, int64_t now_us) {
  return take(b, address, pace, now_us, false);
}
