#include "tests/unit.h"

#include "lib/fleet/identity.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <telltale/fleet.h>
#include <unistd.h>

static char dir[] = "/tmp/telltale-identity-XXXXXX";
static char path[sizeof(dir) + 8];

static int set_up(void **state) {
  (void)state;
  unsetenv("TELLTALE_TELEMETRY");
  unsetenv("DO_NOT_TRACK");
  strcpy(dir + sizeof(dir) - 7, "XXXXXX");
  if (!mkdtemp(dir))
    return 1;
  snprintf(path, sizeof(path), "%s/id", dir);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  unlink(path);
  return rmdir(dir); /* nothing else was left there */
}

static void write_file(const char *text) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void the_id_is_made_once(void **state) {
  char id[TELLTALE_UUID_TEXT], again[TELLTALE_UUID_TEXT];
  struct stat file;
  (void)state;
  assert_int_equal(tt_fleet_instance_id(path, id), TT_OK);
  assert_true(tti_is_instance_id(id));
  assert_int_equal(stat(path, &file), 0);
  assert_int_equal(file.st_mode & 0777, 0600);
  assert_int_equal(tt_fleet_instance_id(path, again), TT_OK);
  assert_string_equal(id, again);
}

static void another_content_is_left_alone(void **state) {
  static const char *const wrong[] = {"", "6ba7b810",
                                      "00000000-0000-0000-0000-000000000000"};
  char id[TELLTALE_UUID_TEXT] = "x", text[64] = "";
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    write_file(wrong[i]);
    assert_int_equal(tt_fleet_instance_id(path, id), TT_ECORRUPT);
    assert_string_equal(id, "x");
    FILE *file = fopen(path, "r");
    size_t len = fread(text, 1, sizeof(text), file);
    fclose(file);
    assert_int_equal(len, strlen(wrong[i]));
  }
  assert_int_equal(tt_fleet_instance_id("/tmp/telltale-none/id", id),
                   TT_ENOTFOUND);
  assert_int_equal(tt_fleet_instance_id("", id), TT_EINVAL);
}

static void a_fleet_makes_its_id(void **state) {
  tt_fleet_options options = {.url = "http://127.0.0.1:1/", .id_file = path};
  tt_fleet *fleet = NULL;
  (void)state;
  assert_int_equal(tt_fleet_new(&options, &fleet), TT_OK);
  assert_non_null(fleet);
  assert_int_equal(access(path, F_OK), 0);
  tt_fleet_free(fleet);
}

/* Neither a client nor a file. */
static void assert_off(void) {
  tt_fleet_options options = {.url = "http://127.0.0.1:1/", .id_file = path};
  tt_fleet *fleet = NULL;
  char id[TELLTALE_UUID_TEXT];
  assert_false(tt_fleet_consent());
  assert_int_equal(tt_fleet_new(&options, &fleet), TT_OK);
  assert_null(fleet);
  assert_int_equal(tt_fleet_instance_id(path, id), TT_ESTATE);
  assert_int_not_equal(access(path, F_OK), 0);
}

static void the_environment_switches_it_off(void **state) {
  static const char *const no[] = {"0", "false", "OFF", " no "};
  static const char *const track_not[] = {"1", "true", "yes"};
  static const char *const yes[] = {"1", "", "on"};
  static const char *const track[] = {"", "0", "false"};
  (void)state;
  for (size_t i = 0; i < 4; i++) {
    setenv("TELLTALE_TELEMETRY", no[i], 1);
    assert_off();
  }
  for (size_t i = 0; i < 3; i++) {
    setenv("TELLTALE_TELEMETRY", yes[i], 1);
    setenv("DO_NOT_TRACK", track_not[i], 1);
    assert_off();
    setenv("DO_NOT_TRACK", track[i], 1);
    assert_true(tt_fleet_consent());
  }
}

static void without_a_url_there_is_no_client(void **state) {
  tt_fleet_options options = {.instance_id = "no matter"};
  tt_fleet *fleet = NULL;
  (void)state;
  assert_int_equal(tt_fleet_new(&options, &fleet), TT_OK);
  assert_null(fleet);
  options.url = "ftp://127.0.0.1/";
  options.instance_id = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
  assert_int_equal(tt_fleet_new(&options, &fleet), TT_EINVAL);
  options.url = "http://127.0.0.1/";
  options.token = "a b";
  assert_int_equal(tt_fleet_new(&options, &fleet), TT_EINVAL);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(the_id_is_made_once),
      TEST(another_content_is_left_alone),
      TEST(a_fleet_makes_its_id),
      TEST(the_environment_switches_it_off),
      TEST(without_a_url_there_is_no_client),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
