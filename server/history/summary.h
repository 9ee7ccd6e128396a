#ifndef HISTORY_SUMMARY_H
#define HISTORY_SUMMARY_H

#include "server/history/chain.h"
#include "server/history/needle.h"
#include "server/history/page.h"
#include "server/history/tally.h"

/* Counts over all matching events, the newest first, for as long as a summary
 * may take. */

typedef struct summary_ask {
  page page;          /* since_us, until_us and before_seq */
  tti_filter *filter; /* owned */
  unsigned kinds;
  needle needle;
  bool by_time; /* a timeline of `buckets`, else a tally by `by` */
  size_t buckets;
  tally_by by;
} summary_ask;

/* Takes the filter over and answers the request. */
void summary_start(chains *set, http_request *request, const summary_ask *ask);

#endif
