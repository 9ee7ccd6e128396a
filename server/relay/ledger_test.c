#include "server/relay/dropped.h"
#include "server/relay/inflight.h"
#include "server/relay/ledger.h"
#include "tests/unit.h"

#include <stdlib.h>

static void the_ledger_adds_up(void **state) {
  (void)state;
  bus_counts counts = {.received = 100,
                       .stored = 60,
                       .rejected_full = 5,
                       .rejected_failed = 6,
                       .replayed = 7,
                       .lost = 1};
  uint64_t refused[RELAY_REJECT_COUNT] = {
      [RELAY_REJECT_INVALID] = 3, [RELAY_REJECT_IN_FLIGHT] = 2};
  relay_ledger l;
  relay_ledger_make(&counts, refused, &l);
  assert_int_equal(l.received, 105);
  assert_int_equal(l.rejected[RELAY_REJECT_INVALID], 3);
  assert_int_equal(l.rejected[RELAY_REJECT_FULL], 5);
  assert_int_equal(l.rejected[RELAY_REJECT_UNAVAILABLE], 6);
  assert_int_equal(l.rejected[RELAY_REJECT_REPLAYED], 7);
  uint64_t sum = l.stored + l.lost + l.in_flight;
  for (size_t i = 0; i < RELAY_REJECT_COUNT; i++)
    sum += l.rejected[i];
  assert_int_equal(sum, l.received);
  assert_int_equal(l.in_flight, 21);
}

static void in_flight_is_never_negative(void **state) {
  (void)state;
  bus_counts counts = {.received = 1, .stored = 2};
  uint64_t refused[RELAY_REJECT_COUNT] = {0};
  relay_ledger l;
  relay_ledger_make(&counts, refused, &l);
  assert_int_equal(l.in_flight, 0);
}

static void dropped(const char *header, uint64_t *counts) {
  memset(counts, 0, RELAY_DROPPED_COUNT * sizeof(*counts));
  relay_dropped_parse(tti_slice_of(header), counts);
}

static void emitters_tell_what_they_dropped(void **state) {
  (void)state;
  uint64_t counts[RELAY_DROPPED_COUNT];
  dropped("queue_full=12, retries=3,queue_full=1,sunspots=5", counts);
  assert_int_equal(counts[TT_DROP_QUEUE_FULL], 13);
  assert_int_equal(counts[TT_DROP_RETRIES], 3);
  assert_int_equal(counts[RELAY_DROPPED_OTHER], 5);
}

static void a_senseless_dropped_header_counts_nothing(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    ",,,",
                                    "=",
                                    "queue_full",
                                    "queue_full=",
                                    "queue_full=-1",
                                    "=5",
                                    "queue_full=99999999999999999999",
                                    "queue_full=1099511627776"};
  uint64_t counts[RELAY_DROPPED_COUNT];
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    dropped(bad[i], counts);
    for (size_t n = 0; n < RELAY_DROPPED_COUNT; n++)
      assert_int_equal(counts[n], 0);
  }
}

static void a_key_is_in_flight_once_a_scope(void **state) {
  (void)state;
  relay_inflight *set = malloc(sizeof(*set));
  relay_inflight_entry first, second, third;
  relay_inflight_init(set);
  tti_slice scope = TTI_SLICE("tok events"), key = TTI_SLICE("k");
  assert_true(relay_inflight_add(set, scope, key, &first));
  assert_false(relay_inflight_add(set, scope, key, &second));
  assert_true(relay_inflight_add(set, TTI_SLICE("tok event"), TTI_SLICE("sk"),
                                 &second));
  assert_true(relay_inflight_add(set, scope, TTI_SLICE("l"), &third));
  relay_inflight_remove(set, &first);
  assert_true(relay_inflight_add(set, scope, key, &first));
  relay_inflight_remove(set, &first);
  relay_inflight_remove(set, &second);
  relay_inflight_remove(set, &third);
  for (size_t i = 0; i < RELAY_INFLIGHT_BUCKETS; i++)
    assert_null(set->buckets[i]);
  relay_inflight_fini(set);
  free(set);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_ledger_adds_up),
      cmocka_unit_test(in_flight_is_never_negative),
      cmocka_unit_test(emitters_tell_what_they_dropped),
      cmocka_unit_test(a_senseless_dropped_header_counts_nothing),
      cmocka_unit_test(a_key_is_in_flight_once_a_scope),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
