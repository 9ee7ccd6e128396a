#include "server/relay/rate.h"
#include "tests/unit.h"

#include <stdlib.h>

#define S INT64_C(1000000)

static int set_up(void **state) {
  *state = malloc(sizeof(relay_rate));
  relay_rate_init(*state);
  return 0;
}

static int tear_down(void **state) {
  relay_rate_fini(*state);
  free(*state);
  return 0;
}

static void nothing_received_is_zeros(void **state) {
  uint64_t sums[5] = {1, 1, 1, 1, 1};
  relay_rate_buckets(*state, 3 * S, 300, 5, sums);
  for (int i = 0; i < 5; i++)
    assert_int_equal(sums[i], 0);
}

static void buckets_run_from_oldest_to_newest(void **state) {
  uint64_t sums[3];
  relay_rate_add(*state, 10000 * S, 1);
  relay_rate_add(*state, 10020 * S + 5, 2);
  relay_rate_add(*state, 10059 * S + 999999, 4);
  relay_rate_buckets(*state, 10059 * S, 60, 3, sums);
  assert_int_equal(sums[0], 1);
  assert_int_equal(sums[1], 2);
  assert_int_equal(sums[2], 4);
}

static void what_is_older_than_the_window_is_left_out(void **state) {
  uint64_t sum;
  relay_rate_add(*state, 10000 * S, 8);
  relay_rate_add(*state, 10001 * S, 1);
  relay_rate_buckets(*state, 10010 * S, 10, 1, &sum);
  assert_int_equal(sum, 1);
}

static void an_hour_later_a_slot_starts_afresh(void **state) {
  uint64_t sum;
  relay_rate_add(*state, 10000 * S, 8);
  relay_rate_buckets(*state, (10000 + 3600) * S, 60, 1, &sum);
  assert_int_equal(sum, 0);
  relay_rate_add(*state, (10000 + 3600) * S, 1);
  relay_rate_buckets(*state, (10000 + 3600) * S, 3600, 1, &sum);
  assert_int_equal(sum, 1);
}

static void more_buckets_than_seconds_lose_nothing(void **state) {
  uint64_t sums[300], total = 0;
  for (int64_t s = 0; s < 60; s++)
    relay_rate_add(*state, (10000 + s) * S, 1);
  relay_rate_buckets(*state, 10059 * S, 60, 300, sums);
  for (int i = 0; i < 300; i++)
    total += sums[i];
  assert_int_equal(total, 60);
  assert_int_equal(sums[0], 1);
  assert_int_equal(sums[295], 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(nothing_received_is_zeros),
      TEST(buckets_run_from_oldest_to_newest),
      TEST(what_is_older_than_the_window_is_left_out),
      TEST(an_hour_later_a_slot_starts_afresh),
      TEST(more_buckets_than_seconds_lose_nothing),
  };
#undef TEST
  return cmocka_run_group_tests(tests, NULL, NULL);
}
