#include "server/webhooks/internal.h"

#include "server/io/log.h"
#include "server/store/tables/redeliveries.h"

#include <stdio.h>
#include <stdlib.h>

/* POST /webhooks/{id}/redeliver-since: everything since a time once more, in
 * the background. A job goes in steps of a millisecond or two, on one loop,
 * which alone touches the list of jobs; requests come there and go back to
 * theirs. A restart ends a job: what it made stays, what it did not is not
 * made. */
#define WEEK_US   (7 * 86400 * INT64_C(1000000))
#define MINUTE_US (60 * INT64_C(1000000))

enum { JOBS_MAX = 64, STEP_MAX = 40 };

typedef enum since_state { RUNNING, DONE, CANCELLED, FAILED } since_state;

typedef struct since_job {
  char webhook_id[TABLES_ID_SIZE]; /* "": free */
  char replay_id[TABLES_ID_SIZE];
  int64_t since_us;
  int64_t started_us;
  since_state state;
  bool cancel;
  uint64_t scheduled, skipped;
  redeliver_step at;   /* how far it came; what is shown ends here */
  redeliver_step next; /* of the store's job, until that is done */
  store_job job;
  loop_task task;
  since_jobs *jobs;
} since_job;

struct since_jobs {
  webhook_api *api;
  loop_task close;
  bool closed;
  since_job items[JOBS_MAX];
};

/* ---- Steps ---- */

static tt_error run(store_job *job, store_tx *tx) {
  since_job *s = job->owner;
  s->next = s->at;
  return redeliveries_step(tx, tti_slice_of(s->webhook_id), s->since_us,
                           s->started_us, tti_slice_of(s->replay_id),
                           server_wall_us(), STEP_MAX, &s->next);
}

static void done(store_job *job) {
  since_job *s = job->owner;
  loop_post(s->jobs->api->options.loop, &s->task);
}

static void end(since_job *s, since_state state) {
  s->state = state;
  server_log(TT_LEVEL_INFO, "webhooks",
             "redeliver-since %s: webhook=%s scheduled=%llu skipped=%llu",
             state == DONE        ? "ended"
             : state == CANCELLED ? "cancelled"
                                  : "failed",
             s->webhook_id, (unsigned long long)s->scheduled,
             (unsigned long long)s->skipped);
}

static void go(since_job *s) {
  s->job =
      (store_job){.kind = STORE_JOB_RUN, .run = run, .done = done, .owner = s};
  if (s->cancel || s->jobs->closed)
    end(s, CANCELLED);
  else if (store_submit(s->jobs->api->options.store, &s->job) != TT_OK)
    end(s, FAILED);
}

static void stepped(loop_task *task) {
  since_job *s = (since_job *)((char *)task - offsetof(since_job, task));
  if (s->job.verdict != STORE_OK) {
    end(s, FAILED);
    return;
  }
  s->at = s->next;
  s->scheduled += s->at.scheduled;
  s->skipped += s->at.skipped_pending;
  if (s->at.scheduled)
    webhook_api_due(s->jobs->api);
  if (s->at.ended)
    end(s, DONE);
  else
    go(s);
}

/* ---- Requests ---- */

typedef enum verdict { SHOWN, STARTED, MISSING, TOO_SOON, TOO_MANY } verdict;

/* First the webhook is looked for, then the jobs' loop is asked. */
typedef struct asking {
  api_call call;
  webhook_api *api;
  verdict (*act)(struct asking *a);
  int64_t since_us;
  loop_task there, back;
  verdict verdict;
  since_job shown; /* a copy, see look_at */
  int64_t wait_s;
} asking;

static since_job *find(since_jobs *jobs, tti_slice webhook_id) {
  for (size_t i = 0; i < JOBS_MAX; i++)
    if (webhook_id.len &&
        tti_slice_eq(tti_slice_of(jobs->items[i].webhook_id), webhook_id))
      return &jobs->items[i];
  return NULL;
}

/* A free place, or that of the job that ended and began first. */
static since_job *place_for(since_jobs *jobs) {
  since_job *oldest = NULL;
  for (size_t i = 0; i < JOBS_MAX; i++) {
    since_job *s = &jobs->items[i];
    if (!s->webhook_id[0])
      return s;
    if (s->state != RUNNING && (!oldest || s->started_us < oldest->started_us))
      oldest = s;
  }
  return oldest;
}

/* What follows in it may be with the store's thread. */
static void look_at(asking *a, const since_job *s) {
  memcpy(&a->shown, s, offsetof(since_job, next));
}

static verdict start(asking *a) {
  since_jobs *jobs = a->api->since;
  tti_slice id = http_request_param(a->call.request, "id");
  int64_t now_us = server_wall_us();
  since_job *s = find(jobs, id);
  if (s && (s->state == RUNNING || now_us - s->started_us < MINUTE_US)) {
    int64_t left_us = s->started_us + MINUTE_US - now_us;
    a->wait_s = left_us > 0 ? (left_us + 999999) / 1000000 : 1;
    return TOO_SOON;
  }
  s = s ? s : place_for(jobs);
  if (!s)
    return TOO_MANY;
  *s = (since_job){.since_us = a->since_us,
                   .started_us = now_us,
                   .at.created_us = a->since_us,
                   .task.run = stepped,
                   .jobs = jobs};
  memcpy(s->webhook_id, id.ptr, id.len);
  tables_new_id("rpl_", s->replay_id);
  tt_metrics_add(a->api->options.metrics, TT_METRIC_REDELIVER_REQUESTS, 1,
                 "since", NULL);
  go(s);
  look_at(a, s);
  return STARTED;
}

static verdict show(asking *a) {
  since_job *s = find(a->api->since, http_request_param(a->call.request, "id"));
  if (!s)
    return MISSING;
  look_at(a, s);
  return SHOWN;
}

static verdict cancel(asking *a) {
  since_job *s = find(a->api->since, http_request_param(a->call.request, "id"));
  if (s)
    s->cancel = true;
  return show(a);
}

static void put_job(tti_buf *out, const since_job *s) {
  static const char *const states[] = {"running", "done", "cancelled",
                                       "failed"};
  tti_buf_printf(out, "{\"webhook_id\":\"%s\",\"replay_id\":\"%s\"",
                 s->webhook_id, s->replay_id);
  tti_buf_printf(out, ",\"state\":\"%s\"",
                 s->state == RUNNING && s->cancel ? "cancelled"
                                                  : states[s->state]);
  webhook_api_put_time(out, "since", s->since_us);
  webhook_api_put_time(out, "started_at", s->started_us);
  /* By the time when they were delivered first. */
  webhook_api_put_time(out, "reached",
                       s->state == DONE ? s->started_us : s->at.created_us);
  tti_buf_printf(out, ",\"scheduled\":%llu,\"skipped_already_pending\":%llu}",
                 (unsigned long long)s->scheduled,
                 (unsigned long long)s->skipped);
}

static void back(loop_task *task) {
  asking *a = (asking *)((char *)task - offsetof(asking, back));
  switch (a->verdict) {
  case SHOWN:
  case STARTED:
    put_job(&a->call.body, &a->shown);
    api_call_reply(&a->call, a->verdict == STARTED ? 202 : 200);
    break;
  case MISSING:
    api_call_refuse(&a->call, 404, "redelivery_not_found",
                    "nothing was redelivered to this webhook since the server "
                    "started");
    break;
  case TOO_SOON: {
    char seconds[24];
    snprintf(seconds, sizeof(seconds), "%lld", (long long)a->wait_s);
    http_reply_header(a->call.request, "Retry-After", seconds);
    api_call_refuse(&a->call, 429, "redelivery_too_soon",
                    "once a minute for a webhook, and one at a time; try again "
                    "in %s s",
                    seconds);
    break;
  }
  case TOO_MANY:
    http_reply_header(a->call.request, "Retry-After", "60");
    api_call_refuse(&a->call, 429, "too_many_redeliveries",
                    "%d webhooks get redeliveries, which is the most at once; "
                    "try again when one has ended",
                    JOBS_MAX);
    break;
  }
}

static void there(loop_task *task) {
  asking *a = (asking *)((char *)task - offsetof(asking, there));
  a->verdict = a->act(a);
  loop_post(http_request_loop(a->call.request), &a->back);
}

static tt_error look(store_read *read, store_tx *tx) {
  asking *a = read->owner;
  tti_buf texts;
  webhook row;
  tti_buf_init(&texts, 1 << 20);
  tt_error error =
      webhooks_get(tx, http_request_param(a->call.request, "id"), &texts, &row);
  tti_buf_fini(&texts);
  return error;
}

static void looked(api_call *call) {
  asking *a = (asking *)call;
  if (call->read.error)
    webhook_api_missing(call, "webhook", "id");
  else
    loop_post(a->api->options.loop, &a->there);
}

static asking *ask(http_request *request, webhook_api *api,
                   verdict (*act)(asking *a)) {
  asking *a = api_call_new(request, sizeof(*a), looked);
  if (!a)
    return NULL;
  a->api = api;
  a->act = act;
  a->there.run = there;
  a->back.run = back;
  a->call.read.run = look;
  return a;
}

static bool take_since(http_request *request, int64_t *out_us) {
  static const tti_slice names[] = {{"since", 5}};
  json_t *root = webhook_api_body(request, names, 1);
  if (!root)
    return false;
  const json_t *since = json_object_get(root, "since");
  tti_slice text = {json_string_value(since), json_string_length(since)};
  bool good =
      tti_rfc3339_parse(text, out_us) && *out_us >= server_wall_us() - WEEK_US;
  if (!good)
    http_reply_error(request, 400, "invalid_since",
                     "since must be a time such as 2026-01-02T15:04:05Z (RFC "
                     "3339), at most 7 days ago");
  json_decref(root);
  return good;
}

void since_start_serve(http_request *request, void *context) {
  int64_t since_us;
  if (!take_since(request, &since_us))
    return;
  asking *a = ask(request, context, start);
  if (!a)
    return;
  a->since_us = since_us;
  api_call_read(&a->call, a->api->options.store);
}

void since_state_serve(http_request *request, void *context) {
  asking *a = ask(request, context, show);
  if (a)
    api_call_read(&a->call, a->api->options.store);
}

void since_cancel_serve(http_request *request, void *context) {
  asking *a = ask(request, context, cancel);
  if (a)
    api_call_read(&a->call, a->api->options.store);
}

/* ---- Life ---- */

static void close_all(loop_task *task) {
  since_jobs *jobs = (since_jobs *)((char *)task - offsetof(since_jobs, close));
  jobs->closed = true;
}

tt_error since_jobs_new(webhook_api *api, since_jobs **out_jobs) {
  since_jobs *jobs = calloc(1, sizeof(*jobs));
  if (!jobs)
    return TT_ENOMEM;
  jobs->api = api;
  jobs->close.run = close_all;
  *out_jobs = jobs;
  return TT_OK;
}

void since_jobs_close(since_jobs *jobs) {
  loop_post(jobs->api->options.loop, &jobs->close);
}

void since_jobs_free(since_jobs *jobs) {
  free(jobs);
}
