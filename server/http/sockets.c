#include "server/http/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096

typedef union address {
  struct sockaddr any;
  struct sockaddr_in in;
  struct sockaddr_in6 in6;
} address;

static tt_error fail(tti_buf *out_error, const char *what, const char *where,
                     int error) {
  if (out_error)
    tti_buf_printf(out_error, "cannot %s %s: %s", what, where, strerror(error));
  return error == EADDRINUSE ? TT_EBUSY : TT_EIO;
}

static socklen_t address_len(const address *a) {
  return a->any.sa_family == AF_INET ? sizeof(a->in) : sizeof(a->in6);
}

static bool parse_address(const char *text, uint16_t port, address *out) {
  memset(out, 0, sizeof(*out));
  if (inet_pton(AF_INET, text, &out->in.sin_addr) == 1) {
    out->in.sin_family = AF_INET;
    out->in.sin_port = htons(port);
    return true;
  }
  if (inet_pton(AF_INET6, text, &out->in6.sin6_addr) == 1) {
    out->in6.sin6_family = AF_INET6;
    out->in6.sin6_port = htons(port);
    return true;
  }
  return false;
}

static bool set(int fd, int level, int option) {
  int on = 1;
  return setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

/* A bound socket, or -1 with errno set. */
static int bind_one(const address *a, bool shared) {
  int fd =
      socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -1;
  /* Accepted connections inherit no-delay and keep-alive from the listener. */
  bool ok =
      set(fd, SOL_SOCKET, SO_REUSEADDR) &&
      (!shared || set(fd, SOL_SOCKET, SO_REUSEPORT)) &&
      set(fd, IPPROTO_TCP, TCP_NODELAY) && set(fd, SOL_SOCKET, SO_KEEPALIVE) &&
      (a->any.sa_family == AF_INET || set(fd, IPPROTO_IPV6, IPV6_V6ONLY)) &&
      bind(fd, &a->any, address_len(a)) == 0;
  if (ok)
    return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static uint16_t bound_port(int fd) {
  address a = {0};
  socklen_t len = sizeof(a);
  if (getsockname(fd, &a.any, &len) != 0)
    return 0;
  return ntohs(a.any.sa_family == AF_INET ? a.in.sin_port : a.in6.sin6_port);
}

static void set_port(address *a, uint16_t port) {
  if (a->any.sa_family == AF_INET)
    a->in.sin_port = htons(port);
  else
    a->in6.sin6_port = htons(port);
}

tt_error http_sockets_tcp(const char *text, uint16_t port, size_t count,
                          int *out_fds, uint16_t *out_port,
                          tti_buf *out_error) {
  address a;
  char where[80];
  size_t made = 0;
  if (!parse_address(text, port, &a)) {
    if (out_error)
      tti_buf_printf(out_error,
                     "\"%s\" is not a numeric IPv4 or IPv6 address to listen "
                     "on, such as 127.0.0.1",
                     text);
    return TT_EINVAL;
  }
  snprintf(where, sizeof(where), "%s port %u", text, port);
  if (port) {
    /* Sockets that share a port would also share it with another server, in
     * silence. One that does not share finds out. */
    int probe = bind_one(&a, false);
    if (probe < 0)
      return fail(out_error, "listen on", where, errno);
    close(probe);
  }
  for (; made < count; made++) {
    int fd = bind_one(&a, true);
    if (fd < 0)
      goto fail;
    out_fds[made] = fd;
    set_port(&a, bound_port(fd));
  }
  for (size_t i = 0; i < count; i++)
    if (listen(out_fds[i], BACKLOG) != 0)
      goto fail;
  *out_port = bound_port(out_fds[0]);
  return TT_OK;
fail:;
  tt_error error = fail(out_error, "listen on", where, errno);
  while (made > 0)
    close(out_fds[--made]);
  return error;
}

/* Whether a server answers at the socket file. */
static bool is_alive(const struct sockaddr_un *a) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool alive =
      fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0;
  if (fd >= 0)
    close(fd);
  return alive;
}

tt_error http_sockets_unix(const char *path, int *out_fd, tti_buf *out_error) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  struct stat info;
  if (strlen(path) >= sizeof(a.sun_path)) {
    if (out_error)
      tti_buf_printf(out_error,
                     "the path of the socket %s is longer than %zu bytes", path,
                     sizeof(a.sun_path) - 1);
    return TT_EINVAL;
  }
  strcpy(a.sun_path, path);
  if (is_alive(&a))
    return fail(out_error, "listen on", path, EADDRINUSE);
  if (lstat(path, &info) == 0 && S_ISSOCK(info.st_mode))
    unlink(path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return fail(out_error, "listen on", path, errno);
  /* On Linux the file takes the socket's mode, so it is never open to others,
   * not even between bind and chmod. */
  if (fchmod(fd, 0600) != 0 ||
      bind(fd, (const struct sockaddr *)&a, sizeof(a)) != 0 ||
      chmod(path, 0600) != 0 || listen(fd, 128) != 0) {
    tt_error error = fail(out_error, "listen on", path, errno);
    close(fd);
    return error;
  }
  *out_fd = fd;
  return TT_OK;
}
