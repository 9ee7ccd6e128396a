#ifndef HTTP_TESTING_H
#define HTTP_TESTING_H

/* For the unit tests of this folder: a server on loops of its own, and a
 * blocking client that sees every byte. */

#include "server/http/http.h"
#include "tests/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct fixture {
  loop *loops[2];
  size_t loop_count;
  http_server *server;
  sem_t drained;
} fixture;

static inline void fixture_start(fixture *f, const http_options *options,
                                 size_t loop_count) {
  f->loop_count = loop_count;
  sem_init(&f->drained, 0, 0);
  for (size_t i = 0; i < loop_count; i++)
    assert_int_equal(loop_new((unsigned)i, &f->loops[i]), TT_OK);
  assert_int_equal(http_server_new(options, f->loops, loop_count, "127.0.0.1",
                                   0, NULL, &f->server),
                   TT_OK);
  for (size_t i = 0; i < loop_count; i++)
    assert_int_equal(loop_start(f->loops[i]), TT_OK);
}

static inline void fixture_drained(void *context) {
  fixture *f = context;
  sem_post(&f->drained);
}

static inline void fixture_stop(fixture *f) {
  http_server_close(f->server, fixture_drained, f);
  http_server_abort(f->server);
  for (size_t i = 0; i < f->loop_count; i++)
    loop_stop(f->loops[i]);
  http_server_free(f->server);
  for (size_t i = 0; i < f->loop_count; i++)
    loop_free(f->loops[i]);
  sem_destroy(&f->drained);
}

static inline int client_open(const fixture *f) {
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons(http_server_port(f->server)),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
  return fd;
}

static inline void client_send(int fd, const void *bytes, size_t len) {
  const char *at = bytes;
  while (len) {
    ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
    if (sent <= 0)
      return; /* the server may have closed: the answer tells */
    at += sent;
    len -= (size_t)sent;
  }
}

static inline void client_text(int fd, const char *text) {
  client_send(fd, text, strlen(text));
}

/* Reads until `out` holds `want` `count` times, the end, or ten seconds of
 * silence. NUL-terminated. Returns the length. */
static inline size_t client_until(int fd, const char *want, unsigned count,
                                  char *out, size_t room) {
  size_t len = 0;
  out[0] = '\0';
  while (len + 1 < room) {
    unsigned seen = 0;
    for (const char *at = out; want && (at = strstr(at, want)); at++)
      seen++;
    if (want && seen >= count)
      break;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (poll(&ready, 1, 10000) <= 0) {
      fail_msg("no more bytes after: %s", out);
      break;
    }
    ssize_t got = recv(fd, out + len, room - 1 - len, 0);
    if (got <= 0)
      break;
    len += (size_t)got;
    out[len] = '\0';
  }
  return len;
}

/* Everything until the server closes. */
static inline size_t client_rest(int fd, char *out, size_t room) {
  return client_until(fd, NULL, 0, out, room);
}

/* A connection of its own for one exchange. */
static inline size_t client_exchange(const fixture *f, const char *request,
                                     size_t len, char *out, size_t room) {
  int fd = client_open(f);
  client_send(fd, request, len);
  shutdown(fd, SHUT_WR);
  size_t got = client_rest(fd, out, room);
  close(fd);
  return got;
}

#endif
