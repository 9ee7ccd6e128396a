#include "cli/client.h"
#include "cli/line.h"
#include "cli/options.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ANSWER_MAX_BYTES ((size_t)64 << 20)
#define USER_AGENT       "telltale-cli"

struct client {
  CURL *curl;
  char *url;
  char *authorization;   /* header line, or NULL */
  char *ca, *cert, *key; /* NULL: none */
  char *unix_socket;
};

static char *join(const char *a, const char *b, const char *c) {
  size_t len = strlen(a) + strlen(b) + strlen(c) + 1;
  char *text = malloc(len);
  if (text)
    snprintf(text, len, "%s%s%s", a, b, c);
  return text;
}

static const char *first_of(const char *given, const char *variable,
                            const char *otherwise) {
  if (given && *given)
    return given;
  const char *value = getenv(variable);
  return value && *value ? value : otherwise;
}

/* A copy of a file's name; false: it is named, and cannot be read (said on
 * standard error) or copied. libcurl would not say which file it means. */
static bool take_file(const char *given, const char *option,
                      const char *variable, char **out_name) {
  const char *name = first_of(given, variable, NULL);
  if (!name)
    return true;
  if (access(name, R_OK) != 0) {
    fprintf(stderr, "telltale: %s %s: cannot be read: %s\n",
            given && *given ? option : variable, name, strerror(errno));
    return false;
  }
  *out_name = strdup(name);
  return *out_name;
}

static bool take_files(client *c, const client_options *options) {
  if (!take_file(options->ca, "--ca", "TELLTALE_CA", &c->ca) ||
      !take_file(options->cert, "--cert", "TELLTALE_CERT", &c->cert) ||
      !take_file(options->key, "--key", "TELLTALE_KEY", &c->key))
    return false;
  if (!c->key || c->cert)
    return true;
  fprintf(stderr,
          "telltale: --key %s is given without --cert: name the "
          "certificate too\n",
          c->key);
  return false;
}

client *client_new(const client_options *options) {
  const char *url = first_of(options->url, "TELLTALE_URL", CLIENT_DEFAULT_URL);
  const char *token = first_of(options->token, "TELLTALE_TOKEN", NULL);
  if (strncmp(url, "http://", 7) && strncmp(url, "https://", 8)) {
    fprintf(stderr,
            "telltale: --url %s does not begin with http:// or https://\n",
            url);
    return NULL;
  }
  client *c = calloc(1, sizeof(*c));
  if (!c)
    return NULL;
  c->curl = curl_easy_init();
  c->url = strdup(url);
  if (token)
    c->authorization = join("Authorization: Bearer ", token, "");
  if (options->unix_socket)
    c->unix_socket = strdup(options->unix_socket);
  if (!c->curl || !c->url || (token && !c->authorization) ||
      (options->unix_socket && !c->unix_socket) || !take_files(c, options)) {
    client_free(c);
    return NULL;
  }
  size_t len = strlen(c->url);
  while (len && c->url[len - 1] == '/')
    c->url[--len] = '\0';
  /* The events URL that programs are given works here too. */
  if (len > 7 && !strcmp(c->url + len - 7, "/events"))
    c->url[len - 7] = '\0';
  return c;
}

client_options client_options_of(const char *const values[CLIENT_ROW_COUNT]) {
  return (client_options){
      .url = first_of(values[0], "TELLTALE_URL", CLIENT_DEFAULT_URL),
      .token = first_of(values[1], "TELLTALE_TOKEN", NULL),
      .ca = first_of(values[2], "TELLTALE_CA", NULL),
      .cert = first_of(values[3], "TELLTALE_CERT", NULL),
      .key = first_of(values[4], "TELLTALE_KEY", NULL)};
}

client *client_new_from(const char *const values[CLIENT_ROW_COUNT]) {
  return client_new(&(client_options){.url = values[0],
                                      .token = values[1],
                                      .ca = values[2],
                                      .cert = values[3],
                                      .key = values[4]});
}

void client_free(client *c) {
  if (!c)
    return;
  curl_easy_cleanup(c->curl);
  free(c->url);
  free(c->authorization);
  free(c->ca);
  free(c->cert);
  free(c->key);
  free(c->unix_socket);
  free(c);
}

void client_answer_init(client_answer *answer) {
  memset(answer, 0, sizeof(*answer));
  tti_buf_init(&answer->body, ANSWER_MAX_BYTES);
}

void client_answer_fini(client_answer *answer) {
  tti_buf_fini(&answer->body);
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context) {
  tti_buf *body = context;
  tti_buf_append(body, bytes, size * count);
  return body->error ? 0 : size * count;
}

static bool add_header(struct curl_slist **headers, const char *name,
                       const char *value) {
  char *line = join(name, ": ", value);
  struct curl_slist *more = line ? curl_slist_append(*headers, line) : NULL;
  free(line);
  if (more)
    *headers = more;
  return more != NULL;
}

/* What every connection of ours has in common. */
static void set_up(const client *c, CURL *curl, const char *url) {
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_USERAGENT, USER_AGENT);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
  if (c->ca)
    curl_easy_setopt(curl, CURLOPT_CAINFO, c->ca);
  if (c->cert)
    curl_easy_setopt(curl, CURLOPT_SSLCERT, c->cert);
  if (c->key)
    curl_easy_setopt(curl, CURLOPT_SSLKEY, c->key);
  if (c->unix_socket)
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, c->unix_socket);
}

/* For the next request. The answer's URL is freed by the caller. */
static char *prepare(client *c, const char *path) {
  char *url = join(c->url, path, "");
  if (!url)
    return NULL;
  curl_easy_reset(c->curl);
  set_up(c, c->curl, url);
  return url;
}

static void explain(const client *c, CURLcode code, const char *why,
                    char out_error[320]) {
  snprintf(out_error, 320, "%s: %s%s", c->url,
           *why ? why : curl_easy_strerror(code),
           code == CURLE_PEER_FAILED_VERIFICATION
               ? "; if it is your server, name its CA with --ca FILE"
               : "");
}

static unsigned long long head_of(CURL *curl) {
  struct curl_header *header;
  unsigned long long head = 0;
  if (curl_easy_header(curl, "Telltale-Head", 0, CURLH_HEADER, -1, &header) ==
      CURLHE_OK)
    tti_slice_to_u64(tti_slice_of(header->value), &head);
  return head;
}

void client_call(client *c, const client_request *request,
                 client_answer *answer) {
  char why[CURL_ERROR_SIZE] = "";
  struct curl_slist *headers = NULL;
  char *url = prepare(c, request->path);
  bool ok = url != NULL;
  tti_buf_clear(&answer->body);
  answer->status = 0;
  answer->head = 0;
  if (ok && c->authorization) {
    headers = curl_slist_append(NULL, c->authorization);
    ok = headers != NULL;
  }
  if (ok && request->content_type)
    ok = add_header(&headers, "Content-Type", request->content_type);
  if (ok && request->idempotency_key)
    ok = add_header(&headers, "Idempotency-Key", request->idempotency_key);
  /* The answer to a refused body comes at once: no need to ask first. */
  if (ok && request->body.len)
    ok = add_header(&headers, "Expect", "");
  if (!ok) {
    snprintf(answer->error, sizeof(answer->error), "out of memory");
    goto out;
  }
  curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, 30000L);
  curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, why);
  curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &answer->body);
  if (request->method && strcmp(request->method, "GET")) {
    curl_easy_setopt(c->curl, CURLOPT_POST, 1L);
    curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS,
                     request->body.ptr ? request->body.ptr : "");
    curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t)request->body.len);
  }
  curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
  CURLcode code = curl_easy_perform(c->curl);
  if (code == CURLE_OK) {
    long status = 0;
    curl_off_t retry_after = 0;
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(c->curl, CURLINFO_RETRY_AFTER, &retry_after);
    answer->status = (int)status;
    answer->retry_after_s = (long)retry_after;
    answer->head = head_of(c->curl);
  } else {
    explain(c, code, why, answer->error);
  }
out:
  curl_slist_free_all(headers);
  free(url);
}

typedef struct follower {
  CURL *curl;
  client_take take;
  void *context;
  bool stopped;
} follower;

static size_t take_stream(char *bytes, size_t size, size_t count,
                          void *context) {
  follower *f = context;
  if (!f->take(f->context, bytes, size * count)) {
    f->stopped = true;
    return 0;
  }
  return size * count;
}

int client_follow(client *c, const char *path, const char *last_event_id,
                  client_take take, void *context, char out_error[320]) {
  char why[CURL_ERROR_SIZE] = "";
  struct curl_slist *headers = NULL;
  follower f = {c->curl, take, context, false};
  long status = 0;
  char *url = prepare(c, path);
  bool ok = url && add_header(&headers, "Accept", "text/event-stream");
  if (ok && c->authorization) {
    struct curl_slist *more = curl_slist_append(headers, c->authorization);
    ok = more != NULL;
    headers = more ? more : headers;
  }
  if (ok && last_event_id)
    ok = add_header(&headers, "Last-Event-ID", last_event_id);
  if (!ok) {
    snprintf(out_error, 320, "out of memory");
    goto out;
  }
  curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, why);
  curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_stream);
  curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &f);
  /* A comment comes every 15 s: three missing mean the server is gone. */
  curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, 50L);
  CURLcode code = curl_easy_perform(c->curl);
  curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
  if (code == CURLE_OK || f.stopped)
    snprintf(out_error, 320, "the server ended the stream");
  else
    explain(c, code, why, out_error);
out:
  curl_slist_free_all(headers);
  free(url);
  return (int)status;
}

CURL *client_connect(const client *c, char out_error[320]) {
  char why[CURL_ERROR_SIZE] = "";
  CURL *curl = curl_easy_init();
  if (!curl) {
    snprintf(out_error, 320, "out of memory");
    return NULL;
  }
  set_up(c, curl, c->url);
  curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
  CURLcode code = curl_easy_perform(curl);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
  if (code == CURLE_OK)
    return curl;
  explain(c, code, why, out_error);
  curl_easy_cleanup(curl);
  return NULL;
}

char *client_url_part(const client *c, int part) {
  CURLU *url = curl_url();
  char *text = NULL;
  if (url && !curl_url_set(url, CURLUPART_URL, c->url, 0))
    curl_url_get(url, (CURLUPart)part, &text, CURLU_DEFAULT_PORT);
  curl_url_cleanup(url);
  return text;
}

void client_put_head(const client *c, const char *method, const char *path,
                     tti_buf *out) {
  char *host = client_url_part(c, CURLUPART_HOST);
  char *port = client_url_part(c, CURLUPART_PORT);
  char *prefix = client_url_part(c, CURLUPART_PATH);
  bool bare = !prefix || !strcmp(prefix, "/");
  tti_buf_printf(out, "%s %s%s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: %s\r\n",
                 method, bare ? "" : prefix, path, host ? host : "",
                 port ? port : "", USER_AGENT);
  if (c->authorization)
    tti_buf_printf(out, "%s\r\n", c->authorization);
  curl_free(host);
  curl_free(port);
  curl_free(prefix);
}

int client_report(const char *command, const client_answer *answer) {
  if (answer->status == 0) {
    fprintf(stderr,
            "telltale %s: no answer from %s\n"
            "is the server running? start it with: telltale serve\n",
            command, answer->error);
    return CLI_UNREACHABLE;
  }
  if (answer->status >= 200 && answer->status < 300)
    return CLI_OK;
  json_t *body = json_loadb(answer->body.data ? answer->body.data : "",
                            answer->body.len, 0, NULL);
  const char *message = json_string_value(json_object_get(body, "message"));
  fprintf(stderr, "telltale %s: %d ", command, answer->status);
  cli_text_print(
      stderr, tti_slice_of(message ? message : "(the server gave no reason)"));
  fputc('\n', stderr);
  if (answer->status == 401)
    fprintf(stderr, "give a token with --token or TELLTALE_TOKEN; make one "
                    "with: telltale token create\n");
  json_decref(body);
  return CLI_FAILED;
}

void client_escape(tti_buf *out, const char *text) {
  for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
    bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                 (*at >= '0' && *at <= '9') || *at == '-' || *at == '.' ||
                 *at == '_' || *at == '~';
    if (plain)
      tti_buf_append_char(out, (char)*at);
    else
      tti_buf_printf(out, "%%%02X", *at);
  }
}
