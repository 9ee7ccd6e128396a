#include "lib/json/write.h"
#include "server/auth/browser.h"
#include "server/auth/table.h"
#include "server/io/clock.h"
#include "server/io/log.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

/* All logins are one setting of the store, written anew with each that comes or
 * goes: they are few, and people make them. */
static const char setting[] = "logins";

/* Ten wrong tokens at once, then one every six seconds: no token of ours can be
 * guessed, but one that somebody made up may be. */
static const auth_pace wrong_pace = {.rate = 10, .per_s = 60, .burst = 10};

/* ---- The table ---- */

tt_error auth_logins_load(auth *a) {
  tti_buf value;
  if (!a->options.store)
    return TT_OK;
  tti_buf_init(&value, AUTH_LOGINS_MAX * sizeof(auth_login));
  tt_error error = store_setting(a->options.store, setting, &value);
  size_t count = value.len / sizeof(auth_login);
  if (error == TT_OK && count > 0) {
    a->logins = calloc(AUTH_LOGINS_MAX, sizeof(*a->logins));
    error = a->logins ? TT_OK : TT_ENOMEM;
  }
  if (error == TT_OK && count > 0) {
    memcpy(a->logins, value.data, count * sizeof(auth_login));
    a->login_count = count;
  }
  tti_buf_fini(&value);
  if (error == TT_ENOMEM)
    return error;
  if (error != TT_OK && error != TT_ENOTFOUND)
    server_log(TT_LEVEL_WARN, "auth",
               "the logins of the last run cannot be read; browsers have to "
               "log in again");
  return TT_OK;
}

/* Forgets the login of that digest, and what is over. Under the mutex; whether
 * it was there. */
static bool forget(auth *a, const unsigned char sha256[32]) {
  int64_t now_us = server_wall_us();
  size_t kept = 0;
  bool found = false;
  for (size_t i = 0; i < a->login_count; i++) {
    bool is_it = CRYPTO_memcmp(a->logins[i].sha256, sha256, 32) == 0;
    found = found || is_it;
    if (!is_it && a->logins[i].expires_us > now_us)
      a->logins[kept++] = a->logins[i];
  }
  a->login_count = kept;
  return found;
}

/* Under the mutex. */
static bool remember(auth *a, const auth_login *login) {
  if (!a->logins)
    a->logins = calloc(AUTH_LOGINS_MAX, sizeof(*a->logins));
  if (!a->logins)
    return false;
  forget(a, login->sha256);
  if (a->login_count == AUTH_LOGINS_MAX)
    memmove(a->logins, a->logins + 1, --a->login_count * sizeof(*a->logins));
  a->logins[a->login_count++] = *login;
  return true;
}

/* ---- The cookie ---- */

void auth_cookie_name(const http_request *request,
                      char out_name[AUTH_COOKIE_TEXT]) {
  snprintf(out_name, AUTH_COOKIE_TEXT, "telltale-%u",
           http_request_port(request));
}

/* A cookie goes with whatever a browser sends to this host. It counts only
 * where a page of ours, or the address bar, made the request: also a page that
 * --cors-origin lets in must bring a token of its own. */
static bool is_own_page(const http_request *request) {
  tti_slice site = http_request_header(request, "Sec-Fetch-Site");
  tti_slice origin = http_request_header(request, "Origin");
  if (site.ptr && !tti_slice_eq_nocase(site, TTI_SLICE("same-origin")) &&
      !tti_slice_eq_nocase(site, TTI_SLICE("none")))
    return false;
  return !origin.ptr ||
         auth_is_same_origin(origin, http_request_header(request, "Host"));
}

/* RFC 6265, 4.2: "a=1; telltale-6060=…". */
tti_slice auth_cookie(const http_request *request) {
  tti_slice rest = http_request_header(request, "Cookie");
  char name[AUTH_COOKIE_TEXT];
  if (!rest.ptr || !is_own_page(request))
    return (tti_slice){NULL, 0};
  auth_cookie_name(request, name);
  size_t len = strlen(name);
  while (rest.len) {
    const char *end = memchr(rest.ptr, ';', rest.len);
    size_t n = end ? (size_t)(end - rest.ptr) : rest.len;
    tti_slice pair = tti_slice_trim((tti_slice){rest.ptr, n});
    n += end != NULL;
    rest = (tti_slice){rest.ptr + n, rest.len - n};
    if (pair.len > len && pair.ptr[len] == '=' &&
        memcmp(pair.ptr, name, len) == 0)
      return (tti_slice){pair.ptr + len + 1, pair.len - len - 1};
  }
  return (tti_slice){NULL, 0};
}

/* `value` "": the browser forgets it. */
static void set_cookie(http_request *request, const char *value) {
  char name[AUTH_COOKIE_TEXT], text[256];
  auth_cookie_name(request, name);
  snprintf(text, sizeof(text),
           "%s=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s", name,
           value, value[0] ? AUTH_LOGIN_HOURS * 3600 : 0,
           http_request_is_secure(request) ? "; Secure" : "");
  http_reply_header(request, "Set-Cookie", text);
  http_reply_header(request, "Cache-Control", "no-store");
}

/* ---- What a login is ---- */

static void reply_state(auth *a, http_request *request, const auth_entry *entry,
                        int64_t expires_us) {
  tti_buf body;
  char time[TTI_RFC3339_MAX];
  tti_buf_init(&body, 4096);
  tti_buf_printf(
      &body, "{\"needed\":%s,\"name\":", auth_has_tokens(a) ? "true" : "false");
  tti_json_write_text(&body, entry ? entry->name : "");
  tti_buf_append_text(&body, ",\"scopes\":");
  auth_scopes_json(&body, entry ? entry->scopes : 0);
  if (expires_us) {
    tti_rfc3339_format(expires_us, time);
    tti_buf_printf(&body, ",\"expires_at\":\"%s\"", time);
  }
  tti_buf_append_char(&body, '}');
  http_reply(request, 200, "application/json", body.data, body.len);
  tti_buf_fini(&body);
}

void auth_serve_login_state(http_request *request, void *context) {
  auth *a = context;
  auth_entry entry;
  unsigned char sha256[32];
  int64_t expires_us = 0;
  tti_slice cookie = auth_cookie(request);
  http_reply_header(request, "Cache-Control", "no-store");
  auth_digest(cookie, sha256);
  bool found = cookie.len && auth_lookup_login(a, sha256, &entry, &expires_us);
  reply_state(a, request, found ? &entry : NULL, found ? expires_us : 0);
}

/* ---- Coming and going ---- */

/* A login on its way to the store and back. */
typedef struct visit {
  store_job job;
  loop_task task;
  http_request *request;
  auth *auth;
  bool leaves;
  auth_entry entry;
  auth_login login;
  uint64_t change; /* of the logins: its number */
  char cookie[AUTH_TOKEN_TEXT];
  char *saved; /* what the job writes */
} visit;

/* On the writer. */
static void visit_stored(store_job *job) {
  visit *v = (visit *)((char *)job - offsetof(visit, job));
  loop_post(http_request_loop(v->request), &v->task);
}

static void visit_free(visit *v) {
  OPENSSL_cleanse(v->cookie, sizeof(v->cookie));
  free(v->saved);
  free(v);
}

static void unavailable(http_request *request, const char *code,
                        const char *why) {
  http_reply_header(request, "Retry-After", "1");
  http_reply_error(request, 503, code, "%s; try again", why);
}

/* On the loop again. A login that could not be kept is none: it would be gone
 * after a restart. */
static void visit_answer(loop_task *task) {
  visit *v = (visit *)((char *)task - offsetof(visit, task));
  auth *a = v->auth;
  bool stored = v->job.verdict == STORE_OK;
  pthread_mutex_lock(&a->mutex);
  if (!stored && !v->leaves)
    forget(a, v->login.sha256);
  if (stored && a->logins_saved < v->change)
    a->logins_saved = v->change;
  pthread_mutex_unlock(&a->mutex);
  if (!stored) {
    unavailable(v->request, "store_unavailable", v->job.reason);
  } else if (v->leaves) {
    set_cookie(v->request, "");
    http_reply(v->request, 204, NULL, NULL, 0);
  } else {
    set_cookie(v->request, v->cookie);
    reply_state(a, v->request, &v->entry, v->login.expires_us);
  }
  visit_free(v);
}

/* Changes the table and hands all of it to the store, under one lock: what the
 * store writes last is what was true last. */
static void submit(visit *v) {
  auth *a = v->auth;
  bool changed = true;
  v->job.kind = STORE_JOB_SET;
  v->job.name = setting;
  v->job.done = visit_stored;
  v->task.run = visit_answer;
  pthread_mutex_lock(&a->mutex);
  size_t before = a->login_count;
  if (v->leaves)
    forget(a, v->login.sha256);
  else
    changed = remember(a, &v->login);
  bool displaced = changed && !v->leaves && a->login_count <= before;
  v->change = ++a->login_changes;
  size_t len = a->login_count * sizeof(*a->logins);
  v->saved = changed ? malloc(len + 1) : NULL;
  tt_error error = v->saved ? TT_OK : TT_ENOMEM;
  if (error == TT_OK) {
    if (len)
      memcpy(v->saved, a->logins, len);
    v->job.value = (tti_slice){v->saved, len};
    error = store_submit(a->options.store, &v->job);
  }
  if (error != TT_OK && !v->leaves)
    forget(a, v->login.sha256);
  pthread_mutex_unlock(&a->mutex);
  if (displaced)
    auth_changed(a);
  if (error == TT_OK)
    return;
  unavailable(v->request, "store_busy",
              error == TT_ENOMEM ? "out of memory"
                                 : "the store's queue is full");
  visit_free(v);
}

static visit *visit_new(auth *a, http_request *request) {
  visit *v = calloc(1, sizeof(*v));
  if (!v) {
    unavailable(request, "out_of_memory", "out of memory");
    return NULL;
  }
  v->auth = a;
  v->request = request;
  return v;
}

/* {"token": "tt_…"}; the text is the root's. ptr NULL: it is something else. */
static tti_slice token_of(const json_t *root) {
  const json_t *token = json_object_get(root, "token");
  if (json_object_size(root) != 1 || !json_is_string(token))
    return (tti_slice){NULL, 0};
  return (tti_slice){json_string_value(token), json_string_length(token)};
}

static void refuse(auth *a, http_request *request, uint64_t wait_s) {
  char text[24];
  if (!wait_s) {
    auth_bucket_take(a->wrong, http_request_client(request), &wrong_pace,
                     server_monotonic_us());
    server_log(TT_LEVEL_WARN, "auth", "login refused: client=%s",
               http_request_client_text(request));
    http_reply_error(request, 401, "unauthorized",
                     "the token is not one in force: it is wrong or was "
                     "revoked; `telltale token list` shows those that are");
    return;
  }
  snprintf(text, sizeof(text), "%llu", (unsigned long long)wait_s);
  http_reply_header(request, "Retry-After", text);
  http_reply_error(request, 429, "too_many_logins",
                   "too many wrong tokens came from %s; try again in %s s",
                   http_request_client_text(request), text);
}

void auth_serve_login(http_request *request, void *context) {
  auth *a = context;
  tti_slice body = http_request_body(request);
  json_t *root = json_loadb(body.len ? body.ptr : "", body.len,
                            JSON_REJECT_DUPLICATES, NULL);
  tti_slice token = token_of(root);
  uint64_t wait_s = auth_bucket_ask(a->wrong, http_request_client(request),
                                    &wrong_pace, server_monotonic_us());
  auth_entry entry;
  visit *v;
  if (!token.ptr) {
    http_reply_error(request, 400, "invalid_json",
                     "expected an object such as {\"token\": \"tt_…\"}");
  } else if (!auth_has_tokens(a)) {
    http_reply_error(request, 409, "no_tokens",
                     "no token is configured, so there is nothing to log in "
                     "to; make one with `telltale token create`");
  } else if (wait_s || !auth_lookup(a, token, &entry)) {
    refuse(a, request, wait_s);
  } else if ((v = visit_new(a, request))) {
    v->entry = entry;
    auth_secret_generate("tl_", v->cookie, v->login.sha256);
    memcpy(v->login.token_sha256, entry.sha256, 32);
    v->login.expires_us =
        server_wall_us() + INT64_C(3600000000) * AUTH_LOGIN_HOURS;
    server_log(TT_LEVEL_INFO, "auth", "login: token=%s name=\"%s\" client=%s",
               entry.id, entry.name, http_request_client_text(request));
    submit(v);
  }
  json_decref(root);
}

void auth_serve_logout(http_request *request, void *context) {
  auth *a = context;
  tti_slice cookie = auth_cookie(request);
  unsigned char sha256[32];
  auth_digest(cookie, sha256);
  pthread_mutex_lock(&a->mutex);
  bool found = cookie.len && forget(a, sha256);
  a->login_changes += found;
  /* One that the store has not forgotten yet may be this one. */
  bool kept = a->logins_saved < a->login_changes;
  pthread_mutex_unlock(&a->mutex);
  if (!cookie.len || !(found || kept)) {
    /* Nothing to end; whoever wants to be out is. */
    set_cookie(request, "");
    http_reply(request, 204, NULL, NULL, 0);
    return;
  }
  if (found)
    auth_changed(a);
  visit *v = visit_new(a, request);
  if (!v)
    return;
  v->leaves = true;
  memcpy(v->login.sha256, sha256, 32);
  server_log(TT_LEVEL_INFO, "auth", "logout: client=%s",
             http_request_client_text(request));
  submit(v);
}
