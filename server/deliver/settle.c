#include "server/deliver/settle.h"

#include "server/io/log.h"
#include <stdio.h>
#include <stdlib.h>

/* Rows of one job, which is to take a millisecond or two. */
#define JOB_ROWS   100
#define DEFERRALS  64
#define DEFER_ROWS 256
#define RETRY_US   1000000

typedef struct result {
  item *item;
  due_attempt attempt;
  char *texts;       /* what the attempt's texts are in */
  bool last_of_lane; /* of those delivered, so far: tells the webhook's time */
  bool gone;         /* the webhook is to be disabled */
  bool there;        /* out: the delivery was */
} result;

typedef struct deferral {
  due_lane lane;
  int64_t now_us, until_us;
} deferral;

typedef struct batch {
  result results[SETTLE_MAX];
  size_t count;
  deferral deferrals[DEFERRALS];
  size_t deferral_count;
} batch;

struct settle {
  settle_options options;
  store_job job;
  batch *open, *under_way;
  size_t from, to; /* of those under way: the job's */
  bool submitted;
  bool disabled; /* the job's: a webhook was */
  int64_t not_before_us;
  /* Set by the job's end with release, so that what it wrote is seen. */
  atomic_bool done;
};

tt_error settle_new(const settle_options *options, settle **out_settle) {
  settle *s = calloc(1, sizeof *s);
  if (!s)
    return TT_ENOMEM;
  s->options = *options;
  s->open = calloc(1, sizeof *s->open);
  s->under_way = calloc(1, sizeof *s->under_way);
  if (!s->open || !s->under_way) {
    settle_free(s);
    return TT_ENOMEM;
  }
  *out_settle = s;
  return TT_OK;
}

static void batch_free(batch *b) {
  for (size_t i = 0; b && i < b->count; i++)
    free(b->results[i].texts);
  free(b);
}

void settle_free(settle *s) {
  if (!s)
    return;
  batch_free(s->open);
  batch_free(s->under_way);
  free(s);
}

/* ---- Gathering ---- */

/* Both texts in one piece; without memory for it they are not kept. */
static void copy_texts(result *r, const transfer_outcome *outcome) {
  tti_slice error = tti_slice_of(outcome->error);
  r->texts = malloc(error.len + 1 + outcome->kept.len);
  if (!r->texts)
    return;
  if (error.ptr) {
    memcpy(r->texts, error.ptr, error.len + 1);
    r->attempt.error = r->texts;
  }
  if (outcome->kept.len) {
    char *at = r->texts + error.len + 1;
    memcpy(at, outcome->kept.ptr, outcome->kept.len);
    r->attempt.response = (tti_slice){at, outcome->kept.len};
  }
}

/* Of each lane the last one that was delivered tells when. */
static void mark_last(batch *b, result *last) {
  for (result *r = last; r-- > b->results;)
    if (r->item->lane == last->item->lane && r->last_of_lane) {
      r->last_of_lane = false;
      break;
    }
  last->last_of_lane = true;
}

static const delivery_status statuses[] = {[SCHEDULE_DELIVERED] =
                                               DELIVERY_DELIVERED,
                                           [SCHEDULE_RETRY] = DELIVERY_PENDING,
                                           [SCHEDULE_FAILED] = DELIVERY_FAILED};

void settle_add(settle *s, item *i, const schedule_verdict *verdict,
                const transfer_outcome *outcome, int64_t now_us) {
  result *r = &s->open->results[s->open->count++];
  int64_t hold_us = i->lane->hold_until_us;
  *r = (result){.item = i, .gone = verdict->gone};
  r->attempt = (due_attempt){
      .n = i->delivery->n,
      .status = statuses[verdict->fate],
      .attempts = verdict->attempts,
      .counted = verdict->attempts > i->delivery->attempts,
      .at_us = now_us,
      .retry_us = verdict->retry_us > hold_us ? verdict->retry_us : hold_us,
      .reason = verdict->reason};
  if (outcome) {
    r->attempt.tried = true;
    r->attempt.duration_us = outcome->duration_us;
    r->attempt.answer = outcome->answer.status;
    copy_texts(r, outcome);
  }
  if (verdict->fate == SCHEDULE_DELIVERED)
    mark_last(s->open, r);
}

void settle_defer(settle *s, const lane *l, int64_t now_us) {
  batch *b = s->open;
  if (b->deferral_count < DEFERRALS)
    b->deferrals[b->deferral_count++] =
        (deferral){l->id, now_us, l->hold_until_us};
}

size_t settle_waiting(const settle *s) {
  return s->open->count;
}

/* ---- In the store ---- */

static tt_error write_result(settle *s, result *r, store_tx *tx) {
  const char *webhook = r->item->lane->id.webhook;
  tt_error error = due_settle(tx, &r->attempt, &r->there);
  if (!error && r->last_of_lane)
    error = due_delivered(tx, webhook, r->attempt.at_us);
  bool disabled = false;
  if (!error && r->gone)
    error = due_disable(tx, webhook, r->attempt.at_us, &disabled);
  s->disabled = s->disabled || disabled;
  return error;
}

static tt_error run(store_job *job, store_tx *tx) {
  settle *s = job->owner;
  batch *b = s->under_way;
  tt_error error = TT_OK;
  s->disabled = false;
  for (size_t i = s->from; i < s->to && !error; i++)
    error = write_result(s, &b->results[i], tx);
  for (size_t i = 0; s->from == 0 && i < b->deferral_count && !error; i++)
    error = due_defer(tx, &b->deferrals[i].lane, b->deferrals[i].now_us,
                      b->deferrals[i].until_us, DEFER_ROWS);
  return error;
}

static void done(store_job *job) {
  settle *s = job->owner;
  if (job->verdict == STORE_OK && s->disabled)
    s->options.disabled(s->options.context);
  s->options.wake(s->options.context, &s->done);
}

/* ---- Afterwards ---- */

static const char *outcome_of(const result *r) {
  if (!r->there)
    return "webhook_deleted";
  if (r->attempt.status == DELIVERY_DELIVERED)
    return "delivered";
  if (r->attempt.status != DELIVERY_FAILED)
    return "retryable_failure";
  return strcmp(r->attempt.reason, "expired") == 0 ? "expired" : "exhausted";
}

static void count(const settle *s, const result *r) {
  static const char *const classes[] = {"none", "1xx", "2xx",
                                        "3xx",  "4xx", "5xx"};
  int hundreds = r->attempt.answer / 100;
  tt_metrics_add(s->options.metrics, TT_METRIC_WEBHOOK_ATTEMPTS, 1,
                 outcome_of(r), classes[hundreds <= 5 ? hundreds : 0]);
  if (r->attempt.tried)
    tt_metrics_observe(s->options.metrics, TT_METRIC_WEBHOOK_DURATION,
                       (double)r->attempt.duration_us / 1e6, NULL, NULL);
}

static void take_written(settle *s) {
  batch *b = s->under_way;
  for (; s->from < s->to; s->from++) {
    result *r = &b->results[s->from];
    count(s, r);
    s->options.settled(s->options.context, r->item, &r->attempt);
    item_settled(r->item);
    free(r->texts);
    r->texts = NULL;
  }
  b->deferral_count = 0;
}

static void take_done(settle *s, int64_t now_us) {
  if (!s->submitted ||
      !atomic_exchange_explicit(&s->done, false, memory_order_acquire))
    return;
  s->submitted = false;
  if (s->job.verdict == STORE_OK) {
    take_written(s);
    return;
  }
  s->not_before_us = now_us + RETRY_US;
  server_log(TT_LEVEL_WARN, "deliver",
             "results of deliveries cannot be written, trying again: %s",
             s->job.reason);
}

static bool is_written(const settle *s) {
  return s->from == s->under_way->count && !s->under_way->deferral_count;
}

static void swap(settle *s) {
  batch *b = s->under_way;
  b->count = 0;
  s->under_way = s->open;
  s->open = b;
  s->from = 0;
}

int64_t settle_turn(settle *s, int64_t now_us) {
  take_done(s, now_us);
  if (s->submitted)
    return LANE_NEVER;
  if (is_written(s))
    swap(s);
  if (is_written(s))
    return LANE_NEVER;
  if (now_us < s->not_before_us)
    return s->not_before_us;
  size_t left = s->under_way->count - s->from;
  s->to = s->from + (left < JOB_ROWS ? left : JOB_ROWS);
  s->job =
      (store_job){.kind = STORE_JOB_RUN, .run = run, .done = done, .owner = s};
  s->submitted = true;
  if (store_submit(s->options.store, &s->job) == TT_OK)
    return LANE_NEVER;
  s->submitted = false;
  s->not_before_us = now_us + RETRY_US;
  return s->not_before_us;
}

bool settle_busy(const settle *s) {
  return s->submitted || !is_written(s) || s->open->count ||
         s->open->deferral_count;
}
