#include "bench/bench.h"
#include "bench/store.h"
#include "server/deliver/deliver.h"
#include "server/io/clock.h"
#include "server/outbox/outbox.h"
#include "server/store/tables/deliveries.h"
#include "server/store/tables/outbox.h"
#include "server/store/tables/webhooks.h"
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* How many webhook deliveries a second leave a store under `sync` for a
 * receiver on this machine that looks at nothing, results in the store
 * included; and how long a delivery to a healthy webhook takes, from its commit
 * until the receiver has it, beside one that never answers, one that answers
 * after a second and one that answers 500, and, as the peer, without them; and
 * how long an event takes from its commit to the receiver. */

#define MANY     20000
#define HOOKS    16
#define PACED    1000
#define PACED_US 2000
#define SLOW_NS  1000000000

/* ---- The receiver ---- */

typedef struct peer {
  int fd;
  size_t len;
  char buffer[8192];
  int64_t answer_at_ns; /* 0: nothing waits */
} peer;

static struct {
  int listener, epoll, port;
  peer *slow[256];
  size_t slow_count;
  _Atomic size_t good; /* answered with 200 */
  int64_t arrived_ns[MANY + PACED];
} receiver;

static void answer(peer *p, const char *status) {
  char text[100];
  int len = snprintf(text, sizeof text,
                     "HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\n{}", status);
  if (send(p->fd, text, (size_t)len, MSG_NOSIGNAL) != len)
    exit(1);
}

/* One whole request. The path says what becomes of it, the event's id which one
 * it is. */
static void take(peer *p, size_t index) {
  switch (p->buffer[6]) { /* "POST /x" */
  case 'd':
    return;
  case 's':
    p->answer_at_ns = bench_wall_ns() + SLOW_NS;
    receiver.slow[receiver.slow_count++] = p;
    return;
  case 'f':
    answer(p, "500 Failed");
    return;
  default:
    if (index < MANY + PACED)
      receiver.arrived_ns[index] = bench_wall_ns();
    receiver.good++;
    answer(p, "200 OK");
  }
}

static void read_peer(peer *p) {
  ssize_t got =
      recv(p->fd, p->buffer + p->len, sizeof p->buffer - 1 - p->len, 0);
  if (got <= 0) {
    close(p->fd);
    p->fd = -1; /* slow ones may still point to it */
    return;
  }
  p->len += (size_t)got;
  p->buffer[p->len] = '\0';
  char *end = strstr(p->buffer, "\r\n\r\n");
  char *length = end ? strcasestr(p->buffer, "\nContent-Length:") : NULL;
  if (!length)
    return;
  size_t whole = (size_t)(end + 4 - p->buffer) + strtoul(length + 16, NULL, 10);
  if (p->len < whole)
    return;
  char *id = strcasestr(p->buffer, "\nwebhook-id: evt_");
  take(p, id ? strtoul(id + 17, NULL, 10) : SIZE_MAX);
  p->len = 0;
}

static void answer_slow(void) {
  size_t kept = 0;
  for (size_t i = 0; i < receiver.slow_count; i++) {
    peer *p = receiver.slow[i];
    if (p->answer_at_ns > bench_wall_ns())
      receiver.slow[kept++] = p;
    else if (p->fd >= 0)
      answer(p, "200 OK");
  }
  receiver.slow_count = kept;
}

static void *receive(void *unused) {
  struct epoll_event events[64];
  for (;;) {
    int count = epoll_wait(receiver.epoll, events, 64, 20);
    for (int i = 0; i < count; i++) {
      if (events[i].data.ptr) {
        read_peer(events[i].data.ptr);
        continue;
      }
      peer *p = calloc(1, sizeof *p);
      struct epoll_event event = {.events = EPOLLIN, .data.ptr = p};
      if (!p || (p->fd = accept(receiver.listener, NULL, NULL)) < 0)
        exit(1);
      epoll_ctl(receiver.epoll, EPOLL_CTL_ADD, p->fd, &event);
    }
    answer_slow();
  }
  return unused;
}

static void start_receiver(void) {
  pthread_t thread;
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t len = sizeof address;
  struct epoll_event event = {.events = EPOLLIN};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  receiver.listener = socket(AF_INET, SOCK_STREAM, 0);
  receiver.epoll = epoll_create1(0);
  if (bind(receiver.listener, (struct sockaddr *)&address, len) ||
      listen(receiver.listener, 512) ||
      getsockname(receiver.listener, (struct sockaddr *)&address, &len) ||
      epoll_ctl(receiver.epoll, EPOLL_CTL_ADD, receiver.listener, &event) ||
      pthread_create(&thread, NULL, receive, NULL))
    exit(1);
  receiver.port = ntohs(address.sin_port);
}

/* ---- The store ---- */

/* The name of a webhook is its path, too. */
static tt_error insert_webhook(store_job *job, store_tx *tx) {
  const change *c = job->owner;
  char url[100];
  snprintf(url, sizeof url, "http://127.0.0.1:%d/%s", receiver.port, c->name);
  return webhooks_insert(
      tx,
      &(webhook){.id = tti_slice_of(c->name),
                 .url = tti_slice_of(url),
                 .events = TTI_SLICE("[\"*\"]"),
                 .format = TTI_SLICE("standard"),
                 .secret = TTI_SLICE("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
                 .enabled = true,
                 .created_us = 1,
                 .updated_us = 1});
}

/* "*": each of the many in turn. */
static void name_both(const change *c, size_t i, char event[40],
                      char hook[16]) {
  bool healthy = strchr("*he", *c->name) != NULL;
  snprintf(event, 40, "evt_%zu%s", i, healthy ? "" : c->name);
  if (*c->name == '*')
    snprintf(hook, 16, "h%zu", i % HOOKS);
  else
    snprintf(hook, 16, "%s", c->name);
}

static tt_error insert_deliveries(store_job *job, store_tx *tx) {
  const change *c = job->owner;
  int64_t now_us = server_wall_us();
  tt_error error = TT_OK;
  for (size_t i = c->first; i < c->first + c->count && !error; i++) {
    char event[40], body[300], hook[16], id[TABLES_ID_SIZE];
    bool inserted;
    name_both(c, i, event, hook);
    snprintf(body, sizeof body, "{\"type\":\"a.b\",\"data\":\"%0200zu\"}", i);
    outbox_row row = {.event = {.id = tti_slice_of(event),
                                .type = TTI_SLICE("a.b"),
                                .body = tti_slice_of(body),
                                .created_us = now_us,
                                .next_poll_us = now_us,
                                .expires_us = now_us + 3600000000}};
    delivery d = {.webhook_id = tti_slice_of(hook),
                  .event_id = tti_slice_of(event),
                  .event_type = TTI_SLICE("a.b"),
                  .created_us = now_us};
    error = outbox_insert(tx, &row, &inserted);
    if (!error && *c->name != 'e') /* "e": the event alone */
      error = deliveries_insert(tx, &d, false, id, &inserted);
  }
  return error;
}

static deliver *start_deliver(store *s) {
  static char network[] = "127.0.0.0/8";
  char *networks[] = {network, NULL};
  deliver *d;
  deliver_options options = {
      .store = s, .user_agent = "bench", .allow_cidrs = networks};
  if (deliver_new(&options, &d) || deliver_start(d))
    exit(1);
  return d;
}

static void add_webhook(store *s, const char *name) {
  change c = {.name = name};
  make(s, &c, insert_webhook);
}

/* ---- Measurements ---- */

static void wait_for(size_t good) {
  while (receiver.good < good)
    usleep(1000);
}

/* The ends of all of it: the receiver has everything, the store the results. */
static double all_at_once(const char *path) {
  store *s = open_store(path);
  char name[16];
  for (size_t i = 0; i < HOOKS; i++) {
    snprintf(name, sizeof name, "h%zu", i);
    add_webhook(s, name);
  }
  for (size_t i = 0; i < MANY; i += 100) {
    change c = {.name = "*", .first = i, .count = 100};
    make(s, &c, insert_deliveries);
  }
  receiver.good = 0;
  int64_t begin_ns = bench_wall_ns();
  deliver *d = start_deliver(s);
  wait_for(MANY);
  if (!deliver_stop(d, 10000))
    exit(1);
  double seconds = (double)(bench_wall_ns() - begin_ns) / 1e9;
  deliver_free(d);
  store_close(s, 10000);
  return MANY / seconds;
}

/* One delivery to the healthy webhook every other millisecond. */
static void paced(const char *path, bool beside, bench_samples *latencies) {
  static const char *const others[] = {"dead", "slow", "failing"};
  store *s = open_store(path);
  add_webhook(s, "h");
  for (size_t i = 0; i < 3; i++)
    add_webhook(s, others[i]);
  deliver *d = start_deliver(s);
  receiver.good = 0;
  static int64_t committed_ns[PACED];
  for (size_t i = 0; i < PACED; i++) {
    if (beside && i % 10 == 0)
      for (size_t j = 0; j < 3; j++) {
        change c = {.name = others[j], .first = i, .count = 10};
        make(s, &c, insert_deliveries);
      }
    change c = {.name = "h", .first = MANY + i, .count = 1};
    make(s, &c, insert_deliveries);
    committed_ns[i] = bench_wall_ns();
    deliver_wake(d);
    usleep(PACED_US);
  }
  wait_for(PACED);
  deliver_stop(d, 100);
  for (size_t i = 0; i < PACED; i++)
    bench_add(latencies,
              (double)(receiver.arrived_ns[MANY + i] - committed_ns[i]) / 1e6);
  deliver_free(d);
  store_close(s, 10000);
}

static void on_deliveries(void *context) {
  deliver_wake(context);
}

/* One event every other millisecond, fanned out to the healthy webhook. */
static void published(const char *path, bench_samples *latencies) {
  static int64_t committed_ns[PACED];
  outbox *o;
  store *s = open_store(path);
  add_webhook(s, "h");
  deliver *d = start_deliver(s);
  outbox_options options = {
      .store = s, .deliver = on_deliveries, .deliver_context = d};
  if (outbox_new(&options, &o) || outbox_start(o))
    exit(1);
  receiver.good = 0;
  for (size_t i = 0; i < PACED; i++) {
    change c = {.name = "e", .first = MANY + i, .count = 1};
    make(s, &c, insert_deliveries);
    committed_ns[i] = bench_wall_ns();
    outbox_wake(o);
    usleep(PACED_US);
  }
  wait_for(PACED);
  outbox_stop(o, 1000);
  deliver_stop(d, 1000);
  for (size_t i = 0; i < PACED; i++)
    bench_add(latencies,
              (double)(receiver.arrived_ns[MANY + i] - committed_ns[i]) / 1e6);
  store_close(s, 10000);
  outbox_free(o);
  deliver_free(d);
}

static void print_quantile(const char *name, double q, bench_samples *beside,
                           bench_samples *alone) {
  bench_samples ours = {0}, theirs = {0};
  bench_add(&ours, bench_quantile(beside, q));
  if (alone)
    bench_add(&theirs, bench_quantile(alone, q));
  bench_print(name, "ms", &ours, alone ? "without the others" : NULL, &theirs);
}

int main(int argc, char **argv) {
  static bench_samples rates, beside, alone, whole;
  double seconds = bench_seconds(argc, argv);
  char path[64];
  start_receiver();
  int64_t begin_ns = bench_wall_ns();
  do {
    in_new_file(path);
    bench_add(&rates, all_at_once(path));
  } while ((double)(bench_wall_ns() - begin_ns) / 1e9 < seconds);
  bench_print("deliver", "deliveries/s", &rates, NULL, NULL);
  in_new_file(path);
  paced(path, false, &alone);
  in_new_file(path);
  paced(path, true, &beside);
  print_quantile("deliver_healthy_p50", 0.5, &beside, &alone);
  print_quantile("deliver_healthy_p99", 0.99, &beside, &alone);
  in_new_file(path);
  published(path, &whole);
  print_quantile("publish_to_request_p50", 0.5, &whole, NULL);
  print_quantile("publish_to_request_p99", 0.99, &whole, NULL);
  in_new_file(path);
  return 0;
}
