#include "server/history/history.h"
#include "server/history/about.h"
#include "server/history/chain.h"
#include "server/history/export.h"
#include "server/history/query.h"
#include "server/history/search.h"
#include "server/history/summary.h"
#include "server/io/clock.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A search for something rare gives up after this long and answers with what
 * it has and a cursor to go on from. */
#define SEARCH_US 2000000
/* The same for one that looks through every event's text. */
#define TEXT_SEARCH_US 1000000

struct history {
  chains chains;
  char log_uuid[40];
};

/* One request for a page. */
typedef struct asking {
  chain chain;
  search search;
  http_request *request;
  bool recent;
  int64_t stop_us; /* monotonic */
  size_t held;     /* of the budget, for rows and items */
} asking;

static void asking_free(chain *c) {
  asking *a = (asking *)c;
  search_fini(&a->search);
  free(a);
}

static void answer(asking *a) {
  tti_buf body;
  tti_buf_init(&body, SIZE_MAX);
  if (a->recent) {
    if (a->search.cut)
      http_reply_header(a->request, "Telltale-Complete", "false");
    search_items(&a->search, &body);
  } else {
    search_page(&a->search, &body);
  }
  size_t len;
  char *bytes = tti_buf_take(&body, &len);
  http_request_unhold(a->request, a->held);
  if (bytes)
    http_reply_take(a->request, 200, "application/json", bytes, len);
  else
    chain_reply_memory(a->request);
  chain_end(&a->chain);
}

/* What is gathered counts like a body: many that ask for much at once must not
 * take more than the budget. */
static bool hold(asking *a) {
  enum { FREE = 64 << 10 };
  size_t has = a->search.items.cap + a->search.read.rows.cap;
  if (has <= FREE || has <= a->held)
    return true;
  if (!http_request_hold(a->request, has - a->held))
    return false;
  a->held = has;
  return true;
}

static void go_on(chain *c) {
  asking *a = (asking *)c;
  bool again = a->search.read.error == TT_OK &&
               search_take(&a->search, server_monotonic_us() < a->stop_us);
  if (!hold(a)) {
    http_reply_header(a->request, "Retry-After", "1");
    http_reply_error(a->request, 503, "overloaded",
                     "the memory for answers is used up; ask for less at once "
                     "or try again in a second");
    chain_end(c);
  } else if (again) {
    chain_submit(c);
  } else if (a->search.read.error == TT_OK) {
    answer(a);
  } else {
    chain_reply_failed(a->request, a->search.read.error);
    chain_end(c);
  }
}

/* Takes the filter over. */
static void start(history *h, http_request *request, tti_filter *filter,
                  unsigned kinds, const needle *looked_for, tti_view view,
                  const page *from, const page *bounds, bool recent) {
  asking *a = calloc(1, sizeof(*a));
  if (!a || search_init(&a->search, filter, kinds, looked_for, view, from,
                        bounds) != TT_OK) {
    if (!a)
      tti_filter_free(filter);
    free(a);
    chain_reply_memory(request);
    return;
  }
  a->chain.read = &a->search.read;
  a->chain.step = go_on;
  a->chain.free_fn = asking_free;
  a->request = request;
  a->recent = recent;
  a->stop_us = server_monotonic_us() +
               (looked_for && looked_for->len > 0 ? TEXT_SEARCH_US : SEARCH_US);
  chain_begin(&a->chain, &h->chains, request, false);
  chain_submit(&a->chain);
}

/* Nothing after this seq is shown; who goes on with the stream after it misses
 * nothing. */
static uint64_t reply_head(history *h, http_request *request) {
  store_status status;
  char text[24];
  store_status_get(h->chains.store, &status);
  snprintf(text, sizeof(text), "%" PRIu64, status.head_seq);
  http_reply_header(request, "Telltale-Head", text);
  http_reply_header(request, "Telltale-Log", h->log_uuid);
  http_reply_header(request, "Cache-Control", "no-store");
  return status.head_seq;
}

static bool read_bounds(http_request *request, const page_input *input,
                        page *out_page) {
  const char *bad, *hint;
  if (page_parse(input, out_page, &bad, &hint))
    return true;
  char code[32];
  snprintf(code, sizeof(code), "invalid_%s", bad);
  http_reply_error(request, 400, code, "%s has to be %s", bad, hint);
  return false;
}

static bool read_page(http_request *request, bool all, page *out_page) {
  page_input input = {.after = http_parameter_get(request, history_after),
                      .before = http_parameter_get(request, history_before),
                      .since = http_parameter_get(request, history_since),
                      .until = http_parameter_get(request, history_until),
                      .limit = http_parameter_get(request, history_limit),
                      .all = all};
  return read_bounds(request, &input, out_page);
}

static void answer_all(history *h, http_request *request, bool csv) {
  export_ask ask = {.csv = csv};
  store_status status;
  if (http_request_is_1_0(request)) {
    http_reply_error(request, 505, "http_version",
                     "an export needs HTTP/1.1: with HTTP/1.0 a client cannot "
                     "see whether the answer is whole");
    return;
  }
  if (http_parameter_get(request, history_cursor).len > 0) {
    http_reply_error(request, 400, "invalid_cursor",
                     "an export has no pages: to go on, give after=<the last "
                     "seq that you have>");
    return;
  }
  if (!read_page(request, true, &ask.page) ||
      !query_view(request, TTI_VIEW_RELAY, &ask.view) ||
      !query_needle(request, &ask.needle) ||
      !query_filter(request, QUERY_EVENTS, &ask.filter, &ask.kinds))
    return;
  store_status_get(h->chains.store, &status);
  ask.first = status.oldest_seq;
  ask.head = reply_head(h, request);
  if (ask.page.before_seq == 0 || ask.page.before_seq > ask.head + 1)
    ask.page.before_seq = ask.head + 1;
  export_start(&h->chains, request, &ask);
}

void history_list(history *h, http_request *request) {
  page bounds;
  query_format format = query_accept(http_request_header(request, "Accept"));
  http_reply_header(request, "Vary", "Accept");
  if (format != QUERY_JSON) {
    answer_all(h, request, format == QUERY_CSV);
    return;
  }
  if (!read_page(request, false, &bounds))
    return;
  tti_filter *filter;
  unsigned kinds;
  tti_view view;
  needle looked_for;
  if (!query_view(request, TTI_VIEW_RELAY, &view) ||
      !query_needle(request, &looked_for) ||
      !query_filter(request, QUERY_EVENTS, &filter, &kinds))
    return;
  bounds.text_hash = needle_hash(&looked_for);
  page from = bounds;
  tti_slice cursor = http_parameter_get(request, history_cursor);
  if (cursor.len > 0 && !page_go_on(&from, filter, kinds, cursor)) {
    http_reply_error(request, 400, "invalid_cursor",
                     "cursor is not one of this query: give it back as it was "
                     "answered, with the same filters and bounds");
    tti_filter_free(filter);
    return;
  }
  uint64_t head = reply_head(h, request);
  if (from.before_seq == 0 || from.before_seq > head + 1)
    from.before_seq = head + 1;
  start(h, request, filter, kinds, &looked_for, view, &from, &bounds, false);
}

void history_recent(history *h, http_request *request, unsigned kinds) {
  tti_filter *filter;
  tti_view view;
  if (!query_view(request, TTI_VIEW_RELAY, &view) ||
      !query_filter(request, kinds, &filter, &kinds))
    return;
  page from = {.limit = page_recent(http_parameter_get(request, history_n))};
  from.before_seq = reply_head(h, request) + 1;
  start(h, request, filter, kinds, NULL, view, &from, &from, true);
}

#define HOUR_US (INT64_C(3600) * 1000000)

/* Since, until, the filters and q. */
static bool read_summary(history *h, http_request *request, summary_ask *ask) {
  page_input input = {.since = http_parameter_get(request, history_since),
                      .until = http_parameter_get(request, history_until)};
  if (!read_bounds(request, &input, &ask->page))
    return false;
  if (ask->by_time && ask->page.until_us == 0)
    ask->page.until_us = server_wall_us() + 1;
  if (ask->by_time && ask->page.since_us == 0)
    ask->page.since_us = ask->page.until_us - HOUR_US;
  if (ask->page.until_us && ask->page.since_us >= ask->page.until_us) {
    http_reply_error(request, 400, "invalid_until",
                     "until has to be after since");
    return false;
  }
  if (!query_needle(request, &ask->needle) ||
      !query_filter(request, QUERY_EVENTS, &ask->filter, &ask->kinds))
    return false;
  ask->page.before_seq = reply_head(h, request) + 1;
  return true;
}

void history_histogram(history *h, http_request *request) {
  summary_ask ask = {.by_time = true};
  unsigned long long buckets;
  size_t by;
  if (!http_parameter_word(request, history_by_level, &by) ||
      !http_parameter_number(request, history_buckets, &buckets))
    return;
  ask.buckets = (size_t)buckets;
  if (read_summary(h, request, &ask))
    summary_start(&h->chains, request, &ask);
}

void history_aggregate(history *h, http_request *request) {
  summary_ask ask = {0};
  size_t by;
  if (!http_parameter_word(request, history_by, &by))
    return;
  ask.by = (tally_by)by;
  if (read_summary(h, request, &ask))
    summary_start(&h->chains, request, &ask);
}

tt_error history_new(store *s, history **out_history) {
  history *h = calloc(1, sizeof(*h));
  if (!h)
    return TT_ENOMEM;
  chains_init(&h->chains, s);
  store_status status;
  store_status_get(s, &status);
  snprintf(h->log_uuid, sizeof(h->log_uuid), "%s", status.log_uuid);
  *out_history = h;
  return TT_OK;
}

void history_free(history *h) {
  if (!h)
    return;
  chains_fini(&h->chains);
  free(h);
}
