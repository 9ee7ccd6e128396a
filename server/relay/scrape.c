#include "server/relay/relay_state.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Counters live where they are counted and are summed only when asked: a scrape
 * tells the backend how far each has come since the last one. */
typedef struct relay_scrape {
  pthread_mutex_t mutex; /* one scrape at a time: its ledger adds up */
  relay_ledger ledger;
  uint64_t dropped[RELAY_DROPPED_COUNT];
  uint64_t answered[RELAY_ROUTES_MAX][RELAY_STATUS_CLASSES];
  feed_counts feeds;
  http_usage usage;
} relay_scrape;

tt_error relay_scrape_new(relay *r) {
  r->scrape = calloc(1, sizeof(*r->scrape));
  if (!r->scrape)
    return TT_ENOMEM;
  pthread_mutex_init(&r->scrape->mutex, NULL);
  return TT_OK;
}

void relay_scrape_free(relay *r) {
  if (r->scrape)
    pthread_mutex_destroy(&r->scrape->mutex);
  free(r->scrape);
}

static void advance(relay *r, tt_metric metric, uint64_t now, uint64_t *last,
                    const char *label_a, const char *label_b) {
  if (now >= *last)
    tt_metrics_add(r->options.metrics, metric, now - *last, label_a, label_b);
  *last = now;
}

static void gauge(relay *r, tt_metric metric, uint64_t value) {
  tt_metrics_set(r->options.metrics, metric, (double)value, NULL, NULL);
}

static void scrape_ledger(relay *r) {
  relay_ledger now, *last = &r->scrape->ledger;
  relay_ledger_get(r, &now);
  advance(r, TT_METRIC_EVENTS_RECEIVED, now.received, &last->received, NULL,
          NULL);
  advance(r, TT_METRIC_EVENTS_STORED, now.stored, &last->stored, NULL, NULL);
  for (relay_reject i = 0; i < RELAY_REJECT_COUNT; i++)
    advance(r, TT_METRIC_EVENTS_REJECTED, now.rejected[i], &last->rejected[i],
            relay_reject_name(i), NULL);
  advance(r, TT_METRIC_EVENTS_LOST, now.lost, &last->lost, "crash", NULL);
  gauge(r, TT_METRIC_EVENTS_IN_FLIGHT, now.in_flight);
}

static void scrape_answered(relay *r) {
  static const char *const classes[RELAY_STATUS_CLASSES] = {
      "0xx", "1xx", "2xx", "3xx", "4xx", "5xx"};
  for (size_t route = 0; route < RELAY_ROUTES_MAX; route++) {
    bool none = route == RELAY_ROUTES_MAX - 1;
    if (!none && route >= r->route_count)
      continue;
    const char *name = none ? "none" : r->routes[route].name;
    for (size_t c = 0; c < RELAY_STATUS_CLASSES; c++) {
      uint64_t sum = 0;
      for (size_t l = 0; l < r->options.loop_count; l++)
        sum += atomic_load_explicit(&r->lanes[l].answered[route][c],
                                    memory_order_relaxed);
      if (sum)
        advance(r, TT_METRIC_HTTP_REQUESTS, sum, &r->scrape->answered[route][c],
                name, classes[c]);
    }
  }
}

static void scrape_emitters(relay *r) {
  uint64_t now[RELAY_DROPPED_COUNT];
  relay_dropped_sum(r, now);
  for (unsigned i = 0; i < RELAY_DROPPED_COUNT; i++)
    advance(r, TT_METRIC_EMITTER_DROPPED, now[i], &r->scrape->dropped[i],
            relay_dropped_name(i), NULL);
}

static void scrape_feed(relay *r) {
  feed_counts now, *last = &r->scrape->feeds;
  feed_counts_get(r->options.feed, &now);
  gauge(r, TT_METRIC_SSE_SUBSCRIBERS, now.subscribers);
  advance(r, TT_METRIC_SSE_DELIVERED, now.delivered, &last->delivered, NULL,
          NULL);
  advance(r, TT_METRIC_SSE_DROPPED, now.dropped, &last->dropped, NULL, NULL);
  advance(r, TT_METRIC_SSE_CATCHUPS, now.catchups, &last->catchups, NULL, NULL);
  advance(r, TT_METRIC_STORE_ERRORS, now.failures, &last->failures,
          "stream_read", NULL);
}

static void scrape_tls(relay *r, const http_usage *now, http_usage *last) {
  advance(r, TT_METRIC_TLS_HANDSHAKES, now->tls_opened, &last->tls_opened, "ok",
          NULL);
  for (int why = 0; why < HTTP_TLS_FAILURE_COUNT; why++)
    advance(r, TT_METRIC_TLS_HANDSHAKES, now->tls_failed[why],
            &last->tls_failed[why],
            http_tls_failure_name((http_tls_failure)why), NULL);
  tt_metrics_set(r->options.metrics, TT_METRIC_TLS_EXPIRY,
                 (double)now->tls_expires_s, NULL, NULL);
}

static void scrape_http(relay *r) {
  http_usage now = {0}, *last = &r->scrape->usage;
  if (r->server)
    http_server_usage(r->server, &now);
  gauge(r, TT_METRIC_HTTP_CONNECTIONS, now.connections);
  gauge(r, TT_METRIC_HTTP_BODY_BYTES, now.body_bytes);
  gauge(r, TT_METRIC_HTTP_STREAM_BYTES, now.stream_bytes);
  advance(r, TT_METRIC_HTTP_STALLED, now.stalled, &last->stalled, "timeout",
          NULL);
  advance(r, TT_METRIC_HTTP_STALLED, now.crowded, &last->crowded, "memory",
          NULL);
  if (now.tls_expires_s)
    scrape_tls(r, &now, last);
}

static void scrape_gauges(relay *r) {
  store_status status;
  tti_stream_usage ring;
  store_status_get(r->options.store, &status);
  tti_stream_usage_get(bus_stream(r->options.bus), &ring);
  gauge(r, TT_METRIC_STORE_QUEUE, status.queue_jobs);
  gauge(r, TT_METRIC_STORE_WAL_BYTES, status.wal_bytes);
  gauge(r, TT_METRIC_STORE_BYTES, status.used_bytes);
  gauge(r, TT_METRIC_STORE_HEAD, status.head_seq);
  gauge(r, TT_METRIC_STORE_OLDEST, status.oldest_seq);
  gauge(r, TT_METRIC_RING_ENTRIES, ring.entries);
  gauge(r, TT_METRIC_RING_BYTES, ring.bytes);
  gauge(r, TT_METRIC_RING_PINNED_BYTES, ring.pinned_bytes);
}

/* Whether the Accept header asks for OpenMetrics and does not rank it below
 * text/plain: Prometheus names both with q values, and the first of equal rank
 * is meant. */
static double quality(tti_slice accept, const char *type) {
  size_t len = strlen(type);
  while (accept.len) {
    const char *comma = memchr(accept.ptr, ',', accept.len);
    size_t n = comma ? (size_t)(comma - accept.ptr) : accept.len;
    tti_slice range = tti_slice_trim((tti_slice){accept.ptr, n});
    n += comma != NULL;
    accept = (tti_slice){accept.ptr + n, accept.len - n};
    if (range.len < len ||
        !tti_slice_eq_nocase((tti_slice){range.ptr, len}, tti_slice_of(type)))
      continue;
    for (size_t i = len; i + 2 < range.len; i++)
      if (range.ptr[i] == 'q' && range.ptr[i + 1] == '=' &&
          (range.ptr[i - 1] == ';' || range.ptr[i - 1] == ' ')) {
        char number[8];
        snprintf(number, sizeof(number), "%.*s", (int)(range.len - i - 2),
                 range.ptr + i + 2);
        return strtod(number, NULL);
      }
    return 1;
  }
  return 0;
}

/* Under the mutex. */
static void collect(relay *r) {
  scrape_ledger(r);
  scrape_answered(r);
  scrape_emitters(r);
  scrape_feed(r);
  scrape_http(r);
  scrape_gauges(r);
  sinks_scrape(r->options.sinks);
}

void relay_collect(relay *r) {
  pthread_mutex_lock(&r->scrape->mutex);
  collect(r);
  pthread_mutex_unlock(&r->scrape->mutex);
}

void relay_serve_metrics(http_request *request, void *context) {
  relay *r = context;
  tti_slice accept = http_request_header(request, "Accept");
  double open = quality(accept, "application/openmetrics-text");
  bool openmetrics = open > 0 && open >= quality(accept, "text/plain");
  char *text;
  size_t len;
  pthread_mutex_lock(&r->scrape->mutex);
  collect(r);
  tt_error error = tt_metrics_prometheus_render(r->options.prometheus,
                                                openmetrics, &text, &len);
  pthread_mutex_unlock(&r->scrape->mutex);
  if (error != TT_OK) {
    http_reply_error(request, 503, "out_of_memory",
                     "out of memory while rendering; try again");
    return;
  }
  http_reply_take(request, 200,
                  openmetrics ? "application/openmetrics-text; version=1.0.0; "
                                "charset=utf-8"
                              : "text/plain; version=0.0.4; charset=utf-8",
                  text, len);
}
