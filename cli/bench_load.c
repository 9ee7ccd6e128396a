#include "cli/bench_load.h"

#include "cli/bench_peer.h"
#include "cli/interrupt.h"
#include "lib/base/random.h"
#include "lib/base/time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
  TICK_US = 1000000,
  TURN_MS = 100,          /* the longest that an interrupt waits */
  UNSENT_MAX = 256 << 10, /* bytes; a connection with more gets no more */
  DRAIN_US = 5000000,     /* for what is under way at the end */
  QUIET_US = 2000000,     /* ... and for the subscribers, without an event */
  RETRY_US = 200000,      /* between two tries to connect anew */
  GONE_US = 5000000,      /* without any connection: it stays away */
  TIME_DIGITS = 16,
  MARK_BYTES = 40,
  FAILURE_BYTES = 4096
};

typedef struct load {
  client *client;
  const bench_options *options;
  bench_result *result;
  bench_progress progress;
  void *progress_context;
  bench_peer *peers; /* connections, then subscribers */
  size_t turn;       /* whose turn it is among the connections */
  size_t open;       /* connections that are */
  uint64_t in_flight;
  uint64_t sent_events;
  int poll, timer;
  tti_buf head;  /* of a request, up to the value of Content-Length */
  tti_buf event; /* one event; its clock reading is to be filled in */
  size_t time_at;
  char mark[MARK_BYTES]; /* what stands before the reading */
  int64_t begin_us;
  int64_t retry_us;   /* when to connect anew */
  int64_t gone_us;    /* since when there is no connection; 0: there is one */
  int64_t last_us;    /* when something came last */
  bool refused;       /* a token that is not good enough */
  bench_times second; /* of the answers since the last tick */
  uint64_t second_events;
} load;

static int64_t now_us(void) {
  return tti_monotonic_us(&tti_clock_system);
}

void bench_times_add(bench_times *times, int64_t us) {
  uint64_t value = us > 0 ? (uint64_t)us : 0;
  sketch_add(&times->sketch, us);
  times->sum_us += value;
  if (value > times->max_us)
    times->max_us = value;
}

/* ---- What is sent ---- */

static bool make_event(load *l) {
  const bench_options *o = l->options;
  uint64_t run;
  tti_random_bytes(&run, sizeof(run));
  snprintf(l->mark, sizeof(l->mark), "\"run\":\"%016" PRIx64 "\",\"us\":\"",
           run);
  tti_buf_init(&l->event, (size_t)o->event_bytes + 1024);
  tti_buf_printf(&l->event,
                 "{\"source\":\"telltale-bench\",\"channel\":\"bench\","
                 "\"action\":\"tick\",\"level\":\"info\",\"data\":{%s",
                 l->mark);
  l->time_at = l->event.len;
  tti_buf_printf(&l->event, "%0*d\",\"pad\":\"", TIME_DIGITS, 0);
  while (l->event.len + 3 < o->event_bytes && !l->event.error)
    tti_buf_append_char(&l->event, 'x');
  tti_buf_append_text(&l->event, "\"}}");
  tti_buf_init(&l->head, 1 << 16);
  client_put_head(l->client, "POST", o->batch > 1 ? "/events/batch" : "/events",
                  &l->head);
  tti_buf_append_text(&l->head,
                      "Content-Type: application/json\r\nContent-Length: ");
  return !l->event.error && !l->head.error;
}

/* The reading is the time that the event was meant for. */
static void put_event(load *l, tti_buf *out, const char *digits) {
  tti_buf_append_slice(out, tti_buf_slice(&l->event));
  if (!out->error)
    memcpy(out->data + out->len - l->event.len + l->time_at, digits,
           TIME_DIGITS);
}

static void put_request(load *l, bench_peer *peer, int64_t meant_us,
                        uint64_t events) {
  char digits[TIME_DIGITS + 1];
  bool array = l->options->batch > 1;
  tti_buf *out = &peer->out;
  snprintf(digits, sizeof(digits), "%0*" PRId64, TIME_DIGITS, meant_us);
  tti_buf_append_slice(out, tti_buf_slice(&l->head));
  tti_buf_append_u64(out, events * l->event.len + (array ? events + 1 : 0));
  tti_buf_append_text(out, array ? "\r\n\r\n[" : "\r\n\r\n");
  for (uint64_t i = 0; i < events; i++) {
    if (i)
      tti_buf_append_char(out, ',');
    put_event(l, out, digits);
  }
  if (array)
    tti_buf_append_char(out, ']');
  bench_peer_note(peer, meant_us, (uint32_t)events);
  l->in_flight++;
  l->sent_events += events;
  l->result->requests++;
}

/* ---- What comes ---- */

static void on_answer(void *context, int status, int64_t sent_us,
                      uint32_t events) {
  load *l = context;
  int64_t now = now_us();
  l->in_flight--;
  l->last_us = now;
  l->result->status[status < BENCH_STATUS_MAX ? status : 0]++;
  if (status >= 200 && status < 300) {
    l->result->events += events;
    l->second_events += events;
    bench_times_add(&l->result->answers, now - sent_us);
    bench_times_add(&l->second, now - sent_us);
  } else if (!l->result->failure.status) {
    l->result->failure.status = status;
  }
  l->refused |= status == 401 || status == 403;
}

static void on_answer_body(bench_peer *peer, void *context, const char *bytes,
                           size_t len) {
  load *l = context;
  client_answer *failure = &l->result->failure;
  if (peer->parser.status_code >= 300 && !failure->status &&
      failure->body.len + len <= FAILURE_BYTES)
    tti_buf_append(&failure->body, bytes, len);
}

static const bench_peer_calls producer_calls = {on_answer, on_answer_body};

/* Looks for our marks; one may be in two pieces. */
static void on_stream(bench_peer *peer, void *context, const char *bytes,
                      size_t len) {
  load *l = context;
  size_t mark_len = strlen(l->mark), whole = mark_len + TIME_DIGITS;
  char joint[2 * sizeof(peer->tail)];
  int64_t now = now_us();
  if (peer->parser.status_code >= 300) {
    on_answer_body(peer, context, bytes, len);
    return;
  }
  size_t more = len < whole - 1 ? len : whole - 1;
  memcpy(joint, peer->tail, peer->tail_len);
  memcpy(joint + peer->tail_len, bytes, more);
  tti_slice parts[2] = {{joint, peer->tail_len + more}, {bytes, len}};
  for (int i = 0; i < 2; i++) {
    const char *at = parts[i].ptr, *end = at + parts[i].len;
    while ((at = memmem(at, (size_t)(end - at), l->mark, mark_len)) &&
           (size_t)(end - at) >= whole) {
      unsigned long long us = 0;
      tti_slice_to_u64((tti_slice){at + mark_len, TIME_DIGITS}, &us);
      bench_times_add(&l->result->delivery, now - (int64_t)us);
      l->result->delivered++;
      l->last_us = now;
      at += whole;
    }
  }
  /* What the next piece may complete: less than a whole one. */
  tti_slice last = len >= whole - 1 ? parts[1] : parts[0];
  size_t keep = last.len < whole - 1 ? last.len : whole - 1;
  memmove(peer->tail, last.ptr + last.len - keep, keep);
  peer->tail_len = keep;
}

/* A stream has no end: its answer is complete when it is none. */
static void on_stream_answer(void *context, int status, int64_t sent_us,
                             uint32_t events) {
  load *l = context;
  (void)sent_us;
  (void)events;
  if (status >= 300)
    l->result->failure.status = status;
}

static const bench_peer_calls subscriber_calls = {on_stream_answer, on_stream};

/* ---- Connections ---- */

static bool is_subscriber(const load *l, const bench_peer *peer) {
  return (size_t)(peer - l->peers) >= l->options->connections;
}

static bool open_peer(load *l, bench_peer *peer) {
  char *why = l->result->failure.error;
  bool subscriber = is_subscriber(l, peer);
  peer->calls = subscriber ? &subscriber_calls : &producer_calls;
  peer->context = l;
  if (!bench_peer_open(peer, l->client, why))
    return false;
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                              .data.ptr = peer};
  if (epoll_ctl(l->poll, EPOLL_CTL_ADD, peer->fd, &event)) {
    snprintf(why, sizeof(l->result->failure.error), "epoll: %s",
             strerror(errno));
    bench_peer_close(peer);
    return false;
  }
  if (subscriber) {
    client_put_head(l->client, "GET", "/events/stream?source=telltale-bench",
                    &peer->out);
    tti_buf_append_text(&peer->out, "Accept: text/event-stream\r\n\r\n");
    bench_peer_note(peer, now_us(), 0);
    return bench_peer_send(peer);
  }
  l->open++;
  l->gone_us = 0;
  return true;
}

static void lose(load *l, bench_peer *peer) {
  if (is_subscriber(l, peer)) {
    l->result->streams_ended++;
  } else {
    l->result->unanswered += peer->in_flight;
    l->in_flight -= peer->in_flight;
    l->open--;
    l->retry_us = now_us();
  }
  bench_peer_close(peer);
}

/* Those that were lost, as far as they can be had. */
static void open_again(load *l, int64_t now) {
  if (l->open == l->options->connections || now < l->retry_us)
    return;
  if (!l->open && !l->gone_us)
    l->gone_us = now;
  for (size_t i = 0; i < l->options->connections; i++) {
    if (l->peers[i].curl || open_peer(l, &l->peers[i]))
      continue;
    l->result->refused_connections++;
    l->retry_us = now_us() + RETRY_US;
    return;
  }
}

/* ---- When ---- */

/* The time that the next request is meant for. */
static int64_t next_due(const load *l, int64_t now) {
  if (!l->options->rate)
    return now;
  return l->begin_us +
         (int64_t)((double)l->sent_events * 1e6 / (double)l->options->rate);
}

static uint64_t next_events(const load *l) {
  uint64_t events = l->options->batch;
  if (l->options->count && l->options->count - l->sent_events < events)
    events = l->options->count - l->sent_events;
  return events;
}

/* A connection that can take a request, in turn; NULL: none. */
static bench_peer *next_peer(load *l) {
  const bench_options *o = l->options;
  if (l->in_flight >= l->open * o->pipeline)
    return NULL;
  for (size_t i = 0; i < o->connections; i++) {
    bench_peer *peer = &l->peers[l->turn];
    l->turn = (l->turn + 1) % o->connections;
    if (peer->curl && peer->in_flight < o->pipeline &&
        bench_peer_unsent(peer) < UNSENT_MAX)
      return peer;
  }
  return NULL;
}

/* Sends all that is due. */
static void send_due(load *l) {
  for (;;) {
    int64_t now = now_us(), due = next_due(l, now);
    uint64_t events = next_events(l);
    bench_peer *peer = events && due <= now ? next_peer(l) : NULL;
    if (!peer) {
      if (l->options->rate && due > now) {
        struct itimerspec at = {
            .it_value = {due / 1000000, due % 1000000 * 1000}};
        timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &at, NULL);
      }
      return;
    }
    put_request(l, peer, due, events);
    if (peer->out.error || !bench_peer_send(peer))
      lose(l, peer);
  }
}

static void turn(load *l) {
  struct epoll_event events[256];
  int count = epoll_wait(l->poll, events, 256, TURN_MS);
  for (int i = 0; i < count; i++) {
    bench_peer *peer = events[i].data.ptr;
    if (!peer) {
      uint64_t times;
      (void)!read(l->timer, &times, sizeof(times));
    } else if (peer->curl &&
               (!bench_peer_receive(peer) || !bench_peer_send(peer))) {
      lose(l, peer);
    }
  }
}

/* Until the subscribers are in place: they see all that is sent then. */
static bool await_subscribers(load *l) {
  const bench_options *o = l->options;
  int64_t end = now_us() + DRAIN_US;
  for (size_t i = o->connections; i < o->connections + o->subscribers; i++) {
    while (l->peers[i].curl && !l->peers[i].headed && now_us() < end)
      turn(l);
    if (!l->peers[i].headed || l->result->failure.status) {
      snprintf(l->result->failure.error, sizeof(l->result->failure.error),
               "the stream for a subscriber");
      return false;
    }
  }
  return true;
}

static bool is_over(const load *l, int64_t now) {
  const bench_options *o = l->options;
  return (o->count && l->sent_events >= o->count) ||
         (o->duration_ms &&
          now - l->begin_us >= (int64_t)o->duration_ms * 1000) ||
         cli_interrupts() || l->refused ||
         (l->gone_us && now - l->gone_us >= GONE_US);
}

static void tick(load *l, int64_t now) {
  if (l->progress)
    l->progress(l->progress_context, now - l->begin_us, l->result,
                l->second_events, &l->second);
  memset(&l->second, 0, sizeof(l->second));
  l->second_events = 0;
}

static uint64_t expected(const load *l) {
  return l->result->events * l->options->subscribers;
}

/* What was sent is answered, and what was stored delivered, in some time. */
static void drain(load *l) {
  int64_t end = now_us() + DRAIN_US;
  int interrupts = cli_interrupts();
  while (l->in_flight && now_us() < end && cli_interrupts() == interrupts)
    turn(l);
  l->result->unanswered += l->in_flight;
  l->result->elapsed_us = (l->last_us ? l->last_us : now_us()) - l->begin_us;
  l->last_us = now_us();
  while (l->result->delivered < expected(l) &&
         l->result->streams_ended < l->options->subscribers &&
         now_us() - l->last_us < QUIET_US && cli_interrupts() == interrupts)
    turn(l);
}

static void run(load *l) {
  int64_t now = l->begin_us = now_us(), next_tick = now + TICK_US;
  for (; !is_over(l, now); now = now_us()) {
    if (now >= next_tick) {
      tick(l, now);
      next_tick += TICK_US;
    }
    open_again(l, now);
    send_due(l);
    turn(l);
  }
  if (l->options->rate) {
    uint64_t due = (uint64_t)((double)(now - l->begin_us) / 1e6 *
                              (double)l->options->rate);
    if (l->options->count && due > l->options->count)
      due = l->options->count;
    l->result->unsent = due > l->sent_events ? due - l->sent_events : 0;
  }
  drain(l);
}

bool bench_run(client *c, const bench_options *options, bench_progress progress,
               void *context, bench_result *out_result) {
  size_t count = (size_t)(options->connections + options->subscribers);
  memset(out_result, 0, sizeof(*out_result));
  client_answer_init(&out_result->failure);
  load l = {.client = c,
            .options = options,
            .result = out_result,
            .progress = progress,
            .progress_context = context,
            .peers = calloc(count, sizeof(bench_peer)),
            .poll = epoll_create1(EPOLL_CLOEXEC),
            .timer =
                timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)};
  struct epoll_event event = {.events = EPOLLIN};
  bool ok = l.peers && l.poll >= 0 && l.timer >= 0 && make_event(&l) &&
            !epoll_ctl(l.poll, EPOLL_CTL_ADD, l.timer, &event);
  if (!ok)
    snprintf(out_result->failure.error, sizeof(out_result->failure.error),
             "cannot begin: %s", strerror(errno));
  for (size_t i = 0; ok && i < count; i++)
    ok = open_peer(&l, &l.peers[i]);
  ok = ok && await_subscribers(&l);
  if (ok)
    run(&l);
  for (size_t i = 0; l.peers && i < count; i++)
    bench_peer_close(&l.peers[i]);
  free(l.peers);
  close(l.timer);
  close(l.poll);
  tti_buf_fini(&l.head);
  tti_buf_fini(&l.event);
  return ok;
}
