#include "server/deliver/deliver.h"

#include "lib/base/hash.h"
#include "lib/base/thread.h"
#include "server/deliver/look.h"
#include "server/deliver/request.h"
#include "server/deliver/settle.h"
#include "server/deliver/sweep.h"
#include "server/deliver/transfer.h"
#include "server/io/clock.h"
#include "server/io/log.h"
#include "server/testing/fault.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define BUCKETS 4096

/* How long the thread sleeps at most: with requests under way, so that the
 * watchdog sees it move, and without, in case the wall clock is set. The clock
 * of the test build moves without a word. */
#ifdef TELLTALE_TESTING
#define BUSY_MS 20
#define IDLE_MS 20
#else
#define BUSY_MS 1000
#define IDLE_MS 60000
#endif

#define LOOK_AGAIN_US  ((int64_t)1000000)  /* after the store failed */
#define COUNT_EVERY_US ((int64_t)10000000) /* what is pending */
#define SCAN_EVERY_US  ((int64_t)10000)    /* at most so often */

/* The allow-list, as it is in force on the thread. */
struct deliver_rules {
  guard guard;
  http_network networks[];
};

/* A request under way. */
typedef struct flight {
  struct flight *next; /* of those that are free */
  transfer *transfer;
  item *item;
  request request;
  bool flying;
  bool unproven; /* its lane had not shown that it answers */
} flight;

/* Lanes that wait for something, first come first served. */
typedef struct lane_queue {
  lane *first, *last;
  size_t count;
} lane_queue;

struct deliver {
  deliver_options options;
  CURLM *multi;
  pthread_t thread;
  bool started;

  /* Orders the store's threads before deliver_free, and guards `rules`. */
  pthread_mutex_t mutex;
  deliver_rules *rules;  /* the newest */
  deliver_rules *in_use; /* the thread's; may be the same */
  guard guard;           /* what that says; the transfers look at it */
  atomic_bool woken, changed, looked;
  atomic_bool stopping;
  _Atomic int64_t leave_by_us; /* of the real monotonic clock */
  /* For the watchdog; relaxed, it looks at them again and again. */
  _Atomic uint64_t beats;
  atomic_bool has_work;

  lane *buckets[BUCKETS];
  lane_queue ready;  /* something may begin */
  lane_queue wanted; /* something is to be looked at */
  int64_t scan_us;   /* a lane that sleeps wakes */
  flight flights[DELIVER_IN_FLIGHT];
  flight *free_flights;
  size_t in_flight, unproven;
  look look;
  bool looking, made, walk;
  int64_t made_n; /* -1: not known yet */
  char walk_after[TABLES_ID_SIZE];
  int64_t look_after_us, count_us;
  settle *settle;
  sweep sweep;
};

/* ---- Waking ---- */

static void rouse(deliver *d, atomic_bool *flag) {
  /* Release: what was done before is seen by the turn that finds the flag. One
   * that was set already has a wake-up on its way. */
  if (!atomic_exchange_explicit(flag, true, memory_order_acq_rel))
    curl_multi_wakeup(d->multi);
}

static bool take_flag(atomic_bool *flag) {
  return atomic_exchange_explicit(flag, false, memory_order_acquire);
}

void deliver_wake(deliver *d) {
  rouse(d, &d->woken);
}

void deliver_changed(deliver *d) {
  rouse(d, &d->changed);
}

/* The store's threads. Under the mutex, so that after the turn that sees the
 * flag deliver_free can wait until they have left. */
static void rouse_from_store(void *context, atomic_bool *flag) {
  deliver *d = context;
  pthread_mutex_lock(&d->mutex);
  rouse(d, flag);
  pthread_mutex_unlock(&d->mutex);
}

/* ---- Lanes ---- */

static void push(lane_queue *q, lane *l, lane **next, bool *flag,
                 lane **last_next) {
  if (*flag)
    return;
  *flag = true;
  *next = NULL;
  if (q->first)
    *last_next = l;
  else
    q->first = l;
  q->last = l;
  q->count++;
}

static void push_ready(deliver *d, lane *l) {
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

static bool needs_look(const lane *l, int64_t now_us) {
  bool unknown = l->stale || !l->webhook;
  return !l->looking && ((unknown && l->queued && now_us >= l->hold_until_us) ||
                         lane_room(l, now_us));
}

/* Puts a lane where it belongs after anything about it has changed. */
static void consider(deliver *d, lane *l, int64_t now_us) {
  if (lane_next(l, now_us))
    push_ready(d, l);
  if (needs_look(l, now_us))
    push_wanted(d, l);
  int64_t wakes_us = lane_wakes_us(l);
  if (wakes_us > now_us && wakes_us < d->scan_us)
    d->scan_us = wakes_us;
}

static lane **bucket_of(deliver *d, const due_lane *id) {
  uint64_t hash = tti_hash64(id->webhook, strlen(id->webhook));
  return &d->buckets[(hash ^ id->express) % BUCKETS];
}

/* NULL: out of memory. */
static lane *find_lane(deliver *d, const due_lane *id) {
  lane **bucket = bucket_of(d, id);
  for (lane *l = *bucket; l; l = l->next)
    if (l->id.express == id->express && strcmp(l->id.webhook, id->webhook) == 0)
      return l;
  lane *l = lane_new(id);
  if (!l)
    return NULL;
  l->next = *bucket;
  *bucket = l;
  return l;
}

/* Wakes those whose time has come, and forgets those that have nothing. */
static void scan(deliver *d, int64_t now_us) {
  d->scan_us = LANE_NEVER;
  for (size_t i = 0; i < BUCKETS; i++)
    for (lane **at = &d->buckets[i]; *at;) {
      lane *l = *at;
      if (lane_is_idle(l)) {
        *at = l->next;
        lane_free(l);
      } else {
        consider(d, l, now_us);
        at = &l->next;
      }
    }
  if (d->scan_us < now_us + SCAN_EVERY_US)
    d->scan_us = now_us + SCAN_EVERY_US;
}

/* Every webhook is to be read again before something goes to it. */
static void forget_webhooks(deliver *d, int64_t now_us) {
  for (size_t i = 0; i < BUCKETS; i++)
    for (lane *l = d->buckets[i]; l; l = l->next) {
      lane_doubt(l);
      if (l->off) {
        l->off = false;
        l->hold_until_us = 0;
        l->next_us = 0;
      }
      consider(d, l, now_us);
    }
}

/* The table has it; it is read again when the lane goes on. */
static void hold(deliver *d, lane *l, int64_t until_us, int64_t now_us) {
  if (until_us > l->hold_until_us)
    l->hold_until_us = until_us;
  lane_drop_queued(l);
  l->next_us = 0;
  consider(d, l, now_us);
}

static void turn_off(deliver *d, lane *l, int64_t now_us) {
  l->off = true;
  lane_doubt(l);
  hold(d, l, now_us + SCHEDULE_DISABLED_US, now_us);
  settle_defer(d->settle, l, now_us);
  tt_metrics_add(d->options.metrics, TT_METRIC_WEBHOOK_ATTEMPTS, 1,
                 "skipped_disabled", "none");
}

/* ---- Results ---- */

static void settled(void *context, item *i, const due_attempt *result) {
  deliver *d = context;
  lane *l = i->lane;
  int64_t now_us = server_wall_us();
  if (result->status == DELIVERY_PENDING && result->retry_us < l->next_us)
    l->next_us = result->retry_us;
  consider(d, l, now_us);
}

static void disabled(void *context) {
  deliver *d = context;
  deliver_changed(d);
  if (d->options.webhooks_changed)
    d->options.webhooks_changed(d->options.context);
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
    hold(d, l, l->hold_until_us, now_us);
    settle_defer(d->settle, l, now_us);
    log_open(l, outcome->error ? outcome->error : status, now_us);
  }
  if (verdict.gone && l->webhook) {
    l->webhook->enabled = false;
    turn_off(d, l, now_us);
  }
  if (verdict.fate == SCHEDULE_RETRY && lane_is_ordered(l))
    hold(d, l, verdict.retry_us, now_us);
  consider(d, l, now_us);
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

static void collect(deliver *d) {
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
static void begin_all(deliver *d, int64_t now_us) {
  for (size_t idle = 0; d->ready.first && idle < d->ready.count;) {
    lane *l = pop(&d->ready, d->ready.first->next_ready);
    l->is_ready = false;
    item *i = lane_next(l, now_us);
    if (i && !has_room(d, l)) {
      push_ready(d, l);
      idle++;
      continue;
    }
    if (i && !give_up(d, i, now_us) && !begin(d, i, now_us)) {
      push_ready(d, l);
      break;
    }
    if (i)
      idle = 0;
    consider(d, l, now_us);
  }
}

/* ---- Looking ---- */

static void on_looked(store_read *read) {
  deliver *d = read->owner;
  rouse_from_store(d, &d->looked);
}

static void look_for(deliver *d, int64_t now_us) {
  look *k = &d->look;
  bool counts = now_us >= d->count_us;
  if (d->looking || now_us < d->look_after_us ||
      (!d->made && !d->walk && !d->wanted.first && !counts))
    return;
  k->now_us = now_us;
  k->made = d->made;
  k->made_after = d->made_n;
  k->walk = !k->made && d->walk;
  memcpy(k->walk_after, d->walk_after, sizeof k->walk_after);
  while (d->wanted.first && k->lane_count < LOOK_LANES) {
    lane *l = pop(&d->wanted, d->wanted.first->next_wanted);
    l->is_wanted = false;
    if (needs_look(l, now_us))
      look_add(k, l, now_us);
  }
  k->count = counts;
  if (!k->made && !k->walk && !k->lane_count && !counts)
    return;
  if (counts)
    d->count_us = now_us + COUNT_EVERY_US;
  d->made = d->made && !k->made;
  k->read = (store_read){.run = look_run, .done = on_looked, .owner = d};
  d->looking = true;
  if (store_read_submit(d->options.store, &k->read) != TT_OK) {
    k->read.error = TT_EFULL;
    rouse(d, &d->looked);
  }
}

static void take_found(deliver *d, int64_t now_us) {
  look *k = &d->look;
  if (k->made) {
    d->made_n = k->made_n;
    d->made = d->made || k->made_more;
  } else if (k->walk) {
    d->walk = k->walk_more;
    memcpy(d->walk_after, k->walk_after, sizeof d->walk_after);
  }
  for (size_t i = 0; i < k->found_count; i++) {
    lane *l = find_lane(d, &k->found[i]);
    if (!l) { /* out of memory: later, all of them */
      d->walk = true;
      d->walk_after[0] = '\0';
      d->look_after_us = now_us + LOOK_AGAIN_US;
      break;
    }
    l->next_us = 0;
    /* So that the table says when it will be tried. */
    if (now_us < l->hold_until_us && (l->off || l->breaker.trips))
      settle_defer(d->settle, l, now_us);
    consider(d, l, now_us);
  }
}

static void take_deliveries(lane *l, look_lane *from) {
  bool all = true;
  for (size_t i = 0; i < from->count; i++) {
    all = lane_add(l, from->deliveries[i]) == TT_OK && all;
    from->deliveries[i] = NULL;
  }
  if (!all)
    l->next_us = 0;
  else if (from->next_us < l->next_us)
    l->next_us = from->next_us;
}

static void take_lane(deliver *d, look_lane *from, int64_t now_us) {
  lane *l = from->lane;
  lane_looked(l);
  if (from->deleted || from->webhook) {
    lane_set_webhook(l, from->webhook);
    from->webhook = NULL;
  }
  if (from->deleted) {
    lane_drop_queued(l);
    l->next_us = LANE_NEVER;
  } else if (l->webhook && !l->webhook->enabled) {
    turn_off(d, l, now_us);
  } else if (from->skipped || now_us < l->hold_until_us) {
    l->next_us = 0;
  } else if (from->max) {
    take_deliveries(l, from);
  }
  consider(d, l, now_us);
}

static void take_look(deliver *d, int64_t now_us) {
  look *k = &d->look;
  if (!take_flag(&d->looked))
    return;
  d->looking = false;
  if (k->read.error != TT_OK) {
    d->look_after_us = now_us + LOOK_AGAIN_US;
    d->made = d->made || k->made;
    for (size_t i = 0; i < k->lane_count; i++) {
      lane *l = k->lanes[i].lane;
      lane_looked(l);
      l->next_us = 0;
      consider(d, l, now_us);
    }
  } else {
    take_found(d, now_us);
    if (k->count)
      tt_metrics_set(d->options.metrics, TT_METRIC_DELIVERIES_PENDING,
                     (double)k->pending, NULL, NULL);
    for (size_t i = 0; i < k->lane_count; i++)
      take_lane(d, &k->lanes[i], now_us);
  }
  look_clear(k);
}

/* ---- The thread ---- */

static void take_rules(deliver *d) {
  pthread_mutex_lock(&d->mutex);
  if (d->rules != d->in_use) {
    free(d->in_use);
    d->in_use = d->rules;
    d->guard = d->in_use->guard;
  }
  pthread_mutex_unlock(&d->mutex);
}

static bool is_busy(const deliver *d) {
  return d->in_flight || d->looking || settle_busy(d->settle) ||
         sweep_busy(&d->sweep);
}

static void rest(deliver *d, int64_t until_us, int64_t now_us) {
  bool busy = is_busy(d);
  int64_t most_ms = busy ? BUSY_MS : IDLE_MS;
  int64_t left_ms = until_us > now_us ? (until_us - now_us + 999) / 1000 : 0;
  atomic_store_explicit(&d->has_work, busy, memory_order_relaxed);
  curl_multi_poll(d->multi, NULL, 0,
                  (int)(left_ms < most_ms ? left_ms : most_ms), NULL);
  atomic_store_explicit(&d->has_work, true, memory_order_relaxed);
}

static int64_t earlier(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* What there is to do now; when there will be more. */
static int64_t turn(deliver *d, bool stopping) {
  int running;
  int64_t now_us = server_wall_us();
  atomic_fetch_add_explicit(&d->beats, 1, memory_order_relaxed);
  take_rules(d);
  if (take_flag(&d->woken))
    d->made = true;
  if (take_flag(&d->changed))
    forget_webhooks(d, now_us);
  take_look(d, now_us);
  curl_multi_perform(d->multi, &running);
  collect(d);
  settle_turn(d->settle, now_us);
  if (now_us >= d->scan_us)
    scan(d, now_us);
  int64_t until_us = sweep_turn(&d->sweep, now_us);
  if (!stopping) {
    begin_all(d, now_us);
    look_for(d, now_us);
    until_us = earlier(earlier(until_us, d->scan_us), d->count_us);
    if (d->look_after_us > now_us)
      until_us = earlier(until_us, d->look_after_us);
  }
  return earlier(until_us, settle_turn(d->settle, now_us));
}

/* Those that do not end are sent again after the next start. */
static void abandon(deliver *d) {
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

static int64_t left_us(const deliver *d) {
  return atomic_load_explicit(&d->leave_by_us, memory_order_acquire) -
         tti_monotonic_us(&tti_clock_system);
}

static void *deliver_main(void *context) {
  deliver *d = context;
  int64_t until_us = 0;
  /* The flag is set behind the time that it speaks of. */
  while (!atomic_load_explicit(&d->stopping, memory_order_acquire)) {
    until_us = turn(d, false);
    rest(d, until_us, server_wall_us());
  }
  int64_t begin_us = left_us(d);
  do {
    turn(d, true);
    if (d->in_flight && left_us(d) < begin_us / 4)
      abandon(d);
    int64_t now_us = server_wall_us();
    if (is_busy(d))
      rest(d, now_us + 50000, now_us);
  } while (is_busy(d) && left_us(d) > 0);
  abandon(d);
  return NULL;
}

/* ---- Made, started, stopped ---- */

/* The networks were checked when they were read. */
deliver_rules *deliver_rules_new(char *const *allow_cidrs) {
  size_t count = 0;
  while (allow_cidrs && allow_cidrs[count])
    count++;
  deliver_rules *r = calloc(1, sizeof *r + count * sizeof *r->networks);
  if (!r)
    return NULL;
  for (size_t i = 0; i < count; i++)
    if (http_network_parse(tti_slice_of(allow_cidrs[i]),
                           &r->networks[r->guard.allowed_count]))
      r->guard.allowed_count++;
  r->guard.allowed = r->networks;
  return r;
}

void deliver_rules_free(deliver_rules *rules) {
  free(rules);
}

void deliver_use(deliver *d, deliver_rules *rules) {
  pthread_mutex_lock(&d->mutex);
  if (d->rules != d->in_use)
    free(d->rules);
  d->rules = rules;
  pthread_mutex_unlock(&d->mutex);
}

bool deliver_check_url(deliver *d, const char *url,
                       char out_problem[GUARD_PROBLEM_MAX]) {
  pthread_mutex_lock(&d->mutex);
  bool good = guard_check_url(&d->rules->guard, url, out_problem);
  pthread_mutex_unlock(&d->mutex);
  return good;
}

static tt_error make_parts(deliver *d) {
  settle_options settling = {.store = d->options.store,
                             .metrics = d->options.metrics,
                             .wake = rouse_from_store,
                             .settled = settled,
                             .disabled = disabled,
                             .context = d};
  sweep_options sweeping = {.store = d->options.store,
                            .metrics = d->options.metrics,
                            .wake = rouse_from_store,
                            .disabled = disabled,
                            .context = d};
  sweep_init(&d->sweep, &sweeping, server_wall_us());
  d->rules = d->in_use = deliver_rules_new(d->options.allow_cidrs);
  d->options.allow_cidrs = NULL;
  d->multi = transfer_multi_new();
  if (!d->rules || !d->multi)
    return TT_ENOMEM;
  d->guard = d->rules->guard;
  return settle_new(&settling, &d->settle);
}

tt_error deliver_new(const deliver_options *options, deliver **out_deliver) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  deliver *d = calloc(1, sizeof *d);
  if (!d)
    return TT_ENOMEM;
  d->options = *options;
  pthread_mutex_init(&d->mutex, NULL);
  d->made = d->walk = true;
  d->made_n = -1;
  d->scan_us = LANE_NEVER;
  for (size_t i = 0; i < DELIVER_IN_FLIGHT; i++) {
    d->flights[i].next = d->free_flights;
    d->free_flights = &d->flights[i];
  }
  tt_error error = make_parts(d);
  if (error) {
    deliver_free(d);
    return error;
  }
  *out_deliver = d;
  return TT_OK;
}

tt_error deliver_start(deliver *d) {
  d->started = tti_thread_start(&d->thread, deliver_main, d);
  return d->started ? TT_OK : TT_EIO;
}

bool deliver_stop(deliver *d, int timeout_ms) {
  if (!d || !d->started)
    return true;
  int64_t by_us =
      tti_monotonic_us(&tti_clock_system) + (int64_t)timeout_ms * 1000;
  atomic_store_explicit(&d->leave_by_us, by_us, memory_order_release);
  rouse(d, &d->stopping);
  pthread_join(d->thread, NULL);
  d->started = false;
  /* Whoever set a flag that was seen has left. */
  pthread_mutex_lock(&d->mutex);
  bool clean = !is_busy(d);
  pthread_mutex_unlock(&d->mutex);
  return clean;
}

void deliver_free(deliver *d) {
  if (!d)
    return;
  for (size_t i = 0; i < DELIVER_IN_FLIGHT; i++)
    transfer_free(d->flights[i].transfer);
  if (d->multi)
    curl_multi_cleanup(d->multi);
  look_clear(&d->look);
  for (size_t i = 0; i < BUCKETS; i++)
    while (d->buckets[i]) {
      lane *l = d->buckets[i];
      d->buckets[i] = l->next;
      lane_free(l);
    }
  settle_free(d->settle);
  if (d->rules != d->in_use)
    free(d->rules);
  free(d->in_use);
  pthread_mutex_destroy(&d->mutex);
  free(d);
}

static watch_state watch(void *context) {
  deliver *d = context;
  return (watch_state){
      atomic_load_explicit(&d->beats, memory_order_relaxed),
      atomic_load_explicit(&d->has_work, memory_order_relaxed)};
}

watchdog_worker deliver_watch(deliver *d) {
  return (watchdog_worker){
      .name = "webhook deliverer", .look = watch, .context = d};
}
