#include "server/janitor/janitor.h"

#include "server/io/clock.h"
#include "server/io/log.h"
#include "server/store/tables/expiry.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

enum {
  HOUR_MS = 3600 * 1000,
  BATCH_FIRST = 50,
  BATCH_MIN = 8,
  BATCH_MAX = 1000,
  SLOW_US = 2000,
  FAST_US = 700
};

typedef enum stage { ORPHANS, EVENTS, DELIVERIES, STAGES } stage;

/* All of it belongs to the loop. At most one job is with the store, and after
 * each the loop has a turn: a store in memory answers within store_submit. */
struct janitor {
  store *store;
  tt_metrics *metrics;
  loop *loop;
  loop_task start, stop, step;
  loop_timer timer;
  _Atomic bool woken; /* relaxed: the task that it guards is posted by a lock */
  loop_task wake;
  bool running;
  bool closed;
  bool again;            /* another run was asked for */
  janitor_wait *waiting; /* for the next run to begin */
  janitor_wait *served;  /* by this run */
  stage stage;
  size_t batch;
  int64_t place;
  janitor_counts counts;
  store_job job; /* and what it found, which is the job's until it is done: */
  int64_t next_place;
  int64_t took_us;
  expiry taken;
};

static tt_error run_job(store_job *job, store_tx *tx) {
  janitor *j = job->owner;
  int64_t begun_us = server_monotonic_us();
  int64_t now_us = server_wall_us();
  tt_error error = TT_OK;
  j->next_place = j->place;
  switch (j->stage) {
  case ORPHANS:
    error = expiry_orphans(tx, j->batch, &j->taken);
    break;
  case EVENTS:
    error = expiry_events(tx, now_us, j->batch, &j->next_place, &j->taken);
    break;
  case DELIVERIES:
  case STAGES:
    error = expiry_deliveries(tx, now_us, j->batch, &j->taken);
    break;
  }
  j->took_us = server_monotonic_us() - begun_us;
  return error;
}

static void count(janitor *j) {
  const struct {
    const char *table;
    uint64_t rows;
    uint64_t *sum;
  } rows[] = {
      {"outbox", j->stage == EVENTS ? j->taken.rows : 0, &j->counts.outbox},
      {"deliveries", j->stage == EVENTS ? 0 : j->taken.rows,
       &j->counts.deliveries},
      {"attempts", j->taken.attempts, &j->counts.attempts}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    *rows[i].sum += rows[i].rows;
    if (rows[i].rows)
      tt_metrics_add(j->metrics, TT_METRIC_JANITOR_DELETED,
                     (double)rows[i].rows, rows[i].table, NULL);
  }
}

/* So that a job takes about a millisecond, whatever the rows cost. */
static void adapt(janitor *j) {
  if (j->took_us > SLOW_US && j->batch / 2 >= BATCH_MIN)
    j->batch /= 2;
  else if (j->took_us < FAST_US && j->batch * 2 <= BATCH_MAX)
    j->batch *= 2;
}

static void begin(janitor *j);

static void tell(janitor_wait *waits, const janitor_counts *counts,
                 bool whole) {
  for (janitor_wait *wait = waits, *following; wait; wait = following) {
    following = wait->next;
    wait->done(wait, counts, whole);
  }
}

static void end(janitor *j, bool whole) {
  janitor_counts counts = j->counts;
  janitor_wait *served = j->served;
  if (counts.outbox + counts.deliveries)
    server_log(TT_LEVEL_INFO, "janitor",
               "removed: events=%llu deliveries=%llu attempts=%llu",
               (unsigned long long)counts.outbox,
               (unsigned long long)counts.deliveries,
               (unsigned long long)counts.attempts);
  j->served = NULL;
  j->running = false;
  tell(served, &counts, whole);
  if (j->again || j->waiting)
    begin(j);
}

/* On the store's writer, or within store_submit. */
static void job_done(store_job *job) {
  janitor *j = job->owner;
  loop_post(j->loop, &j->step);
}

static void next(janitor *j) {
  if (j->stage == STAGES) {
    end(j, true);
    return;
  }
  j->job = (store_job){
      .kind = STORE_JOB_RUN, .run = run_job, .done = job_done, .owner = j};
  if (j->closed || store_submit(j->store, &j->job) != TT_OK)
    end(j, false);
}

static void step(loop_task *task) {
  janitor *j = (janitor *)((char *)task - offsetof(janitor, step));
  if (j->job.verdict != STORE_OK) {
    server_log(TT_LEVEL_WARN, "janitor",
               "the store failed: %s; what is left goes with the next run",
               j->job.reason);
    end(j, false);
    return;
  }
  count(j);
  adapt(j);
  j->place = j->next_place;
  if (!j->taken.more) {
    j->stage++;
    j->place = 0;
  }
  next(j);
}

static void begin(janitor *j) {
  if (j->closed) {
    tell(j->waiting, &(janitor_counts){0}, false);
    j->waiting = NULL;
    return;
  }
  j->again = j->running;
  if (j->running)
    return;
  j->running = true;
  j->served = j->waiting;
  j->waiting = NULL;
  j->stage = ORPHANS;
  j->place = 0;
  j->counts = (janitor_counts){0};
  next(j);
}

/* ---- Asked for ---- */

static void arrive(loop_task *task) {
  janitor_wait *wait =
      (janitor_wait *)((char *)task - offsetof(janitor_wait, task));
  janitor *j = wait->janitor;
  wait->next = j->waiting;
  j->waiting = wait;
  begin(j);
}

void janitor_run(janitor *j, janitor_wait *wait) {
  wait->janitor = j;
  wait->task.run = arrive;
  loop_post(j->loop, &wait->task);
}

static void awake(loop_task *task) {
  janitor *j = (janitor *)((char *)task - offsetof(janitor, wake));
  atomic_store_explicit(&j->woken, false, memory_order_relaxed);
  begin(j);
}

void janitor_wake(janitor *j) {
  /* The task is in the loop's list until it has run. */
  if (!atomic_exchange_explicit(&j->woken, true, memory_order_relaxed))
    loop_post(j->loop, &j->wake);
}

/* ---- Each hour ---- */

static void fire(loop_timer *timer) {
  begin((janitor *)((char *)timer - offsetof(janitor, timer)));
}

static void start(loop_task *task) {
  janitor *j = (janitor *)((char *)task - offsetof(janitor, start));
  loop_timer_init(j->loop, &j->timer, fire);
  loop_timer_start(&j->timer, HOUR_MS, HOUR_MS);
  begin(j);
}

static void stop(loop_task *task) {
  janitor *j = (janitor *)((char *)task - offsetof(janitor, stop));
  j->closed = true;
  loop_timer_close(&j->timer, NULL);
  begin(j);
}

tt_error janitor_new(store *s, tt_metrics *metrics, loop *l,
                     janitor **out_janitor) {
  janitor *j = calloc(1, sizeof(*j));
  if (!j)
    return TT_ENOMEM;
  j->store = s;
  j->metrics = metrics;
  j->loop = l;
  j->batch = BATCH_FIRST;
  j->start.run = start;
  j->stop.run = stop;
  j->step.run = step;
  j->wake.run = awake;
  atomic_init(&j->woken, false);
  loop_post(l, &j->start);
  *out_janitor = j;
  return TT_OK;
}

void janitor_close(janitor *j) {
  if (j)
    loop_post(j->loop, &j->stop);
}

void janitor_free(janitor *j) {
  free(j);
}
