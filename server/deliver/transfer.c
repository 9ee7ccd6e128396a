#include "server/deliver/transfer.h"

#include "lib/base/time.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#define KEPT_CONNECTIONS 512L

/* Durations are real ones, whatever a test's clock says. */
static int64_t now_us(void) {
  return tti_monotonic_us(&tti_clock_system);
}

/* Connections to an address that was resolved just now. */
static curl_socket_t on_open(void *context, curlsocktype purpose,
                             struct curl_sockaddr *address) {
  transfer *t = context;
  if (purpose != CURLSOCKTYPE_IPCXN ||
      !guard_check_socket(t->guard, &address->addr, t->encrypted, t->refusal))
    return CURL_SOCKET_BAD;
  t->opened = true;
  return socket(address->family, address->socktype | SOCK_CLOEXEC,
                address->protocol);
}

/* Before each request, also over a connection that was kept: what is allowed
 * may be another thing by now. */
static int on_request(void *context, char *remote, char *local, int remote_port,
                      int local_port) {
  transfer *t = context;
  http_address address;
  (void)local, (void)remote_port, (void)local_port;
  if (http_address_parse(tti_slice_of(remote), &address) &&
      guard_check(t->guard, &address, t->encrypted, t->refusal))
    return CURL_PREREQFUNC_OK;
  t->opened = false;
  return CURL_PREREQFUNC_ABORT;
}

static size_t on_body(char *bytes, size_t unit, size_t len, void *context) {
  transfer *t = context;
  if (t->read < TRANSFER_KEPT) {
    size_t room = TRANSFER_KEPT - t->read;
    memcpy(t->kept + t->read, bytes, len < room ? len : room);
  }
  t->read += len;
  return t->read <= TRANSFER_READ ? unit * len : 0;
}

static bool set_options(transfer *t, const char *user_agent) {
  bool ok = true;
#define SET(option, value)                                                     \
  ok = curl_easy_setopt(t->easy, option, value) == CURLE_OK && ok
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_PROXY, "");
  SET(CURLOPT_NOPROXY, "*");
  SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
  SET(CURLOPT_HSTS_CTRL, 0L);
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(CURLOPT_CONNECTTIMEOUT_MS, (long)TRANSFER_CONNECT_MS);
  SET(CURLOPT_TIMEOUT_MS, (long)TRANSFER_TOTAL_MS);
  SET(CURLOPT_USERAGENT, user_agent);
  SET(CURLOPT_ERRORBUFFER, t->error);
  SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
  SET(CURLOPT_OPENSOCKETDATA, t);
  SET(CURLOPT_PREREQFUNCTION, on_request);
  SET(CURLOPT_PREREQDATA, t);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, t);
  SET(CURLOPT_BUFFERSIZE, 4096L);
  SET(CURLOPT_PRIVATE, t);
  /* What is given up must not wait for the resolver's thread. */
  SET(CURLOPT_QUICK_EXIT, 1L);
#undef SET
  return ok;
}

/* Names that a test gives addresses to: "NAME:PORT:ADDRESS". */
static bool inject_names(transfer *t) {
#ifdef TELLTALE_TESTING
  const char *names = getenv("TELLTALE_TEST_RESOLVE");
  t->names = names ? curl_slist_append(NULL, names) : NULL;
  return !names || (t->names && curl_easy_setopt(t->easy, CURLOPT_RESOLVE,
                                                 t->names) == CURLE_OK);
#else
  (void)t;
  return true;
#endif
}

tt_error transfer_new(const guard *rules, const char *user_agent,
                      transfer **out_transfer) {
  transfer *t = calloc(1, sizeof(*t));
  if (!t)
    return TT_ENOMEM;
  t->guard = rules;
  t->easy = curl_easy_init();
  if (!t->easy || !set_options(t, user_agent) || !inject_names(t)) {
    transfer_free(t);
    return TT_ENOMEM;
  }
  *out_transfer = t;
  return TT_OK;
}

void transfer_free(transfer *t) {
  if (!t)
    return;
  curl_easy_cleanup(t->easy);
  curl_slist_free_all(t->headers);
#ifdef TELLTALE_TESTING
  curl_slist_free_all(t->names);
#endif
  free(t);
}

tt_error transfer_begin(transfer *t, CURLM *multi, const char *url,
                        struct curl_slist *headers, tti_slice body) {
  curl_slist_free_all(t->headers);
  t->headers = headers;
  t->encrypted = strncasecmp(url, "https:", 6) == 0;
  t->opened = false;
  t->read = 0;
  t->error[0] = t->refusal[0] = '\0';
  t->begun_us = now_us();
  if (curl_easy_setopt(t->easy, CURLOPT_URL, url) ||
      curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, headers) ||
      curl_easy_setopt(t->easy, CURLOPT_POST, 1L) ||
      curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                       (curl_off_t)body.len) ||
      curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, body.len ? body.ptr : "") ||
      curl_multi_add_handle(multi, t->easy))
    return TT_ENOMEM;
  return TT_OK;
}

/* Too long an answer is one all the same. */
static bool is_answered(const transfer *t, CURLcode result) {
  return result == CURLE_OK ||
         (result == CURLE_WRITE_ERROR && t->read > TRANSFER_READ);
}

static const char *problem_of(const transfer *t, CURLcode result) {
  return t->refusal[0] && !t->opened ? t->refusal
         : t->error[0]               ? t->error
                                     : curl_easy_strerror(result);
}

void transfer_end(transfer *t, CURLM *multi, CURLcode result,
                  transfer_outcome *out) {
  long status = 0, request_bytes = 0;
  curl_off_t wait_s = 0;
  bool answered = is_answered(t, result);
  curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
  curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &wait_s);
  *out = (transfer_outcome){
      .answer = {.status = answered ? (int)status : 0,
                 .sent = request_bytes > 0,
                 .retry_after_s = wait_s},
      .duration_us = now_us() - t->begun_us,
      .kept = {t->kept, t->read < TRANSFER_KEPT ? t->read : TRANSFER_KEPT},
      .error = answered ? NULL : problem_of(t, result)};
  curl_multi_remove_handle(multi, t->easy);
  /* curl keeps a pointer: it may not outlive the body. */
  curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, NULL);
}

CURLM *transfer_multi_new(void) {
  CURLM *multi = curl_multi_init();
  if (multi)
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS);
  return multi;
}
