#include "server/store/memory/memory.h"

#include "server/io/clock.h"
#include <stdio.h>
#include <stdlib.h>

static size_t slot_of(const unsigned char *digest) {
  return (digest[0] | (size_t)digest[1] << 8) % KEY_SLOTS;
}

static void release(memory_key *key) {
  free(key->answers);
  free(key);
}

static void unlink_key(memory_keys *keys, memory_key *key) {
  memory_key **at = &keys->slots[slot_of(key->digest)];
  while (*at != key)
    at = &(*at)->next;
  *at = key->next;
  keys->count--;
}

static void expire(memory_keys *keys) {
  int64_t since = server_wall_us() - STORE_KEY_LIFE_US;
  while (keys->oldest && keys->oldest->created_us <= since) {
    memory_key *key = keys->oldest;
    keys->oldest = key->newer;
    if (!keys->oldest)
      keys->newest = NULL;
    unlink_key(keys, key);
    release(key);
  }
}

static memory_key *find(memory_keys *keys, const unsigned char *digest) {
  memory_key *key = keys->slots[slot_of(digest)];
  while (key && memcmp(key->digest, digest, STORE_KEY_DIGEST) != 0)
    key = key->next;
  return key;
}

bool memory_keys_find(memory_keys *keys, store_job *job,
                      memory_key **out_known) {
  unsigned char digest[STORE_KEY_DIGEST];
  uint64_t number = 0;
  store_key_digest(&job->key, digest, &number);
  expire(keys);
  memory_key *key = find(keys, digest);
  *out_known = key;
  if (!key)
    return true;
  store_answer answer;
  job->verdict = store_answers_find(key->answers, key->own ? number : 0,
                                    job->key.body_sha256, &answer);
  if (job->verdict == STORE_REPLAYED) {
    job->first_seq = answer.first_seq;
    job->count = answer.count;
  }
  return job->verdict == STORE_OK;
}

memory_key *memory_keys_add(memory_keys *keys, store_job *job) {
  memory_key *key = NULL;
  if (keys->count < KEYS_MAX)
    key = calloc(1, sizeof *key);
  if (key)
    key->answers = calloc(1, sizeof *key->answers);
  if (!key || !key->answers) {
    free(key);
    job->verdict = STORE_RETRY;
    snprintf(job->reason, sizeof job->reason,
             "the store holds %zu idempotency keys and has no room for more",
             keys->count);
    return NULL;
  }
  key->own = store_key_digest(&job->key, key->digest, &key->number);
  key->created_us = server_wall_us();
  memory_key **slot = &keys->slots[slot_of(key->digest)];
  key->next = *slot;
  *slot = key;
  keys->count++;
  if (key->own)
    return key;
  if (keys->newest)
    keys->newest->newer = key;
  else
    keys->oldest = key;
  keys->newest = key;
  return key;
}

void memory_keys_answer(memory_key *key, const store_job *job) {
  store_answer answer = {.first_seq = job->first_seq, .count = job->count};
  if (key->own) {
    unsigned char digest[STORE_KEY_DIGEST];
    store_key_digest(&job->key, digest, &answer.number);
  }
  memcpy(answer.body_sha256, job->key.body_sha256, 32);
  store_answers_add(key->answers, &answer);
}

void memory_keys_fini(memory_keys *keys) {
  for (size_t i = 0; i < KEY_SLOTS; i++)
    while (keys->slots[i]) {
      memory_key *key = keys->slots[i];
      keys->slots[i] = key->next;
      release(key);
    }
}
