#include "server/auth/browser.h"
#include "server/auth/table.h"

#include <stdlib.h>

/* What a connection remembers of its last token, since hashing each request
 * would be a tenth of what a small POST costs. An all-zero memory (no value) is
 * a request without a token. */
typedef struct memory {
  uint64_t generation; /* when it was looked up */
  char id[40];         /* "" : no token */
  unsigned scopes;
  size_t len;
  char value[]; /* the Authorization header, as sent */
} memory;

/* The longest Authorization value that is looked at. */
enum { VALUE_MAX = 2048 };

static void forget(void *data) {
  free(data);
}

static memory *remembered(const http_request *request) {
  return http_connection_data(request);
}

/* The names under which proxies tell that they are there. */
static const char *const proxy_headers[] = {
    "Forwarded",          "X-Forwarded-For",
    "X-Forwarded-Host",   "X-Forwarded-Proto",
    "X-Forwarded-Server", "X-Forwarded-Port",
    "X-Real-IP",          "Via"};

static const char *proxy_header(const http_request *request) {
  for (size_t i = 0; i < sizeof(proxy_headers) / sizeof(proxy_headers[0]); i++)
    if (http_request_header(request, proxy_headers[i]).ptr)
      return proxy_headers[i];
  return NULL;
}

static bool pass_browser(auth *a, http_request *request, bool needs_token) {
  const auth_options *options = auth_options_of(a);
  const auth_rules *rules = auth_rules_of(a);
  auth_policy policy = {.loopback = !options->listens_beyond_loopback,
                        .has_tokens = auth_has_tokens(a),
                        .insecure = options->insecure,
                        .hosts = rules->hosts,
                        .cors_origins = rules->cors_origins};
  auth_head head = {.changes_state =
                        !(http_request_method(request) & HTTP_GET_),
                    .host = http_request_header(request, "Host")};
  if (head.changes_state) {
    head.origin = http_request_header(request, "Origin");
    head.many_origins =
        head.origin.ptr && http_request_header_count(request, "Origin") > 1;
    head.fetch_site = http_request_header(request, "Sec-Fetch-Site");
  }
  if (needs_token && !policy.has_tokens && !policy.insecure)
    head.proxy_header = proxy_header(request);
  tti_slice name = auth_host_name(head.host);
  int name_len = name.len > 80 ? 80 : (int)name.len;
  switch (auth_browser_check(&policy, &head, needs_token)) {
  case AUTH_FINE:
    return true;
  case AUTH_FOREIGN_HOST:
    http_reply_error(request, 421, "foreign_host",
                     "Host is \"%.*s\"; this server listens on loopback and "
                     "answers to localhost, 127.0.0.1 and [::1]; add the name "
                     "with --host if it is yours",
                     name_len, name.ptr);
    return false;
  case AUTH_FOREIGN_ORIGIN:
    http_reply_error(request, 403, "foreign_origin",
                     "a page of another site sent this request (Origin or "
                     "Sec-Fetch-Site); only this server's own pages may change "
                     "anything here");
    return false;
  case AUTH_BEHIND_PROXY:
    http_reply_error(request, 403, "proxy_without_token",
                     "the request came through a proxy (%s) and no token is "
                     "configured, so everyone behind it would be admin; make "
                     "one with `telltale token create`, or start with "
                     "--insecure",
                     head.proxy_header ? head.proxy_header
                                       : "a Host name of the configuration");
    return false;
  }
  return false;
}

/* The Fetch standard's CORS protocol, for the origins of the configuration
 * only. The headers ride on whatever answer follows; a preflight (OPTIONS) is
 * answered by http and carries no Authorization. */
static void allow_origin(auth *a, http_request *request) {
  const char *const *origins = auth_rules_of(a)->cors_origins;
  if (!origins || !*origins)
    return;
  tti_slice origin = http_request_header(request, "Origin");
  http_reply_header(request, "Vary", "Origin");
  for (; origin.ptr && *origins; origins++) {
    if (!tti_slice_eq_nocase(origin, tti_slice_of(*origins)))
      continue;
    http_reply_header(request, "Access-Control-Allow-Origin", *origins);
    http_reply_header(request, "Access-Control-Allow-Methods",
                      "GET, POST, PUT, PATCH, DELETE");
    http_reply_header(request, "Access-Control-Allow-Headers",
                      "Authorization, Content-Type, Idempotency-Key, "
                      "Last-Event-ID");
    http_reply_header(request, "Access-Control-Expose-Headers",
                      "Telltale-Log, Idempotency-Replayed, Retry-After");
    return;
  }
}

/* "Bearer TOKEN" -> TOKEN; ptr NULL: it is something else. RFC 6750, 2.1. */
static tti_slice bearer(tti_slice value) {
  static const char scheme[] = "Bearer ";
  size_t n = sizeof(scheme) - 1;
  if (value.len <= n ||
      !tti_slice_eq_nocase((tti_slice){value.ptr, n}, (tti_slice){scheme, n}))
    return (tti_slice){NULL, 0};
  return tti_slice_trim((tti_slice){value.ptr + n, value.len - n});
}

/* Looks the header up and remembers what was found; NULL: out of memory. */
static memory *look_up(auth *a, http_request *request, tti_slice value) {
  memory *m = calloc(1, sizeof(*m) + value.len);
  if (!m)
    return NULL;
  auth_entry entry;
  /* Read before the table: a change in between only costs another look. */
  m->generation = auth_generation(a);
  tti_slice token = bearer(value);
  if (token.ptr && auth_lookup(a, token, &entry)) {
    memcpy(m->id, entry.id, sizeof(m->id));
    m->scopes = entry.scopes;
  }
  m->len = value.len;
  if (value.ptr)
    memcpy(m->value, value.ptr, value.len);
  http_connection_set_data(request, m, forget);
  return m;
}

static const char *scope_name(unsigned scope) {
  return scope == AUTH_INGEST ? "ingest"
         : scope == AUTH_READ ? "read"
                              : "admin";
}

static void challenge(http_request *request, const char *what) {
  http_reply_header(request, "WWW-Authenticate", "Bearer");
  http_reply_error(request, 401, "unauthorized", "%s", what);
}

bool auth_gate(http_request *request, const http_route *route, void *context) {
  auth *a = context;
  const auth_options *options = auth_options_of(a);
  /* The folder's mode decides who reaches the Unix socket. */
  if (http_request_is_local_admin(request))
    return true;
  allow_origin(a, request);
  if (!pass_browser(a, request, route->scope != AUTH_NONE))
    return false;
  bool open = !auth_has_tokens(a) &&
              (options->insecure || !options->listens_beyond_loopback);
  tti_slice value = {NULL, 0};
  if (!open && route->scope != AUTH_NONE) {
    value = http_request_header(request, "Authorization");
    /* A proxy before us may have looked at the other one. */
    if (value.ptr && http_request_header_count(request, "Authorization") > 1) {
      challenge(request, "Authorization is given more than once");
      return false;
    }
  }
  if (value.len > VALUE_MAX) {
    challenge(request, "the Authorization header is longer than any token");
    return false;
  }
  memory *m = remembered(request);
  bool known = m && m->generation == auth_generation(a) &&
               tti_slice_eq(value, (tti_slice){m->value, m->len});
  if (!known && (value.len || m))
    m = look_up(a, request, value);
  if (open || route->scope == AUTH_NONE)
    return true;
  if (!value.len) {
    /* Signed by the configured CA, and asked for nothing else. */
    if (route->scope == AUTH_INGEST && *http_request_certificate(request))
      return true;
    challenge(request, "this route needs a token: send `Authorization: Bearer "
                       "tt_…`; `telltale token create` makes one");
    return false;
  }
  if (!m) {
    http_reply_error(request, 503, "out_of_memory",
                     "out of memory while looking at the token; try again");
    return false;
  }
  if (!m->id[0]) {
    challenge(request, "the token is not one in force: it is wrong or was "
                       "revoked; `telltale token list` shows those that are");
    return false;
  }
  if (m->scopes & (AUTH_ADMIN | route->scope))
    return true;
  http_reply_header(request, "WWW-Authenticate",
                    "Bearer error=\"insufficient_scope\"");
  http_reply_error(request, 403, "insufficient_scope",
                   "the token is good but lacks the scope `%s` that this route "
                   "needs",
                   scope_name(route->scope));
  return false;
}

const char *auth_subject(http_request *request) {
  const memory *m = remembered(request);
  return m && m->id[0] ? m->id : http_request_certificate(request);
}

bool auth_still_valid(auth *a, http_request *request) {
  const auth_options *options = auth_options_of(a);
  const http_route *route = http_request_route(request);
  if (http_request_is_local_admin(request) || route->scope == AUTH_NONE)
    return true;
  memory *m = remembered(request);
  auth_entry entry;
  if (!m || !m->id[0])
    return !auth_has_tokens(a) &&
           (options->insecure || !options->listens_beyond_loopback);
  /* What came with a token ends with it, even where none is needed any more. */
  uint64_t generation = auth_generation(a);
  if (m->generation == generation)
    return true;
  if (!auth_lookup_id(a, m->id, &entry) ||
      !(entry.scopes & (AUTH_ADMIN | route->scope)))
    return false;
  m->generation = generation;
  return true;
}
