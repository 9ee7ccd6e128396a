#include "server/fleet/fields.h"

#include "tests/unit.h"

#include <stdio.h>

#define ROOM 8192

static char kept[ROOM];
static size_t kept_len;
static uint64_t dropped;

/* Merges the items of an update with this `data` into what is kept, and tells
 * what the field is then; "": there is none. */
static const char *merged(const char *data, const char *name) {
  static char value[300];
  char body[8000];
  fleet_payload payload;
  fleet_refusal refusal;
  fleet_fields fields;
  snprintf(body, sizeof body,
           "{\"instance_id\":\"7d8f9a52-6c1e-4d57-9d0e-3f1c7a2b4c5d\","
           "\"timestamp\":\"2026-01-02T03:04:05Z\",\"data\":%s}",
           data);
  assert_int_equal(
      fleet_payload_parse(&payload,
                          TTI_SLICE("7d8f9a52-6c1e-4d57-9d0e-3f1c7a2b4c5d"),
                          tti_slice_of(body), &refusal),
      TT_OK);
  assert_int_equal(
      fleet_fields_merge(&payload, kept, &kept_len, ROOM, &fields, &dropped),
      TT_OK);
  const tti_slice *found = fleet_fields_get(&fields, tti_slice_of(name));
  snprintf(value, sizeof value, "%.*s", found ? (int)found->len : 0,
           found ? found->ptr : "");
  fleet_payload_free(&payload);
  return value;
}

static int forget(void **state) {
  (void)state;
  kept_len = 0;
  return 0;
}

static void what_was_told_once_stays(void **state) {
  (void)state;
  assert_string_equal(
      merged("{\"version\":\"1\\\"2\",\"n\":1,\"cpu\":{\"aes\":true}}",
             "version"),
      "1\"2");
  assert_string_equal(merged("{\"n\":2}", "version"), "1\"2");
  assert_string_equal(merged("{\"os\":\"linux\"}", "cpu.aes"), "true");
  assert_string_equal(merged("{\"version\":\"2\"}", "version"), "2");
  kept[kept_len] = '\0';
  assert_string_equal(
      kept, "{\"version\":\"2\",\"cpu.aes\":\"true\",\"os\":\"linux\"}");
  assert_int_equal(dropped, 0);
}

static void what_is_too_long_is_no_field(void **state) {
  (void)state;
  char data[400];
  snprintf(data, sizeof data, "{\"a\":\"%0129d\",\"%065d\":\"b\",\"c\":\"d\"}",
           0, 0);
  assert_string_equal(merged(data, "a"), "");
  assert_int_equal(dropped, 2);
  assert_string_equal(merged("{}", "c"), "d");
}

static void there_is_room_for_so_many(void **state) {
  (void)state;
  char data[8000] = "{", one[40];
  for (int i = 0; i < FLEET_FIELDS_MAX + 3; i++) {
    snprintf(one, sizeof one, "%s\"k%d\":\"v\"", i ? "," : "", i);
    strcat(data, one);
  }
  strcat(data, "}");
  assert_string_equal(merged(data, "k0"), "v");
  assert_int_equal(dropped, 3);
  /* Those that are there can still change. */
  assert_string_equal(merged("{\"k0\":\"w\",\"more\":\"x\"}", "k0"), "w");
  assert_int_equal(dropped, 1);
}

/* In JSON a text may be six times as long. */
static void escapes_do_not_make_it_too_large(void **state) {
  (void)state;
  char data[8000] = "{";
  for (int i = 0; i < FLEET_FIELDS_MAX; i++) {
    char one[40];
    snprintf(one, sizeof one, "%s\"k%02d\":\"", i ? "," : "", i);
    strcat(data, one);
    for (int n = 0; n < 25; n++)
      strcat(data, "\\u0001");
    strcat(data, "\"");
  }
  strcat(data, "}");
  merged(data, "k00");
  assert_int_equal(dropped, 0);
  char room[1000];
  size_t len = 0;
  fleet_payload payload = {.item_count = 0};
  fleet_fields fields;
  /* The same into less room. */
  fleet_item items[FLEET_FIELDS_MAX];
  char names[FLEET_FIELDS_MAX][4];
  for (int i = 0; i < FLEET_FIELDS_MAX; i++) {
    snprintf(names[i], sizeof names[i], "k%02d", i);
    items[i] = (fleet_item){.key = {names[i], 3},
                            .shape = FLEET_STRING,
                            .text = TTI_SLICE("\1\1\1\1\1\1\1\1\1\1")};
  }
  payload.items = items;
  payload.item_count = FLEET_FIELDS_MAX;
  assert_int_equal(
      fleet_fields_merge(&payload, room, &len, sizeof room, &fields, &dropped),
      TT_OK);
  assert_true(len <= sizeof room && fields.count > 5 && dropped > 5);
  assert_int_equal(fields.count + dropped, FLEET_FIELDS_MAX);
  tti_arena_fini(&payload.arena);
}

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test_setup(what_was_told_once_stays, forget),
      cmocka_unit_test_setup(what_is_too_long_is_no_field, forget),
      cmocka_unit_test_setup(there_is_room_for_so_many, forget),
      cmocka_unit_test_setup(escapes_do_not_make_it_too_large, forget),
  };
  return cmocka_run_group_tests(cases, NULL, NULL);
}
