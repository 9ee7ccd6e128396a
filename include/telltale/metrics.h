#ifndef TELLTALE_METRICS_H
#define TELLTALE_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include <telltale/error.h>
#include <telltale/log.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every instrument: identifier, kind, name, unit, the names of its labels (NULL
 * where there is none), help. The only place an instrument is declared:
 * backends, help and docs are made from it. New ones are added at the end, so
 * that a backend built against an older table ignores what it does not know.
 * Prometheus shows counters as telltale_<name>_total and gauges as
 * telltale_<name>, with the unit, if any, after the name.
 *
 * An event that was fanned out counts as one in TT_METRIC_OUTBOX_FANOUT and, in
 * TT_METRIC_OUTBOX_MATCHED, as the number of its deliveries. */
#define TELLTALE_METRIC_MAP(X)                                                 \
  X(TT_METRIC_EVENTS_RECEIVED, COUNTER, "events_received", "", NULL, NULL,     \
    "Events that arrived at the server and could be counted")                  \
  X(TT_METRIC_EVENTS_STORED, COUNTER, "events_stored", "", NULL, NULL,         \
    "Events made as durable as promised")                                      \
  X(TT_METRIC_EVENTS_REJECTED, COUNTER, "events_rejected", "", "reason", NULL, \
    "Events refused, by reason")                                               \
  X(TT_METRIC_EVENTS_LOST, COUNTER, "events_lost", "", "reason", NULL,         \
    "Events accepted and then lost, by reason; 0 by promise under sync")       \
  X(TT_METRIC_EVENTS_IN_FLIGHT, GAUGE, "events_in_flight", "", NULL, NULL,     \
    "received - stored - rejected - lost")                                     \
  X(TT_METRIC_EMITTER_DROPPED, COUNTER, "emitter_dropped", "", "reason", NULL, \
    "Events that emitters told us they had to drop, by reason")                \
  X(TT_METRIC_HTTP_REQUESTS, COUNTER, "http_requests", "", "route", "status",  \
    "Requests answered, by route and status class")                            \
  X(TT_METRIC_HTTP_CONNECTIONS, GAUGE, "http_connections", "", NULL, NULL,     \
    "Open client connections")                                                 \
  X(TT_METRIC_HTTP_BODY_BYTES, GAUGE, "http_body", "bytes", NULL, NULL,        \
    "Bytes of bodies, requests and answers held now")                          \
  X(TT_METRIC_HTTP_STREAM_BYTES, GAUGE, "http_stream", "bytes", NULL, NULL,    \
    "Bytes that wait for the clients of event streams and exports")            \
  X(TT_METRIC_HTTP_STALLED, COUNTER, "http_stalled", "", "reason", NULL,       \
    "Connections cut off since their client took nothing, by reason")          \
  X(TT_METRIC_SSE_SUBSCRIBERS, GAUGE, "sse_subscribers", "", NULL, NULL,       \
    "Open event streams")                                                      \
  X(TT_METRIC_SSE_DELIVERED, COUNTER, "sse_delivered", "", NULL, NULL,         \
    "Events written to subscribers")                                           \
  X(TT_METRIC_SSE_DROPPED, COUNTER, "sse_dropped", "", NULL, NULL,             \
    "Events that subscribers were told they missed")                           \
  X(TT_METRIC_SSE_CATCHUPS, COUNTER, "sse_catchups", "", NULL, NULL,           \
    "Times a subscriber fell back to reading the store")                       \
  X(TT_METRIC_STORE_GROUPS, COUNTER, "store_groups", "", NULL, NULL,           \
    "Batch transactions committed")                                            \
  X(TT_METRIC_STORE_ERRORS, COUNTER, "store_errors", "", "stage", NULL,        \
    "Store operations that failed, by stage")                                  \
  X(TT_METRIC_STORE_QUEUE, GAUGE, "store_queue", "", NULL, NULL,               \
    "Mutations waiting for the store's writer")                                \
  X(TT_METRIC_STORE_WAL_BYTES, GAUGE, "store_wal", "bytes", NULL, NULL,        \
    "Size of the write-ahead log")                                             \
  X(TT_METRIC_STORE_BYTES, GAUGE, "store", "bytes", NULL, NULL,                \
    "Bytes of the store in use")                                               \
  X(TT_METRIC_STORE_HEAD, GAUGE, "store_head", "", NULL, NULL,                 \
    "Sequence number of the last stored event")                                \
  X(TT_METRIC_STORE_OLDEST, GAUGE, "store_oldest", "", NULL, NULL,             \
    "Sequence number of the oldest stored event")                              \
  X(TT_METRIC_RING_ENTRIES, GAUGE, "ring_entries", "", NULL, NULL,             \
    "Envelopes in the ring")                                                   \
  X(TT_METRIC_RING_BYTES, GAUGE, "ring", "bytes", NULL, NULL,                  \
    "Bytes held by the ring")                                                  \
  X(TT_METRIC_RING_PINNED_BYTES, GAUGE, "ring_pinned", "bytes", NULL, NULL,    \
    "Bytes of evicted chunks that readers still hold")                         \
  X(TT_METRIC_RETENTION_DELETED, COUNTER, "retention_deleted", "", NULL, NULL, \
    "Events removed by retention")                                             \
  X(TT_METRIC_ACCESS_LOG_DROPPED, COUNTER, "access_log_dropped", "", NULL,     \
    NULL, "Lines of the access log that were not written")                     \
  X(TT_METRIC_CONFIG_RELOADS, COUNTER, "config_reloads", "", "outcome", NULL,  \
    "Times the configuration was read again, by outcome")                      \
  X(TT_METRIC_CONFIG_RELOAD_OK, GAUGE, "config_last_reload_ok", "", NULL,      \
    NULL, "1 when the configuration was last read without an error, else 0")   \
  X(TT_METRIC_TLS_HANDSHAKES, COUNTER, "tls_handshakes", "", "outcome", NULL,  \
    "Connections that got to speak TLS (ok), and why others did not")          \
  X(TT_METRIC_TLS_EXPIRY, GAUGE, "tls_certificate_expiry", "seconds", NULL,    \
    NULL, "When the server's certificate ends, Unix time")                     \
  X(TT_METRIC_WORKER_STUCK, GAUGE, "worker_stuck", "", "worker", NULL,         \
    "1 while the worker has work and makes no progress")                       \
  X(TT_METRIC_WORKER_STALLS, COUNTER, "worker_stalls", "", "worker", NULL,     \
    "Times the worker stopped making progress")                                \
  X(TT_METRIC_WORKER_RESTARTS, COUNTER, "worker_restarts", "", "worker", NULL, \
    "Times another worker was put in its place")                               \
  X(TT_METRIC_SESSIONS, GAUGE, "sessions", "", NULL, NULL,                     \
    "Capture sessions that are configured")                                    \
  X(TT_METRIC_SESSION_EVENTS, COUNTER, "session_events", "", "outcome",        \
    "category", "Events sent to sessions: published, or filtered")             \
  X(TT_METRIC_LABELS_OVERFLOW, COUNTER, "metrics_labels_overflow", "",         \
    "metric", NULL,                                                            \
    "Label sets folded into \"other\" at the cardinality limit")               \
  X(TT_METRIC_SINK_APPENDED, COUNTER, "sink_appended", "", "sink", NULL,       \
    "Events that a sink's storage has taken")                                  \
  X(TT_METRIC_SINK_REJECTED, COUNTER, "sink_rejected", "", "sink", NULL,       \
    "Events that a sink's storage would not have")                             \
  X(TT_METRIC_SINK_GIVEN_UP, COUNTER, "sink_given_up", "", "sink", NULL,       \
    "Events that a sink tried to store until retention took them")             \
  X(TT_METRIC_SINK_MISSED, COUNTER, "sink_missed", "", "sink", NULL,           \
    "Events that retention took before a sink came to them")                   \
  X(TT_METRIC_SINK_DEAD_LETTERS, COUNTER, "sink_dead_letters", "", "sink",     \
    NULL, "Events put into a sink's file of dead letters")                     \
  X(TT_METRIC_SINK_FAILURES, COUNTER, "sink_failures", "", "sink", NULL,       \
    "Calls of a sink's storage that failed")                                   \
  X(TT_METRIC_SINK_LAG, GAUGE, "sink_lag", "", "sink", NULL,                   \
    "Sequence numbers from a sink's position to the last event")               \
  X(TT_METRIC_SINK_FAILING, GAUGE, "sink_failing", "", "sink", NULL,           \
    "1 while a sink's storage fails")                                          \
  X(TT_METRIC_OUTBOX_PUBLISHED, COUNTER, "outbox_events_published", "",        \
    "type", NULL, "Events written to an outbox, by type")                      \
  X(TT_METRIC_OUTBOX_FAILURES, COUNTER, "outbox_failures", "", "stage", NULL,  \
    "Work of the outbox that failed, by stage")                                \
  X(TT_METRIC_OUTBOX_FANOUT, COUNTER, "outbox_events_fanout", "", "type",      \
    NULL, "Events fanned out to the webhooks that matched, by type")           \
  X(TT_METRIC_OUTBOX_MATCHED, COUNTER, "outbox_fanout_matched", "", "type",    \
    NULL, "Deliveries made by fanning events out, by type")                    \
  X(TT_METRIC_OUTBOX_NO_MATCH, COUNTER, "outbox_events_no_match", "", "type",  \
    NULL, "Events that no webhook matched, by type")                           \
  X(TT_METRIC_REDELIVER_REQUESTS, COUNTER, "redeliver_requests", "", "scope",  \
    NULL, "Requests to deliver again, by scope")                               \
  X(TT_METRIC_JANITOR_DELETED, COUNTER, "janitor_rows_deleted", "", "table",   \
    NULL, "Rows that cleaning up removed, by table")                           \
  X(TT_METRIC_NOTIFY_MISSED, COUNTER, "notify_missed", "", NULL, NULL,         \
    "Times the poll found work that no wake had announced")                    \
  X(TT_METRIC_PUBLISHER_LAG, GAUGE, "publisher_lag", "seconds", NULL, NULL,    \
    "Age of the oldest event that waits to be fanned out")                     \
  X(TT_METRIC_WEBHOOK_ATTEMPTS, COUNTER, "webhook_attempts", "", "outcome",    \
    "status_class", "Attempts to deliver to a webhook, by how they ended")     \
  X(TT_METRIC_WEBHOOK_DURATION, HISTOGRAM, "webhook_attempt_duration",         \
    "seconds", NULL, NULL, "How long an attempt to deliver took")              \
  X(TT_METRIC_DELIVERIES_PENDING, GAUGE, "webhook_deliveries_pending", "",     \
    NULL, NULL, "Deliveries that are neither delivered nor failed")            \
  X(TT_METRIC_WEBHOOKS_AUTO_DISABLED, COUNTER, "webhooks_auto_disabled", "",   \
    NULL, NULL, "Webhooks disabled since their deliveries kept failing")       \
  X(TT_METRIC_FLEET_UPDATES, COUNTER, "fleet_updates", "", "outcome", NULL,    \
    "Updates that installed programs sent, by outcome")                        \
  X(TT_METRIC_FLEET_INSTANCES, GAUGE, "fleet_instances", "", NULL, NULL,       \
    "Installed programs that are known")                                       \
  X(TT_METRIC_FLEET_SKEWED_CLOCKS, COUNTER, "fleet_skewed_clocks", "", NULL,   \
    NULL, "Updates whose clock was more than an hour off")                     \
  X(TT_METRIC_FLEET_DROPPED, COUNTER, "fleet_dropped", "", "reason", NULL,     \
    "What installed programs could not keep or report, by reason")             \
  X(TT_METRIC_FLEET_AGGREGATE_OVERFLOW, COUNTER, "fleet_aggregate_overflow",   \
    "", NULL, NULL, "Values that aggregates no longer tell apart")             \
  X(TT_METRIC_EXPORT_FAILURES, COUNTER, "metrics_export_failures", "",         \
    "backend", "reason", "Times a backend could not hand on what was counted") \
  X(TT_METRIC_OUTBOX_FILE_LAG, GAUGE, "outbox_file_lag", "seconds", "file",    \
    NULL, "Age of the oldest event that waits in an application's database")

/* The labels whose values are these and no others, by their number, 0 or 1.
 * What has another value is counted as "other", and so is what is beyond the 64
 * values of a `type`, the 256 of a `route` and the 2,000 label sets of an
 * instrument; TT_METRIC_LABELS_OVERFLOW counts how often. */
#define TELLTALE_METRIC_VALUES_MAP(X)                                          \
  X(TT_METRIC_OUTBOX_FAILURES, 0,                                              \
    "lease|list_webhooks|insert_delivery|update_status|publish")               \
  X(TT_METRIC_REDELIVER_REQUESTS, 0, "single|fanout|since")                    \
  X(TT_METRIC_WEBHOOK_ATTEMPTS, 0,                                             \
    "delivered|retryable_failure|exhausted|webhook_deleted|skipped_disabled|"  \
    "expired")                                                                 \
  X(TT_METRIC_WEBHOOK_ATTEMPTS, 1, "1xx|2xx|3xx|4xx|5xx|none")                 \
  X(TT_METRIC_EXPORT_FAILURES, 1,                                              \
    "unreachable|busy|refused|rejected|too_large|no_memory")

typedef enum tt_metric {
#define X(id, kind, name, unit, label_a, label_b, help) id,
  TELLTALE_METRIC_MAP(X)
#undef X
      TT_METRIC_COUNT
} tt_metric;

typedef enum tt_metric_kind {
  TT_METRIC_KIND_COUNTER,
  TT_METRIC_KIND_GAUGE,
  TT_METRIC_KIND_HISTOGRAM
} tt_metric_kind;

typedef struct tt_metric_info {
  tt_metric id;
  tt_metric_kind kind;
  const char *name;
  const char *unit;
  const char *labels[2]; /* label names; NULL where there is none */
  const char *help;
} tt_metric_info;

/* The table's row, or NULL for an id that is not in it. Static. */
TELLTALE_API const tt_metric_info *tt_metric_lookup(tt_metric id);

/* Where what is counted goes. NULL is the backend that swallows it. */
typedef struct tt_metrics tt_metrics;

TELLTALE_API void tt_metrics_add(tt_metrics *metrics, tt_metric id, uint64_t n,
                                 const char *label_a, const char *label_b);
TELLTALE_API void tt_metrics_set(tt_metrics *metrics, tt_metric id,
                                 double value, const char *label_a,
                                 const char *label_b);
/* One value of a histogram, in the instrument's unit. */
TELLTALE_API void tt_metrics_observe(tt_metrics *metrics, tt_metric id,
                                     double value, const char *label_a,
                                     const char *label_b);
/* Frees the backend and the handle, when nobody counts any more. NULL is fine.
 * One that sends does so a last time, which takes at most a second. */
TELLTALE_API void tt_metrics_free(tt_metrics *metrics);

/* ---- A backend of one's own ---- */

/* The interface that a backend implements. `version` is 1; a function may be
 * NULL. They may be called from any thread, must not block and must not fail;
 * label values are borrowed for the call, NULL where the instrument has no such
 * label, and keep to the ceilings above. An id that the program was not built
 * with belongs to a newer library: it is to be ignored. */
typedef struct tt_metrics_ops {
  unsigned version;
  void (*add)(void *self, tt_metric id, uint64_t n, const char *label_a,
              const char *label_b);
  void (*set)(void *self, tt_metric id, double value, const char *label_a,
              const char *label_b);
  void (*observe)(void *self, tt_metric id, double value, const char *label_a,
                  const char *label_b);
  void (*free)(void *self);
} tt_metrics_ops;

/* A backend made of these functions, which are borrowed for its life; `self` is
 * handed to them, and theirs to free on success. TT_EINVAL, TT_ENOMEM. */
TELLTALE_API tt_error tt_metrics_new(const tt_metrics_ops *ops, void *self,
                                     tt_metrics **out_metrics);

/* ---- Backends ---- */

/* `problem`, here and below, may be NULL; it has at least TELLTALE_PROBLEM_MAX
 * bytes and says which option is wrong, after TT_EINVAL. With a NULL
 * out_metrics the options are checked and nothing is made. */

/* Swallows every call. TT_ENOMEM. */
TELLTALE_API tt_error tt_metrics_noop_new(tt_metrics **out_metrics);

/* Hands every call to each of `backends`; NULL ones are passed over. On success
 * they are the tee's, which frees them; on an error they stay the caller's.
 * TT_EINVAL: the same one twice; TT_ENOMEM. */
TELLTALE_API tt_error tt_metrics_tee_new(tt_metrics *const *backends,
                                         size_t count,
                                         tt_metrics **out_metrics);

typedef struct tt_metrics_log_options {
  tt_log_hook log;
  /* Only these instruments, by name; "outbox_*" are all that begin so. NULL:
   * every one. */
  const char *const *only;
  size_t only_count;
} tt_metrics_log_options;

/* One line a call through the hook, at info: "[metrics] event=NAME label=value
 * n=2" for a counter, "[metrics] gauge=NAME value=1.00" for a gauge, likewise
 * "histogram=". Those of the outbox have shorter lines of their own
 * ("event=outbox.published type=order.paid"); that of the age of its oldest
 * event comes each 60th time, and always when it is more than 30 seconds.
 * TT_EINVAL, TT_ENOMEM. */
TELLTALE_API tt_error tt_metrics_log_new(const tt_metrics_log_options *options,
                                         char *problem,
                                         tt_metrics **out_metrics);

/* Sums everything for a scrape. TT_ENOMEM. */
TELLTALE_API tt_error tt_metrics_prometheus_new(tt_metrics **out_metrics);

/* Renders the Prometheus text format 0.0.4, or OpenMetrics 1.0 when
 * `openmetrics`, of a backend made by tt_metrics_prometheus_new. *out_text is
 * NUL-terminated and freed with free(); *out_len may be NULL.
 * Thread-safe. TT_EINVAL for another backend, TT_ENOMEM. */
TELLTALE_API tt_error tt_metrics_prometheus_render(tt_metrics *metrics,
                                                   bool openmetrics,
                                                   char **out_text,
                                                   size_t *out_len);

/* What backends that send have in common. All zero is fine. */
typedef struct tt_metrics_push {
  int interval_ms; /* between two times that it sends; 0: the backend's own */
  /* Called on the backend's thread each time before it sends: what is shown
   * only when somebody looks is brought up to date there. May count. */
  void (*collect)(void *context);
  void *context;
  /* Counts TT_METRIC_EXPORT_FAILURES, which this backend shows itself too;
   * borrowed. NULL: none. */
  tt_metrics *failures;
  tt_log_hook log; /* why it could not send, at most once in ten seconds */
} tt_metrics_push;

typedef enum tt_statsd_tags {
  /* Label values are parts of the name: "telltale.outbox_failures.lease". */
  TT_STATSD_TAGS_NONE,
  /* "telltale.outbox_failures:1|c|#stage:lease". */
  TT_STATSD_TAGS_DOGSTATSD
} tt_statsd_tags;

typedef struct tt_metrics_statsd_options {
  tt_metrics_push push; /* each 10 seconds */
  /* "udp://HOST:PORT" or "unix:/PATH" of a datagram socket; NULL:
   * "udp://127.0.0.1:8125". Copied. */
  const char *address;
  const char *prefix; /* before each name; NULL: "telltale." Copied. */
  tt_statsd_tags tags;
} tt_metrics_statsd_options;

/* Sends what has come since the last time to a statsd server: counters as sums,
 * gauges as they are, histograms as timings in milliseconds (at most 512 an
 * interval, chosen by chance, with their rate). Packets are at most 1,432 bytes
 * over UDP and 8,192 over a Unix socket. Sums that could not be sent go with
 * the next ones. Counting never waits for the network. TT_EINVAL, TT_ENOMEM. */
TELLTALE_API tt_error
tt_metrics_statsd_new(const tt_metrics_statsd_options *options, char *problem,
                      tt_metrics **out_metrics);

/* ---- OTLP; part of libtelltale-http ---- */

/* What is left out is taken from the environment, as OpenTelemetry names it:
 * the same with _METRICS_ after OTLP wins. Texts are copied. */
typedef struct tt_metrics_otlp_options {
  /* Each minute, or OTEL_METRIC_EXPORT_INTERVAL. */
  tt_metrics_push push;
  /* http or https; "/v1/metrics" is added. OTEL_EXPORTER_OTLP_ENDPOINT, or
   * OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, which is used as it is. */
  const char *endpoint;
  const char *headers; /* "name=value,…", percent-encoded; …_HEADERS */
  /* A file that holds a bearer token; read again before each request. */
  const char *token_file;
  const char *compression;         /* "gzip" or "none"; …_COMPRESSION */
  int timeout_ms;                  /* of one request; …_TIMEOUT; 10,000 */
  const char *service_name;        /* OTEL_SERVICE_NAME; "telltale" */
  const char *resource_attributes; /* as headers; OTEL_RESOURCE_ATTRIBUTES */
  /* PEM files; …_CERTIFICATE, …_CLIENT_CERTIFICATE, …_CLIENT_KEY. */
  const char *ca_file;
  const char *cert_file;
  const char *key_file;
} tt_metrics_otlp_options;

/* Sends all sums since the backend was made, as metrics of OTLP over HTTP,
 * protobuf, cumulative; the names are "telltale." and the instrument's. After
 * 429, 502, 503, 504 or no answer the next request comes sooner, yet not before
 * Retry-After; nothing is kept meanwhile, since it has everything. TT_EINVAL,
 * TT_ENOMEM. */
TELLTALE_API tt_error
tt_metrics_otlp_new(const tt_metrics_otlp_options *options, char *problem,
                    tt_metrics **out_metrics);

#ifdef __cplusplus
}
#endif
#endif
