#include "server/fleet/internal.h"

#include "server/io/clock.h"
#include "server/store/tables/fleet_updates.h"

/* Updates that are kept too long are deleted in jobs of the store, a few in
 * each, one after the other until none is left. */

#define EVERY_MS 60000

static tt_error run(store_job *job, store_tx *tx) {
  fleet *f = job->owner;
  const fleet_settings *s = &f->upkeep_settings;
  return fleet_updates_retain(
      tx, server_wall_us() - (int64_t)s->retain_ms * 1000,
      s->retain_bytes > INT64_MAX ? INT64_MAX : (int64_t)s->retain_bytes,
      &f->upkeep_deleted);
}

static void submit(fleet *f);

static void done(store_job *job) {
  fleet *f = job->owner;
  if (job->verdict == STORE_OK && f->upkeep_deleted) {
    tt_metrics_add(f->metrics, TT_METRIC_JANITOR_DELETED,
                   (int64_t)f->upkeep_deleted, "fleet_updates", NULL);
    submit(f);
  } else {
    /* Release: whoever finds it unset may make the next job. */
    atomic_store_explicit(&f->upkeep_runs, false, memory_order_release);
  }
}

static void submit(fleet *f) {
  f->upkeep_deleted = 0;
  f->upkeep =
      (store_job){.kind = STORE_JOB_RUN, .run = run, .done = done, .owner = f};
  if (store_submit(f->store, &f->upkeep))
    atomic_store_explicit(&f->upkeep_runs, false, memory_order_release);
}

void fleet_upkeep_due(fleet *f) {
  int64_t now_us = server_wall_us();
  /* Relaxed: a look more or less does no harm. */
  int64_t at_us = atomic_load_explicit(&f->upkeep_at_us, memory_order_relaxed);
  if (now_us < at_us && at_us - now_us <= EVERY_MS * 1000)
    return;
  if (atomic_exchange_explicit(&f->upkeep_runs, true, memory_order_acquire))
    return;
  atomic_store_explicit(&f->upkeep_at_us, now_us + EVERY_MS * 1000,
                        memory_order_relaxed);
  fleet_settings_get(f, &f->upkeep_settings);
  submit(f);
}

static void on_timer(loop_timer *timer) {
  fleet_upkeep_due((fleet *)((char *)timer - offsetof(fleet, timer)));
}

static void open_timer(loop_task *task) {
  fleet *f = (fleet *)((char *)task - offsetof(fleet, open_task));
  loop_timer_init(f->loop, &f->timer, on_timer);
  loop_timer_start(&f->timer, EVERY_MS, EVERY_MS);
}

static void close_timer(loop_task *task) {
  fleet *f = (fleet *)((char *)task - offsetof(fleet, close_task));
  loop_timer_close(&f->timer, NULL);
}

void fleet_upkeep_start(fleet *f) {
  f->open_task.run = open_timer;
  loop_post(f->loop, &f->open_task);
}

void fleet_close(fleet *f) {
  if (!f || f->close_task.run)
    return;
  f->close_task.run = close_timer;
  loop_post(f->loop, &f->close_task);
}
