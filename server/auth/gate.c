#include "server/auth/browser.h"
#include "server/auth/table.h"
#include "server/io/clock.h"

#include <stdio.h>
#include <stdlib.h>

/* What a request shows to be let in. */
typedef struct credential {
  tti_slice value; /* of the Authorization header, or of our cookie */
  bool is_cookie;
} credential;

/* What a connection remembers of its last credential, since hashing each
 * request would be a tenth of what a small POST costs. An all-zero memory (no
 * value) is a request without one. */
typedef struct memory {
  uint64_t generation; /* when it was looked up */
  auth_entry entry;    /* id "": none is in force */
  int64_t expires_us;  /* wall; 0: not by itself */
  unsigned char login[32];
  bool is_cookie;
  size_t len;
  char value[]; /* as sent */
} memory;

enum {
  SCOPES = AUTH_INGEST | AUTH_READ | AUTH_ADMIN,
  /* The longest Authorization value that is looked at. */
  VALUE_MAX = 2048
};

static void forget(void *data) {
  free(data);
}

static memory *remembered(const http_request *request) {
  return http_connection_data(request);
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
    head.proxy_header = auth_proxy_header(request);
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

/* The first of what the request has: who sends a token means it. */
static credential credential_of(const http_request *request) {
  credential c = {http_request_header(request, "Authorization"), false};
  if (!c.value.ptr) {
    c.value = auth_cookie(request);
    c.is_cookie = c.value.ptr != NULL;
  }
  return c;
}

/* Looks it up and remembers what was found; NULL: out of memory. */
static memory *look_up(auth *a, http_request *request, const credential *c) {
  memory *m = calloc(1, sizeof(*m) + c->value.len);
  if (!m)
    return NULL;
  /* Read before the table: a change in between only costs another look. */
  m->generation = auth_generation(a);
  m->is_cookie = c->is_cookie;
  tti_slice token = c->is_cookie ? c->value : bearer(c->value);
  bool found = false;
  if (c->is_cookie) {
    auth_digest(token, m->login);
    found = auth_lookup_login(a, m->login, &m->entry, &m->expires_us);
  } else if (token.ptr) {
    found = auth_lookup(a, token, &m->entry);
  }
  if (!found)
    m->entry = (auth_entry){.id = ""};
  m->len = c->value.len;
  if (c->value.len)
    memcpy(m->value, c->value.ptr, c->value.len);
  http_connection_set_data(request, m, forget);
  return m;
}

static bool is_over(const memory *m) {
  return m->expires_us && m->expires_us <= server_wall_us();
}

/* What is known of the credential; NULL: out of memory, or there is none. */
static memory *recall(auth *a, http_request *request, const credential *c) {
  memory *m = remembered(request);
  bool known = m && m->generation == auth_generation(a) &&
               m->is_cookie == c->is_cookie && !is_over(m) &&
               tti_slice_eq(c->value, (tti_slice){m->value, m->len});
  return known || (!c->value.len && !m) ? m : look_up(a, request, c);
}

static const char *scope_name(unsigned scope) {
  return scope & AUTH_INGEST ? "ingest" : scope & AUTH_READ ? "read" : "admin";
}

static bool challenge(http_request *request, const char *what) {
  http_reply_header(request, "WWW-Authenticate", "Bearer");
  http_reply_error(request, 401, "unauthorized", "%s", what);
  return false;
}

static bool wrong_scope(http_request *request, unsigned scope) {
  http_reply_header(request, "WWW-Authenticate",
                    "Bearer error=\"insufficient_scope\"");
  http_reply_error(request, 403, "insufficient_scope",
                   "the token is good but lacks the scope `%s` that this route "
                   "needs",
                   scope_name(scope));
  return false;
}

/* On a route that is open to everyone: whether this address has not asked too
 * often. What a proxy passes on does not count as this machine's own. */
static bool in_pace(auth *a, http_request *request, const auth_rules *rules) {
  const http_address *client = http_request_client(request);
  char text[24];
  if (http_address_is_loopback(client) && !auth_proxy_header(request))
    return true;
  auth_pace pace = {rules->open_rate, 1, rules->open_burst};
  uint64_t wait_s =
      auth_bucket_take(a->open, client, &pace, server_monotonic_us());
  if (!wait_s) {
    http_request_is_of_guest(request);
    return true;
  }
  snprintf(text, sizeof(text), "%llu", (unsigned long long)wait_s);
  http_reply_header(request, "Retry-After", text);
  http_reply_error(request, 429, "rate_limited",
                   "%s sends more than %llu requests a second without a token; "
                   "try again in %s s, or send a token",
                   http_request_client_text(request),
                   (unsigned long long)rules->open_rate, text);
  return false;
}

/* The route needs a token. */
static bool pass_token(auth *a, http_request *request, unsigned scope,
                       const credential *c, const memory *m) {
  const auth_rules *rules = auth_rules_of(a);
  bool found = m && m->entry.id[0];
  bool shown = c->value.len && (found || !c->is_cookie);
  /* Signed by the configured CA, and asked for nothing else. */
  if (!shown && (scope & AUTH_INGEST) && *http_request_certificate(request))
    return true;
  if (!shown && (scope & rules->open))
    return in_pace(a, request, rules);
  if (!c->value.len)
    return challenge(request,
                     "this route needs a token: send `Authorization: Bearer "
                     "tt_…`; `telltale token create` makes one");
  if (!m) {
    http_reply_error(request, 503, "out_of_memory",
                     "out of memory while looking at the token; try again");
    return false;
  }
  if (!found)
    return challenge(request,
                     c->is_cookie
                         ? "the login is over; log in again"
                         : "the token is not one in force: it is wrong or was "
                           "revoked; `telltale token list` shows those that "
                           "are");
  return m->entry.scopes & (AUTH_ADMIN | (scope & SCOPES))
             ? true
             : wrong_scope(request, scope);
}

bool auth_gate(http_request *request, const http_route *route, void *context) {
  auth *a = context;
  const auth_options *options = auth_options_of(a);
  bool needed = route->scope & SCOPES;
  /* The folder's mode decides who reaches the Unix socket. */
  if (http_request_is_local_admin(request))
    return true;
  allow_origin(a, request);
  if (!auth_find_client(a, request) || !pass_browser(a, request, needed))
    return false;
  bool open = !auth_has_tokens(a) &&
              (options->insecure || !options->listens_beyond_loopback);
  credential c = {{NULL, 0}, false};
  if (!open)
    c = credential_of(request);
  /* A proxy before us may have looked at the other one. */
  if (needed && c.value.ptr && !c.is_cookie &&
      http_request_header_count(request, "Authorization") > 1)
    return challenge(request, "Authorization is given more than once");
  if (c.value.len > VALUE_MAX) {
    if (needed)
      return challenge(request,
                       "the Authorization header is longer than any token");
    c = (credential){{NULL, 0}, false};
  }
  memory *m = recall(a, request, &c);
  if (m && m->entry.id[0])
    http_request_set_user(request, m->entry.name);
  else if (*http_request_certificate(request))
    http_request_set_user(request, http_request_certificate(request));
  return open || !needed || pass_token(a, request, route->scope, &c, m);
}

const char *auth_subject(http_request *request) {
  const memory *m = remembered(request);
  return m && m->entry.id[0] ? m->entry.id : http_request_certificate(request);
}

bool auth_still_valid(auth *a, http_request *request) {
  const auth_options *options = auth_options_of(a);
  const http_route *route = http_request_route(request);
  if (http_request_is_local_admin(request) || !(route->scope & SCOPES))
    return true;
  memory *m = remembered(request);
  auth_entry entry;
  int64_t expires_us;
  if (!m || !m->entry.id[0])
    return !auth_has_tokens(a) &&
           (options->insecure || !options->listens_beyond_loopback);
  /* What came with a token ends with it, even where none is needed any more. */
  uint64_t generation = auth_generation(a);
  if (m->generation == generation && !is_over(m))
    return true;
  /* A token of the environment may have been replaced under its id. */
  if (!(m->is_cookie ? auth_lookup_login(a, m->login, &entry, &expires_us)
                     : auth_lookup_id(a, m->entry.id, &entry)) ||
      memcmp(entry.sha256, m->entry.sha256, sizeof(entry.sha256)) != 0 ||
      !(entry.scopes & (AUTH_ADMIN | (route->scope & SCOPES))))
    return false;
  m->generation = generation;
  return true;
}
