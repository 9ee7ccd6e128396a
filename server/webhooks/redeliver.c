#include "server/webhooks/internal.h"

#include "lib/json/write.h"
#include "server/store/tables/redeliveries.h"

/* POST /events/{id}/redeliver: to one webhook, or to all that the event
 * matched, some at a time, each time on the writer:
 *
 *   with a key that was seen before nothing is made; what was made then is
 *   found by its replay id, which comes out of the key's answer
 */
enum { BATCH = 40 };

typedef struct line {
  char webhook_id[TABLES_ID_SIZE];
  char delivery_id[TABLES_ID_SIZE];
  redelivery_outcome outcome;
} line;

typedef enum missing { NOTHING, EVENT, EXPIRED } missing;

typedef struct redelivery {
  api_call call;
  webhook_api *api;
  bool single;
  bool repeats;
  char replay_id[TABLES_ID_SIZE];
  char after[TABLES_ID_SIZE]; /* the last webhook that was done */
  int64_t now_us;
  tti_slice event_id;
  tti_slice event_type; /* in `type` */
  char type[TTI_OUTBOX_TYPE_MAX];
  missing missing;
  size_t made; /* of all batches */
  size_t count;
  line lines[BATCH]; /* of this one */
} redelivery;

/* ---- With the store ---- */

static bool look_at_event(void *context, const outbox_row *row) {
  redelivery *r = context;
  tti_slice type = row->event.type;
  size_t len = type.len < sizeof(r->type) ? type.len : sizeof(r->type);
  memcpy(r->type, type.ptr, len);
  r->event_type = (tti_slice){r->type, len};
  if (row->event.expires_us <= r->now_us)
    r->missing = EXPIRED;
  return false;
}

static void add_line(void *context, tti_slice webhook_id) {
  redelivery *r = context;
  line *l = &r->lines[r->count];
  size_t len =
      webhook_id.len < TABLES_ID_SIZE ? webhook_id.len : TABLES_ID_SIZE - 1;
  *l = (line){.outcome = REDELIVERY_MADE};
  memcpy(l->webhook_id, webhook_id.ptr, len);
  r->count++;
}

static tt_error do_line(redelivery *r, store_tx *tx, line *l) {
  tti_slice webhook_id = tti_slice_of(l->webhook_id);
  tti_slice replay_id = tti_slice_of(r->replay_id);
  if (!r->repeats)
    return redeliveries_insert(tx, r->event_id, r->event_type, webhook_id,
                               replay_id, r->now_us, l->delivery_id,
                               &l->outcome);
  tt_error error =
      redeliveries_find(tx, r->event_id, webhook_id, replay_id, l->delivery_id);
  if (error == TT_ENOTFOUND)
    l->outcome = REDELIVERY_PENDING;
  return error == TT_ENOTFOUND ? TT_OK : error;
}

static tt_error do_batch(redelivery *r, store_tx *tx) {
  r->missing = NOTHING;
  r->count = 0;
  tt_error error = outbox_get(tx, r->event_id, look_at_event, r);
  if (error == TT_ENOTFOUND)
    r->missing = EVENT;
  if (r->missing)
    return TT_ENOTFOUND;
  if (r->single)
    add_line(r, tti_slice_of(r->after));
  else if (!error)
    error = redeliveries_matched(tx, r->event_id, tti_slice_of(r->after), BATCH,
                                 add_line, r);
  for (size_t i = 0; !error && i < r->count; i++)
    error = do_line(r, tx, &r->lines[i]);
  if (!error && r->single && r->lines[0].outcome != REDELIVERY_MADE)
    return TT_ECONFLICT;
  return error;
}

static tt_error run_change(store_job *job, store_tx *tx) {
  redelivery *r = job->owner;
  webhook_api_pack(r->replay_id, job);
  tt_error error = do_batch(r, tx);
  if (error == TT_ENOTFOUND || error == TT_ECONFLICT)
    job->verdict = STORE_EXISTS;
  return error;
}

static tt_error run_read(store_read *read, store_tx *tx) {
  return do_batch(read->owner, tx);
}

/* ---- On the loop ---- */

static const char *reason_of(redelivery_outcome outcome) {
  switch (outcome) {
  case REDELIVERY_MADE:
    return "";
  case REDELIVERY_NOT_MATCHED:
    return "the event did not match this webhook when it was fanned out";
  case REDELIVERY_PENDING:
    return "a delivery of this event to it is pending already";
  case REDELIVERY_DISABLED:
    return "webhook is disabled";
  case REDELIVERY_NO_WEBHOOK:
    return "the webhook was deleted";
  }
  return "";
}

static void refuse_single(redelivery *r) {
  static const char *const codes[] = {
      [REDELIVERY_NOT_MATCHED] = "not_originally_matched",
      [REDELIVERY_PENDING] = "replay_in_progress",
      [REDELIVERY_DISABLED] = "webhook_disabled",
      [REDELIVERY_NO_WEBHOOK] = "webhook_not_found"};
  redelivery_outcome outcome = r->lines[0].outcome;
  if (outcome == REDELIVERY_NO_WEBHOOK)
    api_call_refuse(&r->call, 404, "webhook_not_found",
                    "there is no webhook %s", r->lines[0].webhook_id);
  else
    api_call_refuse(&r->call, 409, codes[outcome], "%s", reason_of(outcome));
}

static void put_line(tti_buf *out, const line *l) {
  if (out->data[out->len - 1] != '[')
    tti_buf_append_char(out, ',');
  tti_buf_printf(out, "{\"webhook_id\":\"%s\"", l->webhook_id);
  if (l->outcome == REDELIVERY_MADE)
    tti_buf_printf(out, ",\"delivery_id\":\"%s\",\"status\":\"pending\"}",
                   l->delivery_id);
  else
    tti_buf_printf(out, ",\"status\":\"skipped\",\"reason\":\"%s\"}",
                   reason_of(l->outcome));
}

static void begin_body(redelivery *r) {
  tti_buf *out = &r->call.body;
  if (out->len)
    return;
  tti_buf_append_text(out, "{\"event_id\":");
  tti_json_write_string(out, r->event_id);
  if (!r->single)
    tti_buf_append_text(out, ",\"status\":\"scheduled\",\"deliveries\":[");
}

static void go(redelivery *r) {
  if (r->repeats)
    api_call_read(&r->call, r->api->options.store);
  else
    api_call_change(&r->call, r->api->options.store);
}

static void finish(redelivery *r) {
  tti_buf *out = &r->call.body;
  if (r->repeats)
    http_reply_header(r->call.request, "Idempotency-Replayed", "true");
  else
    tt_metrics_add(r->api->options.metrics, TT_METRIC_REDELIVER_REQUESTS, 1,
                   r->single ? "single" : "fanout", NULL);
  if (r->single)
    tti_buf_printf(out,
                   ",\"webhook_id\":\"%s\",\"delivery_id\":\"%s\","
                   "\"status\":\"pending\"}",
                   r->lines[0].webhook_id, r->lines[0].delivery_id);
  else
    tti_buf_append_text(out, "]}");
  api_call_reply(&r->call, 202);
}

static void answer(api_call *call) {
  redelivery *r = (redelivery *)call;
  if (!r->repeats && call->job.verdict == STORE_REPLAYED) {
    r->repeats = true;
    webhook_api_unpack("rpl_", &call->job, r->replay_id);
    go(r);
    return;
  }
  if (!r->repeats && call->job.verdict == STORE_MISMATCH) {
    api_call_mismatch(call);
  } else if (r->missing == EXPIRED) {
    webhook_api_expired(call);
  } else if (r->missing == EVENT) {
    webhook_api_missing(call, "event", "id");
  } else if (r->single && r->lines[0].outcome != REDELIVERY_MADE) {
    refuse_single(r);
  } else {
    begin_body(r);
    for (size_t i = 0; !r->single && i < r->count; i++)
      put_line(&call->body, &r->lines[i]);
    if (!r->repeats)
      webhook_api_due(r->api);
    if (r->single || r->count < BATCH) {
      finish(r);
      return;
    }
    memcpy(r->after, r->lines[BATCH - 1].webhook_id, sizeof(r->after));
    call->job.key = (store_key){0}; /* it is kept with the first batch */
    go(r);
  }
}

void event_redeliver_serve(http_request *request, void *context) {
  static const tti_slice names[] = {{"webhook_id", 10}};
  redelivery *r = api_call_new(request, sizeof(*r), answer);
  json_t *root = r ? webhook_api_body(request, names, 1) : NULL;
  if (!root)
    return;
  json_t *member = json_object_get(root, "webhook_id");
  const char *id = json_string_value(member);
  size_t len = json_string_length(member);
  r->single = id != NULL;
  if (member && !json_is_null(member) && (!id || len >= sizeof(r->after))) {
    http_reply_error(request, 400, "invalid_redelivery",
                     "webhook_id must be the id of a webhook, such as wh_…");
    json_decref(root);
    return;
  }
  if (id)
    memcpy(r->after, id, len);
  json_decref(root);
  r->api = context;
  r->event_id = http_request_param(request, "id");
  r->now_us = server_wall_us();
  r->call.job.run = run_change;
  r->call.read.run = run_read;
  tables_new_id("rpl_", r->replay_id);
  if (webhook_api_key(&r->call, "event_redeliver"))
    api_call_change(&r->call, r->api->options.store);
}
