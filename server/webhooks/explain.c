#include "server/webhooks/internal.h"

#include "lib/event/record.h"
#include "lib/json/write.h"
#include "server/subscriptions/matcher.h"

/* ---- Why a webhook gets an event, or not ---- */

/* The verdict about the webhook as it is now. */
static tt_error judge(const webhook *row, const match_event *event,
                      match_verdict *out_verdict, webhook_filter *out_filter) {
  subscription *s;
  tt_error error = subscription_new(row, &s);
  if (error)
    return error;
  *out_verdict = subscription_match(s, event, out_filter);
  subscription_free(s);
  return TT_OK;
}

static void put_reason(tti_buf *out, match_verdict verdict,
                       webhook_filter filter) {
  static const char *const reasons[] = {
      [MATCH_YES] = "its events and filters match",
      [MATCH_DISABLED] = "the webhook is disabled",
      [MATCH_TYPE] = "none of its events matches the type"};
  tti_buf_append_text(out, ",\"reason\":\"");
  if (verdict == MATCH_FILTER)
    tti_buf_printf(out, "filters.%.*s does not match",
                   (int)webhook_filter_names[filter].len,
                   webhook_filter_names[filter].ptr);
  else
    tti_buf_append_text(out, reasons[verdict]);
  tti_buf_append_char(out, '"');
}

static void put_webhook(tti_buf *out, const webhook *row) {
  tti_buf_append_text(out, "{\"webhook_id\":");
  tti_json_write_string(out, row->id);
  webhook_api_put_text(out, "url", row->url);
}

/* ---- POST /webhooks/match ---- */

typedef struct match_page {
  api_page page;
  match_event event;
  tt_error error;
} match_page;

static bool match_one(void *context, const webhook *row) {
  match_page *m = context;
  match_verdict verdict;
  webhook_filter filter = WEBHOOK_SOURCES;
  tti_buf *out = &m->page.call.body;
  m->error = judge(row, &m->event, &verdict, &filter);
  if (m->error || !api_page_next(&m->page, row->created_us, row->id))
    return false;
  put_webhook(out, row);
  tti_buf_printf(out, ",\"matches\":%s",
                 verdict == MATCH_YES ? "true" : "false");
  put_reason(out, verdict, filter);
  tti_buf_append_char(out, '}');
  return true;
}

static tt_error read_matches(api_page *page, store_tx *tx) {
  match_page *m = (match_page *)page;
  m->error = TT_OK;
  tt_error error = webhooks_list(tx, page->from.at, page->from.last,
                                 page->limit - page->count + 1, match_one, m);
  return error ? error : m->error;
}

static const tti_slice event_names[] = {
    {"type", 4},     {"source", 6},  {"channel", 7},
    {"agent_id", 8}, {"subject", 7}, {"level", 5},
    {"labels", 6},   {"id", 2},      {"data", 4}};

static bool refuse_event(http_request *request, const char *why) {
  http_reply_error(request, 400, "invalid_event", "%s", why);
  return false;
}

static bool take_labels(http_request *request, const json_t *labels,
                        match_event *event) {
  size_t i;
  json_t *label;
  if (labels && !json_is_array(labels))
    return refuse_event(request, "labels must be an array of strings");
  if (json_array_size(labels) > TELLTALE_OUTBOX_LABELS_MAX)
    return refuse_event(request, "labels exceeds cap of 50");
  json_array_foreach((json_t *)labels, i, label) {
    tti_slice text = webhook_api_text(request, label);
    if (!text.ptr)
      return refuse_event(request, "labels must be an array of strings");
    event->labels[event->label_count++] = text;
  }
  return true;
}

/* The event of a body; false: it was answered. */
static bool take_event(http_request *request, const json_t *root,
                       match_event *event) {
  static const struct {
    const char *name;
    webhook_filter filter;
  } members[] = {{"source", WEBHOOK_SOURCES},
                 {"channel", WEBHOOK_CHANNELS},
                 {"agent_id", WEBHOOK_AGENT_IDS},
                 {"subject", WEBHOOK_SUBJECTS}};
  const char *level = json_string_value(json_object_get(root, "level"));
  event->type = webhook_api_text(request, json_object_get(root, "type"));
  if (!webhook_is_pattern(event->type) ||
      event->type.ptr[event->type.len - 1] == '*')
    return refuse_event(request,
                        "type is required, and made of [a-z0-9_.-], at most "
                        "128 of them");
  for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
    const json_t *value = json_object_get(root, members[i].name);
    if (value && !json_is_string(value) && !json_is_null(value))
      return refuse_event(request, "source, channel, agent_id and subject must "
                                   "be strings");
    event->values[members[i].filter] = webhook_api_text(request, value);
  }
  event->level = level ? tti_level_parse(tti_slice_of(level)) : TT_LEVEL_UNSET;
  if (level && event->level == TT_LEVEL_UNSET)
    return refuse_event(request,
                        "level must be debug, info, warn, error or fatal");
  return take_labels(request, json_object_get(root, "labels"), event);
}

void webhook_match_serve(http_request *request, void *context) {
  match_event event = {.level = TT_LEVEL_UNSET};
  const tti_slice body[] = {http_request_body(request)};
  json_t *root = webhook_api_body(request, event_names,
                                  sizeof(event_names) / sizeof(event_names[0]));
  bool good = root && take_event(request, root, &event);
  json_decref(root);
  match_page *m = good ? api_page_new(request, context, sizeof(*m),
                                      read_matches, "match", body, 1)
                       : NULL;
  if (!m)
    return;
  m->event = event;
  api_page_run(&m->page);
}

/* ---- GET /events/{id}/explain ---- */

typedef struct explain_page {
  api_page page;
  store_tx *tx; /* of the piece that is being read, as the rest */
  const outbox_row *row;
  match_event event;
  tt_error error;
} explain_page;

static bool put_delivery(void *context, const delivery *row) {
  static const char *const reasons[] = {
      [DELIVERY_PENDING] = "it matched, and waits to be delivered",
      [DELIVERY_DELIVERED] = "it matched, and was delivered",
      [DELIVERY_FAILED] = "it matched, and was given up"};
  tti_buf *out = context;
  tti_buf_printf(out, ",\"outcome\":\"%s\",\"reason\":\"%s\",\"delivery\":{",
                 webhook_api_delivery_statuses[row->status],
                 reasons[row->status]);
  webhook_api_put_delivery(out, row);
  tti_buf_append_char(out, '}');
  return false;
}

static void put_outcome(tti_buf *out, const char *outcome, const char *reason) {
  tti_buf_printf(out, ",\"outcome\":\"%s\",\"reason\":\"%s\"", outcome, reason);
}

/* There is no delivery: the first reason that holds. */
static tt_error put_absence(explain_page *e, const webhook *row) {
  tti_buf *out = &e->page.call.body;
  int64_t fanned_out_us = e->row->processed_us;
  match_verdict verdict;
  webhook_filter filter = WEBHOOK_SOURCES;
  if (e->row->status == OUTBOX_PENDING) {
    put_outcome(out, "waiting", "the event was not fanned out yet");
    return TT_OK;
  }
  if (row->created_us > fanned_out_us) {
    put_outcome(out, "created_later",
                "the webhook was made after the event was fanned out");
    return TT_OK;
  }
  tt_error error = judge(row, &e->event, &verdict, &filter);
  if (error)
    return error;
  if (verdict == MATCH_YES) {
    put_outcome(out, "changed_later",
                "it matches as it is now, but did not when the event was "
                "fanned out, or its delivery was cleared away since");
  } else {
    tti_buf_append_text(out, ",\"outcome\":\"not_matched\"");
    put_reason(out, verdict, filter);
  }
  return TT_OK;
}

static bool explain_one(void *context, const webhook *row) {
  explain_page *e = context;
  tti_buf *out = &e->page.call.body;
  if (!api_page_next(&e->page, row->created_us, row->id))
    return false;
  put_webhook(out, row);
  e->error =
      deliveries_newest(e->tx, e->row->event.id, row->id, put_delivery, out);
  if (e->error == TT_ENOTFOUND)
    e->error = put_absence(e, row);
  tti_buf_append_char(out, '}');
  return !e->error;
}

static bool explain_event(void *context, const outbox_row *row) {
  explain_page *e = context;
  api_page *page = &e->page;
  page->expired = row->event.expires_us <= server_wall_us();
  if (page->expired)
    return false;
  e->row = row;
  match_event_of(&row->event, &e->event);
  tt_error error = webhooks_list(e->tx, page->from.at, page->from.last,
                                 page->limit - page->count + 1, explain_one, e);
  if (error)
    e->error = error;
  return false;
}

static tt_error read_explained(api_page *page, store_tx *tx) {
  explain_page *e = (explain_page *)page;
  e->tx = tx;
  e->error = TT_OK;
  tt_error error = outbox_get(tx, http_request_param(page->call.request, "id"),
                              explain_event, e);
  return error ? error : e->error;
}

void event_explain_serve(http_request *request, void *context) {
  const tti_slice filters[] = {http_request_param(request, "id")};
  explain_page *e = api_page_new(request, context, sizeof(*e), read_explained,
                                 "explain", filters, 1);
  if (!e)
    return;
  e->page.missing = "event";
  api_page_run(&e->page);
}
