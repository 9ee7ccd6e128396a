#include "server/deliver/sweep.h"

#include "server/io/log.h"

#define LOOKED_AT 100 /* webhooks, a read */
#define RETRY_US  1000000

void sweep_init(sweep *s, const sweep_options *options, int64_t now_us) {
  *s = (sweep){.options = *options, .due_us = now_us + SWEEP_EVERY_US};
}

bool sweep_busy(const sweep *s) {
  return s->reading || s->changing;
}

static tt_error find(store_read *read, store_tx *tx) {
  sweep *s = read->owner;
  return due_failing(tx, s->at, s->now_us - SWEEP_WINDOW_US, SWEEP_FAILED,
                     LOOKED_AT, &s->found);
}

static void found(store_read *read) {
  sweep *s = read->owner;
  s->options.wake(s->options.context, &s->done);
}

static tt_error disable(store_job *job, store_tx *tx) {
  sweep *s = job->owner;
  return due_disable(tx, s->at, s->now_us, &s->disabled);
}

static void disabled(store_job *job) {
  sweep *s = job->owner;
  if (job->verdict == STORE_OK && s->disabled)
    s->options.disabled(s->options.context);
  s->options.wake(s->options.context, &s->done);
}

static void look_on(sweep *s) {
  s->read = (store_read){.run = find, .done = found, .owner = s};
  s->reading = true;
  if (store_read_submit(s->options.store, &s->read) != TT_OK) {
    s->reading = false;
    s->due_us = s->now_us + RETRY_US;
  }
}

static void change(sweep *s) {
  s->job = (store_job){
      .kind = STORE_JOB_RUN, .run = disable, .done = disabled, .owner = s};
  s->changing = true;
  if (store_submit(s->options.store, &s->job) != TT_OK) {
    s->changing = false;
    s->due_us = s->now_us + RETRY_US;
  }
}

static void take_read(sweep *s) {
  s->reading = false;
  if (s->read.error == TT_OK && s->found)
    change(s);
  else if (s->read.error == TT_OK)
    look_on(s);
  else /* the end, or trouble: the next time tells */
    s->at[0] = '\0';
}

static void take_change(sweep *s) {
  s->changing = false;
  if (s->job.verdict == STORE_OK && s->disabled) {
    tt_metrics_add(s->options.metrics, TT_METRIC_WEBHOOKS_AUTO_DISABLED, 1,
                   NULL, NULL);
    server_log(TT_LEVEL_WARN, "deliver",
               "webhook %s is disabled: at least %u of its deliveries failed "
               "and none arrived in the last 72 hours; enable it again when "
               "its receiver is well",
               s->at, SWEEP_FAILED);
  }
  look_on(s);
}

int64_t sweep_turn(sweep *s, int64_t now_us) {
  if (atomic_exchange_explicit(&s->done, false, memory_order_acquire)) {
    if (s->reading)
      take_read(s);
    else
      take_change(s);
  }
  if (!sweep_busy(s) && now_us >= s->due_us) {
    s->now_us = now_us;
    s->due_us = now_us + SWEEP_EVERY_US;
    look_on(s);
  }
  return sweep_busy(s) ? INT64_MAX : s->due_us;
}
