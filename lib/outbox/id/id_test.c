#include "tests/unit.h"

#include <string.h>
#include <telltale/outbox.h>

/* printf 'order|17|paid' | sha256sum */
static void the_id_is_the_hash_of_the_parts(void **state) {
  (void)state;
  char id[TELLTALE_OUTBOX_ID_SIZE], again[TELLTALE_OUTBOX_ID_SIZE];
  assert_int_equal(tt_outbox_id(id, "order", "17", "paid"), TT_OK);
  assert_string_equal(id, "evt_01c9b2cd4373c064ae101a75f1405e6d");
  assert_int_equal(tt_outbox_id(again, "order", "17", "paid"), TT_OK);
  assert_string_equal(id, again);
  assert_int_equal(tt_outbox_id(id, "order"), TT_OK);
  assert_string_equal(id, "evt_3eeb7e96e59ce40f9cb1a089daba079f");
}

/* A part that is missing must not make different events one. */
static void a_missing_part_is_refused(void **state) {
  (void)state;
  char id[TELLTALE_OUTBOX_ID_SIZE] = "as it was";
  const char *none = NULL;
  assert_int_equal(tt_outbox_id(id, "order", none, "paid"), TT_EINVAL);
  assert_int_equal(tt_outbox_id_of(NULL, 0, id), TT_EINVAL);
  assert_int_equal(tt_outbox_id_of(&none, 0, id), TT_EINVAL);
  assert_string_equal(id, "as it was");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_id_is_the_hash_of_the_parts),
      cmocka_unit_test(a_missing_part_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
