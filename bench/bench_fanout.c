#include "bench/bench.h"
#include "bench/store.h"
#include "server/io/clock.h"
#include "server/outbox/outbox.h"
#include "server/store/tables/outbox.h"
#include "server/store/tables/webhooks.h"

/* How many events a second are fanned out in a store under `sync`, each to the
 * one webhook among 1, 100 or 10,000 that wants its type. */

#define EVENTS 10000
#define A_JOB  100

static tt_error insert_webhooks(store_job *job, store_tx *tx) {
  const change *c = job->owner;
  tt_error error = TT_OK;
  for (size_t i = c->first; i < c->first + c->count && !error; i++) {
    char id[32], events[32];
    snprintf(id, sizeof id, "wh_%zu", i);
    snprintf(events, sizeof events, "[\"type.%zu\"]", i);
    error = webhooks_insert(
        tx, &(webhook){.id = tti_slice_of(id),
                       .url = TTI_SLICE("https://example.com/"),
                       .events = tti_slice_of(events),
                       .format = TTI_SLICE("standard"),
                       .secret =
                           TTI_SLICE("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
                       .enabled = true,
                       .created_us = 1,
                       .updated_us = 1});
  }
  return error;
}

/* The name says how many webhooks there are. */
static tt_error insert_events(store_job *job, store_tx *tx) {
  const change *c = job->owner;
  size_t hooks = strtoul(c->name, NULL, 10);
  int64_t now_us = server_wall_us();
  tt_error error = TT_OK;
  for (size_t i = c->first; i < c->first + c->count && !error; i++) {
    char id[40], type[32], body[300];
    bool inserted;
    snprintf(id, sizeof id, "evt_%zu", i);
    snprintf(type, sizeof type, "type.%zu", i % hooks);
    snprintf(body, sizeof body, "{\"type\":\"%s\",\"data\":\"%0200zu\"}", type,
             i);
    error = outbox_insert(
        tx,
        &(outbox_row){.event = {.id = tti_slice_of(id),
                                .type = tti_slice_of(type),
                                .body = tti_slice_of(body),
                                .created_us = now_us,
                                .next_poll_us = now_us,
                                .expires_us = now_us + 3600000000}},
        &inserted);
  }
  return error;
}

static void insert_all(store *s, const char *name, size_t count,
                       tt_error (*fn)(store_job *job, store_tx *tx)) {
  for (size_t i = 0; i < count; i += A_JOB) {
    size_t left = count - i;
    change c = {.name = name, .first = i, .count = left < A_JOB ? left : A_JOB};
    make(s, &c, fn);
  }
}

/* ---- The fan-out ---- */

static sem_t delivered;

static void on_deliveries(void *context) {
  (void)context;
  sem_post(&delivered);
}

static outbox *start_outbox(store *s) {
  outbox *o;
  outbox_options options = {.store = s, .deliver = on_deliveries};
  sem_init(&delivered, 0, 0);
  if (outbox_new(&options, &o) || outbox_start(o))
    exit(1);
  return o;
}

static void stop_outbox(outbox *o, store *s) {
  if (!outbox_stop(o, 10000))
    exit(1);
  store_close(s, 10000);
  outbox_free(o);
}

static tt_error count_pending(store_job *job, store_tx *tx) {
  int64_t oldest_us;
  tt_error error = outbox_oldest(tx, &oldest_us);
  ((change *)job->owner)->count = oldest_us != 0;
  return error;
}

static double rate_among(const char *hooks) {
  char path[64];
  in_new_file(path);
  store *s = open_store(path);
  insert_all(s, hooks, strtoul(hooks, NULL, 10), insert_webhooks);
  insert_all(s, hooks, EVENTS, insert_events);
  int64_t begin_ns = bench_wall_ns();
  outbox *o = start_outbox(s);
  change c = {.count = 1};
  while (c.count) {
    sem_wait(&delivered);
    make(s, &c, count_pending);
  }
  double seconds = (double)(bench_wall_ns() - begin_ns) / 1e9;
  stop_outbox(o, s);
  in_new_file(path);
  return EVENTS / seconds;
}

int main(int argc, char **argv) {
  static bench_samples one, hundred, many;
  double seconds = bench_seconds(argc, argv);
  int64_t begin_ns = bench_wall_ns();
  do {
    bench_add(&one, rate_among("1"));
    bench_add(&hundred, rate_among("100"));
    bench_add(&many, rate_among("10000"));
  } while ((double)(bench_wall_ns() - begin_ns) / 1e9 < seconds);
  bench_print("fanout_1", "events/s", &one, NULL, NULL);
  bench_print("fanout_100", "events/s", &hundred, "one webhook", &one);
  bench_print("fanout_10000", "events/s", &many, "one webhook", &one);
  return 0;
}
