#include "lib/backends/otlp/settings.h"
#include "lib/http/client.h"
#include "lib/http/gzip.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define USER_AGENT      "telltale/" TELLTALE_VERSION
#define MAX_RECORDS     200
#define LINGER_MS       1000
#define REQUEST_BYTES   ((size_t)4 << 20)
#define RETRY_AFTER_MAX 3600
#define TOKEN_MAX       4096

typedef struct otlp {
  tti_otlp_settings settings;
  tti_http_client *client;
  tti_arena arena; /* of the request being built */
  tti_buf request;
  tti_buf compressed;
  tti_http_answer answer;
  char authorization[sizeof("Authorization: Bearer ") + TOKEN_MAX];
  const tt_envelope *sent[MAX_RECORDS]; /* of the batch, those not excluded */
} otlp;

static bool is_excluded(const otlp *o, const tt_event *event) {
  for (size_t i = 0; i < o->settings.excluded_count; i++)
    if (strcmp(event->category ? event->category : "",
               o->settings.excluded[i]) == 0)
      return true;
  return false;
}

/* Its bytes up to the first line end; false with a problem. */
static bool read_token(otlp *o, tt_append_report *report) {
  static const char prefix[] = "Authorization: Bearer ";
  char *token = o->authorization + sizeof(prefix) - 1;
  memcpy(o->authorization, prefix, sizeof(prefix) - 1);
  FILE *file = fopen(o->settings.token_file, "re");
  size_t len = file ? fread(token, 1, TOKEN_MAX, file) : 0;
  const char *why = !file || ferror(file) ? strerror(errno) : "it is empty";
  if (file)
    fclose(file);
  token[len] = '\0';
  token[strcspn(token, "\r\n")] = '\0';
  if (*token)
    return true;
  snprintf(report->problem, sizeof(report->problem),
           "cannot read the token in %s: %s", o->settings.token_file, why);
  return false;
}

static tt_error post(otlp *o, int timeout_ms, tt_append_report *report) {
  const char *headers[TTI_OTLP_HEADERS_MAX + 3];
  size_t count = 0;
  headers[count++] = "Content-Type: application/x-protobuf";
  if (o->settings.gzip)
    headers[count++] = "Content-Encoding: gzip";
  for (size_t i = 0; i < o->settings.header_count; i++)
    headers[count++] = o->settings.headers[i];
  if (o->settings.token_file) {
    if (!read_token(o, report))
      return TT_EIO;
    headers[count++] = o->authorization;
  }
  int own_ms = o->settings.timeout_ms;
  tti_http_request request = {
      .url = o->settings.url,
      .body = tti_buf_slice(o->settings.gzip ? &o->compressed : &o->request),
      .headers = headers,
      .header_count = count,
      .timeout_ms =
          timeout_ms >= 0 && timeout_ms < own_ms ? timeout_ms + 1 : own_ms};
  tt_error error = tti_http_post(o->client, &request, &o->answer);
  if (error)
    snprintf(report->problem, sizeof(report->problem), "%.100s: %.150s",
             o->settings.shown_url,
             o->answer.problem[0] ? o->answer.problem
                                  : tt_error_message(error));
  return error;
}

static void report_status(otlp *o, tt_append_report *report) {
  tti_otlp_answer answer;
  int64_t wait_s = tti_http_retry_after_s(&o->answer, RETRY_AFTER_MAX);
  bool told = tti_otlp_parse_status(tti_buf_slice(&o->answer.body), &answer) &&
              answer.message[0];
  if (wait_s > 0)
    report->retry_after_ms = (int)wait_s * 1000;
  snprintf(report->problem, sizeof(report->problem), "%s answers %d%s%s",
           o->settings.shown_url, o->answer.status, told ? ": " : "",
           told ? answer.message : "");
}

/* What the server did with the request. Refusals that an operator can mend are
 * tried again, as are failures of the server's own: what waits is not lost. */
static tt_error verdict(otlp *o, size_t count, tt_append_report *report) {
  tti_otlp_answer answer;
  int status = o->answer.status;
  if (status >= 200 && status < 300) { /* some answer 202 or 204 */
    if (tti_otlp_parse_response(tti_buf_slice(&o->answer.body), &answer) &&
        answer.rejected > 0) {
      report->rejected =
          (uint64_t)answer.rejected < count ? (size_t)answer.rejected : count;
      memcpy(report->problem, answer.message, sizeof(answer.message));
    }
    return TT_OK;
  }
  report_status(o, report);
  if (status >= 500 || status == 401 || status == 403 || status == 404 ||
      status == 408 || status == 429)
    return TT_EIO;
  return status == 413 ? TT_ETOOBIG : TT_EINVAL;
}

static tt_error build(otlp *o, size_t count) {
  tti_buf_clear(&o->request);
  tti_buf_clear(&o->compressed);
  tt_error error = tti_otlp_logs(&o->arena, &o->settings.resource, o->sent,
                                 count, &o->request);
  if (!error && o->settings.gzip)
    error = tti_gzip(tti_buf_slice(&o->request), &o->compressed);
  return error;
}

static tt_error otlp_append(void *self, const tt_envelope *envelopes,
                            size_t count, int timeout_ms,
                            tt_append_report *report) {
  otlp *o = self;
  size_t sent = 0;
  for (size_t i = 0; i < count; i++)
    if (!is_excluded(o, &envelopes[i].event))
      o->sent[sent++] = &envelopes[i];
  if (sent == 0)
    return TT_OK;
  tt_error error = build(o, sent); /* TT_ETOOBIG: fewer will do */
  if (!error)
    error = post(o, timeout_ms, report);
  return error ? error : verdict(o, sent, report);
}

static void otlp_interrupt(void *self) {
  otlp *o = self;
  tti_http_cancel(o->client);
}

static void otlp_free(void *self) {
  otlp *o = self;
  tti_http_client_free(o->client);
  tti_http_answer_fini(&o->answer);
  tti_arena_fini(&o->arena);
  tti_buf_fini(&o->request);
  tti_buf_fini(&o->compressed);
  tti_otlp_settings_fini(&o->settings);
  free(o);
}

static tt_error init(otlp *o, const tt_storage_otlp_options *options,
                     char *problem) {
  static const tt_storage_otlp_options defaults;
  tti_buf_init(&o->request, REQUEST_BYTES);
  tti_buf_init(&o->compressed, REQUEST_BYTES * 2);
  tti_http_answer_init(&o->answer);
  tt_error error = tti_otlp_settings_read(options ? options : &defaults,
                                          &o->settings, problem);
  return error
             ? error
             : tti_http_client_new(USER_AGENT, &o->settings.files, &o->client);
}

tt_error tt_storage_otlp_new(const tt_storage_otlp_options *options,
                             char *problem, tt_storage **out_storage) {
  static const tt_storage_ops ops = {.version = 1,
                                     .max_records = MAX_RECORDS,
                                     .linger_ms = LINGER_MS,
                                     .append = otlp_append,
                                     .interrupt = otlp_interrupt,
                                     .free = otlp_free};
  char unread[TELLTALE_PROBLEM_MAX], name[TELLTALE_PROBLEM_MAX];
  if (!out_storage)
    return TT_EINVAL;
  otlp *o = calloc(1, sizeof(*o));
  if (!o)
    return TT_ENOMEM;
  tt_error error = init(o, options, problem ? problem : unread);
  if (!error) {
    snprintf(name, sizeof(name), "otlp %s", o->settings.shown_url);
    error = tt_storage_from_ops(&ops, o, name, out_storage);
  }
  if (error)
    otlp_free(o);
  return error;
}
