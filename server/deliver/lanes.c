#include "server/deliver/internal.h"

#include "lib/base/hash.h"
#include <string.h>

#define SCAN_EVERY_US ((int64_t)10000) /* at most so often */

static void push(lane_queue *q, lane *l, lane **next, bool *flag,
                 lane **last_next) {
  if (*flag)
    return;
  *flag = true;
  *next = NULL;
  if (last_next)
    *last_next = l;
  else
    q->first = l;
  q->last = l;
  q->count++;
}

void deliver_push_ready(deliver *d, lane *l) {
  push(&d->ready, l, &l->next_ready, &l->is_ready,
       d->ready.last ? &d->ready.last->next_ready : NULL);
}

static void push_wanted(deliver *d, lane *l) {
  push(&d->wanted, l, &l->next_wanted, &l->is_wanted,
       d->wanted.last ? &d->wanted.last->next_wanted : NULL);
}

static lane *pop(lane_queue *q, lane *next) {
  lane *l = q->first;
  q->first = next;
  if (!next)
    q->last = NULL;
  q->count--;
  return l;
}

lane *deliver_pop_ready(deliver *d) {
  lane *l = d->ready.first;
  if (l) {
    pop(&d->ready, l->next_ready);
    l->is_ready = false;
  }
  return l;
}

static bool needs_look(deliver *d, const lane *l, int64_t now_us) {
  bool unknown = l->stale || !l->webhook;
  if (l->looking)
    return false;
  if (unknown && l->queued && now_us >= l->hold_until_us)
    return true;
  bool wants = lane_room(l, now_us) > 0, full = d->bytes >= DELIVER_BYTES;
  d->starved = d->starved || (wants && full);
  return wants && !full;
}

void deliver_feed(deliver *d, int64_t now_us) {
  if (!d->starved || d->bytes >= DELIVER_BYTES / 2)
    return;
  d->starved = false;
  d->scan_us = now_us;
}

lane *deliver_pop_wanted(deliver *d, int64_t now_us) {
  lane *l = NULL;
  while (!l && d->wanted.first) {
    l = pop(&d->wanted, d->wanted.first->next_wanted);
    l->is_wanted = false;
    if (!needs_look(d, l, now_us))
      l = NULL;
  }
  return l;
}

/* Puts a lane where it belongs after anything about it has changed. */
void deliver_consider(deliver *d, lane *l, int64_t now_us) {
  if (lane_next(l, now_us))
    deliver_push_ready(d, l);
  if (needs_look(d, l, now_us))
    push_wanted(d, l);
  int64_t wakes_us = lane_wakes_us(l);
  if (wakes_us > now_us && wakes_us < d->scan_us)
    d->scan_us = wakes_us;
}

static lane **bucket_of(deliver *d, const due_lane *id) {
  uint64_t hash = tti_hash64(id->webhook, strlen(id->webhook));
  return &d->buckets[(hash ^ id->express) % DELIVER_BUCKETS];
}

/* NULL: out of memory. */
lane *deliver_lane(deliver *d, const due_lane *id) {
  lane **bucket = bucket_of(d, id);
  for (lane *l = *bucket; l; l = l->next)
    if (l->id.express == id->express && strcmp(l->id.webhook, id->webhook) == 0)
      return l;
  lane *l = lane_new(id, &d->bytes);
  if (!l)
    return NULL;
  l->next = *bucket;
  *bucket = l;
  return l;
}

/* Wakes those whose time has come, and forgets those that have nothing. */
void deliver_scan(deliver *d, int64_t now_us) {
  d->scan_us = LANE_NEVER;
  for (size_t i = 0; i < DELIVER_BUCKETS; i++)
    for (lane **at = &d->buckets[i]; *at;) {
      lane *l = *at;
      if (lane_is_idle(l)) {
        *at = l->next;
        lane_free(l);
      } else {
        deliver_consider(d, l, now_us);
        at = &l->next;
      }
    }
  if (d->scan_us < now_us + SCAN_EVERY_US)
    d->scan_us = now_us + SCAN_EVERY_US;
}

/* Every webhook is to be read again before something goes to it. */
void deliver_forget_webhooks(deliver *d, int64_t now_us) {
  for (size_t i = 0; i < DELIVER_BUCKETS; i++)
    for (lane *l = d->buckets[i]; l; l = l->next) {
      lane_doubt(l);
      if (l->off) {
        l->off = false;
        l->hold_until_us = 0;
        l->next_us = 0;
      }
      deliver_consider(d, l, now_us);
    }
}

/* The table has it; it is read again when the lane goes on. */
void deliver_hold(deliver *d, lane *l, int64_t until_us, int64_t now_us) {
  if (until_us > l->hold_until_us)
    l->hold_until_us = until_us;
  lane_drop_queued(l);
  l->next_us = 0;
  deliver_consider(d, l, now_us);
}

void deliver_turn_off(deliver *d, lane *l, int64_t now_us) {
  l->off = true;
  lane_doubt(l);
  deliver_hold(d, l, now_us + SCHEDULE_DISABLED_US, now_us);
  settle_defer(d->settle, l, now_us);
  tt_metrics_add(d->options.metrics, TT_METRIC_WEBHOOK_ATTEMPTS, 1,
                 "skipped_disabled", "none");
}
