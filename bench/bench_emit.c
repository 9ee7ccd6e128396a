/* What a call of tt_emit costs its caller: with a server that takes what it is
 * sent, with one that is down while the queue fills, and with one that is down
 * and the queue full; and the same two with a spool, which takes what the one
 * that is down does not. The figures are the calling thread's CPU time; the
 * sender has its own. The events have about 250 bytes as JSON.
 *
 *   bench_emit [--seconds N]
 */
#include "bench/bench.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <telltale/emitter.h>
#include <unistd.h>

#define BATCH   1000
#define FILLING 8000   /* fits the queue of 8,192 */
#define SPOOLED 100000 /* fits a spool of 64 MiB */

/* -- A server that reads requests and answers 200, nothing more. -- */

typedef struct server {
  int listener;
  int port;
  pthread_t thread;
} server;

static void answer_all(int fd) {
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  static char buffer[4 * 1024 * 1024];
  size_t len = 0;
  for (;;) {
    ssize_t got = recv(fd, buffer + len, sizeof(buffer) - 1 - len, 0);
    if (got <= 0)
      return;
    len += (size_t)got;
    buffer[len] = '\0';
    char *end = strstr(buffer, "\r\n\r\n");
    char *length = end ? strcasestr(buffer, "\r\nContent-Length:") : NULL;
    if (!length)
      continue;
    size_t whole = (size_t)(end + 4 - buffer) + strtoul(length + 17, NULL, 10);
    if (len < whole)
      continue;
    if (send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) < 0)
      return;
    len = 0;
  }
}

static void *serve(void *context) {
  server *s = context;
  for (;;) {
    int fd = accept(s->listener, NULL, NULL);
    if (fd < 0)
      return NULL;
    answer_all(fd);
    close(fd);
  }
}

static void server_init(server *s, bool listens) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t len = sizeof(address);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  s->listener = socket(AF_INET, SOCK_STREAM, 0);
  if (s->listener < 0 || bind(s->listener, (void *)&address, len) ||
      getsockname(s->listener, (void *)&address, &len) ||
      (listens && listen(s->listener, 8)) ||
      (listens && pthread_create(&s->thread, NULL, serve, s))) {
    perror("bench_emit: socket");
    exit(1);
  }
  s->port = ntohs(address.sin_port);
}

static tt_emitter *emitter_to(const server *s, const char *spool) {
  char url[64];
  tt_emitter *emitter;
  snprintf(url, sizeof(url), "http://127.0.0.1:%d/events", s->port);
  tt_emitter_options options = {.url = url,
                                .source = "bench",
                                .agent_id = "agent-7",
                                .free_timeout_ms = 1,
                                .spool_directory = spool};
  if (tt_emitter_new(&options, &emitter)) {
    fprintf(stderr, "bench_emit: no emitter\n");
    exit(1);
  }
  return emitter;
}

static void emit_one(tt_emitter *emitter, int i) {
  tt_emit(emitter, "order.created", tt_str("customer", "c-20394857"),
          tt_int("rows", i), tt_double("amount", 19.99),
          tt_str("note", "left at the door, as asked by the customer"),
          tt_bool("paid", true));
}

static double emit_ns(tt_emitter *emitter, int count) {
  int64_t begin = bench_thread_ns();
  for (int i = 0; i < count; i++)
    emit_one(emitter, i);
  return (double)(bench_thread_ns() - begin) / count;
}

/* The queue never fills: the figure is that of copying, not of dropping. */
static void measure_up(const server *up, const char *spool, int64_t ns) {
  bench_samples samples = {0};
  tt_emitter *emitter = emitter_to(up, spool);
  emit_one(emitter, 0);
  int64_t end = bench_wall_ns() + ns;
  while (bench_wall_ns() < end || samples.count < BENCH_RUNS_MIN) {
    tt_emitter_flush(emitter, 10000);
    bench_add(&samples, emit_ns(emitter, BATCH));
  }
  tt_emitter_free(emitter);
  bench_print(spool ? "emit_up_spool" : "emit_up", "ns", &samples, NULL, NULL);
}

static void remove_spool(const char *spool) {
  char path[512];
  DIR *entries = opendir(spool);
  for (struct dirent *entry; entries && (entry = readdir(entries));) {
    snprintf(path, sizeof(path), "%s/%s", spool, entry->d_name);
    unlink(path);
  }
  if (entries)
    closedir(entries);
  rmdir(spool);
}

static uint64_t queued(tt_emitter *emitter) {
  tt_emitter_stats stats;
  tt_emitter_stats_get(emitter, &stats);
  return stats.queued;
}

/* What the caller pays while the sender moves everything to the disk, and how
 * many events a second that takes. The queue never fills. */
static void measure_spooling(const server *down, const char *spool,
                             int64_t ns) {
  bench_samples cost = {0}, rate = {0};
  int64_t end = bench_wall_ns() + ns;
  while (bench_wall_ns() < end || rate.count < BENCH_RUNS_MIN) {
    tt_emitter *emitter = emitter_to(down, spool);
    emit_one(emitter, 0);
    tt_emitter_flush(emitter, 10000); /* the server is known to be down */
    int64_t begin = bench_wall_ns();
    for (int i = 0; i < SPOOLED; i += BATCH) {
      bench_add(&cost, emit_ns(emitter, BATCH));
      while (queued(emitter) > FILLING - BATCH)
        usleep(200);
    }
    bench_add(&rate, SPOOLED * 1e9 / (double)(bench_wall_ns() - begin));
    tt_emitter_free(emitter);
    remove_spool(spool);
  }
  bench_print("emit_down_spool", "ns", &cost, NULL, NULL);
  bench_print("emit_spooled", "events/s", &rate, NULL, NULL);
}

static void measure_down(const server *down, int64_t ns) {
  bench_samples filling = {0}, full = {0};
  int64_t end = bench_wall_ns() + ns;
  while (bench_wall_ns() < end || filling.count < BENCH_RUNS_MIN) {
    tt_emitter *emitter = emitter_to(down, NULL);
    emit_one(emitter, 0); /* makes the queue and starts the thread */
    bench_add(&filling, emit_ns(emitter, FILLING));
    emit_ns(emitter, BATCH);
    bench_add(&full, emit_ns(emitter, BATCH));
    tt_emitter_free(emitter);
  }
  bench_print("emit_down", "ns", &filling, NULL, NULL);
  bench_print("emit_down_full", "ns", &full, NULL, NULL);
}

static int compare(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

#define CALLS 50000

/* Each call by itself; reading the clock is part of the figure. */
static void measure_tail(const server *up, int64_t ns) {
  static int64_t cpu[CALLS], wall[CALLS];
  bench_samples cpu_us = {0}, wall_us = {0};
  tt_emitter *emitter = emitter_to(up, NULL);
  int64_t end = bench_wall_ns() + ns;
  while (bench_wall_ns() < end || cpu_us.count < BENCH_RUNS_MIN) {
    for (int i = 0; i < CALLS; i++) {
      if (i % BATCH == 0)
        tt_emitter_flush(emitter, 10000);
      int64_t wall_begin = bench_wall_ns(), cpu_begin = bench_thread_ns();
      emit_one(emitter, i);
      cpu[i] = bench_thread_ns() - cpu_begin;
      wall[i] = bench_wall_ns() - wall_begin;
    }
    qsort(cpu, CALLS, sizeof(*cpu), compare);
    qsort(wall, CALLS, sizeof(*wall), compare);
    bench_add(&cpu_us, (double)cpu[CALLS - CALLS / 10000] / 1000);
    bench_add(&wall_us, (double)wall[CALLS - CALLS / 10000] / 1000);
  }
  tt_emitter_free(emitter);
  bench_print("emit_p9999_cpu", "us", &cpu_us, NULL, NULL);
  bench_print("emit_p9999_wall", "us", &wall_us, NULL, NULL);
}

int main(int argc, char **argv) {
  int64_t part = (int64_t)(bench_seconds(argc, argv) * 1e9 / 5);
  char directory[] = "/tmp/telltale-bench-XXXXXX", spool[64];
  server up, down;
  server_init(&up, true);
  server_init(&down, false);
  if (!mkdtemp(directory)) {
    perror("bench_emit: mkdtemp");
    return 1;
  }
  snprintf(spool, sizeof(spool), "%s/spool", directory);
  measure_up(&up, NULL, part);
  measure_up(&up, spool, part);
  measure_down(&down, part);
  measure_spooling(&down, spool, part);
  measure_tail(&up, part);
  remove_spool(spool);
  rmdir(directory);
  return 0;
}
