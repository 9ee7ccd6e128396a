#include "server/fleet/internal.h"

#include "lib/json/write.h"
#include "server/api/call.h"
#include "server/io/clock.h"
#include "server/store/tables/fleet_instances.h"
#include "server/store/tables/fleet_updates.h"

/* The way of one update:
 *
 *   loop:   parsed ──(body > 64 KiB)──► pool thread: parsed
 *   writer: its instance is looked up, the rules are asked; unless they or the
 *           time say no, it is kept, all in one job
 *   loop:   answered
 *
 * Clients send one again after an unknown outcome, under the timestamp that it
 * had: an instance's second update in a row of the same timestamp is a repeat
 * and is answered, not added. */
typedef enum outcome {
  ACCEPTED,
  REPEATED, /* was there */
  EARLY,
  GONE,        /* a rule says 410 */
  UNAVAILABLE, /* … 451 */
  CROWDED,     /* too many new instances this minute */
  FULL,        /* … at all */
  INVALID,
  FAILED /* in the store, or out of memory */
} outcome;

static const char *const outcomes[] = {
    [ACCEPTED] = "accepted", [REPEATED] = "repeated", [EARLY] = "early",
    [GONE] = "gone",         [UNAVAILABLE] = "legal", [CROWDED] = "crowded",
    [FULL] = "full",         [INVALID] = "invalid",   [FAILED] = "failed"};

typedef struct update {
  api_call call;
  loop_work work;
  fleet *fleet;
  fleet_settings settings;
  fleet_control *control;
  bool by_guest;
  int64_t received_us;
  tti_slice instance;
  fleet_payload payload;
  tt_error parsed;
  fleet_refusal refusal;
  /* What the job finds out; set anew each time that it runs. */
  outcome outcome;
  bool is_new, skewed;
  int64_t next_us; /* until the next update */
  fleet_orders orders;
  uint64_t keys_dropped, fields_dropped;
} update;

enum { OFF_LOOP_BYTES = 64 * 1024 };

#define SKEWED_US  (INT64_C(3600) * 1000000)
#define SECOND_US  INT64_C(1000000)
#define MINUTE_US  (60 * SECOND_US)
#define ANSWER_MAX ((size_t)1 << 20)

/* ---- In the job ---- */

static int64_t at_least(int64_t value, int64_t least) {
  return value > least ? value : least;
}

/* How long it is too early for one more; 0: it is not. A clock of ours that was
 * set back delays nobody. */
static int64_t early_us(const update *u, const fleet_instance *one) {
  int64_t since_us = u->received_us - one->last_us;
  int64_t interval_us = (int64_t)u->settings.min_interval_ms * 1000;
  return since_us >= 0 && since_us < interval_us ? interval_us - since_us : 0;
}

static int64_t cadence_us(const update *u) {
  uint64_t us = u->orders.next_update_us ? u->orders.next_update_us
                                         : u->settings.next_update_ms * 1000;
  return at_least((int64_t)us, (int64_t)u->settings.min_interval_ms * 1000);
}

static bool is_skewed(const update *u) {
  int64_t at_us = u->payload.timestamp_us;
  return at_us < u->received_us - SKEWED_US ||
         at_us > u->received_us + SKEWED_US;
}

/* Whether there is room for one more instance. */
static tt_error admit(update *u, store_tx *tx, bool *out_admitted) {
  fleet *f = u->fleet;
  int64_t count;
  tt_error error = fleet_totals_get(tx, FLEET_TOTAL_INSTANCES, &count);
  if (error)
    return error;
  *out_admitted = false;
  if ((uint64_t)count >= u->settings.max_instances) {
    u->outcome = FULL;
    return TT_OK;
  }
  int64_t minute = u->received_us / MINUTE_US;
  if (f->minute != minute) {
    f->minute = minute;
    f->minute_count = 0;
  }
  if (u->by_guest && f->minute_count >= u->settings.new_instances) {
    u->outcome = CROWDED;
    u->next_us = (minute + 1) * MINUTE_US - u->received_us;
    return TT_OK;
  }
  f->minute_count += u->by_guest;
  *out_admitted = true;
  return TT_OK;
}

/* The rules, for the instance as it is with this update. */
static tt_error decide(update *u, store_tx *tx, fleet_instance *one,
                       fleet_fields *fields) {
  tt_error error =
      fleet_fields_merge(&u->payload, one->fields, &one->fields_len,
                         sizeof one->fields, fields, &u->fields_dropped);
  fleet_subject subject = {.id = one->id,
                           .fields = fields,
                           .keys = &one->keys,
                           .payload = &u->payload};
  return error ? error
               : fleet_control_decide(u->control, &subject, tx, &u->orders);
}

/* Numbers for the keys, which the instance has from now on. */
static tt_error see_keys(update *u, store_tx *tx, fleet_key_set *keys) {
  const fleet_item *before = NULL;
  tt_error error = TT_OK;
  for (size_t i = 0; i < u->payload.item_count && !error; i++) {
    fleet_item *item = &u->payload.items[i];
    if (before && before->shape == item->shape &&
        before->key.ptr == item->key.ptr)
      item->key_n = before->key_n;
    else
      error = fleet_keys_see(tx, item->key, item->shape, u->received_us, keys,
                             &item->key_n);
    u->keys_dropped += !error && item->key_n == 0;
    before = item;
  }
  if (!error && u->keys_dropped)
    error =
        fleet_totals_add(tx, FLEET_TOTAL_KEYS_OTHER, (int64_t)u->keys_dropped);
  return error;
}

static tt_error keep(update *u, store_tx *tx, fleet_instance *one) {
  u->skewed = is_skewed(u);
  u->next_us = cadence_us(u);
  one->last_us = u->received_us;
  one->timestamp_us = u->payload.timestamp_us;
  one->ended = u->orders.stop ? FLEET_STOPPED : FLEET_GOES_ON;
  one->expect_next_us = u->orders.stop ? 0 : u->received_us + u->next_us;
  one->updates++;
  one->skewed += u->skewed;
  tt_error error = u->is_new ? fleet_instances_insert(tx, one)
                             : fleet_instances_update(tx, one);
  fleet_update_row row = {.instance_n = one->n,
                          .received_us = u->received_us,
                          .timestamp_us = one->timestamp_us,
                          .expect_next_us = one->expect_next_us,
                          .data = u->payload.data};
  return error ? error : fleet_updates_insert(tx, &row);
}

/* A rule says that it shall not come again: what is known of it stays. */
static tt_error end(update *u, store_tx *tx, fleet_instance *one) {
  u->outcome = u->orders.status == 410 ? GONE : UNAVAILABLE;
  if (u->is_new)
    return TT_OK;
  one->ended = u->orders.status;
  one->expect_next_us = 0;
  return fleet_instances_update(tx, one);
}

static bool is_repeat(const update *u, const fleet_instance *one) {
  return !u->is_new && u->payload.timestamp_us != INT64_MIN &&
         u->payload.timestamp_us == one->timestamp_us;
}

static tt_error run(store_job *job, store_tx *tx) {
  update *u = job->owner;
  fleet_instance one;
  fleet_fields fields;
  u->outcome = ACCEPTED;
  u->keys_dropped = u->fields_dropped = 0;
  tt_error error = fleet_instances_find(tx, u->payload.instance, &one);
  u->is_new = error == TT_ENOTFOUND;
  if (u->is_new) {
    one = (fleet_instance){.first_us = u->received_us, .fields_len = 0};
    memcpy(one.id, u->payload.instance, sizeof one.id);
  } else if (error) {
    return error;
  }
  bool repeat = is_repeat(u, &one), admitted = true;
  if ((error = decide(u, tx, &one, &fields)))
    return error;
  if (u->orders.status)
    return end(u, tx, &one);
  if (repeat) {
    u->outcome = REPEATED;
    u->next_us = at_least(one.expect_next_us - u->received_us,
                          at_least(early_us(u, &one), SECOND_US));
    return TT_OK;
  }
  if (!u->is_new && (u->next_us = early_us(u, &one)) > 0) {
    u->outcome = EARLY;
    return TT_OK;
  }
  if (u->is_new && ((error = admit(u, tx, &admitted)) || !admitted))
    return error;
  if ((error = see_keys(u, tx, &one.keys)))
    return error;
  return keep(u, tx, &one);
}

/* ---- The answer ---- */

static void write_keys(tti_buf *out, const fleet_orders *orders, bool enabled) {
  const char *glue = enabled ? ",\"enable_keys\":[" : ",\"disable_keys\":[";
  for (size_t i = 0; i < orders->key_count; i++) {
    if (orders->keys[i].enabled != enabled)
      continue;
    tti_buf_append_text(out, glue);
    tti_json_write_string(out, orders->keys[i].key);
    glue = ",";
  }
  if (glue[1] == '\0')
    tti_buf_append_char(out, ']');
}

/* What of the update could not be told apart: to the client, and counted. */
static void write_dropped(update *u, tti_buf *out) {
  const char *glue = ",\"dropped\":{";
  u->payload.dropped[FLEET_DROPPED_KEY] = u->keys_dropped;
  u->payload.dropped[FLEET_DROPPED_FIELD] = u->fields_dropped;
  for (size_t i = 0; i < FLEET_DROPPED_COUNT; i++) {
    uint64_t count = u->payload.dropped[i];
    if (!count)
      continue;
    tti_buf_printf(out, "%s\"%s\":%llu", glue, fleet_dropped_names[i],
                   (unsigned long long)count);
    glue = ",";
    if (u->outcome == ACCEPTED)
      tt_metrics_add(u->fleet->metrics, TT_METRIC_FLEET_DROPPED, count,
                     fleet_dropped_names[i], NULL);
  }
  if (glue[1] == '\0')
    tti_buf_append_char(out, '}');
}

static void reply_orders(update *u) {
  tti_buf body;
  tti_buf_init(&body, ANSWER_MAX);
  tti_buf_printf(&body, "{\"next_update\":%lld", (long long)u->next_us * 1000);
  if (u->orders.stop)
    tti_buf_append_text(&body, ",\"stop\":true");
  write_keys(&body, &u->orders, false);
  write_keys(&body, &u->orders, true);
  write_dropped(u, &body);
  tti_buf_append_char(&body, '}');
  http_reply_json(u->call.request, 200, &body);
}

/* With the protocol's own way to say when. */
static void reply_wait(update *u, const char *code, const char *what) {
  char wait[24], message[200];
  tti_buf body;
  long long seconds = (long long)((u->next_us + SECOND_US - 1) / SECOND_US);
  snprintf(wait, sizeof wait, "%lld", seconds);
  snprintf(message, sizeof message, "%s; come again in %lld s", what, seconds);
  tti_buf_init(&body, ANSWER_MAX);
  tti_buf_printf(&body, "{\"code\":\"%s\",\"message\":", code);
  tti_json_write_text(&body, message);
  tti_buf_append_text(&body, ",\"error\":");
  tti_json_write_text(&body, message);
  tti_buf_printf(&body, ",\"next_update\":%lld}", (long long)u->next_us * 1000);
  http_reply_header(u->call.request, "Retry-After", wait);
  http_reply_json(u->call.request, 429, &body);
}

static void reply(update *u) {
  http_request *request = u->call.request;
  switch (u->outcome) {
  case ACCEPTED:
  case REPEATED:
    reply_orders(u);
    break;
  case EARLY:
    reply_wait(u, "too_early", "too early after the last update");
    break;
  case CROWDED:
    reply_wait(u, "too_many_new_instances",
               "too many new instances came this minute without a token");
    break;
  case GONE:
    http_reply_error(request, 410, "gone",
                     "this server takes no more updates of this program: an "
                     "upgrade is required");
    break;
  case UNAVAILABLE:
    http_reply_error(request, 451, "legal_reasons",
                     "updates are not taken for legal reasons: consult the "
                     "program's website");
    break;
  case FULL:
    http_reply_header(request, "Retry-After", "3600");
    http_reply_error(request, 503, "too_many_instances",
                     "%llu instances are known, which is the most; raise "
                     "fleet.max_instances",
                     (unsigned long long)u->settings.max_instances);
    break;
  case INVALID:
    http_reply_error(request, 400, u->refusal.code, "%s", u->refusal.message);
    break;
  case FAILED:
    http_reply_header(request, "Retry-After", "1");
    http_reply_error(request, 503, "out_of_memory", "out of memory; try again");
    break;
  }
}

static void count(update *u) {
  fleet *f = u->fleet;
  tt_metrics_add(f->metrics, TT_METRIC_FLEET_UPDATES, 1, outcomes[u->outcome],
                 NULL);
  if (u->outcome != ACCEPTED)
    return;
  if (u->skewed)
    tt_metrics_add(f->metrics, TT_METRIC_FLEET_SKEWED_CLOCKS, 1, NULL, NULL);
  if (u->is_new) {
    /* Relaxed: a figure for a gauge. */
    uint64_t known =
        atomic_fetch_add_explicit(&f->instances, 1, memory_order_relaxed) + 1;
    tt_metrics_set(f->metrics, TT_METRIC_FLEET_INSTANCES, (double)known, NULL,
                   NULL);
  }
  fleet_follow_wake(f->follow);
  fleet_upkeep_due(f);
}

/* The update's own memory goes with the answer. */
static void finish(update *u) {
  fleet_payload payload = u->payload;
  fleet_control *control = u->control;
  count(u);
  reply(u);
  fleet_payload_free(&payload);
  fleet_control_unref(control);
}

static void answer(api_call *call) {
  finish((update *)call);
}

static void failed(api_call *call) {
  update *u = (update *)call;
  u->outcome = FAILED;
  count(u);
  fleet_payload_free(&u->payload);
  fleet_control_unref(u->control);
}

/* ---- The request ---- */

static void parse(update *u) {
  u->parsed =
      fleet_payload_parse(&u->payload, u->instance,
                          http_request_body(u->call.request), &u->refusal);
}

static void submit(update *u) {
  if (u->parsed) {
    u->outcome = u->parsed == TT_ENOMEM ? FAILED : INVALID;
    finish(u);
    return;
  }
  u->call.job.run = run;
  u->call.job.value = u->payload.data; /* counts towards the queue's bytes */
  api_call_change(&u->call, u->fleet->store);
}

static void work_parse(loop_work *work) {
  parse((update *)((char *)work - offsetof(update, work)));
}

static void work_done(loop_work *work) {
  submit((update *)((char *)work - offsetof(update, work)));
}

void fleet_serve_update(http_request *request, void *context) {
  fleet *f = context;
  update *u = api_call_new(request, sizeof *u, answer);
  if (!u)
    return;
  u->call.failed = failed;
  u->fleet = f;
  u->control = fleet_control_get(f);
  fleet_settings_get(f, &u->settings);
  u->by_guest = http_request_by_guest(request);
  u->received_us = server_wall_us();
  u->instance = http_request_param(request, "instance");
  u->work = (loop_work){.run = work_parse, .done = work_done};
  if (http_request_body(request).len > OFF_LOOP_BYTES &&
      loop_offload(http_request_loop(request), &u->work) == TT_OK)
    return;
  parse(u);
  submit(u);
}
