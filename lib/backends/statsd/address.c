#include "lib/backends/statsd/address.h"

#include "lib/base/slice.h"
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* "host:port" or "[::1]:port". */
static bool parse_udp(const char *text, tti_statsd_address *out) {
  const char *colon = strrchr(text, ':');
  unsigned long long port;
  if (!colon || !tti_slice_to_u64(tti_slice_of(colon + 1), &port) ||
      port == 0 || port > 65535)
    return false;
  tti_slice host = {text, (size_t)(colon - text)};
  if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
    host = (tti_slice){host.ptr + 1, host.len - 2};
  else if (memchr(host.ptr, ':', host.len))
    return false;
  if (host.len == 0 || host.len >= sizeof(out->host) ||
      memchr(host.ptr, '/', host.len))
    return false;
  memcpy(out->host, host.ptr, host.len);
  snprintf(out->port, sizeof(out->port), "%u", (unsigned)port);
  return true;
}

bool tti_statsd_address_parse(const char *text, tti_statsd_address *out) {
  struct sockaddr_un un;
  *out = (tti_statsd_address){.is_unix = strncmp(text, "unix:/", 6) == 0};
  if (!out->is_unix)
    return strncmp(text, "udp://", 6) == 0 && parse_udp(text + 6, out);
  if (strlen(text + 5) >= sizeof(un.sun_path))
    return false;
  strcpy(out->host, text + 5);
  return true;
}

static int connect_unix(const char *path) {
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  strcpy(un.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0)
    return fd;
  int why = errno;
  close(fd);
  errno = why;
  return -1;
}

static int connect_udp(const tti_statsd_address *address,
                       const char **out_why) {
  struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *all;
  int failed = getaddrinfo(address->host, address->port, &hints, &all);
  int fd = -1, why = 0;
  if (failed) {
    *out_why = gai_strerror(failed);
    return -1;
  }
  for (const struct addrinfo *a = all; a && fd < 0; a = a->ai_next) {
    fd = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) == 0)
      continue;
    why = errno;
    close(fd);
    fd = -1;
  }
  freeaddrinfo(all);
  *out_why = strerror(why ? why : errno);
  return fd;
}

int tti_statsd_connect(const tti_statsd_address *address,
                       const char **out_why) {
  struct timeval second = {.tv_sec = 1};
  int fd = address->is_unix ? connect_unix(address->host)
                            : connect_udp(address, out_why);
  if (fd < 0 && address->is_unix)
    *out_why = strerror(errno);
  if (fd >= 0)
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
  return fd;
}
