#include "server/webhooks/internal.h"

#include "lib/json/scan.h"
#include "lib/json/write.h"
#include "server/store/tables/redeliveries.h"

#include <stdio.h>

enum { SCAN_MAX = 500 }; /* rows in one piece of a page */

static const char *const statuses[] = {"pending", "processed", "no_match",
                                       NULL};

enum { TYPE, SUBJECT, SOURCE, AGENT_ID, STATUS, SINCE, UNTIL, FILTERS };

const http_parameter event_filter_parameters[] = {
    [TYPE] = {"type", "Only events of this type.", .in = HTTP_IN_QUERY},
    [SUBJECT] = {"subject", "Likewise.", .in = HTTP_IN_QUERY},
    [SOURCE] = {"source", "Likewise.", .in = HTTP_IN_QUERY},
    [AGENT_ID] = {"agent_id", "Likewise.", .in = HTTP_IN_QUERY},
    [STATUS] = {"status", "Only those of this status.", HTTP_IN_QUERY,
                HTTP_WORD, .words = statuses, .code = "invalid_status"},
    [SINCE] = {"since", "Published then or later.", HTTP_IN_QUERY, HTTP_TIME,
               .code = "invalid_since"},
    [UNTIL] = {"until", "Published before.", HTTP_IN_QUERY, HTTP_TIME,
               .code = "invalid_until"},
    [FILTERS] = {.name = NULL}};

/* The producer's own bytes, out of the body that is sent. */
static tti_slice data_of(tti_slice body) {
  static const tti_slice names[] = {{"data", 4}};
  tti_json_names table;
  tti_json_value value;
  tti_json_names_init(&table, names, 1);
  if (tti_json_check_fields(body, &table, &value, NULL) ||
      value.type == TTI_JSON_NONE)
    return TTI_SLICE("null");
  return value.text;
}

/* Without its closing brace. */
static void put_event(tti_buf *out, const outbox_row *row) {
  const tti_outbox_row *event = &row->event;
  tti_buf_append_text(out, "{\"id\":");
  tti_json_write_string(out, event->id);
  if (row->seq)
    tti_buf_printf(out, ",\"seq\":%llu", (unsigned long long)row->seq);
  webhook_api_put_text(out, "type", event->type);
  tti_buf_append_text(out, ",\"schema_version\":\"1\"");
  webhook_api_put_text(out, "subject", event->subject);
  webhook_api_put_text(out, "source", event->source);
  webhook_api_put_text(out, "channel", event->category);
  webhook_api_put_text(out, "agent_id", event->agent_id);
  webhook_api_put_text(out, "level", event->level);
  if (event->labels.len) {
    tti_buf_append_text(out, ",\"labels\":");
    tti_buf_append_slice(out, event->labels);
  }
  tti_buf_printf(out, ",\"status\":\"%s\"", statuses[row->status]);
  if (row->attempts)
    tti_buf_printf(out, ",\"attempts\":%llu",
                   (unsigned long long)row->attempts);
  webhook_api_put_text(out, "last_error", row->last_error);
  webhook_api_put_time(out, "created_at", event->created_us);
  webhook_api_put_time(out, "processed_at", row->processed_us);
  webhook_api_put_time(out, "expires_at", event->expires_us);
  tti_buf_append_text(out, ",\"data\":");
  tti_buf_append_slice(out, data_of(event->body));
}

/* ---- The list ---- */

typedef struct event_page {
  api_page page;
  outbox_filter filter;
} event_page;

static bool list_event(void *context, const outbox_row *row) {
  api_page *page = context;
  if (!api_page_next(page, row->event.n, TTI_SLICE("")))
    return false;
  put_event(&page->call.body, row);
  tti_buf_append_char(&page->call.body, '}');
  return true;
}

static tt_error read_events(api_page *page, store_tx *tx) {
  event_page *p = (event_page *)page;
  int64_t next_n;
  p->filter.before_n = page->from.at;
  tt_error error = outbox_list(tx, &p->filter, page->limit - page->count + 1,
                               SCAN_MAX, list_event, page, &next_n);
  if (!error && page->ended && next_n)
    api_page_pass(page, next_n, TTI_SLICE(""));
  return error;
}

static bool take_time(http_request *request, const http_parameter *p,
                      int64_t *out_us) {
  tti_slice text = http_parameter_get(request, p);
  if (!text.len || tti_rfc3339_parse(text, out_us))
    return true;
  http_reply_error(request, 400, p->code,
                   "%s: \"%.*s\" has to be a time such as "
                   "2026-01-02T15:04:05Z (RFC 3339)",
                   p->name, (int)(text.len < 64 ? text.len : 64), text.ptr);
  return false;
}

void event_list_serve(http_request *request, void *context) {
  const http_parameter *is = event_filter_parameters;
  tti_slice texts[FILTERS];
  size_t status = SIZE_MAX;
  outbox_filter filter = {.now_us = server_wall_us()};
  if (!http_parameter_word(request, &is[STATUS], &status) ||
      !take_time(request, &is[SINCE], &filter.since_us) ||
      !take_time(request, &is[UNTIL], &filter.until_us))
    return;
  for (size_t i = 0; i < FILTERS; i++)
    texts[i] = http_parameter_get(request, &is[i]);
  filter.type = texts[TYPE];
  filter.subject = texts[SUBJECT];
  filter.source = texts[SOURCE];
  filter.agent_id = texts[AGENT_ID];
  filter.has_status = status != SIZE_MAX;
  filter.status = filter.has_status ? (outbox_status)status : OUTBOX_PENDING;
  event_page *p = api_page_new(request, context, sizeof(*p), read_events,
                               "events", texts, FILTERS);
  if (!p)
    return;
  p->filter = filter;
  api_page_run(&p->page);
}

/* ---- One ---- */

typedef struct event_call {
  api_call call;
  bool expired;
  uint64_t matched;
} event_call;

static bool put_one(void *context, const outbox_row *row) {
  event_call *e = context;
  e->matched = row->matched_count;
  e->expired = row->event.expires_us <= server_wall_us();
  put_event(&e->call.body, row);
  return false;
}

static void was_matched(void *context, tti_slice webhook_id) {
  (void)webhook_id;
  ((event_call *)context)->expired = true;
}

static tt_error read_event(store_read *read, store_tx *tx) {
  event_call *e = read->owner;
  tti_slice id = http_request_param(e->call.request, "id");
  delivery_counts counts;
  tt_error error = outbox_get(tx, id, put_one, e);
  if (error == TT_ENOTFOUND) {
    /* Deliveries are kept for longer than their event. */
    tt_error looked =
        redeliveries_matched(tx, id, TTI_SLICE(""), 1, was_matched, e);
    return looked ? looked : error;
  }
  if (!error)
    error = deliveries_count(tx, id, &counts);
  if (error)
    return error;
  tti_buf_printf(&e->call.body,
                 ",\"delivery_status\":{\"matched_webhooks\":%llu,"
                 "\"delivered\":%llu,\"pending\":%llu,\"failed\":%llu}}",
                 (unsigned long long)e->matched,
                 (unsigned long long)counts.of[DELIVERY_DELIVERED],
                 (unsigned long long)counts.of[DELIVERY_PENDING],
                 (unsigned long long)counts.of[DELIVERY_FAILED]);
  return TT_OK;
}

static void answer_event(api_call *call) {
  event_call *e = (event_call *)call;
  if (e->expired)
    webhook_api_expired(call);
  else if (call->read.error)
    webhook_api_missing(call, "event", "id");
  else
    api_call_reply(call, 200);
}

void event_show_serve(http_request *request, void *context) {
  webhook_api *api = context;
  event_call *e = api_call_new(request, sizeof(*e), answer_event);
  if (!e)
    return;
  e->call.read.run = read_event;
  api_call_read(&e->call, api->options.store);
}
