#ifndef RELAY_RELAY_STATE_H
#define RELAY_RELAY_STATE_H

#include "server/relay/dropped.h"
#include "server/relay/inflight.h"
#include "server/relay/intake.h"
#include "server/relay/ledger.h"
#include "server/relay/rate.h"
#include "server/relay/relay.h"

#include <stdatomic.h>

/* Shared by the files of this folder. */

typedef struct ingest ingest;

enum {
  RELAY_COUNTS_MAX = 1000,
  RELAY_RECENT_S = 10, /* what "…_per_second" is the mean of */
  RELAY_STATUS_CLASSES = 6,
  RELAY_ROUTES_MAX = 160 /* the last one counts what no route answered */
};

/* What belongs to one loop. Counters are written by that loop's thread only and
 * read by a scrape: relaxed, since nothing else is derived from seeing one. */
typedef struct relay_lane {
  relay *relay;
  loop *loop;
  loop_task task;              /* answers what is in `completed` */
  _Atomic(ingest *) completed; /* pushed by any thread, newest first */
  _Atomic bool posted;         /* the task is on its way */
  bool submitting;             /* inside bus_submit; the loop's thread only */
  ingest *idle;                /* for the next request */
  size_t idle_count;
  _Atomic uint64_t log_lines; /* accepted */
  _Atomic uint64_t refused[RELAY_REJECT_COUNT];
  _Atomic uint64_t dropped[RELAY_DROPPED_COUNT]; /* by emitters */
  _Atomic uint64_t answered[RELAY_ROUTES_MAX][RELAY_STATUS_CLASSES];
} relay_lane;

struct relay {
  relay_options options;
  http_route routes[RELAY_ROUTES_MAX - 1];
  size_t route_count;
  relay_lane *lanes; /* one a loop */
  relay_inflight inflight;
  relay_rate rate; /* of events */
  relay_rate log_rate;
  _Atomic tt_level log_min_level; /* relaxed: nothing hangs on its timing */
  char log_uuid[40];
  const http_server *server;
  char *url;
  int64_t started_us; /* monotonic */
  _Atomic bool draining;
  struct relay_scrape *scrape;
};

static inline void relay_count(_Atomic uint64_t *counter, uint64_t n) {
  atomic_store_explicit(counter,
                        atomic_load_explicit(counter, memory_order_relaxed) + n,
                        memory_order_relaxed);
}

static inline relay_lane *relay_lane_of(relay *r, const http_request *request) {
  return &r->lanes[loop_index(http_request_loop(request))];
}

/* Sums over the lanes. */
void relay_refused_sum(relay *r, uint64_t out_sums[RELAY_REJECT_COUNT]);
void relay_dropped_sum(relay *r, uint64_t out_sums[RELAY_DROPPED_COUNT]);
void relay_ledger_get(relay *r, relay_ledger *out_ledger);

/* "name":{…} of one dimension, with a comma before it; answers the sum of its
 * counts. `counts` has RELAY_COUNTS_MAX. */
uint64_t relay_write_counts(tti_buf *out, relay *r, const char *name,
                            store_dimension dimension, store_count *counts);
void relay_reply_rate(http_request *request, relay_rate *rate);

/* ---- Handlers; the context is the relay ---- */
void relay_serve_event(http_request *request, void *context);
void relay_serve_batch(http_request *request, void *context);
void relay_serve_log(http_request *request, void *context);
void relay_serve_log_batch(http_request *request, void *context);
void relay_serve_log_stats(http_request *request, void *context);
void relay_serve_log_rate(http_request *request, void *context);
void relay_serve_stats(http_request *request, void *context);
void relay_serve_rate(http_request *request, void *context);
void relay_serve_channels(http_request *request, void *context);
void relay_serve_healthz(http_request *request, void *context);
void relay_serve_readyz(http_request *request, void *context);
void relay_serve_status(http_request *request, void *context);
void relay_serve_metrics(http_request *request, void *context);

/* ---- about.c ---- */
enum { RELAY_BUCKETS_MAX = 300 };
extern const http_parameter relay_minutes[], relay_buckets[];
extern const http_description relay_event_about, relay_batch_about,
    relay_stats_about, relay_rate_about, relay_channels_about,
    relay_healthz_about, relay_readyz_about, relay_metrics_about,
    relay_status_about, relay_openapi_about, relay_page_about, relay_log_about,
    relay_log_batch_about, relay_log_stats_about, relay_log_rate_about;

/* ---- ingest.c ---- */
void relay_lane_init(relay_lane *lane, relay *r, loop *l);
void relay_lane_fini(relay_lane *lane);

/* ---- scrape.c ---- */
tt_error relay_scrape_new(relay *r);
void relay_scrape_free(relay *r);

#endif
