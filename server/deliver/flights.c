#include "server/deliver/internal.h"

#include "server/io/clock.h"
#include "server/io/log.h"
#include "server/testing/fault.h"
#include <stdio.h>

/* ---- Results ---- */

void deliver_settled(void *context, item *i, const due_attempt *result) {
  deliver *d = context;
  lane *l = i->lane;
  int64_t now_us = server_wall_us();
  if (result->status == DELIVERY_PENDING && result->retry_us < l->next_us)
    l->next_us = result->retry_us;
  deliver_consider(d, l, now_us);
}

static void log_open(const lane *l, const char *why, int64_t now_us) {
  server_log(TT_LEVEL_WARN, "deliver",
             "webhook %s does not answer as it should (%s): nothing is sent to "
             "it for %lld s, then one request",
             l->id.webhook, why,
             (long long)((l->hold_until_us - now_us) / 1000000));
}

static void finish(deliver *d, item *i, const transfer_outcome *outcome) {
  lane *l = i->lane;
  int64_t now_us = server_wall_us();
  schedule_verdict verdict = schedule_judge(
      &outcome->answer, i->delivery->attempts, i->delivery->created_us, now_us);
  char status[24];
  snprintf(status, sizeof status, "status %d", outcome->answer.status);
  bool opened = item_end(i, schedule_is_ill(&outcome->answer), now_us);
  settle_add(d->settle, i, &verdict, outcome, now_us);
  if (opened) {
    deliver_hold(d, l, l->hold_until_us, now_us);
    settle_defer(d->settle, l, now_us);
    log_open(l, outcome->error ? outcome->error : status, now_us);
  }
  if (verdict.gone && l->webhook) {
    l->webhook->enabled = false;
    deliver_turn_off(d, l, now_us);
  }
  if (verdict.fate == SCHEDULE_RETRY && lane_is_ordered(l))
    deliver_hold(d, l, verdict.retry_us, now_us);
  deliver_consider(d, l, now_us);
}

/* What has no request: too old, or without the event that it carried. */
static bool give_up(deliver *d, item *i, int64_t now_us) {
  const due_delivery *due = i->delivery;
  bool expired = schedule_expired(due->created_us, now_us);
  schedule_verdict verdict = {.fate = SCHEDULE_FAILED,
                              .attempts = due->attempts,
                              .reason = expired ? "expired" : "event_gone"};
  if (!expired && due->body.ptr)
    return false;
  item_skip(i);
  settle_add(d->settle, i, &verdict, NULL, now_us);
  return true;
}

/* ---- Requests ---- */

static flight *take_flight(deliver *d) {
  flight *f = d->free_flights;
  if (!f || (!f->transfer && transfer_new(&d->guard, d->options.user_agent,
                                          &f->transfer) != TT_OK))
    return NULL;
  d->free_flights = f->next;
  f->transfer->owner = f;
  return f;
}

static void give_flight(deliver *d, flight *f) {
  request_fini(&f->request);
  f->flying = false;
  f->next = d->free_flights;
  d->free_flights = f;
}

/* The room for one that has not shown that it answers is bounded. */
static bool has_room(const deliver *d, const lane *l) {
  return d->free_flights &&
         settle_waiting(d->settle) + d->in_flight < SETTLE_MAX &&
         (l->window > 1 || d->unproven < DELIVER_IN_FLIGHT / 2);
}

/* False: out of memory, the item stays where it is. */
static bool begin(deliver *d, item *i, int64_t now_us) {
  lane *l = i->lane;
  const char *problem = NULL;
  flight *f = take_flight(d);
  if (!f)
    return false;
  f->item = i;
  f->unproven = l->window == 1;
  tt_error error = request_init(&f->request, l->webhook, l->extra, i->delivery,
                                now_us, &problem);
  if (!error) {
    struct curl_slist *headers = f->request.headers;
    f->request.headers = NULL;
    error = transfer_begin(f->transfer, d->multi, l->webhook->url, headers,
                           f->request.body);
    problem = "not sent: out of memory";
  }
  item_begin(i);
  if (error) {
    finish(d, i, &(transfer_outcome){.error = problem});
    give_flight(d, f);
    return true;
  }
  f->flying = true;
  d->in_flight++;
  d->unproven += f->unproven;
  return true;
}

static void end(deliver *d, flight *f, CURLcode result) {
  transfer_outcome outcome;
  transfer_end(f->transfer, d->multi, result, &outcome);
  d->in_flight--;
  d->unproven -= f->unproven;
  (void)FAULT_POINT("deliver.answered");
  finish(d, f->item, &outcome);
  give_flight(d, f);
}

void deliver_collect(deliver *d) {
  CURLMsg *message;
  int left;
  while ((message = curl_multi_info_read(d->multi, &left))) {
    transfer *t = NULL;
    if (message->msg == CURLMSG_DONE &&
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t) ==
            CURLE_OK)
      end(d, t->owner, message->data.result);
  }
}

/* One of each lane in turn. */
void deliver_begin(deliver *d, int64_t now_us) {
  for (size_t idle = 0; d->ready.first && idle < d->ready.count;) {
    lane *l = deliver_pop_ready(d);
    item *i = lane_next(l, now_us);
    if (i && !has_room(d, l)) {
      deliver_push_ready(d, l);
      idle++;
      continue;
    }
    if (i && !give_up(d, i, now_us) && !begin(d, i, now_us)) {
      deliver_push_ready(d, l);
      break;
    }
    if (i)
      idle = 0;
    deliver_consider(d, l, now_us);
  }
}

/* Those that do not end are sent again after the next start. */
void deliver_abandon(deliver *d) {
  size_t count = d->in_flight;
  for (size_t i = 0; i < DELIVER_IN_FLIGHT; i++)
    if (d->flights[i].flying) {
      transfer_outcome outcome;
      transfer_end(d->flights[i].transfer, d->multi, CURLE_OK, &outcome);
      give_flight(d, &d->flights[i]);
    }
  d->in_flight = 0;
  if (count)
    server_log(TT_LEVEL_INFO, "deliver",
               "%zu requests to webhooks did not end in time; they are sent "
               "again after the next start",
               count);
}
