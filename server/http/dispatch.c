#include "server/http/dispatch.h"

#include "server/http/decode.h"
#include <assert.h>

#define DISCARD_MAX  ((uint64_t)64 << 10)
#define CHUNKED_STEP ((size_t)4 << 10)

const http_route http_route_none = {.pattern = "", .name = "none"};

void http_dispatch_route(http_request *r) {
  http_match match;
  http_router_find(r->worker->router, r->head.path, r->head.method, &match);
  r->allowed = match.allowed;
  r->route = match.route ? match.route : &http_route_none;
  memcpy(r->params, match.params, sizeof(r->params));
}

bool http_dispatch_may_start(const http_connection *c, const http_request *r) {
  if (c->first == r)
    return true;
  /* An interim answer would be taken for one to an earlier request. */
  if (r->head.expects_continue)
    return false;
  if (c->running == 0)
    return true;
  return c->running_alone == 0 && r->route->overlaps;
}

static bool has_body(const http_request *r) {
  return r->head.chunked || r->head.length > 0;
}

bool http_dispatch_discardable(const http_request *r) {
  return !has_body(r) ||
         (r->state == HTTP_CHECKING && !r->head.chunked &&
          !r->head.expects_continue && r->head.length <= DISCARD_MAX);
}

static void add_allow(http_request *r) {
  static const struct {
    unsigned bit;
    const char *text;
  } names[] = {{HTTP_GET_, "GET, HEAD, "},
               {HTTP_POST_, "POST, "},
               {HTTP_PUT_, "PUT, "},
               {HTTP_PATCH_, "PATCH, "},
               {HTTP_DELETE_, "DELETE, "}};
  char text[80] = "";
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    if (r->allowed & names[i].bit)
      strcat(text, names[i].text);
  strcat(text, "OPTIONS");
  http_reply_header(r, "Allow", text);
}

static void answer_without_route(http_request *r) {
  tti_slice path = r->head.path;
  int shown = path.len > 200 ? 200 : (int)path.len;
  if (r->head.is_options && (r->allowed || path.ptr[0] == '*')) {
    add_allow(r);
    http_reply(r, 204, NULL, NULL, 0);
  } else if (r->allowed) {
    add_allow(r);
    http_reply_error(r, 405, "method_not_allowed",
                     "%.*s does not take this method; see the Allow header",
                     shown, path.ptr);
  } else {
    http_reply_error(r, 404, "not_found", "there is nothing at %.*s", shown,
                     path.ptr);
  }
}

static void refuse_size(http_request *r) {
  http_reply_close(r);
  if (r->route->max_body_bytes == 0)
    http_reply_error(r, 413, "body_too_large", "%s takes no body",
                     r->route->pattern);
  else
    http_reply_error(r, 413, "body_too_large",
                     "the body is larger than the %zu bytes that %s takes; "
                     "send less at once",
                     r->route->max_body_bytes, r->route->pattern);
}

static void refuse_budget(http_request *r) {
  http_reply_header(r, "Retry-After", "1");
  http_reply_error(r, 503, "overloaded",
                   "the memory for requests is used up; try again in a second");
}

static bool is_coded(const http_request *r) {
  return r->head.coding != HTTP_CODING_IDENTITY;
}

/* Room for a compressed body whose decoded size is at the limit: deflate and
 * zstd add at most this where they cannot shrink. */
static size_t wire_limit(const http_request *r) {
  size_t limit = r->route->max_body_bytes;
  return is_coded(r) ? limit + limit / 256 + 128 : limit;
}

/* Answers what must not be read and returns false. */
static bool body_is_welcome(http_request *r) {
  if (r->head.expects_other) {
    http_reply_error(r, 417, "expectation_failed",
                     "the only Expect known here is 100-continue");
    return false;
  }
  if (!http_request_charge(r, HTTP_REQUEST_BLOCK + r->overflow)) {
    refuse_budget(r);
    return false;
  }
  if (!has_body(r))
    return true;
  if (r->head.coding == HTTP_CODING_UNKNOWN) {
    http_reply_header(r, "Accept-Encoding", HTTP_CODINGS);
    http_reply_error(r, 415, "unsupported_encoding",
                     "Content-Encoding may be one of " HTTP_CODINGS
                     " and identity");
    return false;
  }
  if (r->route->max_body_bytes == 0 || r->head.length > wire_limit(r)) {
    refuse_size(r);
    return false;
  }
  size_t room = (size_t)r->head.length;
  if (room > HTTP_REQUEST_BLOCK && !http_request_charge(r, room)) {
    refuse_budget(r);
    return false;
  }
  if (!http_request_body_room(r, room)) {
    refuse_budget(r);
    return false;
  }
  return true;
}

/* The request was answered before its body was read. */
static void pass_over(http_connection *c, http_request *r) {
  assert(r->state >= HTTP_ANSWERED); /* by the gate, or here */
  c->current = NULL;
  if (r->close) {
    c->reading = HTTP_AT_END;
    c->unread |= has_body(r);
    return;
  }
  c->reading = HTTP_AT_DISCARD;
}

void http_dispatch_start(http_connection *c, http_request *r, bool more) {
  const http_options *options = r->worker->options;
  c->current = r;
  c->reading = HTTP_AT_BODY;
  http_framing_init(&c->framing, &r->head);
  if (options->gate && !options->gate(r, r->route, options->gate_context)) {
    pass_over(c, r);
    return;
  }
  if (r->route == &http_route_none)
    answer_without_route(r);
  if (r->state != HTTP_CHECKING || !body_is_welcome(r)) {
    pass_over(c, r);
    return;
  }
  r->state = HTTP_READING;
  http_connection_weigh(c, r);
  if (r->head.expects_continue && has_body(r) && !more)
    http_connection_interim(c, "HTTP/1.1 100 Continue\r\n\r\n");
}

bool http_dispatch_data(http_connection *c, tti_slice data) {
  http_request *r = c->current;
  if (r->body && data.ptr == r->body + r->body_len) { /* read into place */
    r->body_len += data.len;
    return true;
  }
  size_t need = r->body_len + data.len;
  if (need > wire_limit(r)) {
    refuse_size(r);
    goto refused;
  }
  if (need > r->body_cap) { /* chunked: the size was not told */
    size_t cap = r->body_cap ? r->body_cap * 2 : CHUNKED_STEP;
    while (cap < need)
      cap *= 2;
    if (!http_request_charge(r, cap - r->body_cap) ||
        !http_request_body_room(r, cap)) {
      refuse_budget(r);
      goto refused;
    }
    http_connection_weigh(c, r);
  }
  if (r->body) /* none yet, and nothing to add */
    memcpy(r->body + r->body_len, data.ptr, data.len);
  r->body_len = need;
  return true;
refused:
  c->current = NULL;
  c->reading = HTTP_AT_END;
  c->unread = true;
  return false;
}

void http_dispatch_complete(http_connection *c) {
  http_request *r = c->current;
  c->current = NULL;
  c->reading = r->head.keep_alive ? HTTP_AT_HEAD : HTTP_AT_END;
  r->state = HTTP_RUNNING;
  c->running++;
  c->running_alone += !r->route->overlaps;
  if (is_coded(r) && r->body_len)
    http_decode(r);
  else
    r->route->handler(r, r->route->context);
}

void http_dispatch_refuse(http_connection *c, const http_refusal *refusal) {
  http_request *r = c->current;
  const char *bytes;
  c->reading = HTTP_AT_END;
  c->unread = true;
  c->current = NULL;
  if (!r) {
    r = http_request_new(c, "", 0, &bytes);
    if (!r) {
      http_connection_break(c);
      return;
    }
    r->route = &http_route_none;
    http_connection_append(c, r);
  }
  http_reply_close(r);
  http_reply_error(r, refusal->status, refusal->code, "%s", refusal->message);
}
