#include "tests/unit.h"

#include "lib/fleet/fleet.h"
#include "lib/fleet/update.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define INSTANCE "6ba7b810-9dad-41d1-80b4-00c04fd430c8"

/* A child that deadlocks must end, and fail, the test. */
#define CHILD_SECONDS 60

typedef struct fixture {
  tt_fleet *fleet;
  int lines; /* logged */
  char line[1024];
  char *text;
} fixture;

static void on_log(void *context, tt_level level, const char *message) {
  fixture *f = context;
  (void)level;
  f->lines++;
  snprintf(f->line, sizeof(f->line), "%s", message);
}

static tt_fleet_options options_of(fixture *f) {
  static const char *const disabled[] = {" secret ", "ua"};
  return (tt_fleet_options){.url = "http://127.0.0.1:1/v1/update/",
                            .instance_id = INSTANCE,
                            .disabled_keys = disabled,
                            .disabled_key_count = 2,
                            .max_items = 8,
                            .max_bytes = 2000,
                            .log = {on_log, f}};
}

static int set_up(void **state) {
  unsetenv("TELLTALE_TELEMETRY");
  unsetenv("DO_NOT_TRACK");
  fixture *f = calloc(1, sizeof(*f));
  tt_fleet_options options = options_of(f);
  *state = f;
  return tt_fleet_new(&options, &f->fleet);
}

static int tear_down(void **state) {
  fixture *f = *state;
  tt_fleet_free(f->fleet);
  free(f->text);
  free(f);
  return 0;
}

static tti_snapshot take(fixture *f) {
  tti_snapshot snapshot;
  assert_int_equal(tti_collector_take(tti_fleet_collector(f->fleet), &snapshot),
                   TT_OK);
  return snapshot;
}

/* The `data` of a snapshot; "" for none. */
static const char *data_of(fixture *f, const tti_snapshot *snapshot) {
  tti_buf out;
  tti_buf_init(&out, 1 << 20);
  tti_update_render(&out, "i", 0, snapshot);
  free(f->text);
  f->text = tti_buf_take(&out, NULL);
  assert_non_null(f->text);
  char *data = strstr(f->text, ",\"data\":");
  if (!data)
    return "";
  data += strlen(",\"data\":");
  data[strlen(data) - 1] = '\0';
  return data;
}

/* Takes what was collected and answers its `data`. */
static const char *taken(fixture *f) {
  tti_snapshot snapshot = take(f);
  const char *data = data_of(f, &snapshot);
  tti_snapshot_fini(&snapshot);
  return data;
}

static void merge(fixture *f, tti_snapshot *snapshot) {
  tti_collector_merge(tti_fleet_collector(f->fleet), snapshot);
}

static uint64_t refused(fixture *f) {
  tt_fleet_stats stats;
  tt_fleet_stats_get(f->fleet, &stats);
  return stats.refused;
}

static uint64_t items(fixture *f) {
  tt_fleet_stats stats;
  tt_fleet_stats_get(f->fleet, &stats);
  return stats.items;
}

static tti_slice slice(const char *text) {
  return tti_slice_of(text);
}

/* -- Life. -- */

static void a_wrong_start_is_an_error(void **state) {
  fixture *f = *state;
  tt_fleet_options options = options_of(f);
  tt_fleet *before = f->fleet;
  assert_int_equal(tt_fleet_new(&options, &f->fleet), TT_ESTATE);
  assert_ptr_equal(f->fleet, before);
  assert_int_equal(f->lines, 1);
  static const char *const wrong[] = {NULL,
                                      "",
                                      "00000000-0000-0000-0000-000000000000",
                                      "6ba7b810-9dad-41d1-80b4-00c04fd430c",
                                      "6ba7b810x9dad-41d1-80b4-00c04fd430c8",
                                      "6ba7b810-9dad-41d1-80b4-00c04fd430cg"};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
    tt_fleet *fleet = NULL;
    options.instance_id = wrong[i];
    assert_int_equal(tt_fleet_new(&options, &fleet), TT_EINVAL);
    assert_null(fleet);
  }
  assert_int_equal(f->lines, 7);
}

static void without_a_fleet_nothing_happens(void **state) {
  (void)state;
  tt_fleet_counter *counter = (tt_fleet_counter *)&state;
  tt_fleet_stats stats;
  assert_int_equal(tt_fleet_set_int(NULL, "a", 1), TT_OK);
  assert_int_equal(tt_fleet_set_nested(NULL, "a", tt_int("b", 1)), TT_OK);
  assert_int_equal(tt_fleet_append(NULL, tt_int("b", 1)), TT_OK);
  assert_int_equal(tt_fleet_append_unique(NULL, tt_int("b", 1)), TT_OK);
  assert_int_equal(tt_fleet_add(NULL, "a", 1), TT_OK);
  assert_int_equal(tt_fleet_increment(NULL, "a"), TT_OK);
  assert_int_equal(tt_fleet_counter_new(NULL, "a", &counter), TT_OK);
  assert_null(counter);
  assert_int_equal(tt_fleet_counter_add(NULL, 1), TT_OK);
  tt_fleet_counter_free(NULL);
  tt_fleet_reset(NULL);
  tt_fleet_stats_get(NULL, &stats);
  assert_int_equal(stats.items, 0);
  tt_fleet_free(NULL);
}

/* -- Shapes. -- */

static void values_are_typed_and_overwritten(void **state) {
  fixture *f = *state;
  tt_fleet_set_int(f->fleet, "i", -5);
  tt_fleet_set_double(f->fleet, "d", 0.5);
  tt_fleet_set_string(f->fleet, "s", "a\"b");
  tt_fleet_set_bool(f->fleet, "b", true);
  tt_fleet_set_json(f->fleet, "j", "[1,\n{}]");
  tt_fleet_set_string(f->fleet, "s", "c");
  assert_string_equal(
      taken(f), "{\"i\":-5,\"d\":0.5,\"b\":true,\"j\":[1, {}],\"s\":\"c\"}");
  assert_string_equal(taken(f), "");
}

static void set_overwrites_any_shape(void **state) {
  fixture *f = *state;
  tt_fleet_append(f->fleet, tt_int("k", 1));
  tt_fleet_append(f->fleet, tt_int("k", 2));
  tt_fleet_set_int(f->fleet, "k", 7);
  tt_fleet_increment(f->fleet, "k");
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_set_string(f->fleet, "n", "x");
  assert_int_equal(items(f), 2);
  assert_string_equal(taken(f), "{\"k\":8,\"n\":\"x\"}");
}

static void lists_keep_order_and_maps_the_last_value(void **state) {
  fixture *f = *state;
  tt_fleet_append(f->fleet, tt_str("l", "b"));
  tt_fleet_append(f->fleet, tt_str("l", "a"));
  tt_fleet_append(f->fleet, tt_str("l", "b"));
  tt_fleet_set_nested(f->fleet, "m", tt_int("x", 1));
  tt_fleet_set_nested(f->fleet, "m", tt_bool("y", false));
  tt_fleet_set_nested(f->fleet, "m", tt_int("x", 22));
  assert_string_equal(
      taken(f), "{\"l\":[\"b\",\"a\",\"b\"],\"m\":{\"x\":22,\"y\":false}}");
}

static void a_counting_set_counts(void **state) {
  fixture *f = *state;
  tt_fleet_append_unique(f->fleet, tt_str("os", "linux"));
  tt_fleet_append_unique(f->fleet, tt_str("os", "bsd"));
  tt_fleet_append_unique(f->fleet, tt_str("os", "linux"));
  assert_string_equal(taken(f), "{\"os\":[{\"value\":\"linux\",\"count\":2},"
                                "{\"value\":\"bsd\",\"count\":1}]}");
}

static void add_stores_the_amount(void **state) {
  fixture *f = *state;
  tt_fleet_add(f->fleet, "n", 41);
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_add(f->fleet, "down", -3);
  tt_fleet_add(f->fleet, "zero", 2);
  tt_fleet_add(f->fleet, "zero", -2);
  assert_string_equal(taken(f), "{\"n\":42,\"down\":-3,\"zero\":0}");
  tt_fleet_increment(f->fleet, "n");
  assert_string_equal(taken(f), "{\"n\":1}");
}

static void another_shape_is_an_error_that_changes_nothing(void **state) {
  fixture *f = *state;
  tt_fleet_set_string(f->fleet, "s", "x");
  tt_fleet_append(f->fleet, tt_int("l", 1));
  tt_fleet_increment(f->fleet, "n");
  assert_int_equal(tt_fleet_increment(f->fleet, "s"), TT_ECONFLICT);
  assert_int_equal(f->lines, 1);
  assert_non_null(strstr(f->line, "key s"));
  assert_int_equal(tt_fleet_increment(f->fleet, "l"), TT_ECONFLICT);
  assert_int_equal(tt_fleet_append(f->fleet, tt_int("s", 1)), TT_ECONFLICT);
  assert_int_equal(tt_fleet_append(f->fleet, tt_int("n", 1)), TT_ECONFLICT);
  assert_int_equal(tt_fleet_append_unique(f->fleet, tt_int("l", 1)),
                   TT_ECONFLICT);
  assert_int_equal(tt_fleet_set_nested(f->fleet, "l", tt_int("x", 1)),
                   TT_ECONFLICT);
  tt_fleet_stats stats;
  tt_fleet_stats_get(f->fleet, &stats);
  assert_int_equal(stats.conflicts, 6);
  assert_string_equal(taken(f), "{\"n\":1,\"s\":\"x\",\"l\":[1]}");
  /* The next update begins anew. */
  assert_int_equal(tt_fleet_append(f->fleet, tt_int("n", 1)), TT_OK);
  assert_int_equal(tt_fleet_increment(f->fleet, "s"), TT_OK);
  assert_string_equal(taken(f), "{\"s\":1,\"n\":[1]}");
}

static void what_is_not_valid_is_refused(void **state) {
  fixture *f = *state;
  char *key = malloc(TELLTALE_FLEET_KEY_MAX + 2);
  memset(key, 'k', TELLTALE_FLEET_KEY_MAX + 1);
  key[TELLTALE_FLEET_KEY_MAX + 1] = '\0';
  assert_int_equal(tt_fleet_increment(f->fleet, NULL), TT_EINVAL);
  assert_int_equal(tt_fleet_increment(f->fleet, ""), TT_EINVAL);
  assert_int_equal(tt_fleet_increment(f->fleet, key), TT_ETOOBIG);
  assert_int_equal(tt_fleet_set_nested(f->fleet, "m", tt_int(key, 1)),
                   TT_ETOOBIG);
  assert_int_equal(tt_fleet_set_double(f->fleet, "d", NAN), TT_EINVAL);
  assert_int_equal(tt_fleet_set_double(f->fleet, "d", INFINITY), TT_EINVAL);
  assert_int_equal(tt_fleet_set_json(f->fleet, "j", "{"), TT_EPARSE);
  assert_int_equal(f->lines, 7);
  assert_string_equal(taken(f), "");
  free(key);
}

static void complaints_are_rationed(void **state) {
  fixture *f = *state;
  for (int i = 0; i < 100; i++)
    tt_fleet_increment(f->fleet, "");
  assert_int_equal(f->lines, 16);
  taken(f); /* another update, other complaints */
  tt_fleet_increment(f->fleet, "");
  assert_int_equal(f->lines, 17);
}

/* -- The ceiling. -- */

static void every_value_counts_towards_the_ceiling(void **state) {
  fixture *f = *state;
  tt_fleet_set_int(f->fleet, "i", 1);
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_append(f->fleet, tt_int("l", 1));
  tt_fleet_append(f->fleet, tt_int("l", 1));
  tt_fleet_set_nested(f->fleet, "m", tt_int("x", 1));
  tt_fleet_set_nested(f->fleet, "m", tt_int("y", 1));
  tt_fleet_append_unique(f->fleet, tt_int("u", 1));
  tt_fleet_append_unique(f->fleet, tt_int("u", 2));
  assert_int_equal(items(f), 8);
  assert_int_equal(refused(f), 0);
  assert_int_equal(tt_fleet_set_string(f->fleet, "s", "x"), TT_EFULL);
  assert_int_equal(tt_fleet_increment(f->fleet, "o"), TT_EFULL);
  assert_int_equal(tt_fleet_append(f->fleet, tt_int("l", 1)), TT_EFULL);
  assert_int_equal(tt_fleet_append(f->fleet, tt_int("k", 1)), TT_EFULL);
  assert_int_equal(tt_fleet_set_nested(f->fleet, "m", tt_int("z", 1)),
                   TT_EFULL);
  assert_int_equal(tt_fleet_append_unique(f->fleet, tt_int("u", 3)), TT_EFULL);
  assert_int_equal(refused(f), 6);
  /* What is there goes on. */
  assert_int_equal(tt_fleet_set_string(f->fleet, "i", "x"), TT_OK);
  assert_int_equal(tt_fleet_increment(f->fleet, "n"), TT_OK);
  assert_int_equal(tt_fleet_set_nested(f->fleet, "m", tt_int("x", 2)), TT_OK);
  assert_int_equal(tt_fleet_append_unique(f->fleet, tt_int("u", 2)), TT_OK);
  assert_int_equal(refused(f), 6);
  assert_string_equal(taken(f), "{\"n\":2,\"l\":[1,1],\"m\":{\"x\":2,\"y\":1},"
                                "\"u\":[{\"value\":1,\"count\":1},"
                                "{\"value\":2,\"count\":2}],\"i\":\"x\"}");
  assert_int_equal(tt_fleet_set_string(f->fleet, "s", "x"), TT_OK);
}

static void bytes_have_a_ceiling_too(void **state) {
  fixture *f = *state;
  char text[1500];
  memset(text, 'x', sizeof(text) - 1);
  text[sizeof(text) - 1] = '\0';
  assert_int_equal(tt_fleet_set_string(f->fleet, "a", text), TT_OK);
  assert_int_equal(tt_fleet_set_string(f->fleet, "b", text), TT_EFULL);
  assert_int_equal(tt_fleet_set_string(f->fleet, "a", "y"), TT_OK);
  assert_int_equal(tt_fleet_set_nested(f->fleet, "m", tt_str("b", text)),
                   TT_OK);
  assert_int_equal(tt_fleet_set_nested(f->fleet, "m", tt_str("c", text)),
                   TT_EFULL);
  assert_int_equal(tt_fleet_set_nested(f->fleet, "m", tt_str("b", "z")), TT_OK);
  assert_int_equal(refused(f), 2);
  assert_string_equal(taken(f), "{\"a\":\"y\",\"m\":{\"b\":\"z\"}}");
}

/* New keys in every update: the table of counters fills up, and still there is
 * room for as many as an update may have. */
static void other_counters_come_with_every_update(void **state) {
  fixture *f = *state;
  char key[16];
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < 4; i++) {
      snprintf(key, sizeof(key), "k%d-%d", round, i);
      assert_int_equal(tt_fleet_increment(f->fleet, key), TT_OK);
      assert_int_equal(tt_fleet_add(f->fleet, key, 2), TT_OK);
    }
    snprintf(key, sizeof(key), "k%d-3\":3}", round);
    assert_non_null(strstr(taken(f), key));
  }
  assert_int_equal(refused(f), 0);
}

/* -- Disabled keys. -- */

static void disabled_keys_are_not_collected(void **state) {
  fixture *f = *state;
  tt_fleet_counter *counter;
  tt_fleet_counter_new(f->fleet, "secret", &counter);
  assert_int_equal(tt_fleet_set_int(f->fleet, "secret", 1), TT_OK);
  tt_fleet_increment(f->fleet, "secret");
  tt_fleet_counter_add(counter, 1);
  tt_fleet_append(f->fleet, tt_int("ua:1234", 1));
  tt_fleet_increment(f->fleet, "ua:5678");
  tt_fleet_append_unique(f->fleet, tt_int("ua", 1));
  tt_fleet_set_nested(f->fleet, "ua:", tt_int("x", 1));
  tt_fleet_increment(f->fleet, "uax");
  tt_fleet_increment(f->fleet, "u");
  assert_int_equal(items(f), 2);
  assert_string_equal(taken(f), "{\"uax\":1,\"u\":1}");
  tt_fleet_counter_free(counter);
}

static void disabling_forgets_what_is_there(void **state) {
  fixture *f = *state;
  tti_collector *c = tti_fleet_collector(f->fleet);
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_append(f->fleet, tt_int("n:1", 1));
  tt_fleet_increment(f->fleet, "o");
  tti_snapshot snapshot = take(f);
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_append(f->fleet, tt_int("n:1", 1));
  assert_true(tti_collector_disable(c, slice("n")));
  assert_string_equal(taken(f), "");
  tti_collector_filter(c, &snapshot);
  assert_string_equal(data_of(f, &snapshot), "{\"o\":1}");
  tti_snapshot_fini(&snapshot);
  tt_fleet_increment(f->fleet, "n");
  tti_collector_enable(c, slice("n"));
  assert_string_equal(taken(f), "");
  tt_fleet_increment(f->fleet, "n");
  assert_string_equal(taken(f), "{\"n\":1}");
}

static void the_server_cannot_lift_what_the_user_chose(void **state) {
  fixture *f = *state;
  tti_collector *c = tti_fleet_collector(f->fleet);
  tti_collector_enable(c, slice("secret"));
  tti_collector_disable(c, slice("secret"));
  tti_collector_enable(c, slice("secret"));
  tt_fleet_increment(f->fleet, "secret");
  tt_fleet_set_string(f->fleet, "secret", "x");
  assert_string_equal(taken(f), "");
}

static void what_a_server_disables_is_bounded(void **state) {
  fixture *f = *state;
  tti_collector *c = tti_fleet_collector(f->fleet);
  char key[16];
  for (int i = 0; i < 10000; i++) {
    snprintf(key, sizeof(key), "k%d", i);
    assert_true(tti_collector_disable(c, slice(key)));
  }
  assert_false(tti_collector_disable(c, slice("more")));
}

static void reset_keeps_what_is_disabled(void **state) {
  fixture *f = *state;
  tti_collector *c = tti_fleet_collector(f->fleet);
  tti_collector_disable(c, slice("n"));
  tt_fleet_increment(f->fleet, "o");
  tt_fleet_set_string(f->fleet, "s", "x");
  tt_fleet_reset(f->fleet);
  assert_int_equal(items(f), 0);
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_increment(f->fleet, "secret");
  assert_string_equal(taken(f), "");
  tt_fleet_increment(f->fleet, "o");
  assert_string_equal(taken(f), "{\"o\":1}");
}

static void a_closed_collector_keeps_nothing(void **state) {
  fixture *f = *state;
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_append(f->fleet, tt_int("l", 1));
  tti_collector_close(tti_fleet_collector(f->fleet));
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_increment(f->fleet, "o");
  tt_fleet_append(f->fleet, tt_int("l", 1));
  assert_int_equal(items(f), 0);
  assert_string_equal(taken(f), "");
}

/* -- What was not delivered. -- */

static void what_was_not_delivered_comes_back(void **state) {
  fixture *f = *state;
  tt_fleet_add(f->fleet, "n", 5);
  tt_fleet_add(f->fleet, "old", 1);
  tt_fleet_append(f->fleet, tt_int("l", 1));
  tt_fleet_append(f->fleet, tt_int("l", 2));
  tt_fleet_append_unique(f->fleet, tt_str("u", "a"));
  tt_fleet_set_nested(f->fleet, "m", tt_int("x", 1));
  tti_snapshot snapshot = take(f);
  tt_fleet_reset(f->fleet); /* counters keep no place: all eight are free */
  tt_fleet_add(f->fleet, "n", 2);
  tt_fleet_append(f->fleet, tt_int("l", 3));
  tt_fleet_append_unique(f->fleet, tt_str("u", "a"));
  tt_fleet_set_nested(f->fleet, "m", tt_int("x", 9));
  merge(f, &snapshot);
  assert_string_equal(taken(f), "{\"n\":7,\"old\":1,\"l\":[1,2,3],"
                                "\"u\":[{\"value\":\"a\",\"count\":2}],"
                                "\"m\":{\"x\":9}}");
  assert_int_equal(refused(f), 0);
}

static void a_newer_value_stays(void **state) {
  fixture *f = *state;
  tt_fleet_set_int(f->fleet, "set", 5);
  tt_fleet_set_int(f->fleet, "added", 5);
  tt_fleet_set_string(f->fleet, "s", "old");
  tt_fleet_set_string(f->fleet, "t", "old");
  tt_fleet_append(f->fleet, tt_int("l", 1));
  tti_snapshot snapshot = take(f);
  tt_fleet_set_int(f->fleet, "set", 7);
  tt_fleet_increment(f->fleet, "added");
  tt_fleet_set_string(f->fleet, "s", "new");
  tt_fleet_set_string(f->fleet, "l", "another shape");
  merge(f, &snapshot);
  assert_string_equal(taken(f), "{\"set\":7,\"added\":6,\"t\":\"old\","
                                "\"s\":\"new\",\"l\":\"another shape\"}");
  assert_int_equal(refused(f), 1);
}

static void what_comes_back_obeys_the_ceiling(void **state) {
  fixture *f = *state;
  for (int i = 0; i < 6; i++)
    tt_fleet_append(f->fleet, tt_int("l", i));
  tti_snapshot snapshot = take(f);
  for (int i = 6; i < 12; i++)
    tt_fleet_append(f->fleet, tt_int("l", i));
  merge(f, &snapshot);
  assert_int_equal(items(f), 8);
  assert_int_equal(refused(f), 4);
  assert_string_equal(taken(f), "{\"l\":[4,5,6,7,8,9,10,11]}");
}

static void what_is_disabled_meanwhile_does_not_come_back(void **state) {
  fixture *f = *state;
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_append(f->fleet, tt_int("l", 1));
  tt_fleet_increment(f->fleet, "o");
  tti_snapshot snapshot = take(f);
  tti_collector_disable(tti_fleet_collector(f->fleet), slice("n"));
  tti_collector_disable(tti_fleet_collector(f->fleet), slice("l"));
  merge(f, &snapshot);
  assert_string_equal(taken(f), "{\"o\":1}");
}

/* -- Handles, hashes, processes, threads. -- */

static void a_handle_counts_under_its_key(void **state) {
  fixture *f = *state;
  tt_fleet_counter *counter;
  assert_int_equal(tt_fleet_counter_new(f->fleet, "n", &counter), TT_OK);
  assert_int_equal(items(f), 0);
  tt_fleet_counter_add(counter, 2);
  tt_fleet_increment(f->fleet, "n");
  assert_string_equal(taken(f), "{\"n\":3}");
  tt_fleet_counter_add(counter, 2);
  tt_fleet_counter_add(counter, -1);
  assert_string_equal(taken(f), "{\"n\":1}");
  tt_fleet_set_string(f->fleet, "n", "x");
  assert_int_equal(tt_fleet_counter_add(counter, 1), TT_ECONFLICT);
  tt_fleet_counter_free(counter);
}

static void the_hash_is_fnv_1a(void **state) {
  (void)state;
  char text[TELLTALE_FLEET_HASH_TEXT];
  tt_fleet_fast_hash("", 0, text);
  assert_string_equal(text, "811c9dc5");
  tt_fleet_fast_hash("foobar", 6, text);
  assert_string_equal(text, "bf9cf968");
  tt_fleet_fast_hash("k4788", 5, text); /* without its leading zeros */
  assert_string_equal(text, "5d0bf");
}

static void a_child_begins_with_nothing(void **state) {
  fixture *f = *state;
  tt_fleet_counter *counter;
  tt_fleet_counter_new(f->fleet, "n", &counter);
  tt_fleet_counter_add(counter, 5);
  pid_t child = fork();
  if (child == 0) {
    alarm(CHILD_SECONDS);
    tt_fleet_counter_add(counter, 1);
    tt_fleet_increment(f->fleet, "n");
    tt_fleet_increment(f->fleet, "secret");
    _exit(strcmp(taken(f), "{\"n\":2}") == 0 ? 0 : 1);
  }
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_string_equal(taken(f), "{\"n\":5}");
  tt_fleet_counter_free(counter);
}

#define ADDERS 4
#define ADDS   20000

static void *add_many(void *context) {
  fixture *f = context;
  for (int i = 0; i < ADDS; i++)
    tt_fleet_increment(f->fleet, "n");
  return NULL;
}

/* Whatever is taken when: the sum is exact. */
static void no_addition_is_lost(void **state) {
  fixture *f = *state;
  pthread_t threads[ADDERS];
  int64_t sum = 0;
  for (int i = 0; i < ADDERS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, add_many, f), 0);
  for (int i = 0; i < 200; i++) {
    tti_snapshot snapshot = take(f);
    if (i % 3 == 0) {
      merge(f, &snapshot);
      continue;
    }
    for (size_t k = 0; k < snapshot.int_count; k++)
      sum += snapshot.ints[k].value;
    tti_snapshot_fini(&snapshot);
  }
  for (int i = 0; i < ADDERS; i++)
    pthread_join(threads[i], NULL);
  tti_snapshot snapshot = take(f);
  for (size_t k = 0; k < snapshot.int_count; k++)
    sum += snapshot.ints[k].value;
  tti_snapshot_fini(&snapshot);
  assert_int_equal(sum, ADDERS * ADDS);
}

static void two_in_one_process_do_not_see_one_another(void **state) {
  fixture *f = *state;
  fixture other = {0};
  tt_fleet_options options = options_of(&other);
  assert_int_equal(tt_fleet_new(&options, &other.fleet), TT_OK);
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_append(other.fleet, tt_int("n", 1));
  assert_string_equal(taken(f), "{\"n\":1}");
  assert_string_equal(taken(&other), "{\"n\":[1]}");
  tt_fleet_free(other.fleet);
  free(other.text);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_wrong_start_is_an_error),
      TEST(without_a_fleet_nothing_happens),
      TEST(values_are_typed_and_overwritten),
      TEST(set_overwrites_any_shape),
      TEST(lists_keep_order_and_maps_the_last_value),
      TEST(a_counting_set_counts),
      TEST(add_stores_the_amount),
      TEST(another_shape_is_an_error_that_changes_nothing),
      TEST(what_is_not_valid_is_refused),
      TEST(complaints_are_rationed),
      TEST(every_value_counts_towards_the_ceiling),
      TEST(bytes_have_a_ceiling_too),
      TEST(other_counters_come_with_every_update),
      TEST(disabled_keys_are_not_collected),
      TEST(disabling_forgets_what_is_there),
      TEST(the_server_cannot_lift_what_the_user_chose),
      TEST(what_a_server_disables_is_bounded),
      TEST(reset_keeps_what_is_disabled),
      TEST(a_closed_collector_keeps_nothing),
      TEST(what_was_not_delivered_comes_back),
      TEST(a_newer_value_stays),
      TEST(what_comes_back_obeys_the_ceiling),
      TEST(what_is_disabled_meanwhile_does_not_come_back),
      TEST(a_handle_counts_under_its_key),
      TEST(the_hash_is_fnv_1a),
      TEST(a_child_begins_with_nothing),
      TEST(no_addition_is_lost),
      TEST(two_in_one_process_do_not_see_one_another),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
