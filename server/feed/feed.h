#ifndef FEED_FEED_H
#define FEED_FEED_H

#include "lib/event/view.h"
#include "server/auth/auth.h"
#include "server/bus/bus.h"
#include "server/http/describe.h"

/* Live event streams: one feed a loop turns the ring into bytes, renders each
 * envelope once a view, evaluates each distinct filter once an envelope, and
 * gives every subscriber what it is due in one write. A subscriber resumes from
 * the ring while it reaches back, else from the store, under one cursor. */
typedef struct feed feed;

typedef struct feed_options {
  bus *bus;
  store *store;
  auth *auth;
  loop *const *loops;
  size_t loop_count;
  uint64_t keepalive_ms; /* 0: 15,000 */
  size_t max_pending;    /* unsent bytes a subscriber; 0: 64 KiB */
  size_t cache_bytes;    /* catch-up chunks; 0: 16 MiB */
} feed_options;

/* Which records a stream shows at all, before its filter. */
typedef struct feed_scope {
  unsigned kinds;      /* STORE_KIND_BIT */
  bool log_by_channel; /* show kind log when the filter names channel "log" */
  tti_view view;       /* default; ?view= overrides */
  const char *session; /* what the ids of its sessions begin with; NULL: all */
  /* When the client says nothing: after this seq, else live from now on. */
  bool has_begin;
  uint64_t begin_after;
} feed_scope;

tt_error feed_new(const feed_options *options, feed **out_feed);

/* The ring has more. Any thread, cheap. Fits bus_options.wake. */
void feed_wake(void *context);

/* Ends the streams whose token or login is over, at once. Any thread. Fits
 * auth_watch. */
void feed_auth_changed(void *context);

/* Answers the request with an event stream (or 400). Reads Last-Event-ID,
 * ?after=, ?replay=all, ?view= and the five filters from the request. */
void feed_serve(feed *f, http_request *request, const feed_scope *scope);

typedef struct feed_counts {
  uint64_t subscribers, delivered, dropped, catchups, failures;
  uint64_t log_subscribers; /* those of subscribers that see log lines only */
} feed_counts;
void feed_counts_get(const feed *f, feed_counts *out_counts);

/* Tells every subscriber to come back (retry, with jitter) and ends the
 * streams. Any thread. */
void feed_close(feed *f);
/* Between loop_stop and loop_free, before the bus and the store are closed. */
void feed_free(feed *f);

/* What feed_serve reads besides the lists of query.h, for descriptions. */
extern const http_parameter feed_position[];
extern const http_description feed_stream_about;     /* of GET /events/stream */
extern const http_description feed_log_stream_about; /* of GET /logs/stream */

#endif
