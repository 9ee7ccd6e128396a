#ifndef SINKS_SPEC_H
#define SINKS_SPEC_H

#include "lib/base/buf.h"
#include <stdbool.h>

typedef enum sink_type {
  SINK_JSONL = 1 << 0,
  SINK_S2 = 1 << 1,
  SINK_OTLP = 1 << 2,
  SINK_ANY = SINK_JSONL | SINK_S2 | SINK_OTLP
} sink_type;

/* The fields of an entry under `sinks:` in the configuration. X(field, type,
 * sinks, key, default, help); the types are those of the option table, `sinks`
 * the types of sink that have the field. */
#define SINK_FIELD_MAP(X)                                                      \
  X(name, STRING, SINK_ANY, "sinks.name", "",                                  \
    "what it is called: a-z, 0-9 and -, at most 64")                           \
  X(type, STRING, SINK_ANY, "sinks.type", "", "jsonl, s2 or otlp")             \
  X(from, STRING, SINK_ANY, "sinks.from", "",                                  \
    "where a new one begins: oldest, or tail (otlp)")                          \
  X(kinds, LIST, SINK_ANY, "sinks.filter.kinds", "relay,session,published",    \
    "which records: relay, session, published, log")                           \
  X(source, STRING, SINK_ANY, "sinks.filter.source", "",                       \
    "only these, as in a query")                                               \
  X(channel, STRING, SINK_ANY, "sinks.filter.channel", "", "the same")         \
  X(action, STRING, SINK_ANY, "sinks.filter.action", "", "the same")           \
  X(level, STRING, SINK_ANY, "sinks.filter.level", "", "the same, or >=warn")  \
  X(agent_id, STRING, SINK_ANY, "sinks.filter.agent_id", "", "the same")       \
  X(dead_letters, STRING, SINK_ANY, "sinks.dead_letters", "",                  \
    "file of what it would not take; default: STORE.NAME.dead")                \
  X(dead_letters_max, SIZE, SINK_ANY, "sinks.dead_letters_max", "64MiB",       \
    "how large that may grow")                                                 \
  X(path, STRING, SINK_JSONL, "sinks.path", "", "the file")                    \
  X(max_bytes, SIZE, SINK_JSONL, "sinks.max_bytes", "100MiB",                  \
    "a file that would be larger is closed")                                   \
  X(max_age, DURATION_MS, SINK_JSONL, "sinks.max_age", "0",                    \
    "... and one whose first line is older; 0: never")                         \
  X(keep, COUNT, SINK_JSONL, "sinks.keep", "0",                                \
    "closed files that stay, the newest; 0: all")                              \
  X(fsync, STRING, SINK_JSONL, "sinks.fsync", "flush",                         \
    "flush, always or never")                                                  \
  X(gzip, BOOL, SINK_JSONL, "sinks.gzip", "false", "compress closed files")    \
  X(endpoint, STRING, SINK_OTLP | SINK_S2, "sinks.endpoint", "",               \
    "URL of the other side")                                                   \
  X(timeout, DURATION_MS, SINK_OTLP | SINK_S2, "sinks.timeout", "0",           \
    "of one request; 0: the type's default")                                   \
  X(ca, STRING, SINK_OTLP | SINK_S2, "sinks.ca", "",                           \
    "PEM file of whom to trust")                                               \
  X(cert, STRING, SINK_OTLP, "sinks.cert", "", "PEM file of who we are")       \
  X(key, STRING, SINK_OTLP, "sinks.key", "", "PEM file of its private key")    \
  X(token_file, STRING, SINK_OTLP | SINK_S2, "sinks.token_file", "",           \
    "file of the bearer or access token")                                      \
  X(compression, STRING, SINK_OTLP, "sinks.compression", "", "gzip or none")   \
  X(service_name, STRING, SINK_OTLP, "sinks.service_name", "",                 \
    "the service.name of the resource")                                        \
  X(resource_attributes, STRING, SINK_OTLP, "sinks.resource_attributes", "",   \
    "further ones: name=value,...")                                            \
  X(exclude, LIST, SINK_OTLP, "sinks.exclude", "screenshot,monitor",           \
    "channels that are not sent")                                              \
  X(sessions, BOOL, SINK_OTLP, "sinks.sessions", "false",                      \
    "gets the sessions whose export is on, and nothing else")                  \
  X(basin, STRING, SINK_S2, "sinks.basin", "", "S2_BASIN")                     \
  X(stream, STRING, SINK_S2, "sinks.stream", "", "S2_STREAM")

typedef char *sink_field_STRING;
typedef bool sink_field_BOOL;
typedef uint64_t sink_field_SIZE;
typedef uint64_t sink_field_COUNT;
typedef uint64_t sink_field_DURATION_MS;
typedef char **sink_field_LIST; /* NULL-terminated; NULL: empty */

/* One entry, checked. Made and freed by config; texts are never NULL. */
typedef struct sink_spec {
#define X(field, type, sinks, key, value, help) sink_field_##type field;
  SINK_FIELD_MAP(X)
#undef X
  sink_type kind; /* of `type` */
  char *origin;   /* "telltale.yaml:12" */
  char *text;     /* all of it: equal specs have equal texts */
} sink_spec;

#endif
