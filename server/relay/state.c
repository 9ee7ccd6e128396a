#include "server/relay/relay_state.h"

#include "lib/json/write.h"
#include "server/io/clock.h"

#include <stdlib.h>

/* What tells how the server is: counters, health, status. */

void relay_refused_sum(relay *r, uint64_t out_sums[RELAY_REJECT_COUNT]) {
  memset(out_sums, 0, RELAY_REJECT_COUNT * sizeof(*out_sums));
  for (size_t l = 0; l < r->options.loop_count; l++)
    for (size_t i = 0; i < RELAY_REJECT_COUNT; i++)
      out_sums[i] +=
          atomic_load_explicit(&r->lanes[l].refused[i], memory_order_relaxed);
}

void relay_dropped_sum(relay *r, uint64_t out_sums[RELAY_DROPPED_COUNT]) {
  memset(out_sums, 0, RELAY_DROPPED_COUNT * sizeof(*out_sums));
  for (size_t l = 0; l < r->options.loop_count; l++)
    for (size_t i = 0; i < RELAY_DROPPED_COUNT; i++)
      out_sums[i] +=
          atomic_load_explicit(&r->lanes[l].dropped[i], memory_order_relaxed);
}

void relay_ledger_get(relay *r, relay_ledger *out_ledger) {
  uint64_t refused[RELAY_REJECT_COUNT];
  bus_counts counts;
  relay_refused_sum(r, refused);
  bus_counts_get(r->options.bus, &counts);
  relay_ledger_make(&counts, refused, out_ledger);
}

uint64_t relay_write_counts(tti_buf *out, relay *r, const char *name,
                            store_dimension dimension, store_count *counts) {
  size_t n =
      store_counts(r->options.store, dimension, counts, RELAY_COUNTS_MAX);
  uint64_t sum = 0;
  tti_buf_printf(out, ",\"%s\":{", name);
  for (size_t i = 0; i < n && i < RELAY_COUNTS_MAX; i++) {
    if (i)
      tti_buf_append_char(out, ',');
    tti_json_write_key(out, tti_slice_of(counts[i].name));
    tti_buf_append_u64(out, counts[i].count);
    sum += counts[i].count;
  }
  tti_buf_append_char(out, '}');
  return sum;
}

static void write_u64(tti_buf *out, const char *key, uint64_t value) {
  tti_buf_printf(out, ",\"%s\":%llu", key, (unsigned long long)value);
}

static void write_ledger(tti_buf *out, const relay_ledger *ledger) {
  write_u64(out, "received", ledger->received);
  write_u64(out, "stored", ledger->stored);
  tti_buf_append_text(out, ",\"rejected\":{");
  for (relay_reject i = 0; i < RELAY_REJECT_COUNT; i++)
    tti_buf_printf(out, "%s\"%s\":%llu", i ? "," : "", relay_reject_name(i),
                   (unsigned long long)ledger->rejected[i]);
  tti_buf_append_char(out, '}');
  write_u64(out, "in_flight", ledger->in_flight);
  write_u64(out, "lost", ledger->lost);
}

static void write_dropped(tti_buf *out, relay *r) {
  uint64_t dropped[RELAY_DROPPED_COUNT];
  relay_dropped_sum(r, dropped);
  tti_buf_append_text(out, ",\"emitter_dropped\":{");
  for (unsigned i = 0; i < RELAY_DROPPED_COUNT; i++)
    tti_buf_printf(out, "%s\"%s\":%llu", i ? "," : "", relay_dropped_name(i),
                   (unsigned long long)dropped[i]);
  tti_buf_append_char(out, '}');
}

void relay_serve_stats(http_request *request, void *context) {
  relay *r = context;
  store_count *counts = calloc(RELAY_COUNTS_MAX, sizeof(*counts));
  feed_counts feeds;
  relay_ledger ledger;
  uint64_t lately;
  tti_buf body, parts;
  tti_buf_init(&body, 4 << 20);
  tti_buf_init(&parts, 4 << 20);
  if (counts) {
    relay_write_counts(&parts, r, "by_source", STORE_BY_SOURCE, counts);
    uint64_t total =
        relay_write_counts(&parts, r, "by_level", STORE_BY_LEVEL, counts);
    relay_write_counts(&parts, r, "by_channel", STORE_BY_CHANNEL, counts);
    feed_counts_get(r->options.feed, &feeds);
    relay_ledger_get(r, &ledger);
    relay_rate_buckets(&r->rate, server_monotonic_us(), RELAY_RECENT_S, 1,
                       &lately);
    tti_buf_printf(
        &body, "{\"total_events\":%llu,\"client_count\":%llu",
        (unsigned long long)total,
        (unsigned long long)(feeds.subscribers - feeds.log_subscribers));
    tti_buf_append(&body, parts.data, parts.len);
    tti_buf_append_text(&body, ",\"events_per_second\":");
    tti_json_write_double(&body, (double)lately / RELAY_RECENT_S);
    write_dropped(&body, r);
    write_ledger(&body, &ledger);
    tti_buf_append_char(&body, '}');
    if (parts.error)
      body.error = parts.error;
  } else {
    body.error = TT_ENOMEM;
  }
  http_reply_json(request, 200, &body);
  tti_buf_fini(&parts);
  tti_buf_fini(&body);
  free(counts);
}

/* The number, or its fallback where it makes no sense. */
static unsigned lenient(http_request *request, const http_parameter *p) {
  unsigned long long number;
  if (!tti_slice_to_u64(http_parameter_get(request, p), &number) ||
      number < p->min || number > p->max)
    tti_slice_to_u64(tti_slice_of(p->fallback), &number);
  return (unsigned)number;
}

void relay_reply_rate(http_request *request, relay_rate *rate) {
  uint64_t sums[RELAY_BUCKETS_MAX];
  unsigned long long minutes;
  if (tti_slice_to_u64(http_parameter_get(request, relay_minutes), &minutes) &&
      minutes > relay_minutes->max) {
    http_reply_error(request, 400, relay_minutes->code,
                     "minutes may be at most %llu: rates are kept for an hour; "
                     "GET /events has the rest",
                     relay_minutes->max);
    return;
  }
  unsigned window_s = 60 * lenient(request, relay_minutes);
  unsigned buckets = lenient(request, relay_buckets);
  tti_buf body;
  tti_buf_init(&body, 8192);
  relay_rate_buckets(rate, server_monotonic_us(), window_s, buckets, sums);
  for (unsigned i = 0; i < buckets; i++) {
    tti_buf_append_char(&body, i ? ',' : '[');
    tti_buf_append_u64(&body, sums[i]);
  }
  tti_buf_append_char(&body, ']');
  http_reply_json(request, 200, &body);
  tti_buf_fini(&body);
}

void relay_serve_rate(http_request *request, void *context) {
  relay_reply_rate(request, &((relay *)context)->rate);
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const store_count *)a)->name, ((const store_count *)b)->name);
}

void relay_serve_channels(http_request *request, void *context) {
  relay *r = context;
  store_count *counts = calloc(RELAY_COUNTS_MAX, sizeof(*counts));
  tti_buf body;
  tti_buf_init(&body, 1 << 20);
  size_t n = counts ? store_counts(r->options.store, STORE_BY_CHANNEL, counts,
                                   RELAY_COUNTS_MAX)
                    : 0;
  if (n)
    qsort(counts, n, sizeof(*counts), by_name);
  tti_buf_append_char(&body, '[');
  for (size_t i = 0, shown = 0; i < n; i++) {
    if (!counts[i].name[0])
      continue;
    if (shown++)
      tti_buf_append_char(&body, ',');
    tti_json_write_text(&body, counts[i].name);
  }
  tti_buf_append_char(&body, ']');
  if (!counts)
    body.error = TT_ENOMEM;
  http_reply_json(request, 200, &body);
  tti_buf_fini(&body);
  free(counts);
}

void relay_serve_healthz(http_request *request, void *context) {
  relay *r = context;
  tti_buf body;
  tti_buf_init(&body, 256);
  tti_buf_append_text(&body, "{\"ok\":true,\"version\":");
  tti_json_write_text(&body, r->options.version);
  tti_buf_append_char(&body, '}');
  http_reply_json(request, 200, &body);
  tti_buf_fini(&body);
}

void relay_serve_readyz(http_request *request, void *context) {
  relay *r = context;
  store_status status;
  store_status_get(r->options.store, &status);
  const char *reason = "";
  char stuck[200];
  /* Relaxed: nothing else hangs on seeing it at once. */
  if (atomic_load_explicit(&r->draining, memory_order_relaxed))
    reason = "shutting down";
  else if (!status.healthy)
    reason = status.reason[0] ? status.reason : "the store is not healthy";
  else if (watchdog_reason(r->options.watchdog, stuck, sizeof(stuck)))
    reason = stuck;
  tti_buf body;
  tti_buf_init(&body, 4096);
  tti_buf_printf(&body, "{\"ready\":%s,\"store\":{\"healthy\":%s}",
                 reason[0] ? "false" : "true",
                 status.healthy ? "true" : "false");
  tti_buf_append_text(&body, ",\"durability\":");
  tti_json_write_text(&body, r->options.durability);
  if (reason[0]) {
    tti_buf_append_text(&body, ",\"reason\":");
    tti_json_write_text(&body, reason);
  }
  tti_buf_append_char(&body, '}');
  http_reply_json(request, reason[0] ? 503 : 200, &body);
  tti_buf_fini(&body);
}

static void write_text(tti_buf *out, const char *key, const char *value) {
  tti_buf_printf(out, ",\"%s\":", key);
  tti_json_write_text(out, value);
}

static void write_store(tti_buf *out, relay *r, const store_status *status) {
  tti_buf_append_text(out, ",\"store\":{\"location\":");
  tti_json_write_text(out, r->options.store_text);
  write_text(out, "log", r->log_uuid);
  tti_buf_printf(out, ",\"healthy\":%s", status->healthy ? "true" : "false");
  if (!status->healthy)
    write_text(out, "reason", status->reason);
  write_u64(out, "oldest_seq", status->oldest_seq);
  write_u64(out, "head_seq", status->head_seq);
  write_u64(out, "used_bytes", status->used_bytes);
  write_u64(out, "wal_bytes", status->wal_bytes);
  write_u64(out, "queue", status->queue_jobs);
  write_u64(out, "schema_version", status->schema_version);
  tti_buf_append_char(out, '}');
}

void relay_serve_status(http_request *request, void *context) {
  relay *r = context;
  store_status status;
  relay_ledger ledger;
  feed_counts feeds;
  http_usage usage = {0};
  tti_stream_usage ring;
  tti_buf body;
  tti_buf_init(&body, 16384);
  store_status_get(r->options.store, &status);
  relay_ledger_get(r, &ledger);
  feed_counts_get(r->options.feed, &feeds);
  tti_stream_usage_get(bus_stream(r->options.bus), &ring);
  if (r->server)
    http_server_usage(r->server, &usage);
  tti_buf_append_text(&body, "{\"version\":");
  tti_json_write_text(&body, r->options.version);
  write_u64(&body, "uptime_s",
            (uint64_t)(server_monotonic_us() - r->started_us) / 1000000);
  write_text(&body, "url", r->url ? r->url : "");
  write_text(&body, "bus", r->options.bus_text);
  write_text(&body, "durability", r->options.durability);
  write_store(&body, r, &status);
  tti_buf_append_text(&body, ",\"retention\":{\"max_age_s\":");
  tti_buf_append_u64(&body,
                     (uint64_t)(store_retain_us(r->options.store) / 1000000));
  write_u64(&body, "max_bytes", store_retain_bytes(r->options.store));
  tti_buf_append_text(&body, "},\"ring\":{\"entries\":");
  tti_buf_append_u64(&body, ring.entries);
  write_u64(&body, "bytes", ring.bytes);
  write_u64(&body, "first_seq", ring.first_seq);
  write_u64(&body, "last_seq", ring.last_seq);
  tti_buf_append_text(&body, "},\"http\":{\"connections\":");
  tti_buf_append_u64(&body, usage.connections);
  write_u64(&body, "streams", usage.streams);
  write_u64(&body, "body_bytes", usage.body_bytes);
  write_u64(&body, "stream_bytes", usage.stream_bytes);
  write_u64(&body, "stalled", usage.stalled + usage.crowded);
  tti_buf_append_text(&body, "},\"subscribers\":");
  tti_buf_append_u64(&body, feeds.subscribers);
  tti_buf_append_char(&body, ',');
  sinks_write_status(r->options.sinks, &body);
  write_dropped(&body, r);
  tti_buf_printf(&body, ",\"tokens\":%s",
                 auth_has_tokens(r->options.auth) ? "true" : "false");
  write_ledger(&body, &ledger);
  outbox_files_write(r->options.outbox_files, &body);
  tti_buf_append_char(&body, '}');
  http_reply_json(request, 200, &body);
  tti_buf_fini(&body);
}
