#include "server/http/secure.h"

#include "server/http/dispatch.h"
#include "server/io/log.h"
#include <stdlib.h>

/* What OpenSSL holds of a connection that shakes hands or has sent a part of a
 * record: a record's buffer, and while it shakes hands its messages too. */
#define OPENING_BYTES ((size_t)32 << 10)
#define PART_BYTES    (TLS_RECORD + 1024)

/* Alerts and the like that a client makes us send and does not read. */
#define UNREAD_MAX ((size_t)256 << 10)

#define TELL_MS   1000 /* a line a loop */
#define HANDSHAKE 22   /* the first byte of TLS, RFC 8446, 5.1 */

static const http_refusal plain_http = {
    400, "tls_required",
    "this port speaks TLS and got plain HTTP: use https:// in the URL"};

const char *http_tls_failure_name(http_tls_failure why) {
  static const char *const names[] = {
#define X(id, name) [id] = name,
      HTTP_TLS_FAILURE_MAP(X)
#undef X
  };
  return names[why];
}

static void failed(http_connection *c, http_tls_failure why, const char *text) {
  http_worker *w = c->worker;
  uint64_t now = loop_now_ms(w->l);
  atomic_fetch_add_explicit(&w->tls_failed[why], 1, memory_order_relaxed);
  if (w->tls_told_ms && now - w->tls_told_ms < TELL_MS) {
    w->tls_untold++;
    return;
  }
  server_log(TT_LEVEL_INFO, "http",
             "%s did not get to speak TLS: %s (%s; %llu more not logged)",
             c->peer_text, text, http_tls_failure_name(why),
             (unsigned long long)w->tls_untold);
  w->tls_told_ms = now;
  w->tls_untold = 0;
}

bool http_secure_is_opening(const http_connection *c) {
  return c->secure && !(c->tls && tls_session_is_open(c->tls));
}

/* ---- Into the kernel ---- */

typedef struct sealed_write {
  uv_write_t uv;
  size_t plain; /* bytes that are consumed with it */
  size_t len;
  char bytes[];
} sealed_write;

static void on_written(uv_write_t *uv, int status) {
  sealed_write *w = (sealed_write *)uv;
  http_connection *c = uv->data;
  size_t plain = w->plain;
  http_budget_give(&c->worker->share, w->len);
  free(w);
  http_connection_written(c, plain, status);
}

static void write_later(http_connection *c, const char *bytes, size_t len,
                        size_t plain) {
  if (uv_stream_get_write_queue_size(&c->uv.stream) > UNREAD_MAX ||
      !http_budget_take(&c->worker->share, len)) {
    http_connection_break(c);
    return;
  }
  sealed_write *w = malloc(sizeof(*w) + len);
  if (w) {
    *w = (sealed_write){.plain = plain, .len = len};
    memcpy(w->bytes, bytes, len);
    w->uv.data = c;
    uv_buf_t buf = uv_buf_init(w->bytes, (unsigned)len);
    if (uv_write(&w->uv, &c->uv.stream, &buf, 1, on_written) == 0) {
      c->writing++;
      return;
    }
  }
  free(w);
  http_budget_give(&c->worker->share, len);
  http_connection_break(c);
}

/* Sends what was sealed just now; false: not all of it, or the connection
 * breaks. */
static bool flush(http_connection *c, size_t plain) {
  tti_buf *sealed = &c->worker->sealed;
  size_t done = 0;
  if (sealed->error != TT_OK) {
    http_connection_break(c);
  } else if (sealed->len) {
    uv_buf_t buf = uv_buf_init(sealed->data, (unsigned)sealed->len);
    int sent = uv_try_write(&c->uv.stream, &buf, 1);
    if (sent < 0 && sent != UV_EAGAIN)
      http_connection_break(c);
    else
      done = sent > 0 ? (size_t)sent : 0;
  }
  if (!c->broken && done < sealed->len)
    write_later(c, sealed->data + done, sealed->len - done, plain);
  bool all = !c->broken && done == sealed->len;
  tti_buf_clear(sealed);
  return all;
}

size_t http_secure_write(http_connection *c, const uv_buf_t *bufs,
                         unsigned count) {
  size_t plain = tls_session_write(c->tls, bufs, count, &c->worker->sealed);
  if (plain == 0)
    http_connection_break(c);
  return flush(c, plain) ? plain : 0;
}

void http_secure_end(http_connection *c) {
  if (!c->tls || c->writing)
    return;
  tls_session_close(c->tls, &c->worker->sealed);
  tti_buf *sealed = &c->worker->sealed;
  uv_buf_t buf = uv_buf_init(sealed->data, (unsigned)sealed->len);
  if (sealed->len)
    (void)!uv_try_write(&c->uv.stream, &buf, 1);
  tti_buf_clear(sealed);
}

/* ---- Out of the kernel ---- */

/* Counts anew what the session holds; false: there is no room for it. */
static bool charge(http_connection *c) {
  size_t bytes = http_secure_is_opening(c)      ? OPENING_BYTES
                 : tls_session_has_part(c->tls) ? PART_BYTES
                                                : 0;
  if (bytes > c->tls_bytes &&
      !http_budget_take(&c->worker->share, bytes - c->tls_bytes))
    return false;
  if (bytes < c->tls_bytes)
    http_budget_give(&c->worker->share, c->tls_bytes - bytes);
  c->tls_bytes = bytes;
  return true;
}

static bool open_session(http_connection *c) {
  c->tls = tls_session_new(c->worker->options->tls);
  if (c->tls && charge(c))
    return true;
  failed(c, HTTP_TLS_OVERLOADED, "there is no memory left for requests");
  http_connection_break(c);
  return false;
}

/* Answered in plain text: that is what the client understands. */
static void refuse_plain(http_connection *c) {
  failed(c, HTTP_TLS_PLAIN, "it sent plain HTTP");
  c->secure = false;
  c->settling = true;
  http_dispatch_refuse(c, &plain_http);
  c->settling = false;
}

/* The alert was flushed: whoever is still there may read it. */
static void end_failed(http_connection *c, bool opening) {
  if (opening)
    failed(c, HTTP_TLS_REFUSED, tls_session_problem(c->tls));
  c->unread = true;
  if (opening)
    http_connection_finish(c);
  else
    http_connection_break(c);
}

static void settle_read(http_connection *c, tls_result result, bool opening) {
  if (c->closing)
    return;
  if (result == TLS_FAILED) {
    end_failed(c, opening);
  } else if (!c->broken && !charge(c)) {
    http_connection_break(c);
  } else if (result == TLS_EOF) {
    http_connection_eof(c);
    return;
  }
  http_connection_settle(c);
}

void http_secure_read(http_connection *c, const char *bytes, size_t len) {
  tti_slice in = {bytes, len};
  tls_result result = TLS_MORE;
  if (!c->tls && bytes[0] != HANDSHAKE) {
    refuse_plain(c);
    http_connection_settle(c);
    return;
  }
  bool opening = http_secure_is_opening(c);
  bool going = c->tls || open_session(c);
  while (going) {
    size_t got = 0;
    uv_buf_t to = http_connection_place(c, c->worker->opened, TLS_RECORD);
    result = tls_session_read(c->tls, &in, to.base, to.len, &got,
                              &c->worker->sealed);
    flush(c, 0);
    if (opening && !http_secure_is_opening(c)) {
      opening = false;
      c->since_ms = 0; /* the first head has its own time */
      atomic_fetch_add_explicit(&c->worker->tls_opened, 1,
                                memory_order_relaxed);
    }
    if (result == TLS_DATA)
      http_connection_take(c, to.base, got);
    going = result == TLS_DATA && !c->closing && !c->broken;
  }
  settle_read(c, result, opening);
}

void http_secure_expired(http_connection *c) {
  failed(c, HTTP_TLS_TIMEOUT,
         c->tls ? "it stopped in the middle of the handshake"
                : "it sent nothing");
  http_connection_close(c);
}

void http_secure_left(http_connection *c) {
  if (c->tls && !c->lingering)
    failed(c, HTTP_TLS_LEFT, "it closed the connection");
}

void http_secure_free(http_connection *c) {
  http_budget_give(&c->worker->share, c->tls_bytes);
  tls_session_free(c->tls);
}
