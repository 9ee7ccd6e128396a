#ifndef AUTH_BUCKET_H
#define AUTH_BUCKET_H

#include "server/http/address.h"

#include <stdint.h>
#include <telltale/error.h>

/* A token bucket an address, for what may be asked without a token: each holds
 * at most `burst`, gains `rate` a second, and loses one a request. There is
 * room for a fixed number of addresses; past it the one that is nearest to full
 * is forgotten, which gives it least. Any thread. */
typedef struct auth_buckets auth_buckets;

typedef struct auth_pace {
  uint64_t rate;  /* a second */
  uint64_t per_s; /* … so many seconds: 10 a minute is {10, 60, …} */
  uint64_t burst;
} auth_pace;

/* Room for `addresses`, rounded up; nothing is allocated before the first take.
 */
tt_error auth_buckets_new(size_t addresses, auth_buckets **out_buckets);
void auth_buckets_free(auth_buckets *b);

/* Takes one for the address (IPv6: for its /64) at this monotonic instant. 0:
 * it was there; else the seconds until it will be, at least 1. Out of memory
 * counts as there. */
uint64_t auth_bucket_take(auth_buckets *b, const http_address *address,
                          const auth_pace *pace, int64_t now_us);
/* The same answer, and nothing is taken. */
uint64_t auth_bucket_ask(auth_buckets *b, const http_address *address,
                         const auth_pace *pace, int64_t now_us);

#endif
