#ifndef OUTBOX_OUTBOX_H
#define OUTBOX_OUTBOX_H

#include "server/bus/bus.h"
#include "server/http/describe.h"
#include <telltale/metrics.h>

/* Fan-out: from a pending event to a delivery for each webhook that it matches.
 *
 *   pending rows, at most 32 ─► match ─► savepoints: deliveries in pieces,
 *   then processed or no_match, if it is still pending ─► the deliverer is
 * woken
 *
 * What fails is due again 60 s later, for as long as it takes. A batch is
 * leased in memory: the store is this server's alone, so a crash releases it,
 * and the deliveries' UNIQUE index takes what is done twice. */
typedef struct outbox outbox;

typedef struct outbox_options {
  store *store;
  bus *bus;            /* of what is published over HTTP */
  size_t max_body;     /* bytes of a request */
  tt_metrics *metrics; /* may be NULL */
  /* Deliveries were committed. On the store's writing thread; must not block.
   */
  void (*deliver)(void *context);
  void *deliver_context;
} outbox_options;

/* TT_ENOMEM. */
tt_error outbox_new(const outbox_options *options, outbox **out_outbox);

/* Runs the thread, which begins with what an earlier life left. TT_EIO. */
tt_error outbox_start(outbox *o);

/* Pending events were committed. Any thread; never blocks. */
void outbox_wake(outbox *o);

/* Webhooks were created, changed or deleted, and that is committed. Before it
 * is answered, so that an event that is published after the answer meets the
 * webhook. Any thread; never blocks. */
void outbox_webhooks_changed(outbox *o);

/* POST /api/v1/events. How many there are. */
#define OUTBOX_ROUTES 1
size_t outbox_routes(outbox *o, http_route *out_routes);

/* For the watchdog. */
watchdog_worker outbox_watch(outbox *o);

/* Ends the thread, while the store still runs. False: not within the time, and
 * nothing that it may touch can be freed. NULL is fine. */
bool outbox_stop(outbox *o, int timeout_ms);
void outbox_free(outbox *o);

#endif
