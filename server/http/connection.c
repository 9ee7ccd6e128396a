#include "server/http/connection.h"

#include "server/http/dispatch.h"
#include "server/http/secure.h"
#include <arpa/inet.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_MAX       64
#define QUEUE_BYTES_MAX ((size_t)1 << 20)
#define BEHIND_MAX      HTTP_SCRATCH /* unparsed bytes behind a request */
#define PLACE_MIN       4096         /* of a body, to be read into place */
#define LINGER_MS       2000

static const http_refusal slow_head = {
    408, "request_timeout", "the request head did not arrive in time"};
static const http_refusal slow_body = {408, "request_timeout",
                                       "the request body stopped arriving"};
static const http_refusal out_of_memory = {503, "out_of_memory",
                                           "out of memory; try again"};

/* ---- The bytes not yet taken ---- */

static void keep(http_connection *c, const char *bytes, size_t len) {
  if (len > c->in_cap - c->in_len) {
    size_t cap = c->in_len + len;
    /* Unfinished heads count too: many small ones are as heavy as a body. */
    if (!http_budget_take(&c->worker->share, cap - c->in_cap)) {
      http_connection_break(c);
      return;
    }
    char *in = realloc(c->in, cap);
    if (!in) {
      http_budget_give(&c->worker->share, cap - c->in_cap);
      http_connection_break(c);
      return;
    }
    c->in = in;
    c->in_cap = cap;
  }
  memcpy(c->in + c->in_len, bytes, len);
  c->in_len += len;
}

static void forget(http_connection *c) {
  http_budget_give(&c->worker->share, c->in_cap);
  free(c->in);
  c->in = NULL;
  c->in_len = c->in_cap = 0;
}

static uint64_t now_of(const http_connection *c) {
  return loop_now_ms(c->worker->l);
}

/* ---- The order of requests ---- */

void http_connection_append(http_connection *c, http_request *r) {
  if (c->last)
    c->last->next = r;
  else
    c->first = r;
  c->last = r;
  c->queued++;
  http_connection_weigh(c, r);
}

void http_connection_weigh(http_connection *c, http_request *r) {
  size_t weight = HTTP_REQUEST_BLOCK + r->overflow + r->out[1].len +
                  (r->body_owned ? r->body_cap : 0);
  c->queued_bytes += weight - r->weight;
  r->weight = weight;
}

void http_connection_unrun(http_connection *c, http_request *r) {
  c->running--;
  c->running_alone -= !r->route->overlaps;
}

/* Takes the request, whose predecessor is `before` (NULL: the first), out. */
static void drop(http_connection *c, http_request *r, http_request *before) {
  if (before)
    before->next = r->next;
  else
    c->first = r->next;
  if (c->last == r)
    c->last = before;
  if (c->current == r)
    c->current = NULL;
  c->queued--;
  c->queued_bytes -= r->weight;
  const http_options *options = r->worker->options;
  if (options->finished)
    options->finished(r, options->finished_context);
  if (r->stream) {
    http_connection_unrun(c, r);
    http_stream_close(r->stream);
  }
  http_request_free(r);
}

/* ---- Closing ---- */

void http_connection_free(http_connection *c) {
  while (c->first)
    drop(c, c->first, NULL);
  if (c->app_data && c->app_free)
    c->app_free(c->app_data);
  http_worker *worker = c->worker;
  *c->link = c->next;
  if (c->next)
    c->next->link = c->link;
  forget(c);
  http_secure_free(c);
  free(c);
  http_worker_settle(worker);
}

/* After the handle is closed only requests that a handler has still live. */
static void purge(http_connection *c) {
  http_request *before = NULL;
  for (http_request *r = c->first, *next; r; r = next) {
    next = r->next;
    if (r->state == HTTP_RUNNING)
      before = r;
    else
      drop(c, r, before);
  }
  if (!c->first && !c->is_dirty)
    http_connection_free(c);
}

static void on_closed(uv_handle_t *handle) {
  http_connection *c = handle->data;
  http_worker *worker = c->worker;
  c->open = false;
  worker->open_connections--;
  atomic_fetch_sub_explicit(&worker->connection_count, 1, memory_order_relaxed);
  purge(c);
  http_worker_settle(worker);
}

void http_connection_close(http_connection *c) {
  if (c->closing)
    return;
  c->closing = true;
  http_wheel_remove(&c->deadline);
  uv_close(&c->uv.handle, on_closed);
}

void http_connection_break(http_connection *c) {
  c->broken = true;
  http_worker_mark(c->worker, c);
}

/* Closing with unread bytes resets the connection. */
void http_connection_finish(http_connection *c) {
  int fd;
  http_secure_end(c);
  if ((!c->unread && !c->in_len) || c->eof ||
      uv_fileno(&c->uv.handle, &fd) != 0 || shutdown(fd, SHUT_WR) != 0) {
    http_connection_close(c);
    return;
  }
  c->lingering = true;
  c->since_ms = now_of(c);
  forget(c);
}

/* ---- Writing ---- */

#define PIECES_MAX 64
#define TEXT_MAX   16

/* Short pieces are copied: they may be the stream's own, which moves. */
typedef struct pending_write {
  uv_write_t uv;
  size_t bytes;
  char text[PIECES_MAX][TEXT_MAX];
} pending_write;

static unsigned gather(http_connection *c, uv_buf_t bufs[PIECES_MAX]) {
  unsigned n = 0;
  for (http_request *r = c->first; r && n + 2 < PIECES_MAX; r = r->next) {
    if (r->state < HTTP_ANSWERED)
      break;
    for (int i = 0; i < 2; i++)
      if (r->out[i].len)
        bufs[n++] = uv_buf_init((char *)(uintptr_t)r->out[i].ptr,
                                (unsigned)r->out[i].len);
    if (r->stream) {
      n += http_stream_gather(r->stream, bufs + n, PIECES_MAX - n);
      break;
    }
    if (r->close)
      break;
  }
  return n;
}

static void consume(http_connection *c, size_t bytes) {
  for (http_request *r = c->first; r && bytes; r = r->next) {
    for (int i = 0; i < 2; i++) {
      if (r->out[i].len == 0)
        continue;
      size_t taken = bytes < r->out[i].len ? bytes : r->out[i].len;
      if (!taken)
        continue; /* an absent part has no pointer to move */
      r->out[i].ptr += taken;
      r->out[i].len -= taken;
      bytes -= taken;
    }
    if (r->stream) {
      http_stream_consume(r->stream, bytes);
      return;
    }
  }
}

void http_connection_written(http_connection *c, size_t bytes, int status) {
  c->writing--;
  if (c->closing)
    return;
  if (status < 0) {
    http_connection_close(c);
    return;
  }
  consume(c, bytes);
  http_connection_settle(c);
}

static void on_written(uv_write_t *uv, int status) {
  pending_write *w = (pending_write *)uv;
  http_connection *c = uv->data;
  size_t bytes = w->bytes;
  free(w);
  http_connection_written(c, bytes, status);
}

/* Leaves what uv_try_write did not take to the loop. */
static void write_later(http_connection *c, uv_buf_t *bufs, unsigned count,
                        size_t bytes) {
  pending_write *w = malloc(sizeof(*w));
  if (!w) {
    http_connection_break(c);
    return;
  }
  for (unsigned i = 0; i < count; i++) {
    if (bufs[i].len > TEXT_MAX)
      continue;
    memcpy(w->text[i], bufs[i].base, bufs[i].len);
    bufs[i].base = w->text[i];
  }
  w->bytes = bytes;
  w->uv.data = c;
  if (uv_write(&w->uv, &c->uv.stream, bufs, count, on_written) != 0) {
    free(w);
    http_connection_break(c);
    return;
  }
  c->writing++;
}

/* False: not everything is in the kernel. */
static bool write_now(http_connection *c, uv_buf_t *bufs, unsigned count) {
  size_t total = 0;
  unsigned at = 0;
  for (unsigned i = 0; i < count; i++)
    total += bufs[i].len;
  int sent = uv_try_write(&c->uv.stream, bufs, count);
  if (sent < 0 && sent != UV_EAGAIN) {
    http_connection_break(c);
    return false;
  }
  size_t done = sent > 0 ? (size_t)sent : 0;
  consume(c, done);
  if (done == total)
    return true;
  size_t left = total - done;
  while (done >= bufs[at].len)
    done -= bufs[at++].len;
  bufs[at].base += done;
  bufs[at].len -= done;
  write_later(c, bufs + at, count - at, left);
  return false;
}

void http_connection_write(http_connection *c) {
  bool going = true;
  while (going && !c->closing && !c->broken && !c->writing && !c->lingering) {
    uv_buf_t bufs[PIECES_MAX];
    unsigned count = gather(c, bufs);
    if (count == 0)
      return;
    if (c->tls) {
      size_t done = http_secure_write(c, bufs, count);
      consume(c, done);
      going = done > 0;
    } else {
      going = write_now(c, bufs, count);
    }
  }
}

void http_connection_interim(http_connection *c, const char *text) {
  uv_buf_t buf = uv_buf_init((char *)(uintptr_t)text, (unsigned)strlen(text));
  /* The queue is empty but for this request, so nothing is being written; if
   * not even this fits, the client is not worth waiting for. */
  if (c->tls ? !http_secure_write(c, &buf, 1)
             : uv_try_write(&c->uv.stream, &buf, 1) != (int)buf.len)
    http_connection_break(c);
}

/* ---- Reading ---- */

static bool take_head(http_connection *c, const char *bytes, size_t len,
                      size_t *used) {
  const http_refusal *why = NULL;
  const char *copy;
  http_field fields[HTTP_FIELDS_MAX];
  http_scanner *s = &c->scanner;
  http_scan scan =
      http_scanner_run(s, bytes, len, c->worker->options->head_max_bytes, &why);
  if (scan == HTTP_SCAN_MORE)
    return false;
  if (scan == HTTP_SCAN_REFUSED) {
    http_dispatch_refuse(c, why);
    return false;
  }
  http_request *r =
      http_request_new(c, bytes + s->start, s->at - s->start, &copy);
  if (!r) {
    http_dispatch_refuse(c, &out_of_memory);
    return false;
  }
  r->route = &http_route_none;
  http_connection_append(c, r);
  c->current = r;
  bool ok =
      http_head_parse(copy, s->at - s->start, s->lines, fields, &r->head, &why);
  *used += s->at;
  *s = (http_scanner){.at = 0};
  size_t bytes_of_fields = r->head.field_count * sizeof(http_field);
  r->head.fields = ok ? http_request_alloc(r, bytes_of_fields) : NULL;
  if (!r->head.fields) {
    r->head.field_count = 0;
    http_dispatch_refuse(c, ok ? &out_of_memory : why);
    return false;
  }
  memcpy(r->head.fields, fields, bytes_of_fields);
  http_dispatch_route(r);
  c->reading = HTTP_AT_HELD;
  return true;
}

static bool take_body(http_connection *c, const char *bytes, size_t len,
                      size_t *used) {
  tti_slice rest = {bytes, len}, data;
  const http_refusal *why;
  http_framed framed = http_framing_next(&c->framing, &rest, &data, &why);
  *used += len - rest.len;
  switch (framed) {
  case HTTP_FRAMED_MORE:
    return false;
  case HTTP_FRAMED_DATA:
    return c->reading == HTTP_AT_DISCARD || http_dispatch_data(c, data);
  case HTTP_FRAMED_END:
    if (c->reading == HTTP_AT_DISCARD)
      c->reading = HTTP_AT_HEAD;
    else
      http_dispatch_complete(c);
    return true;
  default:
    http_dispatch_refuse(c, why);
    return false;
  }
}

static bool is_full(const http_connection *c) {
  return c->queued >= QUEUE_MAX ||
         (c->queued && c->queued_bytes >= QUEUE_BYTES_MAX);
}

/* Takes requests off the bytes as far as the order allows; how many bytes. */
static size_t process(http_connection *c, const char *bytes, size_t len) {
  size_t used = 0;
  bool going = true;
  while (going && !c->closing && !c->broken) {
    switch (c->reading) {
    case HTTP_AT_HEAD:
      going = used < len && !c->running_alone && !is_full(c) &&
              take_head(c, bytes + used, len - used, &used);
      break;
    case HTTP_AT_HELD:
      going = http_dispatch_may_start(c, c->current);
      if (going)
        http_dispatch_start(c, c->current, used < len);
      break;
    case HTTP_AT_BODY:
    case HTTP_AT_DISCARD:
      going = take_body(c, bytes + used, len - used, &used);
      break;
    default:
      going = false;
    }
  }
  /* Behind the last request nothing is of use. */
  if (c->reading == HTTP_AT_END && used < len) {
    c->unread = true;
    used = len;
  }
  return used;
}

/* Goes on with the bytes that are kept; false: nothing could be done. */
static bool process_kept(http_connection *c) {
  http_reading before = c->reading;
  size_t used = process(c, c->in ? c->in : "", c->in_len);
  c->in_len -= used;
  if (c->in_len == 0) {
    if (c->in)
      forget(c);
  } else if (used) {
    memmove(c->in, c->in + used, c->in_len);
  }
  return used > 0 || c->reading != before;
}

/* The client sends no more: what is complete is answered, the rest is not. */
void http_connection_eof(http_connection *c) {
  c->eof = true;
  if (c->lingering)
    http_connection_close(c);
  else
    http_connection_settle(c);
}

static bool reads_into_place(const http_connection *c) {
  const http_request *r = c->current;
  return c->reading == HTTP_AT_BODY && r && !r->head.chunked &&
         c->in_len == 0 && r->body_cap - r->body_len >= PLACE_MIN;
}

uv_buf_t http_connection_place(http_connection *c, char *scratch,
                               unsigned room) {
  const http_request *r = c->current;
  if (!reads_into_place(c))
    return uv_buf_init(scratch, room);
  size_t left = r->body_cap - r->body_len;
  return uv_buf_init(r->body + r->body_len, left < 4 * HTTP_SCRATCH
                                                ? (unsigned)left
                                                : 4 * (unsigned)HTTP_SCRATCH);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out) {
  http_connection *c = handle->data;
  char *scratch = c->worker->scratch;
  (void)suggested;
  *out = c->secure ? uv_buf_init(scratch, HTTP_SCRATCH)
                   : http_connection_place(c, scratch, HTTP_SCRATCH);
}

void http_connection_take(http_connection *c, const char *bytes, size_t len) {
  c->settling = true;
  if (c->in_len) {
    keep(c, bytes, len);
  } else {
    size_t used = process(c, bytes, len);
    if (used < len)
      keep(c, bytes + used, len - used);
  }
  c->settling = false;
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf) {
  http_connection *c = stream->data;
  if (count == 0 || c->closing)
    return;
  if (count < 0) {
    if (http_secure_is_opening(c))
      http_secure_left(c);
    if (count == UV_EOF)
      http_connection_eof(c);
    else
      http_connection_close(c);
    return;
  }
  if (c->lingering)
    return;
  if (c->secure) {
    http_secure_read(c, buf->base, (size_t)count);
    return;
  }
  http_connection_take(c, buf->base, (size_t)count);
  http_connection_settle(c);
}

/* ---- Settling ---- */

/* Lets go of what is written; false when the connection is over. */
static bool pop(http_connection *c) {
  http_request *r;
  while ((r = c->first) && r->state >= HTTP_ANSWERED) {
    if (r->out[0].len || r->out[1].len)
      return true;
    if (r->stream && !http_stream_done(r->stream)) {
      if (http_stream_tell(r->stream) && !c->writing && !c->broken)
        continue; /* it may have ended */
      return true;
    }
    bool close = r->close;
    drop(c, r, NULL);
    if (close) {
      http_connection_finish(c);
      return false;
    }
  }
  return true;
}

/* With nothing in progress: whether the connection has a future. */
static bool is_over(const http_connection *c) {
  if (c->first)
    return false;
  return c->eof || c->reading == HTTP_AT_END ||
         (c->worker->draining && c->reading == HTTP_AT_HEAD && !c->in_len);
}

static void abandon_current(http_connection *c) {
  http_request *before = NULL;
  for (http_request *r = c->first; r != c->current; r = r->next)
    before = r;
  drop(c, c->current, before);
  c->reading = HTTP_AT_END;
}

/* Bytes that the client has yet to take. The kernel's part counts, as a slow
 * client takes from there for long before there is room in it again. */
static size_t untaken(const http_connection *c) {
  int fd, queued = 0;
  if (uv_fileno(&c->uv.handle, &fd) != 0 || ioctl(fd, SIOCOUTQ, &queued) != 0)
    queued = 0;
  return uv_stream_get_write_queue_size(&c->uv.stream) + (size_t)queued;
}

static void set_deadline(http_connection *c) {
  const http_options *options = c->worker->options;
  uint64_t now = now_of(c), deadline = 0;
  bool in_head = c->reading == HTTP_AT_HEAD && c->in_len && !c->first;
  bool opening = http_secure_is_opening(c);
  if (!in_head && !c->lingering && !opening)
    c->since_ms = 0;
  else if (!c->since_ms)
    c->since_ms = now;
  if (c->lingering)
    deadline = c->since_ms + LINGER_MS;
  else if (opening)
    deadline = c->since_ms + options->head_timeout_ms;
  else if (c->writing) {
    c->untaken = untaken(c);
    deadline = now + (c->first && c->first->stream ? options->stall_timeout_ms
                                                   : options->body_timeout_ms);
  } else if (c->reading == HTTP_AT_BODY || c->reading == HTTP_AT_DISCARD)
    deadline = now + options->body_timeout_ms;
  else if (in_head)
    deadline = c->since_ms + options->head_timeout_ms;
  else if (!c->first)
    deadline = now + options->idle_timeout_ms;
  http_wheel_set(&c->worker->wheel, &c->deadline, deadline);
}

/* A client that sends on while it waits is read only so far. */
static void set_reading(http_connection *c) {
  bool stop = c->in_len >= BEHIND_MAX && !c->lingering &&
              (c->first || c->reading == HTTP_AT_HELD);
  if (c->eof || stop == c->stopped)
    return;
  c->stopped = stop;
  if (stop)
    uv_read_stop(&c->uv.stream);
  else if (uv_read_start(&c->uv.stream, on_alloc, on_read) != 0)
    http_connection_break(c);
}

void http_connection_settle(http_connection *c) {
  if (!c->open) {
    purge(c);
    return;
  }
  if (c->closing || c->settling)
    return;
  c->settling = true;
  do {
    http_connection_write(c);
  } while (!c->broken && !c->lingering && pop(c) && !c->closing &&
           (process_kept(c) ||
            (c->first && !c->writing && c->first->state >= HTTP_ANSWERED &&
             !c->first->stream)));
  c->settling = false;
  if (c->closing)
    return;
  if (c->eof && c->current && c->reading != HTTP_AT_HELD)
    abandon_current(c);
  if (!c->lingering && is_over(c))
    http_connection_finish(c);
  /* Nobody would see a client leave that has no more to say. */
  bool deserted = c->eof && c->first && c->first->state == HTTP_STREAMING;
  if (c->broken || deserted)
    http_connection_close(c);
  if (c->closing)
    return;
  set_reading(c);
  set_deadline(c);
}

void http_connection_drain(http_connection *c) {
  if (!c->closing && !c->first && c->reading == HTTP_AT_HEAD)
    http_connection_close(c);
}

void http_connection_expired(http_wheel_item *item) {
  http_connection *c =
      (http_connection *)((char *)item - offsetof(http_connection, deadline));
  if (http_secure_is_opening(c) && !c->lingering) {
    http_secure_expired(c);
    return;
  }
  if (c->writing && !c->lingering) {
    if (untaken(c) < c->untaken) {
      set_deadline(c);
      return;
    }
    atomic_fetch_add_explicit(&c->worker->stalled, 1, memory_order_relaxed);
    http_connection_close(c);
    return;
  }
  bool in_head = c->reading == HTTP_AT_HEAD && c->in_len;
  if (c->lingering || (!in_head && !c->current)) {
    http_connection_close(c);
    return;
  }
  c->settling = true;
  http_dispatch_refuse(c, in_head ? &slow_head : &slow_body);
  c->settling = false;
  http_connection_settle(c);
}

/* ---- Opening ---- */

static void read_peer(http_connection *c, int fd) {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } a = {.any.sa_family = AF_UNSPEC};
  socklen_t len = sizeof(a);
  char *text = c->peer_text;
  if (!c->is_unix && getpeername(fd, &a.any, &len) != 0)
    a.any.sa_family = AF_UNSPEC;
  if (a.any.sa_family == AF_INET)
    inet_ntop(AF_INET, &a.v4.sin_addr, text, HTTP_ADDRESS_TEXT);
  else if (a.any.sa_family == AF_INET6)
    inet_ntop(AF_INET6, &a.v6.sin6_addr, text, HTTP_ADDRESS_TEXT);
  else
    strcpy(text, c->is_unix ? "127.0.0.1" : "::");
  http_address_parse(tti_slice_of(text), &c->peer);
  http_address_format(&c->peer, text);
  if (c->is_unix)
    strcpy(text, "unix");
}

void http_connection_open(http_worker *worker, int fd, bool is_unix) {
  http_connection *c = calloc(1, sizeof(*c));
  if (!c) {
    close(fd);
    return;
  }
  c->worker = worker;
  c->is_unix = is_unix;
  c->secure = worker->options->tls && !is_unix;
  read_peer(c, fd);
  uv_loop_t *uv = loop_uv(worker->l);
  int failed =
      is_unix ? uv_pipe_init(uv, &c->uv.pipe, 0) : uv_tcp_init(uv, &c->uv.tcp);
  if (failed) {
    close(fd);
    free(c);
    return;
  }
  c->uv.handle.data = c;
  c->open = true;
  c->next = worker->connections;
  c->link = &worker->connections;
  if (c->next)
    c->next->link = &c->next;
  worker->connections = c;
  worker->open_connections++;
  atomic_fetch_add_explicit(&worker->connection_count, 1, memory_order_relaxed);
  failed =
      is_unix ? uv_pipe_open(&c->uv.pipe, fd) : uv_tcp_open(&c->uv.tcp, fd);
  if (failed)
    close(fd);
  if (failed || uv_read_start(&c->uv.stream, on_alloc, on_read) != 0)
    http_connection_close(c);
  else
    set_deadline(c);
}
