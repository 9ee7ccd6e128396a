#include "server/auth/bucket.h"
#include "tests/unit.h"

#include <stdio.h>

static const auth_pace pace = {.rate = 10, .per_s = 1, .burst = 100};

static http_address address(const char *text) {
  http_address a;
  assert_true(http_address_parse(tti_slice_of(text), &a));
  return a;
}

/* How many of `tries` are let through. */
static unsigned take(auth_buckets *b, const char *text, unsigned tries,
                     int64_t now_us) {
  http_address a = address(text);
  unsigned taken = 0;
  for (unsigned i = 0; i < tries; i++)
    taken += auth_bucket_take(b, &a, &pace, now_us) == 0;
  return taken;
}

static auth_buckets *buckets(size_t addresses) {
  auth_buckets *b;
  assert_int_equal(auth_buckets_new(addresses, &b), TT_OK);
  return b;
}

static void a_burst_then_the_rate(void **state) {
  (void)state;
  auth_buckets *b = buckets(100);
  int64_t now = 5000000000;
  assert_int_equal(take(b, "10.0.0.1", 150, now), 100);
  assert_int_equal(take(b, "10.0.0.1", 10, now + 99999), 0);
  assert_int_equal(take(b, "10.0.0.1", 10, now + 100000), 1);
  assert_int_equal(take(b, "10.0.0.1", 50, now + 1100000), 10);
  /* Never more than the burst, however long it was quiet. */
  assert_int_equal(take(b, "10.0.0.1", 150, now + 3600000000), 100);
  auth_buckets_free(b);
}

static void refused_requests_cost_nothing_and_are_told_when(void **state) {
  (void)state;
  auth_buckets *b = buckets(100);
  http_address a = address("10.0.0.1");
  auth_pace slow = {.rate = 10, .per_s = 60, .burst = 5};
  int64_t now = 1000000;
  for (int i = 0; i < 5; i++)
    assert_int_equal(auth_bucket_take(b, &a, &slow, now), 0);
  for (int i = 0; i < 1000; i++)
    assert_int_equal(auth_bucket_take(b, &a, &slow, now), 7);
  assert_int_equal(auth_bucket_take(b, &a, &slow, now + 5500000), 1);
  assert_int_equal(auth_bucket_ask(b, &a, &slow, now + 6000000), 0);
  assert_int_equal(auth_bucket_ask(b, &a, &slow, now + 6000000), 0);
  assert_int_equal(auth_bucket_take(b, &a, &slow, now + 6000000), 0);
  assert_int_equal(auth_bucket_ask(b, &a, &slow, now + 6000000), 7);
  auth_buckets_free(b);
}

static void addresses_have_their_own_and_a_64_has_one(void **state) {
  (void)state;
  auth_buckets *b = buckets(100);
  assert_int_equal(take(b, "10.0.0.1", 100, 1), 100);
  assert_int_equal(take(b, "10.0.0.2", 100, 1), 100);
  assert_int_equal(take(b, "::ffff:10.0.0.2", 1, 1), 0);
  assert_int_equal(take(b, "2001:db8::1", 60, 1), 60);
  assert_int_equal(take(b, "2001:db8::2", 60, 1), 40);
  assert_int_equal(take(b, "2001:db8:0:1::1", 60, 1), 60);
  auth_buckets_free(b);
}

/* Strangers in great numbers push out those who asked for little, not the one
 * that is held back. */
static void the_table_is_bounded_and_keeps_who_owes_most(void **state) {
  (void)state;
  auth_buckets *b = buckets(64);
  assert_int_equal(take(b, "10.0.0.1", 100, 1), 100);
  for (unsigned i = 0; i < 10000; i++) {
    char text[32];
    snprintf(text, sizeof(text), "11.0.%u.%u", i / 256, i % 256);
    assert_int_equal(take(b, text, 1, 1), 1);
  }
  assert_int_equal(take(b, "10.0.0.1", 1, 1), 0);
  auth_buckets_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_burst_then_the_rate),
      cmocka_unit_test(refused_requests_cost_nothing_and_are_told_when),
      cmocka_unit_test(addresses_have_their_own_and_a_64_has_one),
      cmocka_unit_test(the_table_is_bounded_and_keeps_who_owes_most),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
