#include "bench/bench.h"
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <telltale/storage.h>
#include <unistd.h>

/* How many envelopes a second a storage writer forwards: into a file of JSON
 * lines, the disk's share at the end of each run included; and over OTLP to a
 * receiver on this machine that reads requests and looks at nothing. */

#define ENVELOPES 60000

static char payload[251];

static tt_stream *full_stream(void) {
  tt_stream *stream = NULL;
  tt_event event = {.source = "bench",
                    .type = "tick",
                    .category = "api",
                    .data = payload,
                    .data_len = 250};
  if (tt_stream_new(NULL, &stream))
    exit(1);
  for (int i = 0; i < ENVELOPES; i++)
    if (tt_stream_publish(stream, &event, NULL))
      exit(1);
  tt_stream_close(stream);
  return stream;
}

/* All of a stream through a new writer. */
static double run(tt_storage *storage) {
  tt_storage_writer *writer = NULL;
  tt_stream *stream = full_stream();
  if (tt_storage_writer_new(stream, storage, NULL, &writer))
    exit(1);
  int64_t begin = bench_wall_ns();
  if (tt_storage_writer_run(writer, NULL) != TT_ECLOSED ||
      tt_storage_writer_close(writer, 10000))
    exit(1);
  double seconds = (double)(bench_wall_ns() - begin) / 1e9;
  tt_storage_writer_stats stats;
  tt_storage_writer_stats_get(writer, &stats);
  if (stats.appended != ENVELOPES)
    exit(1);
  tt_storage_writer_free(writer);
  tt_stream_free(stream);
  return ENVELOPES / seconds;
}

static double run_jsonl(const char *path) {
  tt_storage_jsonl_options options = {.path = path};
  tt_storage *storage = NULL;
  if (tt_storage_jsonl_new(&options, &storage))
    exit(1);
  double rate = run(storage);
  unlink(path);
  return rate;
}

static double run_otlp(const char *url) {
  tt_storage_otlp_options options = {.endpoint = url};
  tt_storage *storage = NULL;
  if (tt_storage_otlp_new(&options, NULL, &storage))
    exit(1);
  return run(storage);
}

/* ---- The receiver ---- */

static char received[65536];

/* Reads one request, of which the head is in the first reads. */
static bool drain_request(int fd) {
  size_t len = 0;
  char *end;
  do {
    ssize_t got = recv(fd, received + len, sizeof(received) - 1 - len, 0);
    if (got <= 0)
      return false;
    len += (size_t)got;
    received[len] = '\0';
    end = strstr(received, "\r\n\r\n");
  } while (!end);
  const char *field = strstr(received, "Content-Length: ");
  size_t body = field ? strtoul(field + 16, NULL, 10) : 0;
  size_t left = (size_t)(end + 4 - received) + body - len;
  while (left) {
    ssize_t got = recv(fd, received,
                       left < sizeof(received) ? left : sizeof(received), 0);
    if (got <= 0)
      return false;
    left -= (size_t)got;
  }
  return true;
}

static void *receive(void *arg) {
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  for (int listener = *(int *)arg;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
      return NULL;
    while (drain_request(fd) &&
           send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) > 0)
      ;
    close(fd);
  }
}

static int start_receiver(pthread_t *out_thread, int *listener) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t len = sizeof(address);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  *listener = socket(AF_INET, SOCK_STREAM, 0);
  if (*listener < 0 || bind(*listener, (struct sockaddr *)&address, len) ||
      getsockname(*listener, (struct sockaddr *)&address, &len) ||
      listen(*listener, 4) ||
      pthread_create(out_thread, NULL, receive, listener))
    exit(1);
  return ntohs(address.sin_port);
}

int main(int argc, char **argv) {
  double seconds = bench_seconds(argc, argv);
  char dir[] = "/tmp/bench-storage-XXXXXX", path[64];
  if (!mkdtemp(dir))
    return 1;
  snprintf(path, sizeof(path), "%s/events.jsonl", dir);
  memset(payload, 'x', sizeof(payload) - 1);
  payload[0] = payload[249] = '"';
  bench_samples jsonl = {0}, otlp = {0};
  pthread_t thread;
  int listener;
  char url[64];
  snprintf(url, sizeof(url), "http://127.0.0.1:%d",
           start_receiver(&thread, &listener));
  int64_t end = bench_wall_ns() + (int64_t)(seconds * 1e9);
  while (jsonl.count < BENCH_RUNS_MIN || bench_wall_ns() < end) {
    bench_add(&jsonl, run_jsonl(path));
    bench_add(&otlp, run_otlp(url));
  }
  bench_print("storage_jsonl", "/s", &jsonl, NULL, NULL);
  bench_print("storage_otlp", "/s", &otlp, NULL, NULL);
  shutdown(listener, SHUT_RDWR);
  pthread_join(thread, NULL);
  rmdir(dir);
  return 0;
}
