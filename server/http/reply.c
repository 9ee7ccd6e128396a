#include "server/http/dispatch.h"

#include "lib/json/write.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ERROR_MAX   8192
#define ANSWER_FREE ((size_t)16 << 10)

static const char *reason(int status) {
  static const struct {
    int status;
    const char *text;
  } table[] = {
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {415, "Unsupported Media Type"},
      {417, "Expectation Failed"},
      {421, "Misdirected Request"},
      {422, "Unprocessable Content"},
      {428, "Precondition Required"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {451, "Unavailable For Legal Reasons"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {507, "Insufficient Storage"},
  };
  for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
    if (table[i].status == status)
      return table[i].text;
  return "Status";
}

static char *put(char *at, const void *bytes, size_t len) {
  memcpy(at, bytes, len);
  return at + len;
}

static char *put_slice(char *at, tti_slice s) {
  return put(at, s.ptr, s.len);
}

static char *put_number(char *at, size_t value) {
  char digits[20];
  size_t i = sizeof(digits);
  do {
    digits[--i] = (char)('0' + value % 10);
    value /= 10;
  } while (value);
  return put(at, digits + i, sizeof(digits) - i);
}

/* Whether the connection can take another request after this one; settles
 * request->close. */
static void decide_close(http_request *r) {
  http_connection *c = r->connection;
  bool before_body = r->state == HTTP_CHECKING || r->state == HTTP_READING;
  if (!r->head.keep_alive || (r->worker->draining && c->last == r) ||
      (before_body && !http_dispatch_discardable(r)))
    r->close = true;
  if (r->close && c->last == r && !before_body)
    c->reading = HTTP_AT_END;
}

static size_t extras_len(const http_request *r) {
  size_t len = 0;
  for (const http_extra *e = r->extras; e; e = e->next)
    len += e->len;
  return len;
}

bool http_reply_compose(http_request *r, int status, const char *content_type,
                        const void *copy, size_t body_len, bool stream) {
  decide_close(r);
  r->status = status;
  tti_slice prefix = http_worker_prefix(r->worker);
  tti_slice type = tti_slice_of(content_type);
  bool bodiless = status == 204 || status == 304;
  r->answer_bytes = stream || r->head.is_head || bodiless ? 0 : body_len;
  size_t copied = copy && !r->head.is_head && !bodiless ? body_len : 0;
  size_t room = prefix.len + type.len + extras_len(r) + copied + 256;
  char *start = http_request_alloc(r, room);
  if (!start)
    return false;
  char *at = start;
  if (status == 200) {
    at = put_slice(at, prefix);
  } else { /* the same behind another first line */
    tti_slice ok = TTI_SLICE("HTTP/1.1 200 OK");
    at += snprintf(at, 64, "HTTP/1.1 %d %s", status, reason(status));
    at = put(at, prefix.ptr + ok.len, prefix.len - ok.len);
  }
  if (type.len) {
    at = put_slice(at, TTI_SLICE("Content-Type: "));
    at = put_slice(at, type);
    at = put_slice(at, TTI_SLICE("\r\n"));
  }
  for (const http_extra *e = r->extras; e; e = e->next)
    at = put(at, e->text, e->len);
  if (r->close)
    at = put_slice(at, TTI_SLICE("Connection: close\r\n"));
  else if (r->head.http_1_0)
    at = put_slice(at, TTI_SLICE("Connection: keep-alive\r\n"));
  if (stream && !r->head.http_1_0) {
    at = put_slice(at, TTI_SLICE("Transfer-Encoding: chunked\r\n"));
  } else if (!stream && !bodiless) {
    at = put_slice(at, TTI_SLICE("Content-Length: "));
    at = put_number(at, body_len);
    at = put_slice(at, TTI_SLICE("\r\n"));
  }
  at = put_slice(at, TTI_SLICE("\r\n"));
  if (copied)
    at = put(at, copy, copied);
  r->out[0] = (tti_slice){start, (size_t)(at - start)};
  return true;
}

static bool header_is_clean(const char *text) {
  return !strpbrk(text, "\r\n");
}

void http_reply_header(http_request *r, const char *name, const char *value) {
  if (!header_is_clean(name) || !header_is_clean(value))
    return;
  size_t name_len = strlen(name), value_len = strlen(value);
  http_extra *e = http_request_alloc(r, sizeof(*e) + name_len + value_len + 4);
  if (!e)
    return;
  char *at = put(e->text, name, name_len);
  at = put(at, ": ", 2);
  at = put(at, value, value_len);
  at = put(at, "\r\n", 2);
  e->len = (size_t)(at - e->text);
  e->next = NULL;
  *r->extras_end = e;
  r->extras_end = &e->next;
}

void http_reply_close(http_request *r) {
  r->close = true;
}

static void answered(http_request *r, int status, bool composed) {
  const http_options *options = r->worker->options;
  http_connection *c = r->connection;
  if (r->state == HTTP_RUNNING)
    http_connection_unrun(c, r);
  r->state = HTTP_ANSWERED;
  if (options->answered)
    options->answered(r->route, status, options->answered_context);
  if (!composed)
    http_connection_break(c);
  http_worker_mark(r->worker, c);
}

void http_reply(http_request *r, int status, const char *content_type,
                const void *body, size_t len) {
  assert(r->state < HTTP_ANSWERED);
  bool composed =
      http_reply_compose(r, status, content_type, body ? body : "", len, false);
  answered(r, status, composed);
}

/* An answer stays for as long as its reader takes, so a long one has to find
 * room like a body does. What was changed is told in any case: a client that
 * hears 503 would do it again. */
static bool has_room(http_request *r, size_t len) {
  return http_request_charge(r, len) || len <= ANSWER_FREE ||
         r->head.method != HTTP_GET_;
}

void http_reply_take(http_request *r, int status, const char *content_type,
                     char *body, size_t len) {
  assert(r->state < HTTP_ANSWERED);
  if (!has_room(r, len)) {
    free(body);
    http_reply_header(r, "Retry-After", "1");
    http_reply_error(r, 503, "overloaded",
                     "the memory for answers is used up by clients that do not "
                     "read theirs; try again in a second");
    return;
  }
  bool composed = http_reply_compose(r, status, content_type, NULL, len, false);
  r->out_owned = body;
  if (!r->head.is_head)
    r->out[1] = (tti_slice){body, len};
  http_connection_weigh(r->connection, r);
  answered(r, status, composed);
}

void http_reply_error(http_request *r, int status, const char *code,
                      const char *format, ...) {
  char message[1024];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(message, sizeof(message), format, args);
  va_end(args);
  size_t kept = len < 0                         ? 0
                : (size_t)len < sizeof(message) ? (size_t)len
                                                : sizeof(message) - 1;
  tti_buf body;
  tti_buf_init(&body, ERROR_MAX);
  tti_buf_append_text(&body, "{\"code\":");
  tti_json_write_text(&body, code);
  tti_buf_append_text(&body, ",\"message\":");
  tti_json_write_string(&body, (tti_slice){message, kept});
  if (r->route && r->route->errors_say_error) {
    tti_buf_append_text(&body, ",\"error\":");
    tti_json_write_string(&body, (tti_slice){message, kept});
  }
  tti_buf_append_text(&body, "}\n");
  if (body.error)
    tti_buf_clear(&body);
  http_reply(r, status, "application/json", body.data, body.len);
  tti_buf_fini(&body);
}

void http_reply_json(http_request *request, int status, tti_buf *body) {
  size_t len;
  char *text = tti_buf_take(body, &len);
  if (text)
    http_reply_take(request, status, "application/json", text, len);
  else
    http_reply_error(request, 503, "out_of_memory",
                     "out of memory while answering; try again");
}
