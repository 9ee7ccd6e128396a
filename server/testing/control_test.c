#include "server/testing/clock.h"
#include "server/testing/control.h"
#include "server/testing/fault.h"
#include "tests/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/telltale-control-XXXXXX";
static char path[64];

static int set_up(void **state) {
  (void)state;
  if (!mkdtemp(folder))
    return -1;
  snprintf(path, sizeof path, "%s/control", folder);
  return testing_control_start(path) == TT_OK ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  unlink(path);
  return rmdir(folder);
}

static int connect_to(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

static void read_line(int fd, char *out, size_t size) {
  size_t len = 0;
  while (len + 1 < size && read(fd, out + len, 1) == 1 && out[len] != '\n')
    len++;
  out[len] = '\0';
}

static void expect(const char *command, const char *answer) {
  char line[300];
  int fd = connect_to();
  dprintf(fd, "%s\n", command);
  read_line(fd, line, sizeof line);
  assert_string_equal(line, answer);
  close(fd);
}

static void expect_error(const char *command) {
  char line[300];
  int fd = connect_to();
  dprintf(fd, "%s\n", command);
  read_line(fd, line, sizeof line);
  assert_memory_equal(line, "error ", 6);
  close(fd);
}

static void drives_fault_points(void **state) {
  (void)state;
  expect("clear", "ok");
  expect("fault c.c fail ENOSPC 2 1", "ok");
  assert_int_equal(fault_point("c.c"), 0);
  assert_int_equal(fault_point("c.c"), ENOSPC);
  assert_int_equal(fault_point("c.c"), ENOSPC);
  assert_int_equal(fault_point("c.c"), 0);
  expect("hits c.c", "ok 4");
  expect("fault c.c fail EIO", "ok");
  for (int i = 0; i < 100; i++)
    assert_int_equal(fault_point("c.c"), EIO);
  expect("release c.c", "ok");
  assert_int_equal(fault_point("c.c"), 0);
  expect("fault c.c wait", "ok");
  expect("clear", "ok");
  assert_int_equal(fault_point("c.c"), 0);
  expect("hits c.c", "ok 1");
}

static void moves_the_clock(void **state) {
  (void)state;
  int64_t before = tti_monotonic_us(testing_clock());
  expect("clock advance_us 3600000000", "ok");
  assert_true(tti_monotonic_us(testing_clock()) - before >= 3600000000);
}

static void says_what_is_wrong(void **state) {
  (void)state;
  static const char *const commands[] = {
      "",          "what",           "fault",
      "fault x",   "fault x fail",   "fault x fail EWHAT",
      "fault x y", "fault x kill y", "fault x fail EIO -1",
      "hits",      "release",        "clock advance_us soon",
      "clock"};
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
    expect_error(commands[i]);
}

/* Commands may come many at once and in pieces; a line without end is not
 * waited for. */
static void reads_lines_however_they_come(void **state) {
  (void)state;
  char line[300];
  int fd = connect_to(), other = connect_to();
  dprintf(fd, "clear\nhits p.p\nhi");
  read_line(fd, line, sizeof line);
  assert_string_equal(line, "ok");
  read_line(fd, line, sizeof line);
  assert_string_equal(line, "ok 0");
  dprintf(other, "hits p.p\n");
  read_line(other, line, sizeof line);
  assert_string_equal(line, "ok 0");
  dprintf(fd, "ts p.p\r\n");
  read_line(fd, line, sizeof line);
  assert_string_equal(line, "ok 0");
  char endless[400];
  memset(endless, 'x', sizeof endless);
  assert_true(send(fd, endless, sizeof endless, MSG_NOSIGNAL) > 0);
  read_line(fd, line, sizeof line);
  assert_string_equal(line, "");
  close(fd);
  close(other);
}

static void refuses_a_path_that_is_too_long(void **state) {
  (void)state;
  char long_path[300];
  memset(long_path, 'x', sizeof long_path - 1);
  long_path[sizeof long_path - 1] = '\0';
  assert_int_equal(testing_control_start(long_path), TT_EINVAL);
  assert_int_equal(testing_control_start("/nowhere/at/all"), TT_EIO);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(drives_fault_points),
      cmocka_unit_test(moves_the_clock),
      cmocka_unit_test(says_what_is_wrong),
      cmocka_unit_test(reads_lines_however_they_come),
      cmocka_unit_test(refuses_a_path_that_is_too_long),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
