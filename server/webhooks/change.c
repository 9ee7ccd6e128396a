#include "server/webhooks/internal.h"

#include "lib/json/write.h"
#include "server/auth/auth.h"
#include "server/io/log.h"
#include "server/subscriptions/webhook.h"
#include <telltale/signature.h>

/* A webhook that is made, changed, given another secret or deleted:
 *
 *   loop:   the body is read, into memory of the request
 *   writer: done, and the answer written, in the store's transaction
 *   loop:   whoever matches and delivers is told, then the client
 */
#define ROTATION_US (24 * 3600 * INT64_C(1000000))
#define COOLDOWN_US (5 * 60 * INT64_C(1000000))

typedef enum refusal { NONE, TOO_MANY, COOLDOWN, MISSING } refusal;

typedef struct change {
  api_call call;
  webhook_api *api;
  const char *did; /* for the log */
  int status;      /* of the answer */
  refusal refusal;
  webhook_change given; /* its texts are the request's */
  char id[TABLES_ID_SIZE];
  char secret[TELLTALE_SECRET_SIZE];
  int64_t now_us;
  /* Writes the answer; also for a repeat, whose change was made before. */
  void (*write)(tti_buf *out, const webhook *row);
} change;

static tt_error refuse(change *c, refusal why) {
  c->refusal = why;
  c->call.job.verdict = STORE_EXISTS;
  return TT_ECONFLICT;
}

/* ---- On the writer ---- */

static tt_error create(store_job *job, store_tx *tx) {
  change *c = job->owner;
  uint64_t count;
  tt_error error = webhooks_count(tx, &count);
  if (error)
    return error;
  if (count >= c->api->options.webhooks_max)
    return refuse(c, TOO_MANY);
  webhook row = webhook_default(c->now_us);
  webhook_change_apply(&c->given, &row);
  row.id = tti_slice_of(c->id);
  row.secret = tti_slice_of(c->secret);
  webhook_api_pack(c->id, job);
  tti_buf_clear(&c->call.body);
  c->write(&c->call.body, &row);
  return webhooks_insert(tx, &row);
}

/* What PATCH and rotation do with a row; false: refused. */
typedef bool (*alter)(change *c, webhook *row);

static tt_error update(change *c, store_tx *tx, alter apply) {
  tti_buf texts;
  webhook row;
  tti_buf_init(&texts, 1 << 20);
  tt_error error = webhooks_get(tx, tti_slice_of(c->id), &texts, &row);
  if (error == TT_ENOTFOUND)
    error = refuse(c, MISSING);
  if (!error && !apply(c, &row))
    error = refuse(c, COOLDOWN);
  if (!error) {
    row.updated_us = c->now_us;
    error = webhooks_update(tx, &row);
    tti_buf_clear(&c->call.body);
    c->write(&c->call.body, &row);
  }
  tti_buf_fini(&texts);
  return error;
}

static bool apply_given(change *c, webhook *row) {
  bool enables = (c->given.given & WEBHOOK_ENABLED) && c->given.row.enabled &&
                 !row->enabled;
  if (enables && row->auto_disabled_us &&
      c->now_us - row->auto_disabled_us < COOLDOWN_US)
    return false;
  if (enables)
    row->auto_disabled_us = 0;
  webhook_change_apply(&c->given, row);
  return true;
}

static bool apply_secret(change *c, webhook *row) {
  row->previous_secret = row->secret;
  row->previous_until_us = c->now_us + ROTATION_US;
  row->secret = tti_slice_of(c->secret);
  return true;
}

static tt_error patch(store_job *job, store_tx *tx) {
  return update(job->owner, tx, apply_given);
}

static tt_error rotate(store_job *job, store_tx *tx) {
  change *c = job->owner;
  webhook_api_pack(c->id, job);
  return update(c, tx, apply_secret);
}

static tt_error delete (store_job *job, store_tx *tx) {
  change *c = job->owner;
  tt_error error = webhooks_delete(tx, tti_slice_of(c->id));
  return error == TT_ENOTFOUND ? refuse(c, MISSING) : error;
}

/* For a repeat: what the first one was told, as the webhook is now. */
static tt_error show_again(store_read *read, store_tx *tx) {
  change *c = read->owner;
  tti_buf texts;
  webhook row;
  tti_buf_init(&texts, 1 << 20);
  tt_error error = webhooks_get(tx, tti_slice_of(c->id), &texts, &row);
  if (!error)
    c->write(&c->call.body, &row);
  tti_buf_fini(&texts);
  return error;
}

/* ---- On the loop ---- */

static void answer_refusal(change *c) {
  api_call *call = &c->call;
  if (c->refusal == TOO_MANY)
    api_call_refuse(call, 409, "webhook_limit_reached",
                    "there are %llu webhooks, which is the most; delete some",
                    (unsigned long long)c->api->options.webhooks_max);
  else if (c->refusal == COOLDOWN)
    api_call_refuse(call, 409, "webhook_cooldown",
                    "webhook was auto-disabled within the last 5 minutes; wait "
                    "before re-enabling");
  else
    webhook_api_missing(call, "webhook", "id");
}

static void answer_done(change *c) {
  http_request *request = c->call.request;
  server_log(TT_LEVEL_INFO, "webhooks", "webhook %s: id=%s by=\"%s\" client=%s",
             c->did, c->id, http_request_user(request),
             http_request_client_text(request));
  webhook_api_changed(c->api);
  webhook_api_due(c->api);
  explicit_bzero(c->secret, sizeof(c->secret));
  if (c->status == 204) {
    janitor_wake(c->api->options.janitor);
    http_reply(request, 204, NULL, NULL, 0);
    return;
  }
  http_reply_header(request, "Cache-Control", "no-store");
  api_call_reply(&c->call, c->status);
}

static void answer(api_call *call) {
  change *c = (change *)call;
  if (call->reads && call->read.error) {
    api_call_refuse(call, 404, "webhook_not_found",
                    "the webhook %s was deleted since", c->id);
  } else if (call->reads) {
    http_reply_header(call->request, "Idempotency-Replayed", "true");
    http_reply_header(call->request, "Cache-Control", "no-store");
    api_call_reply(call, c->status);
  } else if (call->job.verdict == STORE_OK) {
    answer_done(c);
  } else if (call->job.verdict == STORE_REPLAYED) {
    webhook_api_unpack("wh_", &call->job, c->id);
    call->read.run = show_again;
    api_call_read(call, c->api->options.store);
  } else if (call->job.verdict == STORE_MISMATCH) {
    api_call_mismatch(call);
  } else {
    answer_refusal(c);
  }
}

static change *change_new(http_request *request, webhook_api *api,
                          const char *did, int status,
                          tt_error (*run)(store_job *job, store_tx *tx)) {
  change *c = api_call_new(request, sizeof(*c), answer);
  if (!c)
    return NULL;
  tti_slice id = http_request_param(request, "id");
  c->api = api;
  c->did = did;
  c->status = status;
  c->write = webhook_write;
  c->now_us = server_wall_us();
  c->call.job.run = run;
  if (id.len < sizeof(c->id)) /* else it is nobody's, as is "" */
    memcpy(c->id, id.ptr ? id.ptr : "", id.len);
  return c;
}

static bool copy(http_request *request, tti_slice *text) {
  if (!text->ptr)
    return true;
  char *kept = http_request_alloc(request, text->len + 1);
  if (!kept)
    return false;
  memcpy(kept, text->ptr, text->len);
  kept[text->len] = '\0';
  text->ptr = kept;
  return true;
}

/* Reads the body; false: it was answered. */
static bool take_body(change *c, bool creates) {
  http_request *request = c->call.request;
  webhook_refusal why;
  char problem[WEBHOOK_URL_PROBLEM];
  if (!webhook_change_parse(http_request_body(request), creates, &c->given,
                            &why)) {
    http_reply_error(request, 400, why.code, "%s", why.message);
    return false;
  }
  webhook *row = &c->given.row;
  tti_slice *const texts[] = {&row->url,     &row->description, &row->events,
                              &row->filters, &row->headers,     &row->format};
  const webhook_api_options *o = &c->api->options;
  bool good = true;
  for (size_t i = 0; good && i < sizeof(texts) / sizeof(texts[0]); i++)
    good = copy(request, texts[i]);
  webhook_change_fini(&c->given);
  if (!good) {
    http_reply_error(request, 503, "out_of_memory", "out of memory; try again");
  } else if ((c->given.given & WEBHOOK_URL) && o->may_call &&
             !o->may_call(o->context, row->url.ptr, problem)) {
    http_reply_error(request, 400, "invalid_webhook", "invalid url: %s",
                     problem);
    good = false;
  }
  return good;
}

void webhook_create_serve(http_request *request, void *context) {
  change *c = change_new(request, context, "made", 201, create);
  if (!c || !take_body(c, true) || !api_call_key(&c->call, "webhook_create"))
    return;
  tables_new_id("wh_", c->id);
  tt_signature_secret_new(c->secret);
  c->write = webhook_write_with_secret;
  api_call_change(&c->call, c->api->options.store);
}

void webhook_update_serve(http_request *request, void *context) {
  change *c = change_new(request, context, "changed", 200, patch);
  if (c && take_body(c, false))
    api_call_change(&c->call, c->api->options.store);
}

void webhook_delete_serve(http_request *request, void *context) {
  change *c = change_new(request, context, "deleted", 204, delete);
  if (c)
    api_call_change(&c->call, c->api->options.store);
}

static void write_rotation(tti_buf *out, const webhook *row) {
  tti_buf_append_text(out, "{\"signing_secret\":");
  tti_json_write_string(out, row->secret);
  webhook_api_put_time(out, "previous_secret_expires_at",
                       row->previous_until_us);
  tti_buf_append_char(out, '}');
}

void webhook_rotate_serve(http_request *request, void *context) {
  change *c = change_new(request, context, "got another secret", 200, rotate);
  if (!c || !webhook_api_key(&c->call, "webhook_rotate"))
    return;
  tt_signature_secret_new(c->secret);
  c->write = write_rotation;
  api_call_change(&c->call, c->api->options.store);
}
