#include "server/fleet/distinct.h"
#include "tests/unit.h"

static void fill(fleet_distinct *d, uint64_t from, uint64_t to) {
  for (int twice = 0; twice < 2; twice++)
    for (uint64_t id = from; id <= to; id++)
      assert_true(fleet_distinct_add(d, id));
}

static void few_are_counted_exactly(void **state) {
  fleet_distinct d = {0};
  (void)state;
  assert_int_equal(fleet_distinct_count(&d), 0);
  for (uint64_t n = 1; n <= FLEET_DISTINCT_EXACT; n++) {
    fill(&d, n, n);
    assert_int_equal(fleet_distinct_count(&d), n);
  }
  fleet_distinct_fini(&d);
}

/* Within three standard errors. */
static void many_are_estimated(void **state) {
  const uint64_t counts[] = {257, 500, 1000, 3000, 10000, 100000, 1000000};
  (void)state;
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    fleet_distinct d = {0};
    fill(&d, 1, counts[i]);
    double off = (double)fleet_distinct_count(&d) / (double)counts[i] - 1;
    assert_true(off > -0.069 && off < 0.069);
    fleet_distinct_fini(&d);
  }
}

static void halves_merge_into_the_whole(void **state) {
  /* Few and few, few and many, many and many. */
  const uint64_t ends[][2] = {{10, 20}, {10, 9000}, {4000, 9000}};
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    fleet_distinct whole = {0}, half = {0}, other = {0};
    fill(&whole, 1, ends[i][1]);
    fill(&half, 1, ends[i][0]);
    fill(&other, ends[i][0] - 5, ends[i][1]);
    assert_true(
        fleet_distinct_merge(i % 2 ? &half : &other, i % 2 ? &other : &half));
    assert_int_equal(fleet_distinct_count(i % 2 ? &half : &other),
                     fleet_distinct_count(&whole));
    fleet_distinct_fini(&whole);
    fleet_distinct_fini(&half);
    fleet_distinct_fini(&other);
  }
}

static void bytes_keep_it(void **state) {
  const uint64_t counts[] = {0, 1, 256, 257, 50000};
  (void)state;
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    fleet_distinct d = {0}, read = {0};
    tti_buf bytes;
    tti_buf_init(&bytes, 1 << 16);
    fill(&d, 1, counts[i]);
    fleet_distinct_write(&d, &bytes);
    assert_true(bytes.len <= 1281);
    assert_int_equal(fleet_distinct_read(&read, tti_buf_slice(&bytes)), TT_OK);
    assert_int_equal(fleet_distinct_count(&read), fleet_distinct_count(&d));
    tti_buf_fini(&bytes);
    fleet_distinct_fini(&d);
    fleet_distinct_fini(&read);
  }
}

static void bytes_that_are_none_are_refused(void **state) {
  char registers[1281];
  (void)state;
  memset(registers, 0xff, sizeof registers);
  registers[0] = 1;
  const tti_slice bad[] = {TTI_SLICE("\x02"),
                           TTI_SLICE("\x01\x00"),
                           TTI_SLICE("\x00\xff"),
                           TTI_SLICE("\x00\xff\xff\xff\xff\x7f"),
                           {registers, sizeof registers}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    fleet_distinct d = {0};
    assert_int_equal(fleet_distinct_read(&d, bad[i]), TT_ECORRUPT);
    fleet_distinct_fini(&d);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(few_are_counted_exactly),
      cmocka_unit_test(many_are_estimated),
      cmocka_unit_test(halves_merge_into_the_whole),
      cmocka_unit_test(bytes_keep_it),
      cmocka_unit_test(bytes_that_are_none_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
