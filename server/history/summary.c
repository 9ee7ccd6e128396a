#include "server/history/summary.h"

#include "server/io/clock.h"
#include <stdlib.h>

/* What is older than it got to in this time is not counted. */
#define SUMMARY_US 5000000

typedef struct summary {
  chain chain;
  store_read read;
  tti_filter *filter; /* owned */
  http_request *request;
  int64_t stop_us; /* monotonic */
  needle needle;
  bool by_time;
  tt_error error; /* of counting */
  union {
    tally tally;
    timeline timeline;
  } of;
} summary;

static void summary_free(chain *c) {
  summary *s = (summary *)c;
  if (!s->by_time)
    tally_fini(&s->of.tally);
  tti_buf_fini(&s->read.rows);
  tti_filter_free(s->filter);
  free(s);
}

/* On a reading thread, while the loop waits for the read. Nothing is to be
 * answered: false. */
static bool count(void *context, uint64_t seq, int64_t received_us,
                  const tti_record *record) {
  (void)seq;
  summary *s = context;
  if (!needle_in_record(&s->needle, record))
    return false;
  if (s->by_time)
    timeline_add(&s->of.timeline, received_us, record);
  else if (s->error == TT_OK)
    s->error = tally_add(&s->of.tally, record);
  return false;
}

static void answer(summary *s, bool complete) {
  tti_buf body;
  tti_buf_init(&body, SIZE_MAX);
  if (s->by_time)
    timeline_write(&s->of.timeline, &body);
  else
    tally_write(&s->of.tally, &body);
  tti_buf_append_text(&body, complete ? ",\"complete\":true}"
                                      : ",\"complete\":false}");
  size_t len;
  char *bytes = tti_buf_take(&body, &len);
  if (bytes)
    http_reply_take(s->request, 200, "application/json", bytes, len);
  else
    chain_reply_memory(s->request);
  chain_end(&s->chain);
}

static void go_on(chain *c) {
  summary *s = (summary *)c;
  if (s->read.error != TT_OK) {
    chain_reply_failed(s->request, s->read.error);
    chain_end(c);
  } else if (s->error != TT_OK) {
    chain_reply_memory(s->request);
    chain_end(c);
  } else if (!s->read.more) {
    answer(s, true);
  } else if (server_monotonic_us() >= s->stop_us) {
    answer(s, false);
  } else {
    s->read.before_seq = s->read.next_seq;
    chain_submit(c);
  }
}

void summary_start(chains *set, http_request *request, const summary_ask *ask) {
  summary *s = calloc(1, sizeof(*s));
  if (!s) {
    tti_filter_free(ask->filter);
    chain_reply_memory(request);
    return;
  }
  s->filter = ask->filter;
  s->request = request;
  s->stop_us = server_monotonic_us() + SUMMARY_US;
  s->needle = ask->needle;
  s->by_time = ask->by_time;
  if (s->by_time)
    timeline_init(&s->of.timeline, ask->page.since_us, ask->page.until_us,
                  ask->buckets);
  else
    tally_init(&s->of.tally, ask->by);
  tti_buf_init(&s->read.rows, SIZE_MAX);
  s->read.order = STORE_DESCENDING;
  s->read.before_seq = ask->page.before_seq;
  s->read.since_us = ask->page.since_us;
  s->read.until_us = ask->page.until_us;
  s->read.kinds = ask->kinds;
  s->read.filter = ask->filter;
  s->read.accept = count;
  s->read.accept_context = s;
  /* A text has to be looked for in the data. */
  s->read.brief = s->needle.len == 0;
  s->read.text = needle_text(&s->needle);
  s->chain = (chain){.read = &s->read, .step = go_on, .free_fn = summary_free};
  if (!chain_begin(&s->chain, set, request, true)) {
    chain_reply_failed(request, TT_EFULL);
    summary_free(&s->chain);
    return;
  }
  chain_submit(&s->chain);
}
