#include "server/history/history.h"
#include "server/history/query.h"
#include "server/history/search.h"
#include "server/io/clock.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* A search for something rare gives up after this long and answers with what
 * it has and a cursor to go on from. */
#define SEARCH_US 2000000

struct history {
  store *store;
  char log_uuid[40];
  /* What history_free has to wait for and to free. */
  pthread_mutex_t lock;
  pthread_cond_t ended;
  size_t reads; /* on their way */
  struct asking *first;
};

/* One request. */
typedef struct asking {
  search search;
  loop_task task;
  history *history;
  loop *loop;
  http_request *request;
  bool recent;
  int64_t stop_us; /* monotonic */
  struct asking *next;
  struct asking **link; /* what points to this one */
} asking;

static void asking_list(history *h, asking *a) {
  pthread_mutex_lock(&h->lock);
  a->next = h->first;
  a->link = &h->first;
  if (a->next)
    a->next->link = &a->next;
  h->first = a;
  pthread_mutex_unlock(&h->lock);
}

static void asking_free(asking *a) {
  history *h = a->history;
  pthread_mutex_lock(&h->lock);
  *a->link = a->next;
  if (a->next)
    a->next->link = a->link;
  pthread_mutex_unlock(&h->lock);
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
  if (bytes)
    http_reply_take(a->request, 200, "application/json", bytes, len);
  else
    http_reply_error(a->request, 503, "out_of_memory",
                     "the server is out of memory; ask for fewer events");
  asking_free(a);
}

static void answer_busy(http_request *request) {
  http_reply_header(request, "Retry-After", "1");
  http_reply_error(request, 503, "busy",
                   "too many reads are waiting for the store; try again in a "
                   "second");
}

static void answer_failed(asking *a) {
  tt_error error = a->search.read.error;
  if (error == TT_EFULL) {
    answer_busy(a->request);
  } else {
    http_reply_header(a->request, "Retry-After", "1");
    http_reply_error(a->request, 503, "store_failed",
                     "the store could not be read (%s); see the server's log",
                     tt_error_message(error));
  }
  asking_free(a);
}

static void read_ended(store_read *read);

static void submit(asking *a) {
  history *h = a->history;
  pthread_mutex_lock(&h->lock);
  h->reads++;
  pthread_mutex_unlock(&h->lock);
  a->search.read.done = read_ended;
  tt_error error = store_read_submit(h->store, &a->search.read);
  if (error == TT_OK)
    return;
  pthread_mutex_lock(&h->lock);
  h->reads--;
  pthread_mutex_unlock(&h->lock);
  a->search.read.error = error;
  answer_failed(a);
}

/* On the request's loop. */
static void go_on(loop_task *task) {
  asking *a = (asking *)(void *)((char *)task - offsetof(asking, task));
  bool again = a->search.read.error == TT_OK &&
               search_take(&a->search, server_monotonic_us() < a->stop_us);
  if (a->search.read.error != TT_OK)
    answer_failed(a);
  else if (again)
    submit(a);
  else
    answer(a);
}

/* On a reading thread. */
static void read_ended(store_read *read) {
  asking *a = (asking *)(void *)((char *)read - offsetof(asking, search.read));
  history *h = a->history;
  pthread_mutex_lock(&h->lock);
  h->reads--;
  loop_post(a->loop, &a->task);
  pthread_cond_signal(&h->ended);
  pthread_mutex_unlock(&h->lock);
}

/* Takes the filter over. */
static void start(history *h, http_request *request, tti_filter *filter,
                  unsigned kinds, tti_view view, const page *from,
                  const page *bounds, bool recent) {
  asking *a = calloc(1, sizeof(*a));
  if (!a ||
      search_init(&a->search, filter, kinds, view, from, bounds) != TT_OK) {
    if (!a)
      tti_filter_free(filter);
    free(a);
    http_reply_error(request, 503, "out_of_memory",
                     "the server is out of memory; try again later");
    return;
  }
  a->task.run = go_on;
  a->history = h;
  a->loop = http_request_loop(request);
  a->request = request;
  a->recent = recent;
  asking_list(h, a);
  a->stop_us = server_monotonic_us() + SEARCH_US;
  submit(a);
}

/* Nothing after this seq is shown; who goes on with the stream after it misses
 * nothing. */
static uint64_t reply_head(history *h, http_request *request) {
  store_status status;
  char text[24];
  store_status_get(h->store, &status);
  snprintf(text, sizeof(text), "%" PRIu64, status.head_seq);
  http_reply_header(request, "Telltale-Head", text);
  http_reply_header(request, "Telltale-Log", h->log_uuid);
  http_reply_header(request, "Cache-Control", "no-store");
  return status.head_seq;
}

static tti_slice query_slice(http_request *request, const char *name) {
  tti_slice value;
  if (!http_query_get(request, name, &value))
    return (tti_slice){NULL, 0};
  return value;
}

#define SHOWN_KINDS                                                            \
  (STORE_KIND_BIT(TTI_KIND_RELAY) | STORE_KIND_BIT(TTI_KIND_SESSION) |         \
   STORE_KIND_BIT(TTI_KIND_PUBLISHED))

void history_list(history *h, http_request *request) {
  page bounds;
  const char *bad, *hint;
  page_input input = {.after = query_slice(request, "after"),
                      .before = query_slice(request, "before"),
                      .since = query_slice(request, "since"),
                      .until = query_slice(request, "until"),
                      .limit = query_slice(request, "limit")};
  if (!page_parse(&input, &bounds, &bad, &hint)) {
    char code[32];
    snprintf(code, sizeof(code), "invalid_%s", bad);
    http_reply_error(request, 400, code, "%s has to be %s", bad, hint);
    return;
  }
  tti_filter *filter;
  unsigned kinds;
  tti_view view;
  if (!query_view(request, TTI_VIEW_RELAY, &view) ||
      !query_filter(request, SHOWN_KINDS, &filter, &kinds))
    return;
  page from = bounds;
  tti_slice cursor = query_slice(request, "cursor");
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
  start(h, request, filter, kinds, view, &from, &bounds, false);
}

void history_recent(history *h, http_request *request) {
  tti_filter *filter;
  unsigned kinds;
  tti_view view;
  if (!query_view(request, TTI_VIEW_RELAY, &view) ||
      !query_filter(request, SHOWN_KINDS, &filter, &kinds))
    return;
  page from = {.limit = page_recent(query_slice(request, "n"))};
  from.before_seq = reply_head(h, request) + 1;
  start(h, request, filter, kinds, view, &from, &from, true);
}

tt_error history_new(store *s, history **out_history) {
  history *h = calloc(1, sizeof(*h));
  if (!h)
    return TT_ENOMEM;
  h->store = s;
  store_status status;
  store_status_get(s, &status);
  snprintf(h->log_uuid, sizeof(h->log_uuid), "%s", status.log_uuid);
  pthread_mutex_init(&h->lock, NULL);
  pthread_cond_init(&h->ended, NULL);
  *out_history = h;
  return TT_OK;
}

void history_free(history *h) {
  if (!h)
    return;
  pthread_mutex_lock(&h->lock);
  while (h->reads > 0)
    pthread_cond_wait(&h->ended, &h->lock);
  pthread_mutex_unlock(&h->lock);
  while (h->first) /* unanswered, on loops that were stopped */
    asking_free(h->first);
  pthread_cond_destroy(&h->ended);
  pthread_mutex_destroy(&h->lock);
  free(h);
}
