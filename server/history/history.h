#ifndef HISTORY_HISTORY_H
#define HISTORY_HISTORY_H

#include "lib/event/view.h"
#include "server/http/describe.h"
#include "server/store/store.h"

/* Queries over the store as HTTP answers. Each runs as a chain of bounded read
 * jobs and answers on the request's loop. */
typedef struct history history;

tt_error history_new(store *s, history **out_history);
/* Between loop_stop and loop_free, before the store is closed. */
void history_free(history *h);

/* GET /events: filters, q, since, until, after, before, limit, cursor, view,
 * include; {"items": […], "next_cursor": …}. Items ascend by seq. With `after`
 * or `since` pages go forwards; without, the first page has the newest events
 * and the cursor leads to older ones. A search that takes long answers with
 * what it found and a cursor. Header Telltale-Head: the log's end when the
 * question was asked; a stream after it misses nothing. With Accept:
 * application/x-ndjson or text/csv all that match, ascending, as one stream. */
void history_list(history *h, http_request *request);

/* GET /events/recent, and of log lines GET /logs/recent: the last n matching of
 * these kinds (as query_filter takes them) as an array in order of seq.
 * Telltale-Head as above; "Telltale-Complete: false" when the search for rare
 * ones was given up before n were found. */
void history_recent(history *h, http_request *request, unsigned kinds);

/* GET /events/histogram: how many by time of receipt and level. GET
 * /events/aggregate: how many, errors and quantiles of duration_ms by a key.
 * "complete": false when not all could be counted in time; the newest were. */
void history_histogram(history *h, http_request *request);
void history_aggregate(history *h, http_request *request);

extern const http_description history_list_about, history_recent_about,
    history_log_recent_about, history_histogram_about, history_aggregate_about;

#endif
