#include "server/deliver/internal.h"

#include "lib/base/thread.h"
#include "server/io/clock.h"
#include <stdlib.h>

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

/* ---- Waking ---- */

void deliver_rouse(deliver *d, atomic_bool *flag) {
  /* Release: what was done before is seen by the turn that finds the flag. One
   * that was set already has a wake-up on its way. */
  if (!atomic_exchange_explicit(flag, true, memory_order_acq_rel))
    curl_multi_wakeup(d->multi);
}

void deliver_wake(deliver *d) {
  deliver_rouse(d, &d->woken);
}

void deliver_changed(deliver *d) {
  deliver_rouse(d, &d->changed);
}

/* The store's threads. Under the mutex, so that after the turn that sees the
 * flag deliver_free can wait until they have left. */
void deliver_rouse_from_store(void *context, atomic_bool *flag) {
  deliver *d = context;
  pthread_mutex_lock(&d->mutex);
  deliver_rouse(d, flag);
  pthread_mutex_unlock(&d->mutex);
}

/* settle and sweep: on the store's writing thread. */
static void disabled(void *context) {
  deliver *d = context;
  deliver_changed(d);
  if (d->options.webhooks_changed)
    d->options.webhooks_changed(d->options.context);
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
  if (deliver_take_flag(&d->woken))
    d->made = true;
  if (deliver_take_flag(&d->changed))
    deliver_forget_webhooks(d, now_us);
  deliver_take_look(d, now_us);
  curl_multi_perform(d->multi, &running);
  deliver_collect(d);
  settle_turn(d->settle, now_us);
  deliver_feed(d, now_us);
  if (now_us >= d->scan_us)
    deliver_scan(d, now_us);
  int64_t until_us = sweep_turn(&d->sweep, now_us);
  if (!stopping) {
    deliver_begin(d, now_us);
    deliver_look(d, now_us);
    until_us = earlier(until_us, d->scan_us);
    /* What is due already waits for a look, which rouses us when it ends. */
    if (d->count_us > now_us)
      until_us = earlier(until_us, d->count_us);
    if (d->look_after_us > now_us)
      until_us = earlier(until_us, d->look_after_us);
  }
  return earlier(until_us, settle_turn(d->settle, now_us));
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
      deliver_abandon(d);
    int64_t now_us = server_wall_us();
    if (is_busy(d))
      rest(d, now_us + 50000, now_us);
  } while (is_busy(d) && left_us(d) > 0);
  deliver_abandon(d);
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
                             .wake = deliver_rouse_from_store,
                             .settled = deliver_settled,
                             .disabled = disabled,
                             .context = d};
  sweep_options sweeping = {.store = d->options.store,
                            .metrics = d->options.metrics,
                            .wake = deliver_rouse_from_store,
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
  deliver_rouse(d, &d->stopping);
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
  for (size_t i = 0; i < DELIVER_BUCKETS; i++)
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
