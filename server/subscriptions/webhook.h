#ifndef SUBSCRIPTIONS_WEBHOOK_H
#define SUBSCRIPTIONS_WEBHOOK_H

#include "server/store/tables/webhooks.h"

#include <jansson.h>

/* A webhook as its maker gives it, and as it is shown:
 *
 *   {"url": "https://…", "events": ["order.*"], "description": "…",
 *    "filters": {"sources": ["shop"], "labels": ["vip"]},
 *    "headers": {"Authorization": "Bearer …"},
 *    "format": "standard", "ordered": false, "enabled": true}
 */
enum {
  WEBHOOK_URL = 1 << 0,
  WEBHOOK_EVENTS = 1 << 1,
  WEBHOOK_DESCRIPTION = 1 << 2,
  WEBHOOK_FILTERS = 1 << 3,
  WEBHOOK_HEADERS = 1 << 4,
  WEBHOOK_FORMAT = 1 << 5,
  WEBHOOK_ORDERED = 1 << 6,
  WEBHOOK_ENABLED = 1 << 7
};

/* What a body says of a webhook, checked. */
typedef struct webhook_change {
  unsigned given; /* which members it has; the rest of `row` is not set */
  webhook row;    /* borrows from what follows */
  json_t *root;
  char *events, *filters, *headers;
} webhook_change;

typedef struct webhook_refusal {
  const char *code; /* static */
  char message[512];
} webhook_refusal;

/* Reads the body of a POST (`creates`: url and events are required), or of a
 * PATCH, where null takes description, filters or headers away. False:
 * *out_refusal says why, with status 400. Whether the url may be called is left
 * to whoever calls it. */
bool webhook_change_parse(tti_slice body, bool creates,
                          webhook_change *out_change,
                          webhook_refusal *out_refusal);
void webhook_change_fini(webhook_change *change);

/* Puts what is given into `row`, which borrows from the change; the rest stays.
 * What was not given for a new webhook is to be put there first:
 * webhook_default. */
void webhook_change_apply(const webhook_change *change, webhook *row);

/* A webhook without an id, url, events and secret, as of now. */
webhook webhook_default(int64_t now_us);

/* As JSON, without secrets: of the headers only the names are shown. */
void webhook_write(tti_buf *out, const webhook *row);
/* The same, and its signing_secret: for who has just made it. */
void webhook_write_with_secret(tti_buf *out, const webhook *row);

/* ---- What may be asked for ---- */

/* An exact type, "order.*" or "*". */
bool webhook_is_pattern(tti_slice text);

typedef enum webhook_filter {
  WEBHOOK_SOURCES,
  WEBHOOK_CHANNELS,
  WEBHOOK_AGENT_IDS,
  WEBHOOK_LEVELS,
  WEBHOOK_SUBJECTS,
  WEBHOOK_LABELS,
  WEBHOOK_FILTERS_COUNT
} webhook_filter;

/* "sources" … */
extern const tti_slice webhook_filter_names[WEBHOOK_FILTERS_COUNT];

#define WEBHOOK_LIST_MAX 50

#endif
