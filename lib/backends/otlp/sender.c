#include "lib/backends/otlp/sender.h"

#include "lib/http/gzip.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define USER_AGENT      "telltale/" TELLTALE_VERSION
#define RETRY_AFTER_MAX 3600
#define TOKEN_MAX       4096

static const char bearer[] = "Authorization: Bearer ";

tt_error tti_otlp_sender_init(tti_otlp_sender *sender,
                              const tt_storage_otlp_options *options,
                              size_t max_bytes, char *problem) {
  tti_buf_init(&sender->request, max_bytes);
  tti_buf_init(&sender->compressed, max_bytes * 2);
  tti_http_answer_init(&sender->answer);
  tt_error error = tti_otlp_settings_read(options, &sender->settings, problem);
  if (!error && sender->settings.token_file &&
      !(sender->authorization = malloc(sizeof(bearer) + TOKEN_MAX)))
    error = TT_ENOMEM;
  return error ? error
               : tti_http_client_new(USER_AGENT, &sender->settings.files,
                                     &sender->client);
}

void tti_otlp_sender_fini(tti_otlp_sender *sender) {
  tti_http_client_free(sender->client);
  tti_http_answer_fini(&sender->answer);
  tti_arena_fini(&sender->arena);
  tti_buf_fini(&sender->request);
  tti_buf_fini(&sender->compressed);
  tti_otlp_settings_fini(&sender->settings);
  free(sender->authorization);
}

/* Its bytes up to the first line end; false with a problem. */
static bool read_token(tti_otlp_sender *sender, char *problem) {
  char *token = sender->authorization + sizeof(bearer) - 1;
  memcpy(sender->authorization, bearer, sizeof(bearer) - 1);
  FILE *file = fopen(sender->settings.token_file, "re");
  size_t len = file ? fread(token, 1, TOKEN_MAX, file) : 0;
  const char *why = !file || ferror(file) ? strerror(errno) : "it is empty";
  if (file)
    fclose(file);
  token[len] = '\0';
  token[strcspn(token, "\r\n")] = '\0';
  if (*token)
    return true;
  snprintf(problem, TELLTALE_PROBLEM_MAX, "cannot read the token in %s: %s",
           sender->settings.token_file, why);
  return false;
}

tt_error tti_otlp_send(tti_otlp_sender *sender, int timeout_ms, char *problem) {
  const tti_otlp_settings *settings = &sender->settings;
  const char *headers[TTI_OTLP_HEADERS_MAX + 3];
  size_t count = 0;
  headers[count++] = "Content-Type: application/x-protobuf";
  if (settings->gzip)
    headers[count++] = "Content-Encoding: gzip";
  for (size_t i = 0; i < settings->header_count; i++)
    headers[count++] = settings->headers[i];
  if (settings->token_file) {
    if (!read_token(sender, problem))
      return TT_EIO;
    headers[count++] = sender->authorization;
  }
  tti_slice body = tti_buf_slice(&sender->request);
  tti_buf_clear(&sender->compressed);
  tt_error error = settings->gzip ? tti_gzip(body, &sender->compressed) : TT_OK;
  if (error)
    return error;
  int own_ms = settings->timeout_ms;
  tti_http_request request = {
      .url = settings->url,
      .body = settings->gzip ? tti_buf_slice(&sender->compressed) : body,
      .headers = headers,
      .header_count = count,
      .timeout_ms =
          timeout_ms >= 0 && timeout_ms < own_ms ? timeout_ms + 1 : own_ms};
  error = tti_http_post(sender->client, &request, &sender->answer);
  if (error)
    snprintf(problem, TELLTALE_PROBLEM_MAX, "%.100s: %.150s",
             settings->shown_url,
             sender->answer.problem[0] ? sender->answer.problem
                                       : tt_error_message(error));
  return error;
}

int tti_otlp_refusal(tti_otlp_sender *sender, char *problem) {
  tti_otlp_answer answer;
  int64_t wait_s = tti_http_retry_after_s(&sender->answer, RETRY_AFTER_MAX);
  bool told =
      tti_otlp_parse_status(tti_buf_slice(&sender->answer.body), &answer) &&
      answer.message[0];
  snprintf(problem, TELLTALE_PROBLEM_MAX, "%s answers %d%s%s",
           sender->settings.shown_url, sender->answer.status, told ? ": " : "",
           told ? answer.message : "");
  return wait_s > 0 ? (int)wait_s * 1000 : 0;
}

int64_t tti_otlp_rejected(tti_otlp_sender *sender, char *problem) {
  tti_otlp_answer answer;
  if (!tti_otlp_parse_response(tti_buf_slice(&sender->answer.body), &answer) ||
      answer.rejected <= 0)
    return 0;
  snprintf(problem, TELLTALE_PROBLEM_MAX, "%s", answer.message);
  return answer.rejected;
}
