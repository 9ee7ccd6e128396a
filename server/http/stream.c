#include "server/http/connection.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Bytes to send: of a chunk, or the chunked coding's own few. */
typedef struct item {
  http_chunk *chunk; /* NULL: text */
  uint32_t from, to; /* unsent part */
  char text[16];
} item;

#define INLINE_ITEMS 3 /* one write of one chunk */

struct http_stream {
  http_request *request;
  const http_stream_events *events;
  void *context;
  item *items;
  unsigned first, count, cap;
  item few[INLINE_ITEMS];
  size_t unsent;  /* bytes */
  size_t charged; /* of them, against what streams may hold; chunks that are
                     shared count for each */
  bool chunked;
  bool ended;
  bool waiting; /* a write was not taken whole: writable is due */
};

static void unref(http_chunk *chunk) {
  if (--chunk->refs == 0 && chunk->free_fn)
    chunk->free_fn(chunk);
}

static bool is_dead(const http_stream *s) {
  const http_connection *c = s->request->connection;
  return c->closing || c->broken || s->ended;
}

static bool make_room(http_stream *s, size_t more) {
  if (s->first) {
    memmove(s->items, s->items + s->first, s->count * sizeof(item));
    s->first = 0;
  }
  if (s->count + more <= s->cap)
    return true;
  size_t cap = s->cap * 2;
  while (cap < s->count + more)
    cap *= 2;
  item *items = malloc(cap * sizeof(item));
  if (!items || cap > UINT32_MAX) {
    free(items);
    return false;
  }
  memcpy(items, s->items, s->count * sizeof(item));
  if (s->items != s->few)
    free(s->items);
  s->items = items;
  s->cap = (unsigned)cap;
  return true;
}

static void push(http_stream *s, http_chunk *chunk, const char *text,
                 size_t len) {
  item *i = &s->items[s->first + s->count++];
  *i = (item){.chunk = chunk, .to = (uint32_t)len};
  if (text)
    memcpy(i->text, text, len);
  s->unsent += len;
}

http_stream *http_stream_open(http_request *r, int status,
                              const char *content_type,
                              const http_stream_events *events, void *context) {
  const http_options *options = r->worker->options;
  http_connection *c = r->connection;
  assert(r->state == HTTP_RUNNING);
  http_stream *s = r->head.is_head ? NULL : calloc(1, sizeof(*s));
  if (r->head.http_1_0)
    r->close = true; /* the end of the connection is the end of the stream */
  if (!http_reply_compose(r, status, content_type, NULL, 0, true) ||
      (!s && !r->head.is_head))
    http_connection_break(c);
  if (options->answered)
    options->answered(r->route, status, options->answered_context);
  http_worker_mark(r->worker, c);
  if (!s) {
    http_connection_unrun(c, r);
    r->state = HTTP_ANSWERED;
    return NULL;
  }
  s->request = r;
  s->events = events;
  s->context = context;
  s->items = s->few;
  s->cap = INLINE_ITEMS;
  s->chunked = !r->head.http_1_0;
  r->stream = s;
  r->state = HTTP_STREAMING;
  atomic_fetch_add_explicit(&r->worker->stream_count, 1, memory_order_relaxed);
  return s;
}

/* Keeps the account of what waits. Where there is no room for more, the client
 * is sent away: it can come back for the rest. */
static void charge(http_stream *s) {
  http_worker *w = s->request->worker;
  if (s->unsent < s->charged) {
    http_budget_give(&w->stream_share, s->charged - s->unsent);
  } else if (s->unsent > s->charged &&
             !http_budget_take(&w->stream_share, s->unsent - s->charged)) {
    atomic_fetch_add_explicit(&w->crowded, 1, memory_order_relaxed);
    http_connection_break(s->request->connection);
    return;
  }
  s->charged = s->unsent;
}

/* Tries at once; what the kernel does not take is written as it drains. */
static void write_now(http_stream *s) {
  http_connection *c = s->request->connection;
  if (c->first == s->request)
    http_connection_write(c);
  charge(s);
  if (s->unsent == 0 || s->waiting)
    return;
  s->waiting = true;
  http_worker_mark(s->request->worker, c); /* from now on there is a deadline */
}

void http_stream_write(http_stream *s, http_chunk *const *chunks,
                       size_t count) {
  size_t total = 0, longest = 0;
  for (size_t i = 0; i < count; i++) {
    total += chunks[i]->len;
    longest = chunks[i]->len > longest ? chunks[i]->len : longest;
  }
  bool taken = total > 0 && total <= UINT32_MAX && !is_dead(s);
  if (taken && !make_room(s, count + 2)) {
    http_connection_break(s->request->connection);
    taken = false;
  }
  if (!taken) {
    for (size_t i = 0; i < count; i++)
      unref(chunks[i]);
    return;
  }
  s->request->answer_bytes += total;
  if (s->chunked) {
    char size[16];
    int len = snprintf(size, sizeof(size), "%zx\r\n", total);
    push(s, NULL, size, (size_t)len);
  }
  for (size_t i = 0; i < count; i++)
    push(s, chunks[i], NULL, chunks[i]->len);
  if (s->chunked)
    push(s, NULL, "\r\n", 2);
  write_now(s);
}

static void free_copy(http_chunk *chunk) {
  free(chunk);
}

void http_stream_write_copy(http_stream *s, const void *bytes, size_t len) {
  http_chunk *chunk = malloc(sizeof(*chunk) + len);
  if (!chunk) {
    http_connection_break(s->request->connection);
    return;
  }
  char *data = (char *)(chunk + 1);
  memcpy(data, bytes, len);
  *chunk = (http_chunk){1, len, free_copy, data};
  http_stream_write(s, &chunk, 1);
}

size_t http_stream_pending(const http_stream *s) {
  return s->unsent;
}

void http_stream_end(http_stream *s) {
  if (s->ended)
    return;
  bool dead = is_dead(s);
  s->ended = true;
  s->waiting = false;
  if (dead)
    return;
  if (s->chunked && make_room(s, 1))
    push(s, NULL, "0\r\n\r\n", 5);
  else if (s->chunked)
    http_connection_break(s->request->connection);
  http_worker_mark(s->request->worker, s->request->connection);
}

void http_stream_abort(http_stream *s) {
  http_connection_break(s->request->connection);
}

unsigned http_stream_gather(const http_stream *s, uv_buf_t *bufs,
                            unsigned room) {
  unsigned n = 0;
  for (unsigned i = 0; i < s->count && n < room; i++) {
    item *at = &s->items[s->first + i];
    if (at->from == at->to)
      continue;
    char *base = at->chunk ? (char *)(uintptr_t)at->chunk->data : at->text;
    bufs[n++] = uv_buf_init(base + at->from, at->to - at->from);
  }
  return n;
}

void http_stream_consume(http_stream *s, size_t bytes) {
  s->unsent -= bytes;
  if (s->charged > s->unsent)
    charge(s);
  while (s->count) {
    item *at = &s->items[s->first];
    size_t left = at->to - at->from;
    if (bytes < left) {
      at->from += (uint32_t)bytes;
      return;
    }
    bytes -= left;
    if (at->chunk)
      unref(at->chunk);
    s->first++;
    s->count--;
  }
  s->first = 0;
  if (s->items != s->few) {
    free(s->items);
    s->items = s->few;
    s->cap = INLINE_ITEMS;
  }
}

bool http_stream_done(const http_stream *s) {
  return s->ended && s->unsent == 0;
}

bool http_stream_tell(http_stream *s) {
  if (!s->waiting || s->unsent)
    return false;
  s->waiting = false;
  if (s->events->writable)
    s->events->writable(s, s->context);
  return true;
}

void http_stream_close(http_stream *s) {
  for (unsigned i = 0; i < s->count; i++)
    if (s->items[s->first + i].chunk)
      unref(s->items[s->first + i].chunk);
  s->count = 0;
  s->unsent = 0;
  charge(s);
  s->ended = true; /* what closed still writes goes nowhere */
  if (s->events->closed)
    s->events->closed(s, s->context);
  if (s->items != s->few)
    free(s->items);
  atomic_fetch_sub_explicit(&s->request->worker->stream_count, 1,
                            memory_order_relaxed);
  s->request->stream = NULL;
  free(s);
}
