#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "server/auth/auth.h"
#include "server/backup/backup.h"
#include "server/bus/bus.h"
#include "server/feed/feed.h"
#include "server/history/history.h"
#include "server/http/http.h"
#include "server/outbox/files.h"
#include "server/outbox/rules.h"
#include "server/sinks/sinks.h"
#include "server/store/store.h"
#include <telltale/metrics.h>

/* The event relay's routes: ingest, its verdict and answer, and what tells how
 * the server is. */
typedef struct relay relay;

/* All borrowed; they outlive the relay. */
typedef struct relay_options {
  bus *bus;
  store *store;
  auth *auth;
  backup *backup;
  sinks *sinks;
  outbox_files *outbox_files; /* may be NULL */
  outbox *outbox;             /* to wake when `routes` published */
  const outbox_rules *routes; /* NULL: nothing is published by rules */
  feed *feed;
  history *history;
  loop *const *loops;
  size_t loop_count;
  tt_metrics *metrics;
  tt_metrics *prometheus; /* a part of it, for /metrics */
  watchdog *watchdog;     /* for /readyz */
  size_t max_body;        /* bytes */
  size_t max_batch_body;  /* bytes */
  size_t max_batch;       /* events */
  tt_level log_min_level; /* the lowest of log lines that are kept */
  const char *version;
  const char *store_text; /* "sqlite:/path" or "memory" */
  const char *bus_text;
  const char *durability;
} relay_options;

tt_error relay_new(const relay_options *options, relay **out_relay);

/* Adds a group of routes that another part answers, before the server listens.
 */
void relay_add_routes(relay *r, const http_route *routes, size_t count);

/* The route table, for http_options; the relay's. */
const http_route *relay_routes(const relay *r, size_t *out_count);

/* Tells the relay where it is served, for /metrics and /api/v1/status. Before
 * the loops answer anything. `url` is copied. */
void relay_set_server(relay *r, const http_server *server, const char *url);

/* Tells the metrics what is counted without them: before somebody looks. Any
 * thread. */
void relay_collect(relay *r);

/* The lowest level of log lines that are kept, from now on. Any thread. */
void relay_set_log_min_level(relay *r, tt_level level);

/* From now on /readyz answers 503. Any thread. */
void relay_drain(relay *r);

/* For http_options.answered, with the relay as its context. */
void relay_answered(const http_route *route, int status, void *context);

/* Once the loops have stopped and the bus is closed. NULL is fine. */
void relay_free(relay *r);

#endif
