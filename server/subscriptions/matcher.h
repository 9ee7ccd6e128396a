#ifndef SUBSCRIPTIONS_MATCHER_H
#define SUBSCRIPTIONS_MATCHER_H

#include "lib/outbox/outbox.h"
#include "server/subscriptions/webhook.h"

/* Which webhooks an event is for. One of a webhook's event patterns must match
 * the type; of each filter that it has, one value must be the event's: AND
 * across the filters, OR within one. An event that lacks the value does not
 * match. */

/* What is matched; borrowed. */
typedef struct match_event {
  tti_slice type;
  tti_slice values[WEBHOOK_FILTERS_COUNT]; /* by webhook_filter; those of
                                              levels and labels are unused */
  tt_level level;                          /* TT_LEVEL_UNSET: it has none */
  tti_slice labels[TELLTALE_OUTBOX_LABELS_MAX];
  size_t label_count;
} match_event;

/* Borrows from the row. */
void match_event_of(const tti_outbox_row *row, match_event *out_event);

/* ---- One webhook ---- */

typedef struct subscription subscription;

/* A webhook's patterns and filters, read. Copies what it needs. TT_ENOMEM;
 * TT_ECORRUPT: its events or filters cannot be read. */
tt_error subscription_new(const webhook *row, subscription **out_subscription);
void subscription_free(subscription *s);

typedef enum match_verdict {
  MATCH_YES,
  MATCH_DISABLED,
  MATCH_TYPE,  /* no pattern matches the type */
  MATCH_FILTER /* a filter does not */
} match_verdict;

/* Whether it gets the event, and if not the first reason why; out_filter is set
 * with MATCH_FILTER, and may be NULL. */
match_verdict subscription_match(const subscription *s,
                                 const match_event *event,
                                 webhook_filter *out_filter);

/* ---- All of them ---- */

/* Found by type and then by the value of a filter, so that a search looks at
 * those that may match, however many there are. */
typedef struct matcher matcher;

tt_error matcher_new(matcher **out_matcher);
/* NULL is fine. */
void matcher_free(matcher *m);

/* Before matcher_seal. A webhook that is not enabled is left out. As
 * subscription_new. */
tt_error matcher_add(matcher *m, const webhook *row);

/* From here on nothing changes any more, and any thread may search. */
tt_error matcher_seal(matcher *m);

/* The places of the webhooks that match, in the order they were added, as
 * uint32_t into `out_found`, which is cleared; what fails is in its `error`.
 * How many webhooks were looked at. */
size_t matcher_find(const matcher *m, const match_event *event,
                    tti_buf *out_found);

size_t matcher_count(const matcher *m);
/* A webhook's id; the matcher's. */
tti_slice matcher_id(const matcher *m, uint32_t place);

#endif
