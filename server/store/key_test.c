#include "tests/unit.h"

#include "server/store/key.h"

#define PRODUCER "0b0e8fd4-6f0e-4d0e-9a55-3f8f4b1d2c3a"

static bool digest(const char *scope, const char *key, unsigned char *out,
                   uint64_t *out_number) {
  store_key k = {.scope = tti_slice_of(scope), .key = tti_slice_of(key)};
  return store_key_digest(&k, out, out_number);
}

static void a_producers_keys_share_a_digest(void **state) {
  (void)state;
  unsigned char a[STORE_KEY_DIGEST], b[STORE_KEY_DIGEST];
  uint64_t number;
  assert_true(digest("s", PRODUCER "/1", a, &number));
  assert_int_equal(number, 1);
  assert_true(digest("s", PRODUCER "/18446744073709551615", b, &number));
  assert_true(number == UINT64_MAX);
  assert_memory_equal(a, b, sizeof a);
  digest("t", PRODUCER "/1", b, &number);
  assert_memory_not_equal(a, b, sizeof a);
}

static void other_keys_are_taken_as_they_are(void **state) {
  (void)state;
  unsigned char a[STORE_KEY_DIGEST], b[STORE_KEY_DIGEST];
  uint64_t number;
  static const char *const foreign[] = {
      PRODUCER,
      PRODUCER "/",
      PRODUCER "/x",
      PRODUCER "/1x",
      "0B0E8FD4-6f0e-4d0e-9a55-3f8f4b1d2c3a/1",
      "1",
      "x/1"};
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
    assert_false(digest("s", foreign[i], a, &number));
  digest("ab", "c", a, &number);
  digest("a", "bc", b, &number);
  assert_memory_not_equal(a, b, sizeof a);
}

/* Scope and key above the size that is hashed in one piece. */
static void a_long_key_has_a_digest_of_its_own(void **state) {
  (void)state;
  char key[1001];
  unsigned char a[STORE_KEY_DIGEST], b[STORE_KEY_DIGEST];
  uint64_t number;
  memset(key, 'k', sizeof key);
  key[1000] = '\0';
  digest("s", key, a, &number);
  key[999] = 'l';
  digest("s", key, b, &number);
  assert_memory_not_equal(a, b, sizeof a);
}

static void the_highest_sixteen_are_kept(void **state) {
  (void)state;
  store_answers answers = {0}, back = {0};
  unsigned char body[32] = {1}, other[32] = {2};
  for (uint64_t n = 40; n > 0; n--) {
    /* Even ones, from the top: the order of arrival does not matter. */
    store_answer answer = {.number = n * 2, .first_seq = n, .count = 3};
    memcpy(answer.body_sha256, body, 32);
    store_answer known;
    if (store_answers_find(&answers, n * 2, body, &known) == STORE_OK)
      store_answers_add(&answers, &answer);
  }
  char packed[STORE_ANSWERS * STORE_ANSWER_PACKED];
  size_t len = store_answers_pack(&answers, packed);
  assert_int_equal(store_answers_unpack((tti_slice){packed, len}, &back),
                   TT_OK);
  store_answer answer;
  assert_int_equal(back.count, STORE_ANSWERS);
  assert_int_equal(store_answers_find(&back, 80, body, &answer),
                   STORE_REPLAYED);
  assert_int_equal(answer.first_seq, 40);
  assert_int_equal(answer.count, 3);
  assert_int_equal(store_answers_find(&back, 80, other, &answer),
                   STORE_MISMATCH);
  assert_int_equal(store_answers_find(&back, 79, body, &answer), STORE_OK);
  assert_int_equal(store_answers_find(&back, 2, body, &answer), STORE_REPLAYED);
  assert_int_equal(answer.first_seq, 0);
}

static void damaged_answers_are_refused(void **state) {
  (void)state;
  char bytes[(STORE_ANSWERS + 1) * STORE_ANSWER_PACKED] = {0};
  store_answers answers;
  assert_int_equal(store_answers_unpack((tti_slice){bytes, 55}, &answers),
                   TT_ECORRUPT);
  assert_int_equal(
      store_answers_unpack((tti_slice){bytes, sizeof bytes}, &answers),
      TT_ECORRUPT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_producers_keys_share_a_digest),
      cmocka_unit_test(other_keys_are_taken_as_they_are),
      cmocka_unit_test(a_long_key_has_a_digest_of_its_own),
      cmocka_unit_test(the_highest_sixteen_are_kept),
      cmocka_unit_test(damaged_answers_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
