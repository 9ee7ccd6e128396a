#include "server/notify.h"

#include "lib/base/slice.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void notify_manager(const char *state) {
  const char *path = getenv("NOTIFY_SOCKET");
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t len = path ? strlen(path) : 0;
  if ((len == 0) || (path[0] != '/' && path[0] != '@') ||
      len >= sizeof(address.sun_path))
    return;
  memcpy(address.sun_path, path, len);
  if (path[0] == '@') /* the abstract namespace begins with a NUL */
    address.sun_path[0] = '\0';
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return;
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
  /* The manager gone is no reason to fail: it will see the exit status. */
  (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL,
                (const struct sockaddr *)&address, size);
  close(fd);
}

uint64_t notify_watchdog_ms(void) {
  unsigned long long us, pid;
  const char *whose = getenv("WATCHDOG_PID");
  if (!tti_slice_to_u64(tti_slice_of(getenv("WATCHDOG_USEC")), &us))
    return 0;
  /* Inherited by a child of the process that it is meant for. */
  if (whose && (!tti_slice_to_u64(tti_slice_of(whose), &pid) ||
                pid != (unsigned long long)getpid()))
    return 0;
  return us / 1000;
}
