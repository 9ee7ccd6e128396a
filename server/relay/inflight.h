#ifndef RELAY_INFLIGHT_H
#define RELAY_INFLIGHT_H

#include "lib/base/slice.h"
#include <pthread.h>
#include <stdint.h>

/* Idempotency keys whose first request is still being worked on. Entries are
 * embedded in the requests, so the set is as bounded as they are. Thread-safe.
 */
enum { RELAY_INFLIGHT_BUCKETS = 1024 };

typedef struct relay_inflight_entry {
  struct relay_inflight_entry *next; /* the set's */
  unsigned char digest[32];
} relay_inflight_entry;

typedef struct relay_inflight {
  pthread_mutex_t mutex;
  unsigned char seed[16]; /* so that nobody can aim at one bucket */
  relay_inflight_entry *buckets[RELAY_INFLIGHT_BUCKETS];
} relay_inflight;

void relay_inflight_init(relay_inflight *set);
void relay_inflight_fini(relay_inflight *set);

/* False: the same scope and key are in the set already. The entry stays the
 * caller's and must be removed before it is freed. */
bool relay_inflight_add(relay_inflight *set, tti_slice scope, tti_slice key,
                        relay_inflight_entry *entry);
void relay_inflight_remove(relay_inflight *set, relay_inflight_entry *entry);

#endif
