/* Fan-out to many event streams: deliveries for a second of CPU of the one
 * thread that writes, beside a bare epoll loop that writes the same bytes to as
 * many sockets with the same coalescing and does nothing else.
 *
 *   bench_sse [--seconds N] [--subscribers N [--rate EVENTS_A_SECOND]]
 *
 * A run takes a quarter of the seconds.
 */
#include "bench/bench.h"
#include "server/feed/feed.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_SUBSCRIBERS = 10000 };

/* A thread that reads and forgets what the subscribers get. */
typedef struct drain {
  pthread_t thread;
  int epoll;
  atomic_bool stop;
  atomic_uint_least64_t bytes;
} drain;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void *drain_run(void *context) {
  drain *d = context;
  static char sink[1 << 18];
  while (!atomic_load(&d->stop)) {
    struct epoll_event ready[256];
    int count = epoll_wait(d->epoll, ready, 256, 50);
    for (int i = 0; i < count; i++) {
      ssize_t got = read(ready[i].data.fd, sink, sizeof(sink));
      if (got > 0)
        atomic_fetch_add(&d->bytes, (uint64_t)got);
      else
        epoll_ctl(d->epoll, EPOLL_CTL_DEL, ready[i].data.fd, NULL);
    }
  }
  return NULL;
}

static void drain_start(drain *d) {
  memset(d, 0, sizeof(*d));
  d->epoll = epoll_create1(0);
  if (pthread_create(&d->thread, NULL, drain_run, d) != 0)
    die("pthread_create");
}

static void drain_stop(drain *d) {
  atomic_store(&d->stop, true);
  pthread_join(d->thread, NULL);
  close(d->epoll);
}

static int connect_to(uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons(port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
    die("connect");
  return fd;
}

static void drain_add(drain *d, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
    die("epoll_ctl");
}

static void sleep_until(int64_t ns) {
  struct timespec ts = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
    ;
}

typedef struct result {
  double deliveries;
  double cpu_s;
} result;

/* ---- Ours: the store and the ring in memory, http, feed ---- */

typedef struct ours {
  store *store;
  bus *bus;
  loop *loop;
  feed *feed;
  http_server *http;
} ours;

static void serve_stream(http_request *request, void *context) {
  static const feed_scope scope = {.kinds = STORE_KIND_BIT(TTI_KIND_RELAY)};
  feed_serve(((ours *)context)->feed, request, &scope);
}

static void wake(void *context) {
  ours *o = context;
  if (o->feed)
    feed_wake(o->feed);
}

typedef struct cpu_task {
  loop_task task;
  atomic_bool done;
  int64_t ns;
} cpu_task;

static void cpu_run(loop_task *task) {
  cpu_task *t = (cpu_task *)(void *)task;
  t->ns = bench_thread_ns();
  atomic_store(&t->done, true);
}

static int64_t loop_cpu_ns(loop *l) {
  cpu_task t = {.task.run = cpu_run};
  loop_post(l, &t.task);
  while (!atomic_load(&t.done))
    usleep(500);
  return t.ns;
}

static http_route route;

static void ours_start(ours *o) {
  tti_buf error;
  tti_buf_init(&error, 4096);
  store_options in_memory = {.durability = STORE_COMMIT};
  bus_options log = {
      .durability = STORE_COMMIT, .wake = wake, .wake_context = o};
  if (store_memory_open(&in_memory, &error, &o->store) != TT_OK)
    die("store");
  log.store = o->store;
  if (bus_local_new(&log, &o->bus) != TT_OK || loop_new(0, &o->loop) != TT_OK)
    die("bus");
  feed_options streams = {
      .bus = o->bus, .store = o->store, .loops = &o->loop, .loop_count = 1};
  if (feed_new(&streams, &o->feed) != TT_OK)
    die("feed");
  route = (http_route){.methods = HTTP_GET_,
                       .pattern = "/events/stream",
                       .name = "stream",
                       .handler = serve_stream,
                       .context = o};
  http_options web = {.routes = &route, .route_count = 1};
  if (http_server_new(&web, &o->loop, 1, "127.0.0.1", 0, &error, &o->http) !=
          TT_OK ||
      loop_start(o->loop) != TT_OK)
    die("http");
}

static void ours_stop(ours *o) {
  feed_close(o->feed);
  http_server_abort(o->http);
  loop_stop(o->loop);
  http_server_free(o->http);
  feed_free(o->feed);
  bus_close(o->bus, 1000);
  store_close(o->store, 1000);
  loop_free(o->loop);
}

static void published(bus_publish *p) {
  tti_batch_fini(&p->batch);
  free(p);
}

static void publish_one(ours *o, uint64_t n) {
  bus_publish *p = calloc(1, sizeof(*p));
  char data[160];
  int len = snprintf(data, sizeof(data),
                     "{\"order\":%llu,\"amount\":12.5,\"currency\":\"EUR\","
                     "\"items\":[1,2,3],\"customer\":\"c-%llu\"}",
                     (unsigned long long)n, (unsigned long long)n * 7919);
  tti_record record = {.level = TT_LEVEL_INFO,
                       .ts_us = 1770000000000000,
                       .source = TTI_SLICE("shop"),
                       .type = TTI_SLICE("order_placed"),
                       .category = TTI_SLICE("orders"),
                       .data = {data, (size_t)len}};
  if (!p)
    die("calloc");
  tti_batch_init(&p->batch, 1, 1 << 20);
  p->done = published;
  if (tti_batch_add(&p->batch, &record) != TT_OK ||
      bus_submit(o->bus, p) != TT_OK)
    die("publish");
}

static uint64_t delivered(ours *o) {
  feed_counts counts;
  feed_counts_get(o->feed, &counts);
  return counts.delivered;
}

static result run_ours(size_t subscribers, unsigned rate, double seconds) {
  ours o = {0};
  drain d;
  static int fds[MOST_SUBSCRIBERS];
  static const char request[] =
      "GET /events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
  ours_start(&o);
  drain_start(&d);
  for (size_t i = 0; i < subscribers; i++) {
    fds[i] = connect_to(http_server_port(o.http));
    if (write(fds[i], request, sizeof(request) - 1) < 0)
      die("write");
    drain_add(&d, fds[i]);
  }
  feed_counts counts = {0};
  while (counts.subscribers < subscribers) {
    usleep(2000);
    feed_counts_get(o.feed, &counts);
  }
  usleep(200000);
  int64_t cpu = loop_cpu_ns(o.loop);
  int64_t began = bench_wall_ns();
  uint64_t events = (uint64_t)(rate * seconds);
  for (uint64_t n = 0; n < events; n++) {
    sleep_until(began + (int64_t)(n * 1000000000 / rate));
    publish_one(&o, n);
  }
  while (delivered(&o) < events * subscribers)
    usleep(2000);
  result r = {.deliveries = (double)(events * subscribers),
              .cpu_s = (double)(loop_cpu_ns(o.loop) - cpu) / 1e9};
  for (size_t i = 0; i < subscribers; i++)
    close(fds[i]);
  ours_stop(&o);
  drain_stop(&d);
  return r;
}

/* ---- The peer: epoll_wait, then one write a subscriber ---- */

typedef struct bare {
  int event;
  int fds[MOST_SUBSCRIBERS];
  size_t count;
  atomic_uint_least64_t published;
  uint64_t written;
  uint64_t events;
  int64_t cpu_ns;
  const char *frame;
  size_t frame_len;
} bare;

static void *bare_run(void *context) {
  bare *b = context;
  enum { MOST = 256 };
  char *bytes = malloc(b->frame_len * MOST);
  int epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  if (!bytes || epoll_ctl(epoll, EPOLL_CTL_ADD, b->event, &event) != 0)
    die("epoll");
  for (size_t i = 0; i < MOST; i++)
    memcpy(bytes + i * b->frame_len, b->frame, b->frame_len);
  int64_t next = 0, cpu = bench_thread_ns();
  while (b->written < b->events) {
    struct epoll_event ready;
    uint64_t count;
    if (epoll_wait(epoll, &ready, 1, 100) > 0 &&
        read(b->event, &count, sizeof(count)) < 0)
      die("eventfd");
    int64_t now = bench_wall_ns();
    if (now < next)
      sleep_until(next);
    now = bench_wall_ns();
    uint64_t due = atomic_load(&b->published) - b->written;
    if (due > MOST)
      due = MOST;
    if (due == 0)
      continue;
    for (size_t i = 0; i < b->count; i++)
      if (write(b->fds[i], bytes, due * b->frame_len) < 0)
        die("write");
    b->written += due;
    int64_t end = bench_wall_ns(), gap = end - now;
    gap = gap < 1000000 ? 1000000 : gap > 25000000 ? 25000000 : gap;
    next = end + gap;
  }
  b->cpu_ns = bench_thread_ns() - cpu;
  free(bytes);
  close(epoll);
  return NULL;
}

static result run_bare(size_t subscribers, unsigned rate, double seconds) {
  static bare b;
  drain d;
  static int clients[MOST_SUBSCRIBERS];
  /* As many bytes as ours: the chunked coding's own and the frame's. */
  static const char frame[] =
      "fa\r\nid: 1770000000000000\ndata: {\"seq\":1770000000000000,\"source\":"
      "\"shop\",\"channel\":\"orders\",\"action\":\"order_placed\",\"level\":"
      "\"info\",\"data\":{\"order\":1234,\"amount\":12.5,\"currency\":\"EUR\","
      "\"items\":[1,2,3],\"customer\":\"c-12345678\"},\"ts\":"
      "\"2026-02-02T02:40:00.000000Z\"}\n\n\r\n";
  memset(&b, 0, sizeof(b));
  b.frame = frame;
  b.frame_len = sizeof(frame) - 1;
  b.count = subscribers;
  b.events = (uint64_t)(rate * seconds);
  b.event = eventfd(0, EFD_NONBLOCK);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof(at);
  if (bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 ||
      listen(listener, 1024) != 0 ||
      getsockname(listener, (struct sockaddr *)&at, &len) != 0)
    die("listen");
  drain_start(&d);
  for (size_t i = 0; i < subscribers; i++) {
    clients[i] = connect_to(ntohs(at.sin_port));
    drain_add(&d, clients[i]);
    b.fds[i] = accept(listener, NULL, NULL);
    if (b.fds[i] < 0)
      die("accept");
  }
  pthread_t thread;
  if (pthread_create(&thread, NULL, bare_run, &b) != 0)
    die("pthread_create");
  int64_t began = bench_wall_ns();
  for (uint64_t n = 0; n < b.events; n++) {
    sleep_until(began + (int64_t)(n * 1000000000 / rate));
    atomic_fetch_add(&b.published, 1);
    uint64_t one = 1;
    if (write(b.event, &one, sizeof(one)) < 0)
      die("eventfd");
  }
  pthread_join(thread, NULL);
  result r = {.deliveries = (double)(b.events * subscribers),
              .cpu_s = (double)b.cpu_ns / 1e9};
  drain_stop(&d);
  for (size_t i = 0; i < subscribers; i++) {
    close(b.fds[i]);
    close(clients[i]);
  }
  close(listener);
  close(b.event);
  return r;
}

static void measure(size_t subscribers, unsigned rate, double seconds) {
  static bench_samples mine, theirs;
  memset(&mine, 0, sizeof(mine));
  memset(&theirs, 0, sizeof(theirs));
  for (int i = 0; i < BENCH_RUNS_MIN; i++) {
    result a = run_ours(subscribers, rate, seconds);
    result b = run_bare(subscribers, rate, seconds);
    bench_add(&mine, a.deliveries / a.cpu_s);
    bench_add(&theirs, b.deliveries / b.cpu_s);
  }
  char name[64];
  snprintf(name, sizeof(name), "sse_%zu_subscribers_%u_a_second", subscribers,
           rate);
  bench_print(name, "deliveries/cpu-s", &mine, "epoll", &theirs);
  fflush(stdout);
}

int main(int argc, char **argv) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  double seconds = bench_seconds(argc, argv) / 4;
  if (bench_option(argc, argv, "subscribers")) {
    measure((size_t)bench_option_number(argc, argv, "subscribers", 1000),
            (unsigned)bench_option_number(argc, argv, "rate", 200), seconds);
    return 0;
  }
  measure(1000, 200, seconds);
  measure(1000, 3200, seconds);
  measure(5000, 200, seconds);
  measure(5000, 3200, seconds);
  return 0;
}
