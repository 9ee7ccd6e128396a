#include "bench/bench.h"
#include <telltale/storage.h>
#include <unistd.h>

/* How many envelopes a second a storage writer forwards into a file of JSON
 * lines, the disk's share at the end of each run included. */

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

static double run_jsonl(const char *path) {
  tt_storage_jsonl_options options = {.path = path};
  tt_storage *storage = NULL;
  tt_storage_writer *writer = NULL;
  tt_stream *stream = full_stream();
  if (tt_storage_jsonl_new(&options, &storage) ||
      tt_storage_writer_new(stream, storage, NULL, &writer))
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
  unlink(path);
  return ENVELOPES / seconds;
}

int main(int argc, char **argv) {
  double seconds = bench_seconds(argc, argv);
  char dir[] = "/tmp/bench-storage-XXXXXX", path[64];
  if (!mkdtemp(dir))
    return 1;
  snprintf(path, sizeof(path), "%s/events.jsonl", dir);
  memset(payload, 'x', sizeof(payload) - 1);
  payload[0] = payload[249] = '"';
  bench_samples rate = {0};
  int64_t end = bench_wall_ns() + (int64_t)(seconds * 1e9);
  while (rate.count < BENCH_RUNS_MIN || bench_wall_ns() < end)
    bench_add(&rate, run_jsonl(path));
  bench_print("storage_jsonl", "/s", &rate, NULL, NULL);
  rmdir(dir);
  return 0;
}
