#ifndef HISTORY_HISTORY_H
#define HISTORY_HISTORY_H

#include "lib/event/view.h"
#include "server/http/http.h"
#include "server/store/store.h"

/* Queries over the store as HTTP answers. Each runs as a chain of bounded read
 * jobs and answers on the request's loop. */
typedef struct history history;

tt_error history_new(store *s, history **out_history);
void history_free(history *h);

/* GET /events: filters, since, until, after, before, limit, cursor, view;
 * {"items": […], "next_cursor": …}. */
void history_list(history *h, http_request *request);

/* GET /events/recent: the last n matching as an array in order of seq. */
void history_recent(history *h, http_request *request);

#endif
