#ifndef HISTORY_EXPORT_H
#define HISTORY_EXPORT_H

#include "lib/event/view.h"
#include "server/history/chain.h"
#include "server/history/needle.h"
#include "server/history/page.h"

/* Every matching event as one long answer, a read at a time and each only when
 * the client has taken what the one before it gave. */

typedef struct export_ask {
  page page;          /* before_seq is given; limit is how many at most */
  uint64_t head;      /* the log's end when it was asked */
  uint64_t first;     /* … and its oldest event */
  tti_filter *filter; /* owned */
  unsigned kinds;
  tti_view view;
  needle needle;
  bool csv; /* else one JSON text a line */
} export_ask;

/* Takes the filter over and answers the request. */
void export_start(chains *set, http_request *request, const export_ask *ask);

#endif
