#include "server/webhooks/internal.h"

#include <stdlib.h>

/* POST /webhooks/{id}/test: a delivery with a body of its own, of an event that
 * is nowhere else. */
typedef struct trial {
  api_call call;
  webhook_api *api;
  tti_slice type, event_id, body; /* the request's memory */
  char replay_id[TABLES_ID_SIZE];
  char delivery_id[TABLES_ID_SIZE];
  int64_t now_us;
  bool disabled;
} trial;

static tt_error insert(store_job *job, store_tx *tx) {
  trial *t = job->owner;
  tti_slice id = http_request_param(t->call.request, "id");
  tti_buf texts;
  webhook row;
  bool inserted = false;
  tti_buf_init(&texts, 1 << 20);
  tt_error error = webhooks_get(tx, id, &texts, &row);
  t->disabled = !error && !row.enabled;
  tti_buf_fini(&texts);
  if (!error && !t->disabled)
    error =
        deliveries_insert(tx,
                          &(delivery){.webhook_id = id,
                                      .event_id = t->event_id,
                                      .event_type = t->type,
                                      .replay_id = tti_slice_of(t->replay_id),
                                      .body = t->body,
                                      .created_us = t->now_us},
                          true, t->delivery_id, &inserted);
  if (error == TT_ENOTFOUND || t->disabled) {
    job->verdict = STORE_EXISTS;
    return TT_ECONFLICT;
  }
  if (!error)
    webhook_api_pack(t->delivery_id, job);
  return error;
}

static void answer(api_call *call) {
  trial *t = (trial *)call;
  if (call->job.verdict == STORE_MISMATCH) {
    api_call_mismatch(call);
    return;
  }
  if (call->job.verdict == STORE_EXISTS && t->disabled) {
    api_call_refuse(call, 409, "webhook_disabled", "webhook is disabled");
    return;
  }
  if (call->job.verdict == STORE_EXISTS) {
    webhook_api_missing(call, "webhook", "id");
    return;
  }
  if (call->job.verdict == STORE_REPLAYED) {
    webhook_api_unpack("whd_", &call->job, t->delivery_id);
    http_reply_header(call->request, "Idempotency-Replayed", "true");
  } else {
    webhook_api_due(t->api);
  }
  tti_buf_printf(&call->body, "{\"delivery_id\":\"%s\"}", t->delivery_id);
  api_call_reply(call, 202);
}

static tti_slice keep(http_request *request, tti_slice text) {
  char *copy = http_request_alloc(request, text.len + 1);
  if (!copy)
    return (tti_slice){0};
  memcpy(copy, text.ptr, text.len);
  return (tti_slice){copy, text.len};
}

/* The body that a subscriber would get; false: it was answered. */
static bool make_body(trial *t, const json_t *root) {
  http_request *request = t->call.request;
  const json_t *event = json_object_get(root, "event");
  const json_t *data = json_object_get(root, "data");
  const char *problem = "";
  tti_outbox_draft draft;
  if (event && !json_is_string(event)) {
    http_reply_error(request, 400, "invalid_event", "event must be a string");
    return false;
  }
  char *text = data ? json_dumps(data, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
  tt_error error = tti_outbox_draft_init(
      &draft,
      &(tt_outbox_event){.type =
                             event ? json_string_value(event) : "webhook.test",
                         .data = text ? text : "{\"test\":true}"},
      t->now_us, &problem);
  if (error) {
    http_reply_error(request, 400, "invalid_event", "%s", problem);
  } else {
    t->type = keep(request, draft.row.type);
    t->event_id = keep(request, draft.row.id);
    t->body = keep(request, draft.row.body);
    if (!t->type.ptr || !t->event_id.ptr || !t->body.ptr) {
      error = TT_ENOMEM;
      http_reply_error(request, 503, "out_of_memory",
                       "out of memory; try again");
    }
  }
  tti_outbox_draft_fini(&draft);
  free(text);
  return error == TT_OK;
}

void webhook_test_serve(http_request *request, void *context) {
  static const tti_slice names[] = {{"event", 5}, {"data", 4}};
  trial *t = api_call_new(request, sizeof(*t), answer);
  json_t *root = t ? webhook_api_body(request, names, 2) : NULL;
  if (!root)
    return;
  t->api = context;
  t->now_us = server_wall_us();
  t->call.job.run = insert;
  tables_new_id("tst_", t->replay_id);
  bool good = make_body(t, root);
  json_decref(root);
  if (good && webhook_api_key(&t->call, "webhook_test"))
    api_call_change(&t->call, t->api->options.store);
}
