#include "bench/bench.h"
#include <pthread.h>
#include <stdatomic.h>
#include <telltale/stream.h>

/* What a publish of a 250-byte payload costs: alone, with 64 readers blocked in
 * a read, and with 64 readers that read all they can (the publisher's own CPU
 * time then, since the readers use the processors too). Beside it, how long a
 * blocked reader takes to have what was published into a quiet stream. */

#define READERS 64

static tt_stream *new_stream(void) {
  tt_stream *stream = NULL;
  if (tt_stream_new(NULL, &stream)) {
    fprintf(stderr, "bench_publish: out of memory\n");
    exit(1);
  }
  return stream;
}

static char payload[251];

static void publish(void *context, size_t times) {
  tt_event event = {.source = "bench",
                    .type = "tick",
                    .category = "system",
                    .data = payload,
                    .data_len = 250};
  for (size_t i = 0; i < times; i++)
    if (tt_stream_publish(context, &event, NULL))
      exit(1);
}

typedef struct follower {
  pthread_t thread;
  tt_stream *stream;
  bool ahead; /* waits for a seq that never comes */
} follower;

/* A reader that is ahead of the head is woken like any other, finds nothing,
 * and blocks again. */
static void *follow(void *arg) {
  follower *f = arg;
  tt_reader *reader = NULL;
  tt_read_result result;
  if (tt_reader_new(f->stream, f->ahead ? UINT64_MAX : 0, &reader))
    exit(1);
  while (tt_reader_read(reader, TELLTALE_FOREVER, NULL, &result) == TT_OK)
    bench_keep(&result);
  tt_reader_free(reader);
  return NULL;
}

static void start(follower *followers, tt_stream *stream, bool ahead) {
  for (int i = 0; i < READERS; i++) {
    followers[i] = (follower){.stream = stream, .ahead = ahead};
    if (pthread_create(&followers[i].thread, NULL, follow, &followers[i]))
      exit(1);
  }
}

static void stop(follower *followers, tt_stream *stream) {
  tt_stream_close(stream);
  for (int i = 0; i < READERS; i++)
    pthread_join(followers[i].thread, NULL);
  tt_stream_free(stream);
}

static double wall_ns_each(tt_stream *stream, size_t times) {
  int64_t begin = bench_wall_ns();
  publish(stream, times);
  return (double)(bench_wall_ns() - begin) / (double)times;
}

static void bench_alone(double seconds) {
  bench_samples samples = {0};
  tt_stream *stream = new_stream();
  publish(stream, 300000); /* the ring has its memory */
  for (int i = 0; i < BENCH_RUNS_MIN; i++)
    bench_add(&samples,
              bench_run_ns(publish, stream, (int64_t)(seconds * 1e9 / 5)));
  bench_print("publish_250", "ns", &samples, NULL, NULL);
  tt_stream_free(stream);
}

static void bench_parked(size_t times) {
  bench_samples with = {0}, without = {0};
  for (int i = 0; i < BENCH_RUNS_MIN; i++) {
    follower followers[READERS];
    tt_stream *stream = new_stream();
    publish(stream, 300000);
    bench_add(&without, wall_ns_each(stream, times));
    start(followers, stream, true);
    bench_add(&with, wall_ns_each(stream, times));
    stop(followers, stream);
  }
  bench_print("publish_250_64_parked", "ns", &with, "no readers", &without);
}

static void bench_reading(double seconds) {
  bench_samples with = {0};
  follower followers[READERS];
  tt_stream *stream = new_stream();
  publish(stream, 300000);
  start(followers, stream, false);
  for (int i = 0; i < BENCH_RUNS_MIN; i++)
    bench_add(&with,
              bench_run_ns(publish, stream, (int64_t)(seconds * 1e9 / 5)));
  stop(followers, stream);
  bench_print("publish_250_64_reading_cpu", "ns", &with, NULL, NULL);
}

typedef struct latency {
  tt_reader *reader;
  _Atomic int64_t published_ns;
  _Atomic unsigned seen;
  bench_samples samples;
} latency;

static void *time_wakes(void *arg) {
  latency *l = arg;
  tt_read_result result;
  while (tt_reader_read(l->reader, TELLTALE_FOREVER, NULL, &result) == TT_OK) {
    int64_t now = bench_wall_ns();
    bench_add(&l->samples, (double)(now - l->published_ns) / 1000);
    atomic_fetch_add(&l->seen, 1);
  }
  return NULL;
}

static void bench_wake(unsigned rounds) {
  static latency l;
  pthread_t thread;
  tt_stream *stream = new_stream();
  if (tt_reader_new(stream, 0, &l.reader) ||
      pthread_create(&thread, NULL, time_wakes, &l))
    exit(1);
  struct timespec pause = {.tv_nsec = 7000000}; /* the bell sleeps again */
  for (unsigned i = 0; i < rounds; i++) {
    nanosleep(&pause, NULL);
    l.published_ns = bench_wall_ns();
    publish(stream, 1);
    while (atomic_load(&l.seen) <= i)
      nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
  }
  tt_stream_close(stream);
  pthread_join(thread, NULL);
  bench_print("publish_wake", "us", &l.samples, NULL, NULL);
  tt_reader_free(l.reader);
  tt_stream_free(stream);
}

int main(int argc, char **argv) {
  double seconds = bench_seconds(argc, argv);
  memset(payload, 'x', sizeof(payload) - 1);
  payload[0] = payload[249] = '"';
  bench_alone(seconds / 4);
  /* Five million at --seconds 20; enough bells to tell in less. */
  size_t times = (size_t)(seconds * 250000);
  bench_parked(times > 5000000 ? 5000000 : times);
  bench_reading(seconds / 4);
  bench_wake(50);
  return 0;
}
