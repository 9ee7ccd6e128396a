#ifndef HISTORY_QUERY_H
#define HISTORY_QUERY_H

#include "lib/event/filter.h"
#include "lib/event/view.h"
#include "server/history/needle.h"
#include "server/http/describe.h"
#include "server/store/store.h"

/* What the read routes take from their query string. Each answers the request
 * with 400 and returns false where the input is wrong. The lists are for the
 * descriptions of routes that use them. */
extern const http_parameter query_filters[]; /* query_filter */
extern const http_parameter query_include[]; /* the same */
extern const http_parameter query_text[];    /* query_needle */
extern const http_parameter query_views[];   /* query_view */

/* What the routes for events show, and those for log lines. */
#define QUERY_EVENTS                                                           \
  (STORE_KIND_BIT(TTI_KIND_RELAY) | STORE_KIND_BIT(TTI_KIND_SESSION) |         \
   STORE_KIND_BIT(TTI_KIND_PUBLISHED))
#define QUERY_LOGS STORE_KIND_BIT(TTI_KIND_LOG)

/* The five filters, and the kinds of record (STORE_KIND_BIT): `kinds`, and log
 * lines too with include=log, or when the filter names the channel "log". For
 * QUERY_LOGS a level alone stands for itself and those above.
 * The filter is the caller's to free. */
bool query_filter(http_request *request, unsigned kinds,
                  tti_filter **out_filter, unsigned *out_kinds);

/* ?q=; an empty one finds everything. */
bool query_needle(http_request *request, needle *out_needle);

/* ?view=relay|envelope; `fallback` when it is not given. */
bool query_view(http_request *request, tti_view fallback, tti_view *out_view);

/* What the client would rather have, by its Accept header: a page of JSON
 * unless it names one of the others with a weight that is not lower. */
typedef enum query_format {
  QUERY_JSON,
  QUERY_NDJSON, /* application/x-ndjson */
  QUERY_CSV     /* text/csv */
} query_format;
query_format query_accept(tti_slice accept);

#endif
