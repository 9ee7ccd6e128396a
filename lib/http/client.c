#include "lib/http/client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define POLL_MS    1000
#define WAITING_MS 20

struct tti_http_client {
  CURLM *multi;
  CURL *easy;
  tti_http_answer *answer; /* of the request on its way */
  char error[CURL_ERROR_SIZE];
  atomic_bool cancelled;
};

/* libcurl's state is the process's own, so its initialisation is too: once, and
 * never undone, since another user of libcurl may be in the process. */
static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Keeps what fits and lets curl go on: too much is no error of the answer. */
static void keep(tti_buf *buf, const char *bytes, size_t len) {
  size_t room = buf->max - buf->len;
  tti_buf_append(buf, bytes, len < room ? len : room);
}

static size_t on_head(char *line, size_t unit, size_t len, void *context) {
  tti_http_client *client = context;
  tti_buf *head = &client->answer->head;
  /* Each status line begins another head: of a 100 Continue, or a proxy's. */
  if (len >= 5 && memcmp(line, "HTTP/", 5) == 0)
    tti_buf_clear(head);
  else
    keep(head, line, unit * len);
  return unit * len;
}

static size_t on_body(char *bytes, size_t unit, size_t len, void *context) {
  tti_http_client *client = context;
  keep(&client->answer->body, bytes, unit * len);
  return unit * len;
}

static bool set_options(tti_http_client *c, const char *user_agent,
                        const tti_http_files *files) {
  bool ok = true;
#define SET(option, value)                                                     \
  ok = curl_easy_setopt(c->easy, option, value) == CURLE_OK && ok
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(CURLOPT_USERAGENT, user_agent);
  SET(CURLOPT_ERRORBUFFER, c->error);
  SET(CURLOPT_HEADERFUNCTION, on_head);
  SET(CURLOPT_HEADERDATA, c);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, c);
  /* A cancelled request must not wait for the resolver's thread. */
  SET(CURLOPT_QUICK_EXIT, 1L);
  if (files->ca)
    SET(CURLOPT_CAINFO, files->ca);
  if (files->cert)
    SET(CURLOPT_SSLCERT, files->cert);
  if (files->key)
    SET(CURLOPT_SSLKEY, files->key);
#undef SET
  return ok;
}

tt_error tti_http_client_new(const char *user_agent,
                             const tti_http_files *files,
                             tti_http_client **out_client) {
  pthread_once(&curl_once, init_curl);
  tti_http_client *c = calloc(1, sizeof(*c));
  if (!c)
    return TT_ENOMEM;
  c->multi = curl_multi_init();
  c->easy = curl_easy_init();
  if (!c->multi || !c->easy || !set_options(c, user_agent, files)) {
    tti_http_client_free(c);
    return TT_ENOMEM;
  }
  *out_client = c;
  return TT_OK;
}

void tti_http_client_free(tti_http_client *client) {
  if (!client)
    return;
  curl_easy_cleanup(client->easy);
  curl_multi_cleanup(client->multi);
  free(client);
}

void tti_http_cancel(tti_http_client *client) {
  /* The wake-up below orders it; a poll that comes later reads the flag. */
  atomic_store_explicit(&client->cancelled, true, memory_order_release);
  curl_multi_wakeup(client->multi);
}

static bool is_cancelled(tti_http_client *client) {
  return atomic_load_explicit(&client->cancelled, memory_order_acquire);
}

void tti_http_answer_init(tti_http_answer *answer) {
  *answer = (tti_http_answer){0};
  tti_buf_init(&answer->head, TTI_HTTP_HEAD_MAX_BYTES);
  tti_buf_init(&answer->body, TTI_HTTP_BODY_MAX_BYTES);
}

void tti_http_answer_fini(tti_http_answer *answer) {
  tti_buf_fini(&answer->head);
  tti_buf_fini(&answer->body);
}

/* Runs the transfer that was added; its result, or nothing when cancelled. */
static tt_error run(tti_http_client *c, const tti_http_request *request,
                    CURLcode *out_result) {
  for (;;) {
    int running = 0, left;
    if (is_cancelled(c))
      return TT_ECANCELLED;
    if (curl_multi_perform(c->multi, &running) != CURLM_OK)
      return TT_ENOMEM;
    CURLMsg *message = curl_multi_info_read(c->multi, &left);
    if (message && message->msg == CURLMSG_DONE) {
      *out_result = message->data.result;
      return TT_OK;
    }
    int poll_ms = request->waiting ? WAITING_MS : POLL_MS;
    if (curl_multi_poll(c->multi, NULL, 0, poll_ms, NULL) != CURLM_OK)
      return TT_ENOMEM;
    if (request->waiting)
      request->waiting(request->context);
  }
}

static struct curl_slist *header_list(const tti_http_request *request) {
  /* curl would wait up to a second for a "100 Continue" that few send. */
  struct curl_slist *list = curl_slist_append(NULL, "Expect:");
  for (size_t i = 0; list && i < request->header_count; i++) {
    struct curl_slist *longer = curl_slist_append(list, request->headers[i]);
    if (!longer)
      curl_slist_free_all(list);
    list = longer;
  }
  return list;
}

static tt_error result_of(tti_http_client *c, CURLcode result) {
  if (result == CURLE_OK) {
    long status = 0;
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    c->answer->status = (int)status;
    return TT_OK;
  }
  snprintf(c->answer->problem, sizeof(c->answer->problem), "%s",
           c->error[0] ? c->error : curl_easy_strerror(result));
  return result == CURLE_OPERATION_TIMEDOUT ? TT_ETIMEOUT
         : result == CURLE_OUT_OF_MEMORY    ? TT_ENOMEM
                                            : TT_EIO;
}

/* The method and its body; curl keeps a pointer to the latter. */
static bool set_method(tti_http_client *c, const tti_http_request *request,
                       bool get) {
  if (get)
    return !curl_easy_setopt(c->easy, CURLOPT_HTTPGET, 1L);
  return !curl_easy_setopt(c->easy, CURLOPT_POST, 1L) &&
         !curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                           (curl_off_t)request->body.len) &&
         !curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS,
                           request->body.len ? request->body.ptr : "");
}

static tt_error ask(tti_http_client *client, const tti_http_request *request,
                    bool get, tti_http_answer *answer) {
  tt_error error = TT_ENOMEM;
  struct curl_slist *headers = header_list(request);
  if (!headers)
    return error;
  tti_buf_clear(&answer->head);
  tti_buf_clear(&answer->body);
  answer->status = 0;
  answer->problem[0] = client->error[0] = '\0';
  client->answer = answer;
  if (curl_easy_setopt(client->easy, CURLOPT_URL, request->url) ||
      curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER, headers) ||
      curl_easy_setopt(client->easy, CURLOPT_TIMEOUT_MS,
                       (long)request->timeout_ms) ||
      !set_method(client, request, get) ||
      curl_multi_add_handle(client->multi, client->easy))
    goto out;
  CURLcode result;
  error = run(client, request, &result);
  if (error == TT_OK)
    error = result_of(client, result);
  curl_multi_remove_handle(client->multi, client->easy);

out:
  /* curl keeps pointers to both: neither may outlive this call in it. */
  curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER, NULL);
  curl_easy_setopt(client->easy, CURLOPT_POSTFIELDS, NULL);
  curl_slist_free_all(headers);
  client->answer = NULL;
  return error;
}

tt_error tti_http_post(tti_http_client *client, const tti_http_request *request,
                       tti_http_answer *answer) {
  return ask(client, request, false, answer);
}

tt_error tti_http_get(tti_http_client *client, const tti_http_request *request,
                      tti_http_answer *answer) {
  return ask(client, request, true, answer);
}

tti_slice tti_http_header(const tti_http_answer *answer, const char *name) {
  tti_slice wanted = tti_slice_of(name);
  if (answer->head.len == 0)
    return (tti_slice){NULL, 0};
  const char *at = answer->head.data, *end = at + answer->head.len;
  while (at < end) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    const char *line_end = stop ? stop : end;
    const char *colon = memchr(at, ':', (size_t)(line_end - at));
    if (colon &&
        tti_slice_eq_nocase((tti_slice){at, (size_t)(colon - at)}, wanted))
      return tti_slice_trim(
          (tti_slice){colon + 1, (size_t)(line_end - colon - 1)});
    at = stop ? stop + 1 : end;
  }
  return (tti_slice){NULL, 0};
}

/* "q=0", "q=0.0" and so on. */
static bool weight_is_zero(tti_slice parameter) {
  parameter = tti_slice_trim(parameter);
  if (parameter.len < 3 || (parameter.ptr[0] | 0x20) != 'q' ||
      parameter.ptr[1] != '=')
    return false;
  for (size_t i = 2; i < parameter.len; i++) {
    if (parameter.ptr[i] != '0' && parameter.ptr[i] != '.')
      return false;
  }
  return true;
}

/* Takes what stands before the next `separator` off the front of *rest. */
static bool next_part(tti_slice *rest, char separator, tti_slice *out_part) {
  if (!rest->ptr)
    return false;
  const char *at = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
  if (!at) {
    *out_part = *rest;
    rest->ptr = NULL;
    return true;
  }
  *out_part = (tti_slice){rest->ptr, (size_t)(at - rest->ptr)};
  rest->len -= out_part->len + 1;
  rest->ptr = at + 1;
  return true;
}

bool tti_http_list_has(tti_slice list, const char *item) {
  tti_slice part;
  while (next_part(&list, ',', &part)) {
    tti_slice rest = part, name, parameter = {NULL, 0};
    next_part(&rest, ';', &name);
    if (!tti_slice_eq_nocase(tti_slice_trim(name), tti_slice_of(item)))
      continue;
    return !next_part(&rest, ';', &parameter) || !weight_is_zero(parameter);
  }
  return false;
}

int64_t tti_http_retry_after_s(const tti_http_answer *answer, int64_t max_s) {
  unsigned long long seconds;
  char date[64];
  tti_slice value = tti_http_header(answer, "Retry-After");
  if (!value.ptr || value.len >= sizeof(date))
    return -1;
  if (tti_slice_to_u64(value, &seconds))
    return seconds < (unsigned long long)max_s ? (int64_t)seconds : max_s;
  memcpy(date, value.ptr, value.len);
  date[value.len] = '\0';
  time_t at = curl_getdate(date, NULL);
  if (at < 0)
    return -1;
  int64_t left = (int64_t)at - (int64_t)time(NULL);
  return left < 0 ? 0 : left < max_s ? left : max_s;
}

static CURLUcode extend_path(CURLU *parts, const char *more) {
  char *path = NULL;
  CURLUcode code = curl_url_get(parts, CURLUPART_PATH, &path, 0);
  if (code)
    return code;
  size_t len = strlen(path);
  while (len && path[len - 1] == '/')
    len--;
  while (*more != '/' && len && path[len - 1] != '/')
    len--;
  size_t size = len + strlen(more) + 2;
  char *longer = malloc(size);
  if (longer) {
    snprintf(longer, size, "%.*s%s%s", (int)len, path,
             len || *more == '/' ? "" : "/", more);
    code = curl_url_set(parts, CURLUPART_PATH, longer, 0);
  } else {
    code = CURLUE_OUT_OF_MEMORY;
  }
  free(longer);
  curl_free(path);
  return code;
}

static tt_error error_of(CURLUcode code) {
  return code == CURLUE_OK              ? TT_OK
         : code == CURLUE_OUT_OF_MEMORY ? TT_ENOMEM
                                        : TT_EINVAL;
}

static CURLUcode parse_url(CURLU *parts, const char *url) {
  char *scheme = NULL;
  CURLUcode code = curl_url_set(parts, CURLUPART_URL, url, 0);
  if (!code)
    code = curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0);
  if (!code && strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
    code = CURLUE_UNSUPPORTED_SCHEME;
  if (!code)
    code = curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0);
  curl_free(scheme);
  return code;
}

static CURLUcode url_text(CURLU *parts, char **out_url) {
  char *text = NULL;
  CURLUcode code = curl_url_get(parts, CURLUPART_URL, &text, 0);
  if (code)
    return code;
  char *copy = strdup(text);
  curl_free(text);
  if (!copy)
    return CURLUE_OUT_OF_MEMORY;
  *out_url = copy;
  return CURLUE_OK;
}

tt_error tti_http_url(const char *url, const char *more, char **out_url) {
  CURLU *parts = curl_url();
  if (!parts)
    return TT_ENOMEM;
  CURLUcode code = parse_url(parts, url);
  if (!code && *more)
    code = extend_path(parts, more);
  if (!code)
    code = url_text(parts, out_url);
  curl_url_cleanup(parts);
  return error_of(code);
}

tt_error tti_http_url_shown(const char *url, char **out_url) {
  static const CURLUPart secret[] = {CURLUPART_USER, CURLUPART_PASSWORD,
                                     CURLUPART_OPTIONS, CURLUPART_QUERY};
  CURLU *parts = curl_url();
  if (!parts)
    return TT_ENOMEM;
  CURLUcode code = parse_url(parts, url);
  for (size_t i = 0; !code && i < sizeof(secret) / sizeof(*secret); i++)
    code = curl_url_set(parts, secret[i], NULL, 0);
  if (!code)
    code = url_text(parts, out_url);
  curl_url_cleanup(parts);
  return error_of(code);
}
