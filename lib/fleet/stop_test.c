#include "lib/fleet/testing.h"

#include <sys/stat.h>

#define OF_ANOTHER                                                             \
  "{\"instance_id\":\"6ba7b811-9dad-41d1-80b4-00c04fd430c8\","                 \
  "\"timestamp\":\"t\"}"

/* With a directory of its own for the instance id. */
static int set_up_kept(void **state) {
  char *dir = strdup("/tmp/telltale-fleet-XXXXXX");
  int error = set_up(state);
  fixture *f = *state;
  f->id_file = malloc(strlen(dir) + 8);
  assert_non_null(mkdtemp(dir));
  sprintf(f->id_file, "%s/id", dir);
  free(dir);
  reopen(f);
  return error;
}

static char *kept_path(const fixture *f) {
  char *path = malloc(strlen(f->id_file) + 8);
  sprintf(path, "%s.update", f->id_file);
  return path;
}

static bool is_kept(const fixture *f) {
  char *path = kept_path(f);
  bool there = access(path, F_OK) == 0;
  free(path);
  return there;
}

static void write_kept(const fixture *f, const char *text) {
  char *path = kept_path(f);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
  free(path);
}

static int tear_down_kept(void **state) {
  fixture *f = *state;
  char *path = f->id_file, *kept = kept_path(f);
  int error = tear_down(state);
  unlink(kept);
  unlink(path);
  *strrchr(path, '/') = '\0';
  error = rmdir(path) || error; /* nothing else was left there */
  free(path);
  free(kept);
  return error;
}

/* -- Stopping. -- */

static void stop_sends_what_is_left(void **state) {
  fixture *f = *state;
  tt_fleet_start_emitting(f->fleet);
  waiting_us(f);
  tt_fleet_add(f->fleet, "n", 3);
  assert_int_equal(tt_fleet_stop_emitting(f->fleet, LONG_MS), TT_OK);
  assert_int_equal(body_count(f), 2);
  assert_int_equal(number(f, 1, "n"), 3);
  /* And no more. */
  tt_fleet_increment(f->fleet, "n");
  assert_int_equal(tt_fleet_stop_emitting(f->fleet, LONG_MS), TT_OK);
  assert_int_equal(body_count(f), 2);
}

static void life_has_one_direction(void **state) {
  fixture *f = *state;
  assert_int_equal(tt_fleet_stop_emitting(f->fleet, LONG_MS), TT_OK);
  assert_int_equal(tt_fleet_start_emitting(f->fleet), TT_OK);
  assert_int_equal(tt_fleet_start_emitting(f->fleet), TT_ESTATE);
  assert_true(is_logged(f, "started before"));
  assert_int_equal(tt_fleet_stop_emitting(f->fleet, LONG_MS), TT_OK);
  assert_int_equal(tt_fleet_start_emitting(f->fleet), TT_ESTATE);
  assert_int_equal(tt_fleet_start_emitting(NULL), TT_OK);
  assert_int_equal(tt_fleet_stop_emitting(NULL, LONG_MS), TT_OK);
}

static void stop_ends_the_wait_for_a_retry(void **state) {
  fixture *f = *state;
  SCRIPT(f, {500, "{}", NULL, NULL});
  tt_fleet_add(f->fleet, "n", 5);
  tt_fleet_start_emitting(f->fleet);
  waiting_us(f);
  tt_fleet_add(f->fleet, "n", 2);
  assert_int_equal(tt_fleet_stop_emitting(f->fleet, LONG_MS), TT_OK);
  assert_int_equal(number(f, 1, "n"), 7);
}

/* The request on its way gets no answer in its time; what it told and what came
 * after it is sent all the same. */
static void stop_sends_while_a_send_is_in_flight(void **state) {
  fixture *f = *state;
  f->timeout_ms = 300;
  reopen(f);
  f->sink->steps[0].act = SINK_HANG;
  f->sink->step_count = 1;
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_start_emitting(f->fleet);
  sink_await_requests(f->sink, 1);
  tt_fleet_increment(f->fleet, "n");
  assert_int_equal(tt_fleet_stop_emitting(f->fleet, LONG_MS), TT_OK);
  assert_int_equal(body_count(f), 1);
  assert_int_equal(number(f, 0, "n"), 2);
}

/* -- Keeping. -- */

static void stop_ends_though_the_server_hangs(void **state) {
  fixture *f = *state;
  for (size_t i = 0; i < 4; i++)
    f->sink->steps[f->sink->step_count++].act = SINK_HANG;
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_start_emitting(f->fleet);
  sink_await_requests(f->sink, 1);
  tt_fleet_increment(f->fleet, "n");
  tt_error error = tt_fleet_stop_emitting(f->fleet, 400);
  assert_true(error == TT_EIO || error == TT_ETIMEOUT);
  tt_fleet_free(f->fleet);
  f->fleet = NULL;
  assert_true(is_kept(f));
  assert_int_equal(body_count(f), 0);
}

static void too_early_at_the_end_is_sent_first_by_the_next(void **state) {
  fixture *f = *state;
  SCRIPT(f, {200, "{}", NULL, NULL}, {429, "{}", "Retry-After: 9", NULL},
         {200, "{\"next_update\":10000000000}", NULL, NULL});
  tt_fleet_start_emitting(f->fleet);
  waiting_us(f);
  tt_fleet_add(f->fleet, "n", 3);
  assert_int_equal(tt_fleet_stop_emitting(f->fleet, LONG_MS), TT_EIO);
  assert_int_equal(body_count(f), 2);
  assert_true(is_kept(f));
  struct stat file;
  char *path = kept_path(f);
  assert_int_equal(stat(path, &file), 0);
  assert_int_equal(file.st_mode & 0777, 0600);
  free(path);

  reopen(f);
  pass_us(f, 5 * SECOND); /* the kept one keeps its time */
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_start_emitting(f->fleet);
  assert_int_equal(waiting_us(f), 10 * SECOND);
  assert_true(json_equal(body(f, 1), body(f, 2)));
  assert_false(is_kept(f));
  pass(f);
  assert_int_equal(number(f, 3, "n"), 1);
}

static void a_kept_one_that_fails_is_kept_again(void **state) {
  fixture *f = *state;
  write_kept(f, "{\"instance_id\":\"" INSTANCE "\",\"timestamp\":\"t\","
                "\"data\":{\"n\":9}}");
  SCRIPT(f, {500, "{}", NULL, NULL});
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_start_emitting(f->fleet);
  assert_int_equal(waiting_us(f), 8 * SECOND);
  assert_int_equal(number(f, 0, "n"), 9);
  assert_false(is_kept(f));
  assert_int_equal(tt_fleet_stop_emitting(f->fleet, LONG_MS), TT_OK);
  assert_int_equal(number(f, 1, "n"), 1);
  assert_true(is_kept(f));
}

static void the_newest_is_kept(void **state) {
  fixture *f = *state;
  write_kept(f, "{\"instance_id\":\"" INSTANCE "\",\"timestamp\":\"t\","
                "\"data\":{\"n\":9}}");
  SCRIPT(f, {500, "{}", NULL, NULL}, {500, "{}", NULL, NULL});
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_start_emitting(f->fleet);
  waiting_us(f);
  assert_int_equal(tt_fleet_stop_emitting(f->fleet, LONG_MS), TT_EIO);
  assert_true(is_logged(f, "an update of an earlier run is lost"));
  reopen(f);
  tt_fleet_start_emitting(f->fleet);
  waiting_us(f);
  assert_int_equal(number(f, 2, "n"), 1);
}

/* Its user may have decided since. */
static void what_is_kept_obeys_the_user(void **state) {
  static const char *const secret[] = {"secret"};
  fixture *f = *state;
  f->disabled = secret;
  f->disabled_count = 1;
  reopen(f);
  write_kept(f, "{\"instance_id\":\"" INSTANCE "\",\"timestamp\":\"t\","
                "\"data\":{\"secret\":1,\"secret:x\":{\"a\":2},\"n\":[9]}}");
  tt_fleet_start_emitting(f->fleet);
  waiting_us(f);
  assert_int_equal(json_object_size(data(f, 0)), 1);
  assert_non_null(json_object_get(data(f, 0), "n"));
}

static void what_is_no_update_is_removed(void **state) {
  static const char *const wrong[] = {
      "", "{", "[]", "{\"instance_id\":\"" INSTANCE "\"}", OF_ANOTHER};
  fixture *f = *state;
  for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
    reopen(f);
    f->log[0] = '\0';
    write_kept(f, wrong[i]);
    tt_fleet_increment(f->fleet, "n");
    tt_fleet_start_emitting(f->fleet);
    waiting_us(f);
    assert_true(is_logged(f, "no update of this instance"));
    assert_false(is_kept(f));
    assert_int_equal(tt_fleet_stop_emitting(f->fleet, LONG_MS), TT_OK);
    assert_int_equal(number(f, 2 * i, "n"), 1);
  }
}

/* -- Processes and threads. -- */

static void two_in_one_process_have_their_own(void **state) {
  fixture *f = *state, *other;
  assert_int_equal(set_up((void **)&other), 0);
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_add(other->fleet, "n", 2);
  tt_fleet_start_emitting(f->fleet);
  tt_fleet_start_emitting(other->fleet);
  waiting_us(f);
  waiting_us(other);
  assert_int_equal(tt_fleet_stop_emitting(f->fleet, LONG_MS), TT_OK);
  tt_fleet_add(other->fleet, "n", 3);
  pass(other);
  assert_int_equal(number(f, 0, "n"), 1);
  assert_int_equal(number(other, 0, "n"), 2);
  assert_int_equal(number(other, 1, "n"), 3);
  assert_int_equal(tear_down((void **)&other), 0);
}

#define WORKERS 8
#define ROUNDS  2000

typedef struct worker {
  fixture *f;
  int nth;
} worker;

static void *work(void *context) {
  worker *w = context;
  tt_fleet *fleet = w->f->fleet;
  tt_fleet_counter *counter;
  tt_fleet_stats stats;
  char own[8];
  snprintf(own, sizeof(own), "w%d", w->nth);
  tt_fleet_counter_new(fleet, "handle", &counter);
  for (int i = 0; i < ROUNDS; i++) {
    tt_fleet_increment(fleet, "n");
    tt_fleet_increment(fleet, own);
    tt_fleet_counter_add(counter, 2);
    if (i % 8 != w->nth)
      continue;
    tt_fleet_set_int(fleet, "set", i);
    tt_fleet_set_string(fleet, "text", own);
    tt_fleet_set_nested(fleet, "map", tt_int(own, i));
    tt_fleet_append(fleet, tt_int("list", 1));
    tt_fleet_append_unique(fleet, tt_str("unique", own));
    tt_fleet_add(fleet, "down", -1);
    tt_fleet_append(fleet, tt_int("off", i));
    tt_fleet_stats_get(fleet, &stats);
  }
  tt_fleet_counter_free(counter);
  return NULL;
}

/* Every operation on eight threads while updates are sent, fail and are merged
 * back, and keys go off and on: no addition is lost or told twice. */
static void all_at_once(void **state) {
  fixture *f = *state;
  SCRIPT(f, {200, "{\"disable_keys\":[\"off\"]}", NULL, NULL},
         {500, "{\"enable_keys\":[\"off\"]}", NULL, NULL},
         {500, "{}", NULL, NULL}, {500, "{}", NULL, NULL},
         {500, "{\"disable_keys\":[\"off\"]}", NULL, NULL},
         {200, "{\"enable_keys\":[\"off\"]}", NULL, NULL});
  pthread_t threads[WORKERS];
  worker workers[WORKERS];
  tt_fleet_start_emitting(f->fleet);
  for (int i = 0; i < WORKERS; i++) {
    workers[i] = (worker){f, i};
    assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
  }
  for (int i = 0; i < 12; i++)
    pass(f);
  for (int i = 0; i < WORKERS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(tt_fleet_stop_emitting(f->fleet, LONG_MS), TT_OK);
  int64_t n = 0, handle = 0, down = 0, list = 0;
  for (size_t i = 0; i < body_count(f); i++) {
    if (i >= 1 && i <= 4)
      continue; /* these were refused */
    json_t *d = data(f, i);
    n += json_integer_value(json_object_get(d, "n"));
    handle += json_integer_value(json_object_get(d, "handle"));
    down += json_integer_value(json_object_get(d, "down"));
    list += (int64_t)json_array_size(json_object_get(d, "list"));
  }
  assert_int_equal(n, WORKERS * ROUNDS);
  assert_int_equal(handle, 2 * WORKERS * ROUNDS);
  assert_int_equal(down, -ROUNDS);
  assert_int_equal(list, ROUNDS);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define KEPT(name)                                                             \
  cmocka_unit_test_setup_teardown(name, set_up_kept, tear_down_kept)
  const struct CMUnitTest tests[] = {
      TEST(stop_sends_what_is_left),
      TEST(life_has_one_direction),
      TEST(stop_ends_the_wait_for_a_retry),
      TEST(stop_sends_while_a_send_is_in_flight),
      KEPT(stop_ends_though_the_server_hangs),
      KEPT(too_early_at_the_end_is_sent_first_by_the_next),
      KEPT(a_kept_one_that_fails_is_kept_again),
      KEPT(the_newest_is_kept),
      KEPT(what_is_kept_obeys_the_user),
      KEPT(what_is_no_update_is_removed),
      TEST(two_in_one_process_have_their_own),
      TEST(all_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
