#include "server/deliver/request.h"

#include "lib/json/scan.h"
#include "server/deliver/chat.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <telltale/signature.h>

#define CHAT_MAX   (512 * 1024)
#define HEADER_MAX 4096

/* Takes a list, gives a longer one or, after a failure, none. */
static void add(struct curl_slist **list, bool *ok, const char *line) {
  struct curl_slist *longer = *ok ? curl_slist_append(*list, line) : NULL;
  if (longer)
    *list = longer;
  else
    *ok = false;
}

static void add_header(struct curl_slist **list, bool *ok, const char *format,
                       ...) TELLTALE_PRINTF(3, 4);

static void add_header(struct curl_slist **list, bool *ok, const char *format,
                       ...) {
  char line[HEADER_MAX];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (len < 0 || (size_t)len >= sizeof line)
    *ok = false;
  add(list, ok, line);
}

/* ---- The webhook's own headers ---- */

/* A decoded string without control characters, which would end the line. */
static bool text_of(const tti_json_value *value, char *out, size_t size) {
  size_t len;
  tti_json_error error;
  if (value->type != TTI_JSON_STRING || value->text.len >= size ||
      tti_json_decode(value->text, out, &len, &error) != TT_OK)
    return false;
  out[len] = '\0';
  for (size_t i = 0; i < len; i++)
    if ((unsigned char)out[i] < ' ' || out[i] == 0x7f)
      return false;
  return true;
}

struct curl_slist *request_extra(const char *json) {
  tti_json_scan scan;
  tti_json_value key, value;
  char name[256], text[2048];
  bool ok = true;
  struct curl_slist *list = NULL;
  tti_json_scan_init(&scan, tti_slice_of(json));
  if (!tti_json_scan_open_object(&scan))
    return NULL;
  while (tti_json_scan_member(&scan, &key) &&
         tti_json_scan_value(&scan, &value))
    if (text_of(&key, name, sizeof name) && !strpbrk(name, ": ;") &&
        text_of(&value, text, sizeof text))
      /* curl's way to send a header that has no value. */
      add_header(&list, &ok, *text ? "%s: %s" : "%s;%s", name, text);
  return list;
}

/* ---- Formats ---- */

static tt_error sign(tt_signature_scheme scheme, const due_webhook *webhook,
                     const due_delivery *due, int64_t now_us,
                     char out_signature[TELLTALE_SIGNATURE_SIZE]) {
  tt_signature_options options = {.scheme = scheme,
                                  .secrets = {webhook->secret}};
  if (*webhook->previous_secret && now_us < webhook->previous_until_us)
    options.secrets[1] = webhook->previous_secret;
  return tt_signature_sign(&options, due->event_id, now_us / 1000000,
                           due->body.ptr, due->body.len, out_signature);
}

static tt_error add_standard(request *r, const due_webhook *webhook,
                             const due_delivery *due, int64_t now_us,
                             bool *ok) {
  char signature[TELLTALE_SIGNATURE_SIZE];
  tt_error error = sign(TT_SIGNATURE_STANDARD, webhook, due, now_us, signature);
  add_header(&r->headers, ok, "webhook-id: %s", due->event_id);
  add_header(&r->headers, ok, "webhook-timestamp: %" PRId64, now_us / 1000000);
  if (!error)
    add_header(&r->headers, ok, "webhook-signature: %s", signature);
  return error;
}

static tt_error add_e2a(request *r, const due_webhook *webhook,
                        const due_delivery *due, int64_t now_us, bool *ok) {
  char signature[TELLTALE_SIGNATURE_SIZE];
  tt_error error = sign(TT_SIGNATURE_E2A, webhook, due, now_us, signature);
  if (!error)
    add_header(&r->headers, ok, "X-E2A-Signature: %s", signature);
  add_header(&r->headers, ok, "X-E2A-Event-Type: %s", due->type);
  add(&r->headers, ok, "X-E2A-Schema-Version: 1");
  add(&r->headers, ok, "User-Agent: e2a-webhooks/1");
  return error;
}

tt_error request_init(request *r, const due_webhook *webhook,
                      const struct curl_slist *extra, const due_delivery *due,
                      int64_t now_us, const char **out_problem) {
  bool ok = true;
  tt_error error = TT_OK;
  *r = (request){.body = due->body};
  tti_buf_init(&r->chat, CHAT_MAX);
  add(&r->headers, &ok, "Content-Type: application/json");
  /* curl would wait up to a second for a "100 Continue" that few send. */
  add(&r->headers, &ok, "Expect:");
  add_header(&r->headers, &ok, "telltale-delivery-id: %s", due->id);
  if (strcmp(webhook->format, "slack") == 0)
    chat_slack(due, &r->chat);
  else if (strcmp(webhook->format, "discord") == 0)
    chat_discord(due, &r->chat);
  else if (strcmp(webhook->format, "e2a") == 0)
    error = add_e2a(r, webhook, due, now_us, &ok);
  else
    error = add_standard(r, webhook, due, now_us, &ok);
  if (r->chat.len)
    r->body = tti_buf_slice(&r->chat);
  for (; extra; extra = extra->next)
    add(&r->headers, &ok, extra->data);
  if (!error && (!ok || r->chat.error))
    error = TT_ENOMEM;
  if (error)
    *out_problem = error == TT_EINVAL
                       ? "not sent: it cannot be signed, the webhook's secret "
                         "is malformed; rotate it"
                       : "not sent: out of memory";
  return error;
}

void request_fini(request *r) {
  curl_slist_free_all(r->headers);
  r->headers = NULL;
  tti_buf_fini(&r->chat);
}
