/* How fast JSON is read: events of about 250 bytes and documents of 64 KiB,
 * once validated alone and once with the event's fields found, against
 * Jansson's json_loadb on the same bytes in the same run. Also what it costs to
 * turn one such event into a record, and a record into its views. */

#include "bench/bench.h"
#include "lib/event/parse.h"
#include "lib/event/view.h"
#include "lib/json/scan.h"
#include "lib/json/write.h"

#include <jansson.h>

#define TEXTS 64

typedef struct corpus {
  tti_slice texts[TEXTS];
  tti_buf bytes[TEXTS];
  size_t total;
} corpus;

/* A small generator of its own, so that every run reads the same bytes. */
static uint32_t next_random(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static const char *pick(uint32_t *state, const char *const *from, size_t n) {
  return from[next_random(state) % n];
}

static const char *const words[] = {"checkout",
                                    "worker-3",
                                    "GET /v1/orders/{id}",
                                    "timeout",
                                    "eu-central-1",
                                    "payment accepted",
                                    "retry",
                                    "cache miss",
                                    "naïve café",
                                    "a \"quoted\" part",
                                    "user signed in from a new device",
                                    "db",
                                    "queue=mail depth=7"};
#define WORDS (sizeof(words) / sizeof(words[0]))

static void put_head(tti_buf *out, uint32_t *state) {
  static const char *const levels[] = {"debug", "info", "warn", "error"};
  tti_buf_printf(out,
                 "{\"source\":\"shop-%u\",\"channel\":\"orders\","
                 "\"action\":\"order.%s\",\"level\":\"%s\","
                 "\"agent_id\":\"agent-%04u\",\"duration_ms\":%u,"
                 "\"ts\":\"2026-01-02T03:04:%02u.%06uZ\",\"data\":",
                 next_random(state) % 9,
                 next_random(state) % 2 ? "paid" : "new",
                 pick(state, levels, 4), next_random(state) % 10000,
                 next_random(state) % 5000, next_random(state) % 60,
                 next_random(state) % 1000000);
}

static void make_event(tti_buf *out, uint32_t *state) {
  put_head(out, state);
  tti_buf_printf(out, "{\"order\":\"ord_%08x\",\"rows\":%u,\"total\":%u.%02u,",
                 next_random(state), next_random(state) % 100,
                 next_random(state) % 1000, next_random(state) % 100);
  tti_buf_append_text(out, "\"note\":");
  tti_json_write_text(out, pick(state, words, WORDS));
  tti_buf_append_text(out, ",\"ok\":true}}");
}

/* Rows as an application logs them: short strings, numbers, a nested object, a
 * list, and now and then a long text. */
static void make_row(tti_buf *out, uint32_t *state) {
  tti_buf_printf(out, "{\"id\":%u,\"name\":", next_random(state));
  tti_json_write_text(out, pick(state, words, WORDS));
  tti_buf_append_text(out, ",\"message\":");
  tti_json_write_text(out, next_random(state) % 4
                               ? pick(state, words, WORDS)
                               : "Traceback (most recent call last):\n  File "
                                 "\"/srv/app/orders.py\", line 214, in handle\n"
                                 "    raise TimeoutError(deadline)\n"
                                 "TimeoutError: upstream did not answer");
  tti_buf_printf(out,
                 ",\"position\":{\"lat\":%u.%06u,\"lon\":-%u.%05u},"
                 "\"samples\":[%u,%u,%u,%u],\"seen\":%s,\"parent\":null}",
                 next_random(state) % 90, next_random(state) % 1000000,
                 next_random(state) % 180, next_random(state) % 100000,
                 next_random(state) % 1000, next_random(state) % 1000,
                 next_random(state) % 1000, next_random(state) % 1000,
                 next_random(state) % 2 ? "true" : "false");
}

static void make_document(tti_buf *out, uint32_t *state) {
  put_head(out, state);
  tti_buf_append_text(out, "{\"rows\":[");
  make_row(out, state);
  while (out->len < 65536) {
    tti_buf_append_text(out, ",");
    make_row(out, state);
  }
  tti_buf_append_text(out, "]}}");
}

static void make_corpus(corpus *c, void (*make)(tti_buf *, uint32_t *)) {
  uint32_t state = 20260102;
  c->total = 0;
  for (size_t i = 0; i < TEXTS; i++) {
    tti_buf_init(&c->bytes[i], 1 << 20);
    make(&c->bytes[i], &state);
    c->texts[i] = tti_buf_slice(&c->bytes[i]);
    c->total += c->texts[i].len;
  }
}

static void free_corpus(corpus *c) {
  for (size_t i = 0; i < TEXTS; i++)
    tti_buf_fini(&c->bytes[i]);
}

static void must(bool ok, const char *what) {
  if (ok)
    return;
  fprintf(stderr, "bench_json: %s failed\n", what);
  exit(1);
}

static void validate(void *context, size_t times) {
  const corpus *c = context;
  while (times--)
    for (size_t i = 0; i < TEXTS; i++)
      must(tti_json_check(c->texts[i], NULL, NULL) == TT_OK, "check");
}

static const tti_slice names[] = {{"source", 6},       {"source_event", 12},
                                  {"action", 6},       {"channel", 7},
                                  {"level", 5},        {"agent_id", 8},
                                  {"duration_ms", 11}, {"metadata", 8},
                                  {"data", 4},         {"ts", 2}};
#define NAMES (sizeof(names) / sizeof(names[0]))

static void find_fields(void *context, size_t times) {
  const corpus *c = context;
  while (times--)
    for (size_t i = 0; i < TEXTS; i++) {
      tti_json_names table;
      tti_json_value values[NAMES];
      tti_json_names_init(&table, names, NAMES);
      must(tti_json_check_fields(c->texts[i], &table, values, NULL) == TT_OK,
           "check_fields");
      bench_keep(values);
    }
}

static void jansson(void *context, size_t times) {
  const corpus *c = context;
  while (times--)
    for (size_t i = 0; i < TEXTS; i++) {
      json_t *root = json_loadb(c->texts[i].ptr, c->texts[i].len, 0, NULL);
      must(root, "json_loadb");
      json_decref(root);
    }
}

static void parse_events(void *context, size_t times) {
  const corpus *c = context;
  tti_parse_options options = {.now_us = 1};
  tti_parse_error error;
  tti_batch batch;
  tti_batch_init(&batch, TEXTS, 1 << 24);
  while (times--) {
    batch.bytes.len = batch.count = 0;
    for (size_t i = 0; i < TEXTS; i++)
      must(tti_parse_relay(c->texts[i], &options, &batch, &error) == TT_OK,
           "parse");
  }
  tti_batch_fini(&batch);
}

/* Events as records, and what they were encoded into. */
typedef struct record_set {
  tti_record records[TEXTS];
  tti_batch batch;
  tti_buf out;
} record_set;

static void make_records(record_set *set, const corpus *c) {
  tti_parse_options options = {.now_us = 1};
  tti_parse_error error;
  tti_batch_init(&set->batch, TEXTS, 1 << 24);
  tti_buf_init(&set->out, 1 << 24);
  for (size_t i = 0; i < TEXTS; i++)
    must(tti_parse_relay(c->texts[i], &options, &set->batch, &error) == TT_OK,
         "parse");
  size_t at = 0;
  for (size_t i = 0; i < TEXTS; i++) {
    tti_slice bytes = {set->batch.bytes.data + at, set->batch.lengths[i]};
    must(tti_record_decode(bytes, &set->records[i]) == TT_OK, "decode");
    at += bytes.len;
  }
}

static void encode_records(void *context, size_t times) {
  record_set *set = context;
  while (times--)
    for (size_t i = 0; i < TEXTS; i++) {
      size_t size = tti_record_size(&set->records[i]);
      set->out.len = 0;
      tti_record_encode(&set->records[i], tti_buf_reserve(&set->out, size));
      bench_keep(set->out.data);
    }
}

static void decode_records(void *context, size_t times) {
  record_set *set = context;
  while (times--) {
    size_t at = 0;
    for (size_t i = 0; i < TEXTS; i++) {
      tti_slice bytes = {set->batch.bytes.data + at, set->batch.lengths[i]};
      tti_record record;
      tti_record_decode(bytes, &record);
      bench_keep(&record);
      at += bytes.len;
    }
  }
}

static void render_relay(void *context, size_t times) {
  record_set *set = context;
  while (times--)
    for (size_t i = 0; i < TEXTS; i++) {
      set->out.len = 0;
      tti_view_render(&set->out, TTI_VIEW_RELAY, 1234567, &set->records[i]);
      bench_keep(set->out.data);
    }
}

/* GB/s of one corpus, ours and the peer's in turn. */
static void bench_corpus(const char *name, corpus *c, bench_work *work,
                         int64_t run_ns) {
  bench_samples ours = {0}, theirs = {0};
  for (int run = 0; run < BENCH_RUNS_MIN; run++) {
    bench_add(&ours, (double)c->total / bench_run_ns(work, c, run_ns));
    bench_add(&theirs, (double)c->total / bench_run_ns(jansson, c, run_ns));
  }
  bench_print(name, "GB/s", &ours, "jansson", &theirs);
}

/* Nanoseconds an event. */
static void bench_event(const char *name, void *context, bench_work *work,
                        int64_t run_ns) {
  bench_samples samples = {0};
  for (int run = 0; run < BENCH_RUNS_MIN; run++)
    bench_add(&samples, bench_run_ns(work, context, run_ns) / TEXTS);
  bench_print(name, "ns", &samples, NULL, NULL);
}

int main(int argc, char **argv) {
  static corpus events, documents;
  static record_set records;
  /* 4 pairs and 4 single measurements. */
  int64_t run_ns =
      (int64_t)(bench_seconds(argc, argv) * 1e9 / (12 * BENCH_RUNS_MIN));
  make_corpus(&events, make_event);
  make_corpus(&documents, make_document);
  make_records(&records, &events);
  bench_corpus("json_scan_250", &events, find_fields, run_ns);
  bench_corpus("json_validate_250", &events, validate, run_ns);
  bench_corpus("json_scan_64k", &documents, find_fields, run_ns);
  bench_corpus("json_validate_64k", &documents, validate, run_ns);
  bench_event("event_parse_250", &events, parse_events, run_ns);
  bench_event("record_encode_250", &records, encode_records, run_ns);
  bench_event("record_decode_250", &records, decode_records, run_ns);
  bench_event("view_relay_250", &records, render_relay, run_ns);
  tti_batch_fini(&records.batch);
  tti_buf_fini(&records.out);
  free_corpus(&events);
  free_corpus(&documents);
  return 0;
}
