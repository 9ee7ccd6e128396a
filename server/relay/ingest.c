#include "server/relay/relay_state.h"

#include "lib/event/parse.h"
#include "lib/event/view.h"
#include "server/api/call.h"
#include "server/io/clock.h"

#include <openssl/sha.h>
#include <stdlib.h>

/* The way of one ingest request:
 *
 *   loop: take a publish object, parse ──(body > 64 KiB)──► pool thread: parse
 *   loop: bus_submit ◄──────────────────────────────────────┘
 *   any:  done() pushes onto the lane; the first one wakes the loop
 *   loop: answers all that is there, gives the objects back
 *
 * A publish object keeps its buffers, so a small POST allocates nothing here
 * once the lane is warm. */
struct ingest {
  bus_publish publish;
  ingest *next; /* in lane->idle or lane->completed */
  relay_lane *lane;
  http_request *request;
  const relay_intake *intake;
  void *context; /* for the intake */
  relay_capture capture;
  tti_buf shown; /* the envelope that is captured, with a seq of 0 */
  bool is_ndjson;
  bool keyed;
  relay_inflight_entry inflight;
  uv_work_t work;
  tti_slice body;
  tt_error parsed;
  tti_parse_error parse_error;
};

enum {
  OFF_LOOP_BYTES = 64 * 1024, /* larger bodies are scanned by a pool thread */
  IDLE_MAX = 256,             /* objects a lane keeps */
  IDLE_BYTES = 16 * 1024,     /* buffer that an idle object may keep */
  RECORD_OVERHEAD = 128,      /* bytes of a record beyond its JSON, at most */
  ENVELOPE_MAX = 1 << 21      /* what has no data left may be that large */
};

static ingest *ingest_of(bus_publish *publish) {
  return (ingest *)((char *)publish - offsetof(ingest, publish));
}

static void done(bus_publish *publish);

static ingest *take(relay_lane *lane, http_request *request,
                    const relay_intake *intake, void *context) {
  const relay_options *o = &lane->relay->options;
  ingest *i = lane->idle;
  if (i) {
    lane->idle = i->next;
    lane->idle_count--;
  } else {
    if (!(i = calloc(1, sizeof(*i))))
      return NULL;
    i->lane = lane;
    i->publish.done = done;
    tti_batch_init(&i->publish.batch, 1, 1);
    tti_buf_init(&i->shown, ENVELOPE_MAX);
  }
  bool is_batch = intake->is_batch;
  size_t max_count = is_batch ? o->max_batch : 1;
  i->publish.batch.max_count = max_count;
  i->publish.batch.bytes.max = (is_batch ? o->max_batch_body : o->max_body) +
                               max_count * RECORD_OVERHEAD;
  i->request = request;
  i->intake = intake;
  i->context = context;
  i->keyed = false;
  return i;
}

static void destroy(ingest *i) {
  tti_batch_fini(&i->publish.batch);
  tti_buf_fini(&i->shown);
  free(i);
}

static void give_back(ingest *i) {
  relay_lane *lane = i->lane;
  tti_batch *batch = &i->publish.batch;
  if (lane->idle_count >= IDLE_MAX) {
    destroy(i);
    return;
  }
  if (i->shown.cap > IDLE_BYTES)
    tti_buf_fini(&i->shown);
  tti_buf_clear(&i->shown);
  if (batch->bytes.cap > IDLE_BYTES || batch->capacity > 64) {
    tti_batch_fini(batch);
    tti_batch_init(batch, 1, 1);
  }
  tti_buf_clear(&batch->bytes);
  batch->count = 0;
  batch->truncated = 0;
  batch->gated = 0;
  i->publish.key = (store_key){0};
  i->publish.reason[0] = '\0';
  i->request = NULL;
  i->next = lane->idle;
  lane->idle = i;
  lane->idle_count++;
}

void relay_lane_fini(relay_lane *lane) {
  while (lane->idle) {
    ingest *i = lane->idle;
    lane->idle = i->next;
    destroy(i);
  }
}

/* ---- The answer ---- */

static char *put_text(char *at, const char *text) {
  size_t len = strlen(text);
  memcpy(at, text, len);
  return at + len;
}

static char *put_u64(char *at, uint64_t value) {
  char digits[20];
  size_t n = 0;
  do
    digits[n++] = (char)('0' + value % 10);
  while (value /= 10);
  while (n)
    *at++ = digits[--n];
  return at;
}

static void answer_one(ingest *i) {
  char body[64];
  char *at =
      put_text(body, !i->intake->is_log ? "{\"seq\":"
                     : i->publish.count ? "{\"accepted\":true,\"seq\":"
                                        : "{\"accepted\":false,\"seq\":");
  at = put_u64(at, i->publish.first_seq);
  if (i->publish.batch.truncated)
    at = put_text(at, ",\"truncated\":true");
  *at++ = '}';
  http_reply(i->request, 200, "application/json", body, (size_t)(at - body));
}

static void answer_batch(ingest *i) {
  tti_buf body;
  uint64_t count = i->publish.count;
  /* 21 bytes a number; the count is the bus's word, bounded by the request. */
  tti_buf_init(&body, 128 + 21 * i->lane->relay->options.max_batch);
  tti_buf_append_text(&body, "{\"count\":");
  tti_buf_append_u64(&body, count);
  tti_buf_append_text(&body, ",\"seqs\":[");
  for (uint64_t n = 0; n < count && !body.error; n++) {
    if (n)
      tti_buf_append_char(&body, ',');
    tti_buf_append_u64(&body, i->publish.first_seq + n);
  }
  tti_buf_append_char(&body, ']');
  if (i->intake->is_log)
    tti_buf_printf(&body, ",\"gated\":%zu", i->publish.batch.gated);
  if (i->publish.batch.truncated)
    tti_buf_append_text(&body, ",\"truncated\":true");
  tti_buf_append_char(&body, '}');
  http_reply_json(i->request, 200, &body);
  tti_buf_fini(&body);
}

static void answer_captured(ingest *i) {
  static const char head[] = "{\"seq\":0";
  relay_captured captured = {.category = i->capture.capture.category,
                             .replayed = i->publish.verdict == BUS_REPLAYED};
  if (i->publish.count) {
    captured.seq = i->publish.first_seq;
    captured.event = (tti_slice){i->shown.data + sizeof(head) - 1,
                                 i->shown.len - (sizeof(head) - 1)};
  }
  i->intake->answer(i->request, i->context, &captured);
}

static void answer(ingest *i) {
  relay_count(&i->lane->refused[RELAY_REJECT_GATED], i->publish.batch.gated);
  if (i->intake->answer)
    answer_captured(i);
  else if (i->intake->is_batch)
    answer_batch(i);
  else
    answer_one(i);
}

/* A retry later may succeed and stores nothing twice. */
static void answer_later(http_request *request, const char *code,
                         const char *why) {
  http_reply_header(request, "Retry-After", "1");
  http_reply_error(request, 503, code, "nothing was stored: %s; try again",
                   why);
}

static void count_dropped(ingest *i) {
  tti_slice header = http_request_header(i->request, "Telltale-Dropped");
  uint64_t counts[RELAY_DROPPED_COUNT] = {0};
  if (!header.ptr)
    return;
  relay_dropped_parse(header, counts);
  for (size_t n = 0; n < RELAY_DROPPED_COUNT; n++)
    relay_count(&i->lane->dropped[n], counts[n]);
}

/* The bus has spoken. On the loop. */
static void finish(ingest *i) {
  http_request *request = i->request;
  relay *r = i->lane->relay;
  if (i->keyed)
    relay_inflight_remove(&r->inflight, &i->inflight);
  http_reply_header(request, "Accept-Encoding", HTTP_CODINGS);
  http_reply_header(request, "Telltale-Log", r->log_uuid);
  switch (i->publish.verdict) {
  case BUS_ACCEPTED:
    count_dropped(i);
    answer(i);
    break;
  case BUS_REPLAYED:
    http_reply_header(request, "Idempotency-Replayed", "true");
    answer(i);
    break;
  case BUS_MISMATCH:
    http_reply_error(request, 422, "idempotency_mismatch",
                     "this Idempotency-Key came before with another body; "
                     "nothing was stored; use a new key for new events");
    break;
  case BUS_EXISTS: /* nothing here refuses */
  case BUS_RETRY:
    answer_later(request, "store_unavailable",
                 i->publish.reason[0] ? i->publish.reason
                                      : "the store cannot take it now");
    break;
  }
  give_back(i);
}

static void count_rate(relay_rate *rate, uint64_t count) {
  if (count)
    relay_rate_add(rate, server_monotonic_us(), count);
}

static uint64_t accepted(const ingest *i) {
  return i->publish.verdict == BUS_ACCEPTED ? i->publish.count : 0;
}

static void answer_completed(relay_lane *lane) {
  /* Acquire: what done() wrote before its release is there. */
  ingest *newest =
      atomic_exchange_explicit(&lane->completed, NULL, memory_order_acquire);
  ingest *oldest = NULL;
  uint64_t events = 0, lines = 0;
  while (newest) {
    ingest *next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest) {
    ingest *next = oldest->next;
    *(oldest->intake->is_log ? &lines : &events) += accepted(oldest);
    finish(oldest);
    oldest = next;
  }
  count_rate(&lane->relay->rate, events);
  count_rate(&lane->relay->log_rate, lines);
  relay_count(&lane->log_lines, lines);
}

static void woken(loop_task *task) {
  relay_lane *lane = (relay_lane *)((char *)task - offsetof(relay_lane, task));
  /* Before the list is taken: who pushes after this posts again. Acquire and
   * release pair with done(): whoever found it set has pushed already. */
  atomic_exchange_explicit(&lane->posted, false, memory_order_acq_rel);
  answer_completed(lane);
}

/* Any thread; most often the store's writer, once for each request of a group.
 * One wake is under way at a time, so that a group costs about one. */
static void done(bus_publish *publish) {
  ingest *i = ingest_of(publish);
  relay_lane *lane = i->lane;
  if (publish->run && publish->verdict == BUS_ACCEPTED)
    outbox_wake(lane->relay->options.outbox);
  ingest *head = atomic_load_explicit(&lane->completed, memory_order_relaxed);
  do {
    i->next = head;
    /* Release: the verdict is seen by whoever takes the list. */
  } while (!atomic_compare_exchange_weak_explicit(
      &lane->completed, &head, i, memory_order_release, memory_order_relaxed));
  /* A bus that answers at once does so inside bus_submit, on the loop, which
   * looks at the list when that returns. */
  if (loop_current() == lane->loop && lane->submitting)
    return;
  if (!atomic_exchange_explicit(&lane->posted, true, memory_order_acq_rel))
    loop_post(lane->loop, &lane->task);
}

void relay_lane_init(relay_lane *lane, relay *r, loop *l) {
  lane->relay = r;
  lane->loop = l;
  lane->task.run = woken;
  atomic_init(&lane->completed, NULL);
  atomic_init(&lane->posted, false);
}

/* ---- The request ---- */

static bool is_ndjson(const http_request *request) {
  tti_slice type = http_request_header(request, "Content-Type");
  const char *end = type.len ? memchr(type.ptr, ';', type.len) : NULL;
  if (end)
    type.len = (size_t)(end - type.ptr);
  type = tti_slice_trim(type);
  return tti_slice_eq_nocase(type, TTI_SLICE("application/x-ndjson")) ||
         tti_slice_eq_nocase(type, TTI_SLICE("application/ndjson"));
}

/* Before the bus takes the bytes. */
static void show(ingest *i) {
  tti_record record;
  if (i->publish.batch.count == 0)
    return;
  tti_record_decode(tti_buf_slice(&i->publish.batch.bytes), &record);
  tti_view_render(&i->shown, TTI_VIEW_ENVELOPE, 0, &record);
  if (i->shown.error)
    i->parsed = TT_ENOMEM;
}

/* What the routes publish comes with the rows. */
static tt_error run_routes(bus_publish *publish, store_job *job, store_tx *tx) {
  const relay_options *o = &ingest_of(publish)->lane->relay->options;
  return outbox_rules_write(o->routes, job, tx);
}

/* On the loop or a pool thread: touches nothing of the request but the bytes of
 * its body. */
static void parse(ingest *i) {
  tti_slice body = i->body;
  relay *r = i->lane->relay;
  tti_parse_options options = {.now_us = server_wall_us(),
                               .form = !i->intake->is_batch ? TTI_PARSE_ONE
                                       : i->is_ndjson       ? TTI_PARSE_LINES
                                                            : TTI_PARSE_ARRAY,
                               .log_min_level = atomic_load_explicit(
                                   &r->log_min_level, memory_order_relaxed),
                               .capture = &i->capture.capture};
  tti_batch *batch = &i->publish.batch;
  i->parse_error = (tti_parse_error){0};
  i->parsed = i->intake->parse(body, &options, batch, &i->parse_error);
  if (i->parsed == TT_OK && i->intake->answer)
    show(i);
  bool routed = i->parsed == TT_OK && r->options.routes &&
                outbox_rules_want(r->options.routes, batch);
  i->publish.run = routed ? run_routes : NULL;
  if (i->keyed)
    SHA256((const unsigned char *)(body.len ? body.ptr : ""), body.len,
           i->publish.key.body_sha256);
}

/* The events that were seen before the one that was refused count with it. */
static void refuse(ingest *i) {
  relay_lane *lane = i->lane;
  const tti_parse_error *e = &i->parse_error;
  const char *code = i->intake->code;
  bool is_batch = i->intake->is_batch;
  size_t seen = is_batch ? e->index + 1 : 1;
  relay_reject reason =
      i->parsed == TT_ETOOBIG ? RELAY_REJECT_TOO_LARGE : RELAY_REJECT_INVALID;
  if (i->parsed == TT_ENOMEM)
    reason = RELAY_REJECT_UNAVAILABLE;
  relay_count(&lane->refused[reason], seen);
  if (i->parsed == TT_ENOMEM) {
    answer_later(i->request, "out_of_memory", "out of memory");
  } else if (i->parsed == TT_ETOOBIG) {
    http_reply_error(i->request, 413, "batch_too_large",
                     "nothing was stored: a batch holds at most %zu events and "
                     "%zu bytes; send it in parts",
                     lane->relay->options.max_batch,
                     lane->relay->options.max_batch_body);
  } else if (is_batch) {
    http_reply_error(i->request, 400, code,
                     "%s %zu: %s (at byte %zu); nothing was stored",
                     i->intake->item, e->index, e->reason, e->offset);
  } else {
    http_reply_error(i->request, 400, code, "%s (at byte %zu)", e->reason,
                     e->offset);
  }
  give_back(i);
}

static void submit(ingest *i) {
  relay *r = i->lane->relay;
  bus_publish *p = &i->publish;
  if (i->parsed != TT_OK) {
    refuse(i);
    return;
  }
  size_t events = p->batch.count;
  if (events == 0) { /* an empty batch, or only lines below the level */
    p->first_seq = p->count = 0;
    p->verdict = BUS_ACCEPTED;
    i->keyed = false;
    finish(i);
    return;
  }
  if (i->keyed && !relay_inflight_add(&r->inflight, p->key.scope, p->key.key,
                                      &i->inflight)) {
    relay_count(&i->lane->refused[RELAY_REJECT_IN_FLIGHT], events);
    http_reply_header(i->request, "Retry-After", "1");
    http_reply_error(i->request, 409, "idempotency_in_flight",
                     "the first request with this Idempotency-Key is still in "
                     "progress; try again");
    give_back(i);
    return;
  }
  relay_lane *lane = i->lane;
  lane->submitting = true;
  tt_error error = bus_submit(r->options.bus, p);
  lane->submitting = false;
  if (error == TT_OK) { /* done() may have run already: hands off */
    if (atomic_load_explicit(&lane->completed, memory_order_relaxed))
      answer_completed(lane);
    return;
  }
  if (i->keyed)
    relay_inflight_remove(&r->inflight, &i->inflight);
  bool closing = error == TT_ECLOSED;
  answer_later(i->request, closing ? "shutting_down" : "overloaded",
               closing ? "the server is shutting down"
                       : "the queue of the log is full");
  give_back(i);
}

static void work_parse(uv_work_t *work) {
  parse(work->data);
}

static void work_done(uv_work_t *work, int status) {
  ingest *i = work->data;
  if (status != 0) { /* cancelled: it never ran */
    i->parsed = TT_ENOMEM;
    i->parse_error.index = 0;
  }
  submit(i);
}

static bool read_key(ingest *i) {
  if (!api_key(i->request, i->intake->route, i->capture.name, &i->publish.key))
    return false;
  i->keyed = i->publish.key.key.len > 0;
  return true;
}

void relay_take(relay *r, http_request *request, const relay_intake *intake,
                void *context) {
  relay_lane *lane = relay_lane_of(r, request);
  ingest *i = take(lane, request, intake, context);
  if (!i) {
    answer_later(request, "out_of_memory", "out of memory");
    return;
  }
  i->capture.name = (tti_slice){0};
  if ((intake->begin && !intake->begin(request, context, &i->capture)) ||
      !read_key(i)) {
    give_back(i);
    return;
  }
  i->body = http_request_body(request);
  i->is_ndjson = intake->is_batch && is_ndjson(request);
  if (i->body.len > OFF_LOOP_BYTES) {
    i->work.data = i;
    if (uv_queue_work(loop_uv(lane->loop), &i->work, work_parse, work_done) ==
        0)
      return;
  }
  parse(i);
  submit(i);
}

static const relay_intake event = {.route = "events",
                                   .item = "event",
                                   .code = "invalid_event",
                                   .parse = tti_parse_relay};
static const relay_intake events = {.route = "events_batch",
                                    .item = "event",
                                    .code = "invalid_event",
                                    .is_batch = true,
                                    .parse = tti_parse_relay};
static const relay_intake log_line = {.route = "log",
                                      .item = "line",
                                      .code = "invalid_log_line",
                                      .is_log = true,
                                      .parse = tti_parse_log};
static const relay_intake log_lines = {.route = "log_batch",
                                       .item = "line",
                                       .code = "invalid_log_line",
                                       .is_batch = true,
                                       .is_log = true,
                                       .parse = tti_parse_log};

void relay_serve_event(http_request *request, void *context) {
  relay_take(context, request, &event, NULL);
}

void relay_serve_batch(http_request *request, void *context) {
  relay_take(context, request, &events, NULL);
}

void relay_serve_log(http_request *request, void *context) {
  relay_take(context, request, &log_line, NULL);
}

void relay_serve_log_batch(http_request *request, void *context) {
  relay_take(context, request, &log_lines, NULL);
}
