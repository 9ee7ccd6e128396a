#ifndef METRICS_SPEC_H
#define METRICS_SPEC_H

#include <stdbool.h>
#include <stdint.h>

typedef enum metrics_type {
  METRICS_LOG = 1 << 0,
  METRICS_OTLP = 1 << 1,
  METRICS_STATSD = 1 << 2,
  METRICS_ANY = METRICS_LOG | METRICS_OTLP | METRICS_STATSD
} metrics_type;

/* The fields of an entry under `metrics:` in the configuration. X(field, type,
 * backends, key, default, help); the types are those of the option table,
 * `backends` the types of entry that have the field. */
#define METRICS_FIELD_MAP(X)                                                   \
  X(type, STRING, METRICS_ANY, "metrics.type", "", "log, otlp or statsd")      \
  X(only, LIST, METRICS_LOG, "metrics.only",                                   \
    "outbox_*,redeliver_requests,janitor_rows_deleted,notify_missed,"          \
    "publisher_lag,webhook*",                                                  \
    "the instruments that get lines; * at the end: all that begin so")         \
  X(interval, DURATION_MS, METRICS_OTLP | METRICS_STATSD, "metrics.interval",  \
    "0", "between two times; 0: the type's default")                           \
  X(endpoint, STRING, METRICS_OTLP, "metrics.endpoint", "",                    \
    "URL of the other side")                                                   \
  X(headers, STRING, METRICS_OTLP, "metrics.headers", "",                      \
    "further ones: name=value,...")                                            \
  X(token_file, STRING, METRICS_OTLP, "metrics.token_file", "",                \
    "file of the bearer token")                                                \
  X(timeout, DURATION_MS, METRICS_OTLP, "metrics.timeout", "0",                \
    "of one request; 0: ten seconds")                                          \
  X(ca, STRING, METRICS_OTLP, "metrics.ca", "", "PEM file of whom to trust")   \
  X(cert, STRING, METRICS_OTLP, "metrics.cert", "", "PEM file of who we are")  \
  X(key, STRING, METRICS_OTLP, "metrics.key", "",                              \
    "PEM file of its private key")                                             \
  X(compression, STRING, METRICS_OTLP, "metrics.compression", "",              \
    "gzip or none")                                                            \
  X(service_name, STRING, METRICS_OTLP, "metrics.service_name", "",            \
    "the service.name of the resource")                                        \
  X(resource_attributes, STRING, METRICS_OTLP, "metrics.resource_attributes",  \
    "", "further ones: name=value,...")                                        \
  X(address, STRING, METRICS_STATSD, "metrics.address",                        \
    "udp://127.0.0.1:8125", "udp://HOST:PORT or unix:/PATH")                   \
  X(prefix, STRING, METRICS_STATSD, "metrics.prefix", "telltale.",             \
    "before each name")                                                        \
  X(tags, STRING, METRICS_STATSD, "metrics.tags", "none",                      \
    "dogstatsd, or none: label values become parts of the name")

typedef char *metrics_field_STRING;
typedef uint64_t metrics_field_DURATION_MS;
typedef char **metrics_field_LIST; /* NULL-terminated; NULL: empty */

/* One entry, checked. Made and freed by config; texts are never NULL. */
typedef struct metrics_spec {
#define X(field, type, backends, key, value, help) metrics_field_##type field;
  METRICS_FIELD_MAP(X)
#undef X
  metrics_type kind; /* of `type` */
  char *origin;      /* "telltale.yaml:12" */
  char *text;        /* all of it: equal specs have equal texts */
} metrics_spec;

#endif
