#ifndef STORE_KEY_H
#define STORE_KEY_H

#include "server/store/store.h"

/* What a store keeps of idempotency keys, the same in each.
 *
 * A key of our emitter is "<producer uuid>/<n>" with n counting up, so one row
 * a producer is enough: the answers to its 16 highest numbers. A number above
 * the lowest of those (or any, while there are fewer than 16) that is not
 * among them was never stored; one below them was answered long ago. */
#define STORE_KEY_DIGEST    16
#define STORE_ANSWERS       16
#define STORE_ANSWER_PACKED (3 * 8 + 32)
#define STORE_KEYS_MAX      10000000u
#define STORE_KEY_LIFE_US   (INT64_C(24) * 3600 * 1000000)

typedef struct store_answer {
  uint64_t number;
  uint64_t first_seq;
  uint64_t count;
  unsigned char body_sha256[32];
} store_answer;

typedef struct store_answers {
  size_t count;
  store_answer items[STORE_ANSWERS]; /* numbers ascend */
} store_answers;

static inline bool store_key_is_set(const store_key *key) {
  return key->key.len > 0;
}

/* The digest under which a key is kept: of scope and key, or of scope and
 * producer; then true, and *out_number is the n. */
bool store_key_digest(const store_key *key,
                      unsigned char out_digest[STORE_KEY_DIGEST],
                      uint64_t *out_number);

/* STORE_OK: never seen. STORE_REPLAYED fills *out_answer; of an answer that
 * was forgotten, first_seq and count are 0. STORE_MISMATCH. */
store_verdict store_answers_find(const store_answers *answers, uint64_t number,
                                 const unsigned char body_sha256[32],
                                 store_answer *out_answer);

/* Adds an answer that store_answers_find did not know. */
void store_answers_add(store_answers *answers, const store_answer *answer);

/* Little-endian: number, first_seq, count, body_sha256, each 56 bytes. */
size_t store_answers_pack(const store_answers *answers,
                          char out_bytes[STORE_ANSWERS * STORE_ANSWER_PACKED]);
tt_error store_answers_unpack(tti_slice bytes, store_answers *out_answers);

#endif
