/* What the kernel alone costs: a bare epoll loop that takes a POST, frames its
 * body as one event, and writes all that is due to every subscriber in one
 * write, at once when idle and at most every 5 ms under load. No parsing to
 * speak of, no filters, no history: the yardstick for the real server.
 * Prints its port on a line and serves until it is killed. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PEERS = 20000, TURN_MS = 5, PENDING_MAX = 1 << 20 };

typedef struct peer {
  int fd;
  bool subscribed;
  size_t have;
  char *request; /* only until it is known what it wants */
} peer;

static peer *subscribers[MAX_PEERS];
static size_t subscriber_count;
static char pending[PENDING_MAX];
static size_t pending_len;
static uint64_t seq;

static int64_t now_ms(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void flush_pending(void) {
  for (size_t i = 0; i < subscriber_count; i++) {
    /* A full socket loses this turn: a yardstick keeps no history. */
    if (send(subscribers[i]->fd, pending, pending_len,
             MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
        errno != EAGAIN)
      subscribers[i]->subscribed = false;
  }
  pending_len = 0;
}

static void take_event(const char *body, size_t len) {
  if (pending_len + len + 64 > PENDING_MAX)
    return;
  pending_len += (size_t)snprintf(
      pending + pending_len, 64, "id: %llu\ndata: ", (unsigned long long)++seq);
  memcpy(pending + pending_len, body, len);
  pending_len += len;
  memcpy(pending + pending_len, "\n\n", 2);
  pending_len += 2;
}

/* Takes every whole request off the front of what was read. */
static void take_requests(peer *p) {
  static const char subscribed[] = "HTTP/1.1 200 OK\r\nContent-Type: "
                                   "text/event-stream\r\n\r\n";
  static const char posted[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
  char *at = p->request;
  char *end;
  p->request[p->have] = '\0';
  while ((end = strstr(at, "\r\n\r\n"))) {
    if (!strncmp(at, "GET ", 4)) {
      send(p->fd, subscribed, sizeof(subscribed) - 1, MSG_NOSIGNAL);
      p->subscribed = true;
      subscribers[subscriber_count++] = p;
      free(p->request);
      p->request = NULL;
      return;
    }
    char *length = strstr(at, "Content-Length: ");
    size_t len = length ? strtoul(length + 16, NULL, 10) : 0;
    char *body = end + 4;
    if (body + len > p->request + p->have)
      break;
    take_event(body, len);
    send(p->fd, posted, sizeof(posted) - 1, MSG_NOSIGNAL);
    at = body + len;
  }
  p->have -= (size_t)(at - p->request);
  memmove(p->request, at, p->have);
}

static void serve_peer(peer *p) {
  char bytes[256];
  if (p->subscribed) {
    recv(p->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    return;
  }
  ssize_t got = recv(p->fd, p->request + p->have, 65535 - p->have, 0);
  if (got <= 0) {
    close(p->fd);
    return;
  }
  p->have += (size_t)got;
  take_requests(p);
}

int main(void) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  struct sockaddr_in here = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof(here);
  int one = 1;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  int poll = epoll_create1(0);
  if (listener < 0 || poll < 0 ||
      bind(listener, (struct sockaddr *)&here, sizeof(here)) ||
      listen(listener, 4096) ||
      getsockname(listener, (struct sockaddr *)&here, &size)) {
    perror("sse_peer");
    return 1;
  }
  printf("%d\n", ntohs(here.sin_port));
  fflush(stdout);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  int64_t last = 0;
  for (;;) {
    struct epoll_event events[256];
    int64_t wait = pending_len ? last + TURN_MS - now_ms() : 1000;
    int count = epoll_wait(poll, events, 256, wait > 0 ? (int)wait : 0);
    for (int i = 0; i < count; i++) {
      if (events[i].data.ptr) {
        serve_peer(events[i].data.ptr);
        continue;
      }
      peer *p = calloc(1, sizeof(*p));
      int fd = accept(listener, NULL, NULL);
      if (!p || fd < 0 || subscriber_count == MAX_PEERS)
        return 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
      p->fd = fd;
      p->request = malloc(65536);
      event.data.ptr = p;
      epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
    }
    if (pending_len && now_ms() - last >= TURN_MS) {
      flush_pending();
      last = now_ms();
    }
  }
}
