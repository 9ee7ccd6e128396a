#include "server/relay/inflight.h"

#include "lib/base/random.h"
#include <openssl/sha.h>

void relay_inflight_init(relay_inflight *set) {
  memset(set, 0, sizeof(*set));
  pthread_mutex_init(&set->mutex, NULL);
  tti_random_bytes(set->seed, sizeof(set->seed));
}

void relay_inflight_fini(relay_inflight *set) {
  pthread_mutex_destroy(&set->mutex);
}

static void digest_of(const relay_inflight *set, tti_slice scope, tti_slice key,
                      unsigned char out_digest[32]) {
  /* Neither part can hold a NUL, so one between them keeps "a"+"bc" and
   * "ab"+"c" apart. */
  unsigned char text[sizeof(set->seed) + 512];
  size_t len = sizeof(set->seed);
  memcpy(text, set->seed, len);
  if (scope.len > 200)
    scope.len = 200;
  memcpy(text + len, scope.ptr, scope.len);
  len += scope.len;
  text[len++] = '\0';
  if (key.len > 256)
    key.len = 256;
  memcpy(text + len, key.ptr, key.len);
  SHA256(text, len + key.len, out_digest);
}

static relay_inflight_entry **bucket_of(relay_inflight *set,
                                        const unsigned char *digest) {
  size_t index =
      ((size_t)digest[0] | (size_t)digest[1] << 8) % RELAY_INFLIGHT_BUCKETS;
  return &set->buckets[index];
}

bool relay_inflight_add(relay_inflight *set, tti_slice scope, tti_slice key,
                        relay_inflight_entry *entry) {
  bool added = true;
  digest_of(set, scope, key, entry->digest);
  relay_inflight_entry **bucket = bucket_of(set, entry->digest);
  pthread_mutex_lock(&set->mutex);
  for (relay_inflight_entry *e = *bucket; e && added; e = e->next)
    added = memcmp(e->digest, entry->digest, sizeof(e->digest)) != 0;
  if (added) {
    entry->next = *bucket;
    *bucket = entry;
  }
  pthread_mutex_unlock(&set->mutex);
  return added;
}

void relay_inflight_remove(relay_inflight *set, relay_inflight_entry *entry) {
  relay_inflight_entry **at = bucket_of(set, entry->digest);
  pthread_mutex_lock(&set->mutex);
  while (*at && *at != entry)
    at = &(*at)->next;
  if (*at)
    *at = entry->next;
  pthread_mutex_unlock(&set->mutex);
}
