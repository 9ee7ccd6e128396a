#ifndef WEBHOOKS_INTERNAL_H
#define WEBHOOKS_INTERNAL_H

#include "server/api/call.h"
#include "server/http/describe.h"
#include "server/io/clock.h"
#include "server/store/tables/delivery_lists.h"
#include "server/store/tables/outbox.h"
#include "server/store/tables/webhooks.h"
#include "server/webhooks/cursor.h"
#include "server/webhooks/webhooks.h"

#include <jansson.h>
#include <stddef.h>

typedef struct since_jobs since_jobs;

struct webhook_api {
  webhook_api_options options;
  since_jobs *since;
};

/* ---- What the routes have in common ---- */

void webhook_api_changed(webhook_api *api);
void webhook_api_due(webhook_api *api);

/* 404 about a webhook, delivery or event of the path. */
void webhook_api_missing(api_call *call, const char *what, const char *name);

/* 410 about an event. */
void webhook_api_expired(api_call *call);

/* A body that is an object of `names`, or that there is not; NULL: answered.
 * Freed by the caller. */
json_t *webhook_api_body(http_request *request, const tti_slice *names,
                         size_t count);

/* A text of a body in memory of the request; ptr NULL: it is none. */
tti_slice webhook_api_text(http_request *request, const json_t *value);

/* api_call_key, for a route about what "{id}" stands for. */
bool webhook_api_key(api_call *call, const char *route);

/* ids of 16 random bytes as the two numbers that an idempotent change keeps,
 * and back. */
void webhook_api_pack(const char *id, store_job *job);
void webhook_api_unpack(const char *prefix, const store_job *job,
                        char out_id[TABLES_ID_SIZE]);

/* "name":value with a comma before it; nothing where there is no value. */
void webhook_api_put_time(tti_buf *out, const char *name, int64_t us);
void webhook_api_put_text(tti_buf *out, const char *name, tti_slice text);

void webhook_api_put_delivery(tti_buf *out, const delivery *row);
extern const char *const webhook_api_delivery_statuses[];

/* ---- Pages ---- */

/* One page of a list, read in pieces of a few milliseconds. What a route keeps
 * for it begins with this. */
typedef struct api_page {
  api_call call;
  webhook_api *api;
  /* Writes items from `from` on, each after page_next, moves `from`, and clears
   * `ended` unless nothing is behind. On a reading thread. */
  tt_error (*read)(struct api_page *page, store_tx *tx);
  uint64_t hash;
  cursor from;
  char last[CURSOR_LAST_MAX + 1]; /* what from.last points to */
  unsigned long long limit;
  size_t count;
  bool ended;
  const char *missing; /* whose 404 stands for TT_ENOTFOUND … */
  bool expired;        /* … or 410, of an event */
  int64_t until_us;    /* monotonic: no further piece is begun after it */
} api_page;

/* `list` and its filters are what the cursor is bound to. NULL: answered. */
void *api_page_new(http_request *request, webhook_api *api, size_t size,
                   tt_error (*read)(api_page *page, store_tx *tx),
                   const char *list, const tti_slice *filters, size_t count);
void api_page_run(api_page *page);

/* Whether one more item has room; then its comma is written, and the page goes
 * on behind it. */
bool api_page_next(api_page *page, int64_t at, tti_slice last);

/* Nothing up to here is on the page, and there is more behind it. */
void api_page_pass(api_page *page, int64_t at, tti_slice last);

extern const http_parameter webhook_page_parameters[];
extern const http_parameter delivery_status_parameter[];
extern const http_parameter event_filter_parameters[];

/* ---- The routes, http_handlers with a webhook_api as their context ---- */

#define WEBHOOK_ROUTES(X)                                                      \
  X(POST, "/webhooks", webhook_create, ADMIN, WEBHOOK_BODY)                    \
  X(GET, "/webhooks", webhook_list, READ, 0)                                   \
  X(POST, "/webhooks/match", webhook_match, READ, EVENT_BODY)                  \
  X(GET, "/webhooks/{id}", webhook_show, READ, 0)                              \
  X(PATCH, "/webhooks/{id}", webhook_update, ADMIN, WEBHOOK_BODY)              \
  X(DELETE, "/webhooks/{id}", webhook_delete, ADMIN, SMALL_BODY)               \
  X(POST, "/webhooks/{id}/rotate-secret", webhook_rotate, ADMIN, SMALL_BODY)   \
  X(POST, "/webhooks/{id}/test", webhook_test, ADMIN, EVENT_BODY)              \
  X(GET, "/webhooks/{id}/deliveries", delivery_list, READ, 0)                  \
  X(GET, "/webhooks/{id}/deliveries/{delivery}", delivery_show, READ, 0)       \
  X(POST, "/webhooks/{id}/redeliver-since", since_start, ADMIN, SMALL_BODY)    \
  X(GET, "/webhooks/{id}/redeliver-since", since_state, READ, 0)               \
  X(DELETE, "/webhooks/{id}/redeliver-since", since_cancel, ADMIN, SMALL_BODY) \
  X(GET, "/events", event_list, READ, 0)                                       \
  X(GET, "/events/{id}", event_show, READ, 0)                                  \
  X(GET, "/events/{id}/explain", event_explain, READ, 0)                       \
  X(POST, "/events/{id}/redeliver", event_redeliver, ADMIN, SMALL_BODY)        \
  X(POST, "/janitor", janitor_now, ADMIN, SMALL_BODY)

#define X(method, path, name, scope, body)                                     \
  void name##_serve(http_request *request, void *context);                     \
  extern const http_description name##_about;
WEBHOOK_ROUTES(X)
#undef X

/* ---- Redeliveries in the background ---- */

tt_error since_jobs_new(webhook_api *api, since_jobs **out_jobs);
void since_jobs_close(since_jobs *jobs);
void since_jobs_free(since_jobs *jobs);

#endif
