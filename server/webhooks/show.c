#include "server/webhooks/internal.h"

#include "lib/json/write.h"
#include "server/subscriptions/webhook.h"

#include <stdio.h>

/* ---- Webhooks ---- */

static bool list_one(void *context, const webhook *row) {
  api_page *page = context;
  if (!api_page_next(page, row->created_us, row->id))
    return false;
  webhook_write(&page->call.body, row);
  return true;
}

static tt_error read_webhooks(api_page *page, store_tx *tx) {
  return webhooks_list(tx, page->from.at, page->from.last,
                       page->limit - page->count + 1, list_one, page);
}

void webhook_list_serve(http_request *request, void *context) {
  api_page *page = api_page_new(request, context, sizeof(*page), read_webhooks,
                                "webhooks", NULL, 0);
  if (page)
    api_page_run(page);
}

typedef struct showing {
  api_call call;
  webhook_api *api;
  const char *missing;
} showing;

static void answer(api_call *call) {
  showing *s = (showing *)call;
  if (call->read.error == TT_ENOTFOUND)
    webhook_api_missing(call, s->missing,
                        strcmp(s->missing, "delivery") == 0 ? "delivery"
                                                            : "id");
  else
    api_call_reply(call, 200);
}

static void show(http_request *request, void *context,
                 tt_error (*run)(store_read *read, store_tx *tx)) {
  showing *s = api_call_new(request, sizeof(*s), answer);
  if (!s)
    return;
  s->api = context;
  s->missing = "webhook";
  s->call.read.run = run;
  api_call_read(&s->call, s->api->options.store);
}

static tt_error get_webhook(showing *s, store_tx *tx, tti_buf *out) {
  tti_buf texts;
  webhook row;
  tti_buf_init(&texts, 1 << 20);
  tt_error error =
      webhooks_get(tx, http_request_param(s->call.request, "id"), &texts, &row);
  if (!error && out)
    webhook_write(out, &row);
  tti_buf_fini(&texts);
  return error;
}

static tt_error read_webhook(store_read *read, store_tx *tx) {
  showing *s = read->owner;
  return get_webhook(s, tx, &s->call.body);
}

void webhook_show_serve(http_request *request, void *context) {
  show(request, context, read_webhook);
}

/* ---- Their deliveries ---- */

const char *const webhook_api_delivery_statuses[] = {"pending", "delivered",
                                                     "failed", NULL};

void webhook_api_put_delivery(tti_buf *out, const delivery *row) {
  tti_buf_append_text(out, "\"id\":");
  tti_json_write_string(out, row->id);
  webhook_api_put_text(out, "webhook_id", row->webhook_id);
  webhook_api_put_text(out, "event_id", row->event_id);
  webhook_api_put_text(out, "event_type", row->event_type);
  webhook_api_put_text(out, "replay_id", row->replay_id);
  tti_buf_printf(out, ",\"status\":\"%s\",\"attempts\":%llu",
                 webhook_api_delivery_statuses[row->status],
                 (unsigned long long)row->attempts);
  if (row->status == DELIVERY_PENDING)
    webhook_api_put_time(out, "next_retry_at", row->next_retry_us);
  webhook_api_put_time(out, "last_attempt_at", row->last_attempt_us);
  if (row->last_status)
    tti_buf_printf(out, ",\"last_status_code\":%lld",
                   (long long)row->last_status);
  webhook_api_put_text(out, "last_error", row->last_error);
  webhook_api_put_text(out, "reason", row->reason);
  webhook_api_put_time(out, "created_at", row->created_us);
  webhook_api_put_time(out, "expires_at", row->expires_us);
}

enum { SCAN_MAX = 500 }; /* rows in one piece of a page */

const http_parameter delivery_status_parameter[] = {
    {"status", "Only those of this status.", HTTP_IN_QUERY, HTTP_WORD,
     .words = webhook_api_delivery_statuses, .code = "invalid_status"},
    {.name = NULL}};

typedef struct delivery_page {
  api_page page;
  tti_slice webhook_id;
  int status; /* -1: of any */
} delivery_page;

static bool list_delivery(void *context, const delivery *row) {
  api_page *page = context;
  char n[24];
  snprintf(n, sizeof(n), "%lld", (long long)row->n);
  if (!api_page_next(page, row->created_us, tti_slice_of(n)))
    return false;
  tti_buf_append_char(&page->call.body, '{');
  webhook_api_put_delivery(&page->call.body, row);
  tti_buf_append_char(&page->call.body, '}');
  return true;
}

static tt_error read_deliveries(api_page *page, store_tx *tx) {
  delivery_page *p = (delivery_page *)page;
  showing s = {.call.request = page->call.request};
  delivery_place last;
  unsigned long long n = 0;
  tti_slice_to_u64(page->from.last, &n);
  tt_error error = get_webhook(&s, tx, NULL);
  if (!error)
    error = deliveries_list(tx, p->webhook_id, p->status,
                            (delivery_place){page->from.at, (int64_t)n},
                            SCAN_MAX, list_delivery, page, &last);
  if (!error && page->ended && last.n) {
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)last.n);
    api_page_pass(page, last.created_us, tti_slice_of(text));
  }
  return error;
}

void delivery_list_serve(http_request *request, void *context) {
  size_t status = SIZE_MAX;
  if (!http_parameter_word(request, delivery_status_parameter, &status))
    return;
  const tti_slice filters[] = {
      http_request_param(request, "id"),
      http_parameter_get(request, delivery_status_parameter)};
  delivery_page *p = api_page_new(request, context, sizeof(*p), read_deliveries,
                                  "deliveries", filters, 2);
  if (!p)
    return;
  p->webhook_id = filters[0];
  p->status = status == SIZE_MAX ? -1 : (int)status;
  api_page_run(&p->page);
}

static void put_attempt(void *context, const delivery_attempt *attempt) {
  tti_buf *out = context;
  if (out->data[out->len - 1] != '[')
    tti_buf_append_char(out, ',');
  tti_buf_printf(out, "{\"attempt\":%llu",
                 (unsigned long long)attempt->attempt);
  webhook_api_put_time(out, "at", attempt->at_us);
  tti_buf_printf(out, ",\"duration_ms\":%lld",
                 (long long)attempt->duration_us / 1000);
  if (attempt->status)
    tti_buf_printf(out, ",\"status\":%lld", (long long)attempt->status);
  webhook_api_put_text(out, "response", attempt->response);
  webhook_api_put_text(out, "error", attempt->error);
  tti_buf_append_char(out, '}');
}

typedef struct found {
  tti_buf *out;
  int64_t n;
} found;

static bool put_found(void *context, const delivery *row) {
  found *f = context;
  tti_buf_append_char(f->out, '{');
  webhook_api_put_delivery(f->out, row);
  f->n = row->n;
  return false;
}

static tt_error read_delivery(store_read *read, store_tx *tx) {
  showing *s = read->owner;
  found f = {.out = &s->call.body};
  tt_error error = get_webhook(s, tx, NULL);
  if (error)
    return error;
  s->missing = "delivery";
  error = deliveries_show(tx, http_request_param(s->call.request, "id"),
                          http_request_param(s->call.request, "delivery"),
                          put_found, &f);
  if (error)
    return error;
  tti_buf_append_text(f.out, ",\"history\":[");
  error = deliveries_attempts(tx, f.n, put_attempt, f.out);
  tti_buf_append_text(f.out, "]}");
  return error;
}

void delivery_show_serve(http_request *request, void *context) {
  show(request, context, read_delivery);
}
