#include "bench/bench.h"
#include "lib/stream/stream.h"

/* What a reader pays for one envelope of 250 bytes that is there: decoded, and
 * as the server takes it. */

#define ENTRIES 20000

typedef struct context {
  tt_reader *reader;
} context;

static void read_decoded(void *arg, size_t times) {
  context *c = arg;
  tt_read_result result;
  for (size_t i = 0; i < times; i++) {
    tti_reader_seek(c->reader, 0);
    while (tt_reader_try_read(c->reader, &result))
      bench_keep(&result);
  }
}

static void read_encoded(void *arg, size_t times) {
  context *c = arg;
  tti_stream_entry entry;
  tt_read_result drop;
  for (size_t i = 0; i < times; i++) {
    tti_reader_seek(c->reader, 0);
    while (tti_reader_next(c->reader, &entry, &drop) == TTI_READ_ENTRY)
      bench_keep(&entry);
  }
}

static void measure(const char *name, bench_work *work, context *c,
                    double seconds) {
  bench_samples samples = {0};
  for (int i = 0; i < BENCH_RUNS_MIN; i++)
    bench_add(&samples,
              bench_run_ns(work, c, (int64_t)(seconds * 1e9 / 5)) / ENTRIES);
  bench_print(name, "ns", &samples, NULL, NULL);
}

int main(int argc, char **argv) {
  double seconds = bench_seconds(argc, argv);
  char payload[251];
  memset(payload, 'x', sizeof(payload) - 1);
  payload[0] = payload[249] = '"';
  tt_event event = {.source = "bench",
                    .type = "tick",
                    .category = "system",
                    .data = payload,
                    .data_len = 250};
  tt_stream *stream = NULL;
  context c;
  if (tt_stream_new(NULL, &stream) || tt_reader_new(stream, 0, &c.reader))
    return 1;
  for (int i = 0; i < ENTRIES; i++)
    if (tt_stream_publish(stream, &event, NULL))
      return 1;
  measure("reader_envelope", read_decoded, &c, seconds / 2);
  measure("reader_entry", read_encoded, &c, seconds / 2);
  tt_reader_free(c.reader);
  tt_stream_free(stream);
  return 0;
}
