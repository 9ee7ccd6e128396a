#include "lib/emit/http/delivery.h"

#include <stdio.h>

#define GZIP_FROM_BYTES 1024
#define RETRY_AFTER_S   60
#define USER_AGENT      "telltale/" TELLTALE_VERSION
#define HEADERS_MAX     6

bool tti_delivery_init(tti_delivery *delivery,
                       const tti_sender_config *config) {
  delivery->config = config;
  tti_post_init(&delivery->post);
  tti_http_answer_init(&delivery->answer);
  tti_http_files files = {config->ca_file, config->cert_file, config->key_file};
  return tti_http_client_new(USER_AGENT, &files, &delivery->client) == TT_OK;
}

void tti_delivery_fini(tti_delivery *delivery) {
  tti_http_client_free(delivery->client);
  delivery->client = NULL;
  tti_http_answer_fini(&delivery->answer);
  tti_post_fini(&delivery->post);
}

void tti_delivery_complain(tti_delivery *delivery, tti_trouble kind,
                           const char *what, const char *detail) {
  tti_complain(&delivery->complaints[kind], &delivery->config->log,
               delivery->config->shown_url, what, detail);
}

void tti_delivery_complain_of_answer(tti_delivery *delivery, tti_trouble kind,
                                     const char *what) {
  char detail[TTI_HTTP_TEXT_MAX];
  const tti_http_answer *a = &delivery->answer;
  if (!a->status) {
    tti_delivery_complain(delivery, kind, what, a->problem);
    return;
  }
  snprintf(detail, sizeof(detail), "status %d %.*s", a->status,
           (int)(a->body.len < 200 ? a->body.len : 200),
           a->body.len ? a->body.data : "");
  for (char *c = detail; *c; c++) {
    if ((unsigned char)*c < ' ')
      *c = ' ';
  }
  tti_delivery_complain(delivery, kind, what, detail);
}

int64_t tti_delivery_asked_ms(const tti_delivery *delivery) {
  int64_t asked_s =
      delivery->answer.status
          ? tti_http_retry_after_s(&delivery->answer, RETRY_AFTER_S)
          : -1;
  return asked_s > 0 ? asked_s * 1000 : 0;
}

static bool wants_gzip(const tti_delivery *d) {
  return d->gzip_accepted && !d->gzip_refused &&
         d->post.json.len > GZIP_FROM_BYTES;
}

static tt_error make(tti_delivery *d) {
  const char *headers[HEADERS_MAX];
  size_t count = 0;
  char key[64];
  snprintf(key, sizeof(key), "Idempotency-Key: %s/%llu", d->producer,
           (unsigned long long)d->number);
  headers[count++] = "Content-Type: application/json";
  headers[count++] = key;
  if (d->config->authorization)
    headers[count++] = d->config->authorization;
  if (d->drops[0])
    headers[count++] = d->drops;
  if (d->post.gzip.len)
    headers[count++] = "Content-Encoding: gzip";
  tti_http_request request = {
      .url =
          (d->single ? d->config->urls : d->config->batch_urls)[d->post.is_log],
      .body = tti_buf_slice(d->post.gzip.len ? &d->post.gzip : &d->post.json),
      .headers = headers,
      .header_count = count,
      .timeout_ms = d->config->request_timeout_ms,
      .waiting = d->waiting,
      .context = d->context,
  };
  return tti_http_post(d->client, &request, &d->answer);
}

tt_error tti_delivery_make(tti_delivery *delivery, tti_verdict *out_verdict) {
  tti_delivery *d = delivery;
  if (!wants_gzip(d) || !tti_post_compress(&d->post))
    tti_buf_clear(&d->post.gzip);
  tt_error error = make(d);
  if (error == TT_ECANCELLED)
    return error;
  *out_verdict = TTI_VERDICT_RETRY;
  if (error)
    return TT_OK;
  d->gzip_accepted =
      tti_http_list_has(tti_http_header(&d->answer, "Accept-Encoding"), "gzip");
  *out_verdict = tti_verdict_of(d->answer.status, d->post.events, !d->single,
                                d->post.gzip.len > 0);
  if (*out_verdict == TTI_VERDICT_IDENTITY)
    d->gzip_refused = true;
  return TT_OK;
}
