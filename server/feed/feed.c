#include "server/feed/feed.h"
#include "server/feed/hub.h"
#include "server/feed/topic.h"
#include "server/history/query.h"
#include "server/io/clock.h"
#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* feed_loop.wake: a wake from the bus is one exchange on this word, and a post
 * only when the loop has subscribers and no wake is on its way. Both bits live
 * in one word so that the order of the two sides' changes is one order:
 * whichever comes second sees the other. */
enum {
  WAKE_LISTENING = 1, /* the loop wants to be posted to */
  WAKE_PENDING = 2    /* the ring has more than the loop knows of */
};

typedef struct feed_loop {
  feed *feed;
  loop *loop;
  hub *hub;
  atomic_uint wake;
  loop_task wake_task;
  loop_task run_task;
  bool run_posted;
  loop_timer run_timer;
  loop_timer tick_timer;
  bool timers; /* were initialised, which only the loop's thread may do */
  bool closing;
  loop_task close_task;
  loop_task auth_task;
  atomic_bool auth_posted; /* auth_task is on its way */
  atomic_size_t subscribers;
  atomic_size_t log_subscribers;

  /* Reads of the store that have not ended. */
  pthread_mutex_t lock;
  pthread_cond_t ended;
  size_t reads;
  bool stopped; /* nothing may be posted any more */
} feed_loop;

struct feed {
  feed_options options;
  char log_uuid[40];
  atomic_bool closed;
  size_t count;
  feed_loop loops[];
};

/* A subscriber and its connection. */
typedef struct client {
  hub_sub sub;
  feed_loop *loop;
  http_request *request;
  http_stream *stream;
  bool logs;       /* only */
  bool opening;    /* closed must not free it yet */
  bool gone;       /* closed while opening */
  bool subscribed; /* the hub knows it */
} client;

static client *client_of(const hub_sub *sub) {
  return LIST_ENTRY((hub_sub *)sub, client, sub);
}

/* ---- What the hub needs ---- */

static uint64_t env_now_us(void *context) {
  (void)context;
  return (uint64_t)server_monotonic_us();
}

static void env_run_in(void *context, uint64_t ms) {
  feed_loop *l = context;
  if (l->closing)
    return;
  if (ms > 0) {
    loop_timer_start(&l->run_timer, ms, 0);
    return;
  }
  if (l->run_posted)
    return;
  l->run_posted = true;
  loop_post(l->loop, &l->run_task);
}

static void read_task_run(loop_task *task) {
  hub_read *read = LIST_ENTRY(task, hub_read, task);
  hub_read_finish(read->hub, read);
}

static void env_read_began(void *context) {
  feed_loop *l = context;
  pthread_mutex_lock(&l->lock);
  l->reads++;
  pthread_mutex_unlock(&l->lock);
}

static void env_read_ended(void *context, hub_read *read) {
  feed_loop *l = context;
  pthread_mutex_lock(&l->lock);
  if (read && !l->stopped) {
    read->task.run = read_task_run;
    loop_post(l->loop, &read->task);
  }
  l->reads--;
  pthread_cond_signal(&l->ended);
  pthread_mutex_unlock(&l->lock);
}

static void env_write(hub_sub *sub, http_chunk *chunk) {
  http_stream_write(client_of(sub)->stream, &chunk, 1);
}

static size_t env_pending(const hub_sub *sub) {
  return http_stream_pending(client_of(sub)->stream);
}

static void env_end(hub_sub *sub) {
  http_stream_end(client_of(sub)->stream);
}

/* ---- Wakes ---- */

void feed_wake(void *context) {
  feed *f = context;
  for (size_t i = 0; i < f->count; i++) {
    feed_loop *l = &f->loops[i];
    /* acq_rel: what was put into the ring before is seen by whoever clears the
     * bit, and by the subscriber that sets LISTENING after it. */
    unsigned was =
        atomic_fetch_or_explicit(&l->wake, WAKE_PENDING, memory_order_acq_rel);
    if (was == WAKE_LISTENING)
      loop_post(l->loop, &l->wake_task);
  }
}

static void wake_task_run(loop_task *task) {
  feed_loop *l = LIST_ENTRY(task, feed_loop, wake_task);
  if (hub_subscribers(l->hub) == 0) {
    /* Nobody is posting while the bit PENDING is set, so no task is under way
     * when LISTENING goes. */
    atomic_exchange_explicit(&l->wake, 0, memory_order_acq_rel);
    return;
  }
  atomic_fetch_and_explicit(&l->wake, ~(unsigned)WAKE_PENDING,
                            memory_order_acq_rel);
  hub_wake(l->hub);
}

/* From here on the loop is posted to; what came before is in the ring. */
static void start_listening(feed_loop *l) {
  unsigned now = atomic_load_explicit(&l->wake, memory_order_relaxed);
  /* relaxed: only this thread changes LISTENING */
  if (!(now & WAKE_LISTENING))
    atomic_exchange_explicit(&l->wake, WAKE_LISTENING, memory_order_acq_rel);
}

static void run_task_run(loop_task *task) {
  feed_loop *l = LIST_ENTRY(task, feed_loop, run_task);
  l->run_posted = false;
  hub_run(l->hub);
}

static void run_timer_fire(loop_timer *timer) {
  hub_run(LIST_ENTRY(timer, feed_loop, run_timer)->hub);
}

static bool token_is_gone(hub_sub *sub) {
  client *c = client_of(sub);
  return !auth_still_valid(c->loop->feed->options.auth, c->request);
}

static void auth_task_run(loop_task *task) {
  feed_loop *l = LIST_ENTRY(task, feed_loop, auth_task);
  /* Acquire, with the exchange's release: a change that finds the task on its
   * way is seen by what follows. */
  atomic_exchange_explicit(&l->auth_posted, false, memory_order_acq_rel);
  hub_end_where(l->hub, token_is_gone);
}

void feed_auth_changed(void *context) {
  feed *f = context;
  for (size_t i = 0; i < f->count; i++) {
    feed_loop *l = &f->loops[i];
    if (!atomic_exchange_explicit(&l->auth_posted, true, memory_order_acq_rel))
      loop_post(l->loop, &l->auth_task);
  }
}

static void tick_timer_fire(loop_timer *timer) {
  feed_loop *l = LIST_ENTRY(timer, feed_loop, tick_timer);
  if (l->feed->options.auth) /* logins end by themselves */
    hub_end_where(l->hub, token_is_gone);
  hub_tick(l->hub);
}

static void start_timers(feed_loop *l) {
  if (l->timers)
    return;
  l->timers = true;
  loop_timer_init(l->loop, &l->run_timer, run_timer_fire);
  loop_timer_init(l->loop, &l->tick_timer, tick_timer_fire);
  uint64_t every_ms = hub_tick_ms(l->hub);
  loop_timer_start(&l->tick_timer, every_ms, every_ms);
}

/* ---- Requests ---- */

static void client_free(client *c) {
  /* relaxed: a figure */
  atomic_fetch_sub_explicit(&c->loop->subscribers, 1, memory_order_relaxed);
  atomic_fetch_sub_explicit(&c->loop->log_subscribers, c->logs,
                            memory_order_relaxed);
  free(c);
}

static void stream_writable(http_stream *stream, void *context) {
  (void)stream;
  client *c = context;
  if (c->subscribed)
    hub_writable(&c->sub);
}

static void stream_closed(http_stream *stream, void *context) {
  (void)stream;
  client *c = context;
  if (c->opening) {
    c->gone = true;
    return;
  }
  if (c->subscribed)
    hub_unsubscribe(&c->sub);
  client_free(c);
}

static const http_stream_events stream_events = {
    .writable = stream_writable,
    .closed = stream_closed,
};

static tti_slice query_slice(http_request *request, const char *name) {
  tti_slice value;
  if (!http_query_get(request, name, &value))
    return (tti_slice){NULL, 0};
  if (!value.ptr)
    value.ptr = "";
  return value;
}

/* Where to begin; answers 400 and returns false when that makes no sense. */
static bool read_cursor(feed *f, http_request *request, const feed_scope *scope,
                        cursor_start *out_start) {
  cursor_request asked = cursor_parse(
      http_request_header(request, "Last-Event-ID"),
      query_slice(request, "after"), query_slice(request, "replay"));
  if (asked.from == CURSOR_BAD) {
    bool replay = strcmp(asked.bad, "replay") == 0;
    http_reply_error(request, 400, "invalid_position",
                     replay
                         ? "%s: the only value is all, for everything that is "
                           "kept"
                         : "%s is not a sequence number: send the id of the "
                           "last event that you saw, or 0 for everything that "
                           "is kept",
                     asked.bad);
    return false;
  }
  *out_start = cursor_begin(&asked, bus_head(f->options.bus),
                            tt_stream_seq(bus_stream(f->options.bus)));
  if (asked.from == CURSOR_TAIL && scope->has_begin &&
      scope->begin_after < out_start->at)
    out_start->at = scope->begin_after;
  return true;
}

static void subscribe(feed *f, feed_loop *l, http_request *request,
                      tti_filter *filter, unsigned kinds, tti_view view,
                      const cursor_start *start) {
  client *c = calloc(1, sizeof(*c));
  if (!c) {
    tti_filter_free(filter);
    http_reply_error(request, 503, "out_of_memory",
                     "the server is out of memory; try again later");
    return;
  }
  c->loop = l;
  c->request = request;
  c->logs = kinds == QUERY_LOGS;
  atomic_fetch_add_explicit(&l->subscribers, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&l->log_subscribers, c->logs, memory_order_relaxed);
  http_reply_header(request, "Cache-Control", "no-cache");
  http_reply_header(request, "X-Accel-Buffering", "no");
  http_reply_header(request, "Telltale-Log", f->log_uuid);
  c->opening = true;
  c->stream =
      http_stream_open(request, 200, "text/event-stream", &stream_events, c);
  c->opening = false;
  if (!c->stream || c->gone) { /* HEAD, or it went away at once */
    tti_filter_free(filter);
    client_free(c);
    return;
  }
  c->subscribed = true;
  http_stream *stream = c->stream;
  if (hub_subscribe(l->hub, &c->sub, filter, kinds, view, start) != TT_OK) {
    /* The stream's head is out: all that can be said is to come back. */
    c->subscribed = false;
    http_stream_end(stream);
  }
}

void feed_serve(feed *f, http_request *request, const feed_scope *scope) {
  unsigned index = loop_index(http_request_loop(request));
  assert(index < f->count);
  feed_loop *l = &f->loops[index];
  tti_filter *filter;
  unsigned kinds;
  tti_view view;
  if (l->closing || atomic_load(&f->closed)) {
    http_reply_header(request, "Retry-After", "2");
    http_reply_error(request, 503, "shutting_down",
                     "the server is shutting down; connect again");
    return;
  }
  if (!query_view(request, scope->view, &view))
    return;
  start_listening(l);
  start_timers(l);
  cursor_start start;
  if (!read_cursor(f, request, scope, &start))
    return;
  if (!query_filter(request, scope->kinds, &filter, &kinds))
    return;
  if (!scope->log_by_channel && !(scope->kinds & STORE_KIND_BIT(TTI_KIND_LOG)))
    kinds &= ~STORE_KIND_BIT(TTI_KIND_LOG);
  if (scope->session && tti_filter_session(filter, scope->session) != TT_OK) {
    tti_filter_free(filter);
    http_reply_error(request, 503, "out_of_memory",
                     "the server is out of memory; try again later");
    return;
  }
  if (!hub_has_room(l->hub, filter, kinds)) {
    tti_filter_free(filter);
    http_reply_header(request, "Retry-After", "10");
    http_reply_error(request, 503, "too_many_filters",
                     "%d streams with different filters are open, which is the "
                     "most; use a filter that another stream has, or filter on "
                     "your side",
                     TOPICS_MAX);
    return;
  }
  subscribe(f, l, request, filter, kinds, view, &start);
}

/* ---- Life ---- */

static tt_error feed_loop_init(feed *f, feed_loop *l, loop *on) {
  l->feed = f;
  l->loop = on;
  l->wake_task.run = wake_task_run;
  l->run_task.run = run_task_run;
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->ended, NULL);
  l->auth_task.run = auth_task_run;
  atomic_init(&l->auth_posted, false);
  hub_options options = {
      .env = {.now_us = env_now_us,
              .run_in = env_run_in,
              .read_began = env_read_began,
              .read_ended = env_read_ended,
              .context = l,
              .write = env_write,
              .pending = env_pending,
              .end = env_end},
      .bus = f->options.bus,
      .store = f->options.store,
      .keepalive_ms = f->options.keepalive_ms,
      .max_pending = f->options.max_pending,
      .cache_bytes = f->options.cache_bytes / f->options.loop_count,
  };
  return hub_new(&options, &l->hub);
}

tt_error feed_new(const feed_options *options, feed **out_feed) {
  feed *f = calloc(1, sizeof(*f) + options->loop_count * sizeof(f->loops[0]));
  if (!f)
    return TT_ENOMEM;
  f->options = *options;
  if (f->options.cache_bytes == 0)
    f->options.cache_bytes = (size_t)16 << 20;
  store_status status;
  store_status_get(options->store, &status);
  snprintf(f->log_uuid, sizeof(f->log_uuid), "%s", status.log_uuid);
  for (size_t i = 0; i < options->loop_count; i++) {
    f->count = i + 1;
    tt_error error = feed_loop_init(f, &f->loops[i], options->loops[i]);
    if (error != TT_OK) {
      feed_free(f);
      return error;
    }
  }
  *out_feed = f;
  return TT_OK;
}

static void close_task_run(loop_task *task) {
  feed_loop *l = LIST_ENTRY(task, feed_loop, close_task);
  hub_close(l->hub);
  l->closing = true;
  if (l->timers) {
    loop_timer_close(&l->run_timer, NULL);
    loop_timer_close(&l->tick_timer, NULL);
  }
  pthread_mutex_lock(&l->lock);
  l->stopped = true;
  pthread_mutex_unlock(&l->lock);
}

void feed_close(feed *f) {
  if (!f || atomic_exchange(&f->closed, true))
    return;
  for (size_t i = 0; i < f->count; i++) {
    f->loops[i].close_task.run = close_task_run;
    loop_post(f->loops[i].loop, &f->loops[i].close_task);
  }
}

void feed_free(feed *f) {
  if (!f)
    return;
  for (size_t i = 0; i < f->count; i++) {
    feed_loop *l = &f->loops[i];
    pthread_mutex_lock(&l->lock);
    l->stopped = true;
    while (l->reads > 0)
      pthread_cond_wait(&l->ended, &l->lock);
    pthread_mutex_unlock(&l->lock);
    hub_free(l->hub);
    pthread_cond_destroy(&l->ended);
    pthread_mutex_destroy(&l->lock);
  }
  free(f);
}

void feed_counts_get(const feed *f, feed_counts *out_counts) {
  feed_counts sum = {0};
  for (size_t i = 0; i < f->count; i++) {
    hub_counts one;
    hub_counts_get(f->loops[i].hub, &one);
    sum.subscribers +=
        atomic_load_explicit(&f->loops[i].subscribers, memory_order_relaxed);
    sum.log_subscribers += atomic_load_explicit(&f->loops[i].log_subscribers,
                                                memory_order_relaxed);
    sum.delivered += one.delivered;
    sum.dropped += one.dropped;
    sum.catchups += one.catchups;
    sum.failures += one.failures;
  }
  *out_counts = sum;
}
