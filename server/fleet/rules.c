#include "server/fleet/internal.h"

#include "lib/json/write.h"
#include "server/api/call.h"
#include "server/io/clock.h"
#include "server/io/log.h"
#include "server/store/tables/fleet_instances.h"
#include "server/store/tables/fleet_rules.h"

/* GET and PUT of the rules, and what they would do. */

static const char json[] = "application/json";

static void refuse(api_call *call, tt_error error,
                   const fleet_refusal *refusal) {
  if (error == TT_ENOMEM)
    api_call_refuse(call, 503, "out_of_memory", "out of memory; try again");
  else
    api_call_refuse(call, 400, refusal->code, "%s", refusal->message);
}

void fleet_serve_control_get(http_request *request, void *context) {
  fleet_control *control = fleet_control_get(context);
  tti_slice text = fleet_control_text(control);
  http_reply_header(request, "ETag", fleet_control_etag(control));
  http_reply_header(request, "Cache-Control", "no-store");
  http_reply(request, 200, json, text.ptr, text.len);
  fleet_control_unref(control);
}

/* ---- PUT ---- */

/* The writing thread puts the rules in force as they are committed, so what is
 * in force is what a restart finds. */
typedef struct replacement {
  api_call call;
  fleet *fleet;
  fleet_control *control;
  void (*changed)(store_job *job); /* the call's own */
} replacement;

/* Against what the transaction sees: of two changes of one group the second one
 * meets the first. */
static tt_error is_current(store_tx *tx, tti_slice etag, bool *out_current) {
  char now[FLEET_ETAG_TEXT];
  tti_buf text;
  tti_buf_init(&text, FLEET_CONTROL_BYTES);
  tt_error error = fleet_rules_get(tx, &text);
  if (!error || error == TT_ENOTFOUND) {
    fleet_etag_of(error ? TTI_SLICE(FLEET_NO_RULES) : tti_buf_slice(&text),
                  now);
    *out_current = tti_slice_eq(etag, tti_slice_of(now));
    error = TT_OK;
  }
  tti_buf_fini(&text);
  return error;
}

static tt_error replace(store_job *job, store_tx *tx) {
  replacement *r = job->owner;
  tti_slice etag = http_request_header(r->call.request, "If-Match");
  bool current = true;
  tt_error error = TT_OK;
  if (etag.ptr && !tti_slice_eq(etag, TTI_SLICE("*")))
    error = is_current(tx, etag, &current);
  if (error)
    return error;
  if (!current) {
    job->verdict = STORE_MISMATCH;
    return TT_ECONFLICT;
  }
  return fleet_rules_set(tx, fleet_control_text(r->control));
}

static void replaced(store_job *job) {
  replacement *r = job->owner;
  if (job->verdict == STORE_OK)
    fleet_control_put(r->fleet, fleet_control_ref(r->control));
  r->changed(job);
}

static void answer_put(api_call *call) {
  replacement *r = (replacement *)call;
  fleet_control *control = r->control;
  if (call->job.verdict == STORE_MISMATCH) {
    api_call_refuse(call, 412, "control_changed",
                    "the rules are not those of If-Match any more: get them "
                    "again, and decide anew");
  } else {
    tti_slice text = fleet_control_text(control);
    server_log(TT_LEVEL_INFO, "fleet", "control: %zu rules by=\"%s\"",
               fleet_control_rules(control), http_request_user(call->request));
    http_reply_header(call->request, "ETag", fleet_control_etag(control));
    http_reply(call->request, 200, json, text.ptr, text.len);
  }
  fleet_control_unref(control);
}

static void put_failed(api_call *call) {
  fleet_control_unref(((replacement *)call)->control);
}

void fleet_serve_control_put(http_request *request, void *context) {
  fleet *f = context;
  fleet_refusal refusal;
  replacement *r = api_call_new(request, sizeof *r, answer_put);
  if (!r)
    return;
  r->fleet = f;
  tt_error error =
      fleet_control_parse(http_request_body(request), &r->control, &refusal);
  if (error) {
    refuse(&r->call, error, &refusal);
    return;
  }
  r->call.failed = put_failed;
  r->call.job.run = replace;
  r->changed = r->call.job.done;
  r->call.job.done = replaced;
  api_call_change(&r->call, f->store);
}

/* ---- Preview ---- */

enum { PIECE_ROWS = 500, PIECE_US = 4000 };
#define LOOKING_US (INT64_C(10) * 1000000)

/* A walk over all instances, a piece a read. */
typedef struct preview {
  api_call call;
  fleet *fleet;
  fleet_control *control;
  int64_t until_us; /* monotonic */
  int64_t after_n;
  bool more;
  uint64_t instances;
  uint64_t matched[FLEET_RULES_MAX], applied[FLEET_RULES_MAX];
} preview;

static tt_error look(preview *p, store_tx *tx, const fleet_instance *one) {
  tti_arena arena = {0};
  fleet_fields fields;
  fleet_orders orders;
  tt_error error = fleet_fields_read((tti_slice){one->fields, one->fields_len},
                                     &arena, &fields);
  fleet_subject subject = {
      .id = one->id, .fields = &fields, .keys = &one->keys};
  if (!error)
    error = fleet_control_decide(p->control, &subject, tx, &orders);
  tti_arena_fini(&arena);
  if (error)
    return error;
  for (size_t i = 0; i < fleet_control_rules(p->control); i++) {
    p->matched[i] += orders.matched >> i & 1;
    p->applied[i] += orders.applied >> i & 1;
  }
  p->instances++;
  return TT_OK;
}

static tt_error walk(store_read *read, store_tx *tx) {
  preview *p = read->owner;
  fleet_instance one;
  int64_t end_us = server_monotonic_us() + PIECE_US;
  for (int i = 0; i < PIECE_ROWS && server_monotonic_us() < end_us; i++) {
    tt_error error = fleet_instances_next(tx, p->after_n, &one);
    p->more = error != TT_ENOTFOUND;
    if (!p->more)
      return TT_OK;
    if (error || (error = look(p, tx, &one)))
      return error;
    p->after_n = one.n;
  }
  return TT_OK;
}

static void write_preview(preview *p, tti_buf *out) {
  tti_buf_printf(out, "{\"instances\":%llu,\"complete\":%s,\"rules\":[",
                 (unsigned long long)p->instances, p->more ? "false" : "true");
  for (size_t i = 0; i < fleet_control_rules(p->control); i++)
    tti_buf_printf(out, "%s{\"matches\":%llu,\"decides\":%llu}", i ? "," : "",
                   (unsigned long long)p->matched[i],
                   (unsigned long long)p->applied[i]);
  tti_buf_append_text(out, "]}");
}

static void answer_preview(api_call *call) {
  preview *p = (preview *)call;
  if (p->more && server_monotonic_us() < p->until_us) {
    api_call_read(call, p->fleet->store);
    return;
  }
  fleet_control *control = p->control;
  write_preview(p, &call->body);
  api_call_reply(call, 200);
  fleet_control_unref(control);
}

static void preview_failed(api_call *call) {
  fleet_control_unref(((preview *)call)->control);
}

void fleet_serve_preview(http_request *request, void *context) {
  fleet *f = context;
  fleet_refusal refusal;
  preview *p = api_call_new(request, sizeof *p, answer_preview);
  if (!p)
    return;
  p->fleet = f;
  p->until_us = server_monotonic_us() + LOOKING_US;
  tt_error error =
      fleet_control_parse(http_request_body(request), &p->control, &refusal);
  if (error) {
    refuse(&p->call, error, &refusal);
    return;
  }
  p->call.failed = preview_failed;
  p->call.read.run = walk;
  api_call_read(&p->call, f->store);
}
