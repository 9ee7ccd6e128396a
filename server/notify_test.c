#include "server/notify.h"
#include "tests/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void the_manager_gets_the_state_as_one_datagram(void **state) {
  (void)state;
  char folder[] = "/tmp/telltale-notify-XXXXXX";
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char got[64];
  assert_non_null(mkdtemp(folder));
  snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
  setenv("NOTIFY_SOCKET", address.sun_path, 1);
  notify_manager("READY=1");
  ssize_t len = recv(fd, got, sizeof(got), MSG_DONTWAIT);
  assert_int_equal(len, strlen("READY=1"));
  assert_memory_equal(got, "READY=1", (size_t)len);
  close(fd);
  unlink(address.sun_path);
  notify_manager("STOPPING=1"); /* nobody there: not our concern */
  rmdir(folder);
}

static void without_a_manager_nothing_happens(void **state) {
  (void)state;
  char longer[200];
  unsetenv("NOTIFY_SOCKET");
  notify_manager("READY=1");
  setenv("NOTIFY_SOCKET", "relative", 1);
  notify_manager("READY=1");
  memset(longer, '/', sizeof(longer) - 1);
  longer[sizeof(longer) - 1] = '\0';
  setenv("NOTIFY_SOCKET", longer, 1);
  notify_manager("READY=1");
}

static void the_manager_says_how_often_it_wants_to_hear(void **state) {
  (void)state;
  char pid[24];
  unsetenv("WATCHDOG_USEC");
  unsetenv("WATCHDOG_PID");
  assert_int_equal(notify_watchdog_ms(), 0);
  setenv("WATCHDOG_USEC", "soon", 1);
  assert_int_equal(notify_watchdog_ms(), 0);
  setenv("WATCHDOG_USEC", "20000000", 1);
  assert_int_equal(notify_watchdog_ms(), 20000);
  snprintf(pid, sizeof(pid), "%d", (int)getpid());
  setenv("WATCHDOG_PID", pid, 1);
  assert_int_equal(notify_watchdog_ms(), 20000);
  setenv("WATCHDOG_PID", "1", 1); /* our parent's, not ours */
  assert_int_equal(notify_watchdog_ms(), 0);
  unsetenv("WATCHDOG_USEC");
  unsetenv("WATCHDOG_PID");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_manager_gets_the_state_as_one_datagram),
      cmocka_unit_test(without_a_manager_nothing_happens),
      cmocka_unit_test(the_manager_says_how_often_it_wants_to_hear),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
