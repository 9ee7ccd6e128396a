/* Subscribers and a publisher for event streams: opens N subscriptions, posts R
 * events a second for S seconds, and prints one JSON line with what arrived and
 * what CPU the server used meanwhile.
 *
 *   sse_load --port P [--stream PATH] [--post PATH] [--subscribers N]
 *            [--rate R] [--seconds S] [--pid SERVER] [--idle] [--tls]
 *
 * One subscriber is read whole: its events are counted and give the latency.
 * From the others the kernel throws the bytes away (MSG_TRUNC), so that this
 * program costs little; their number of bytes must be the first one's. With
 * --idle nothing is posted: for measuring memory, "ready" is printed and the
 * subscriptions are held for the seconds; with --tls too, they are over TLS. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

typedef struct subscriber {
  int fd;
  SSL *ssl; /* NULL: plain */
  uint64_t bytes;
  bool headed;
} subscriber;

static struct {
  int port, pid;
  const char *stream, *post;
  int subscribers, rate;
  double seconds;
  bool idle, tls;
} options = {.stream = "/events/stream",
             .post = "/events",
             .subscribers = 100,
             .rate = 200,
             .seconds = 2};

static struct {
  uint64_t posted, answered, seen;
  int64_t *latency_ns;
  size_t latency_count, latency_cap;
} totals;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int64_t now_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* User and system time of a whole process, in seconds. */
static double cpu_seconds(int pid) {
  char path[64], text[1024];
  unsigned long user = 0, system = 0;
  snprintf(path, sizeof(path), "/proc/%d/stat", pid);
  FILE *file = fopen(path, "r");
  if (!file)
    return 0;
  size_t len = fread(text, 1, sizeof(text) - 1, file);
  fclose(file);
  text[len] = '\0';
  const char *at = strrchr(text, ')');
  if (at)
    sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
           &system);
  return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static int dial(void) {
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)options.port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
    die("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  return fd;
}

static void send_all(int fd, const char *bytes, size_t len) {
  while (len) {
    ssize_t put = send(fd, bytes, len, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0)
      die("send");
    bytes += put;
    len -= (size_t)put;
  }
}

/* Whose certificate it is makes no difference here. */
static void shake_hands(subscriber *s) {
  static SSL_CTX *ctx;
  if (!ctx)
    ctx = SSL_CTX_new(TLS_client_method());
  s->ssl = SSL_new(ctx);
  SSL_set_fd(s->ssl, s->fd);
  if (SSL_connect(s->ssl) != 1)
    die("TLS");
}

static void subscribe(subscriber *s, int poll) {
  char request[512];
  s->fd = dial();
  if (options.tls)
    shake_hands(s);
  int len = snprintf(request, sizeof(request),
                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                     "Accept: text/event-stream\r\n\r\n",
                     options.stream, options.port);
  if (s->ssl)
    SSL_write(s->ssl, request, len);
  else
    send_all(s->fd, request, (size_t)len);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
  if (epoll_ctl(poll, EPOLL_CTL_ADD, s->fd, &event))
    die("epoll_ctl");
  /* The head is read whole, so that bytes counted later are events only. */
  char head[4096];
  size_t have = 0;
  while (!s->headed) {
    size_t room = sizeof(head) - 1 - have;
    ssize_t got = s->ssl ? SSL_read(s->ssl, head + have, (int)room)
                         : recv(s->fd, head + have, room, 0);
    if (got <= 0)
      die("recv");
    have += (size_t)got;
    head[have] = '\0';
    s->headed = strstr(head, "\r\n\r\n") != NULL;
    if (!s->headed && have == sizeof(head) - 1)
      die("a long head");
  }
  if (!strstr(head, " 200 ")) {
    fprintf(stderr, "sse_load: %s", head);
    exit(1);
  }
  fcntl(s->fd, F_SETFL, O_NONBLOCK);
}

static void note_latency(int64_t ns) {
  if (totals.latency_count < totals.latency_cap)
    totals.latency_ns[totals.latency_count++] = ns;
}

/* Counts the events of the first subscriber by the clock reading that each of
 * ours carries: "t0":"<20 digits>". */
static void read_whole(subscriber *s) {
  static char text[1 << 17];
  static size_t have;
  ssize_t got = recv(s->fd, text + have, sizeof(text) - 1 - have, 0);
  if (got <= 0)
    return;
  int64_t now = now_ns();
  s->bytes += (uint64_t)got;
  have += (size_t)got;
  text[have] = '\0';
  char *at = text, *mark;
  while ((mark = strstr(at, "t0\":\"")) && mark + 25 < text + have) {
    note_latency(now - (int64_t)strtoull(mark + 5, NULL, 10));
    totals.seen++;
    at = mark + 25;
  }
  size_t keep = have - (size_t)(at - text);
  if (keep > 64)
    keep = 64;
  memmove(text, text + have - keep, keep);
  have = keep;
}

static void post(int fd) {
  char body[512], request[1024];
  int len = snprintf(body, sizeof(body),
                     "{\"source\":\"bench\",\"channel\":\"load\",\"action\":"
                     "\"tick\",\"level\":\"info\",\"data\":{\"t0\":\"%020lld\","
                     "\"text\":\"the quick brown fox jumps over the lazy dog\"}"
                     "}",
                     (long long)now_ns());
  len = snprintf(request, sizeof(request),
                 "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: "
                 "application/json\r\nContent-Length: %d\r\n\r\n%s",
                 options.post, options.port, len, body);
  send_all(fd, request, (size_t)len);
  totals.posted++;
}

static void pump(int poll, subscriber *first, int timeout_ms) {
  struct epoll_event events[256];
  int count = epoll_wait(poll, events, 256, timeout_ms);
  for (int i = 0; i < count; i++) {
    subscriber *s = events[i].data.ptr;
    if (!s) {
      continue;
    } else if (s == first) {
      read_whole(s);
    } else {
      ssize_t got = recv(s->fd, NULL, 1 << 20, MSG_TRUNC);
      if (got > 0)
        s->bytes += (uint64_t)got;
      else if (got == 0)
        epoll_ctl(poll, EPOLL_CTL_DEL, s->fd, NULL);
    }
  }
}

static void drain_answers(int fd) {
  char answers[65536];
  ssize_t got;
  while ((got = recv(fd, answers, sizeof(answers), MSG_DONTWAIT)) > 0)
    totals.answered += (uint64_t)got;
}

static int compare(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static double percentile_us(double p) {
  if (!totals.latency_count)
    return 0;
  size_t at = (size_t)(p * (double)(totals.latency_count - 1));
  return (double)totals.latency_ns[at] / 1000;
}

static void parse(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i];
    const char *value = i + 1 < argc ? argv[i + 1] : "";
    if (!strcmp(name, "--idle") || !strcmp(name, "--tls")) {
      *(name[2] == 'i' ? &options.idle : &options.tls) = true;
      continue;
    }
    if (!strcmp(name, "--port"))
      options.port = atoi(value);
    else if (!strcmp(name, "--pid"))
      options.pid = atoi(value);
    else if (!strcmp(name, "--stream"))
      options.stream = value;
    else if (!strcmp(name, "--post"))
      options.post = value;
    else if (!strcmp(name, "--subscribers"))
      options.subscribers = atoi(value);
    else if (!strcmp(name, "--rate"))
      options.rate = atoi(value);
    else if (!strcmp(name, "--seconds"))
      options.seconds = atof(value);
    else {
      fprintf(stderr, "sse_load: %s is not an option\n", name);
      exit(2);
    }
    i++;
  }
  if (options.tls && !options.idle) {
    fprintf(stderr, "sse_load: --tls goes with --idle\n");
    exit(2);
  }
  if (!options.port || options.subscribers < 1 || options.rate < 1) {
    fprintf(stderr, "sse_load: --port is required\n");
    exit(2);
  }
}

static void run(int poll, subscriber *all) {
  int publisher = dial();
  int64_t start = now_ns();
  int64_t end = start + (int64_t)(options.seconds * 1e9);
  double cpu = options.pid ? cpu_seconds(options.pid) : 0;
  for (int64_t now = start; now < end; now = now_ns()) {
    uint64_t due =
        (uint64_t)((double)(now - start) / 1e9 * (double)options.rate);
    while (totals.posted < due)
      post(publisher);
    drain_answers(publisher);
    pump(poll, all, 1);
  }
  /* What was posted last still travels: up to two seconds for it. */
  int64_t limit = now_ns() + 2000000000;
  while (totals.seen < totals.posted && now_ns() < limit) {
    drain_answers(publisher);
    pump(poll, all, 1);
  }
  for (int i = 0; i < 50; i++)
    pump(poll, all, 1);
  if (options.pid)
    cpu = cpu_seconds(options.pid) - cpu;
  uint64_t bytes = 0;
  for (int i = 0; i < options.subscribers; i++)
    bytes += all[i].bytes;
  double share = all[0].bytes ? (double)bytes / (double)all[0].bytes : 0;
  double delivered = share * (double)totals.seen;
  qsort(totals.latency_ns, totals.latency_count, sizeof(int64_t), compare);
  printf("{\"subscribers\":%d,\"rate\":%d,\"posted\":%llu,\"seen\":%llu,"
         "\"delivered\":%.0f,\"cpu_s\":%.3f,\"per_cpu_s\":%.0f,"
         "\"p50_us\":%.0f,\"p99_us\":%.0f}\n",
         options.subscribers, options.rate, (unsigned long long)totals.posted,
         (unsigned long long)totals.seen, delivered, cpu,
         cpu > 0 ? delivered / cpu : 0, percentile_us(0.5),
         percentile_us(0.99));
  close(publisher);
}

int main(int argc, char **argv) {
  parse(argc, argv);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  totals.latency_cap = 1 << 20;
  totals.latency_ns = calloc(totals.latency_cap, sizeof(int64_t));
  subscriber *all = calloc((size_t)options.subscribers, sizeof(*all));
  int poll = epoll_create1(EPOLL_CLOEXEC);
  if (!all || !totals.latency_ns || poll < 0)
    die("setup");
  for (int i = 0; i < options.subscribers; i++)
    subscribe(&all[i], poll);
  if (options.idle) {
    printf("ready\n");
    fflush(stdout);
    usleep((useconds_t)(options.seconds * 1e6));
  } else {
    for (int i = 0; i < 20; i++)
      pump(poll, all, 1);
    for (int i = 0; i < options.subscribers; i++)
      all[i].bytes = 0;
    run(poll, all);
  }
  for (int i = 0; i < options.subscribers; i++)
    close(all[i].fd);
  free(all);
  free(totals.latency_ns);
  return 0;
}
