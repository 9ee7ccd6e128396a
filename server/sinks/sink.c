#include "server/sinks/sink.h"

#include "lib/base/backoff.h"
#include "lib/base/cond.h"
#include "lib/base/thread.h"
#include "lib/storage/storage.h"
#include "server/io/log.h"
#include "server/sinks/source.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define RETRY_FIRST_MS     500
#define RETRY_LAST_MS      30000
#define REQUEUE_TIMEOUT_MS 60000

struct sink {
  char *name, *text, *destination, *dead_letters;
  const char *type;
  sink_position *position;
  tt_storage_writer *writer;
  tti_source source; /* the writer's */
  tt_cancel *cancel;
  _Atomic unsigned reach_percent;
  pthread_mutex_t mutex; /* for all to the next line */
  pthread_cond_t ended_cond;
  bool ended;
  int64_t stop_by_us;
  sink_requeue requeue;
  pthread_t requeue_thread;
  bool requeue_started; /* the thread is to be joined */

  pthread_t thread;
  bool started;
  tt_storage_writer_stats scraped; /* the scraper's */
};

static int64_t now_us(void) {
  return tti_monotonic_us(&tti_clock_system);
}

static int left_ms(int64_t until_us) {
  int64_t left = (until_us - now_us()) / 1000;
  return left > 0 ? (int)left : 0;
}

/* ---- The thread ---- */

/* Hands over what there is and closes. One that fails is not waited for: what
 * it did not take is in the store, and it goes on there. */
static void finish(sink *s) {
  tt_storage_writer_stats stats;
  pthread_mutex_lock(&s->mutex);
  int64_t by_us = s->stop_by_us;
  pthread_mutex_unlock(&s->mutex);
  tt_storage_writer_stats_get(s->writer, &stats);
  int drain_ms = stats.failing ? 0 : left_ms(by_us) / 4 * 3;
  tt_storage_writer_drain(s->writer, drain_ms);
  tt_storage_writer_close(s->writer, left_ms(by_us));
  sink_position_settle(s->position, left_ms(by_us));
}

static void *sink_main(void *context) {
  sink *s = context;
  unsigned failures = 0;
  while (tt_storage_writer_run(s->writer, s->cancel) != TT_ECANCELLED) {
    int64_t delay_ms =
        tti_backoff_ms(++failures, RETRY_FIRST_MS, RETRY_LAST_MS);
    s->source.ops->reaches(s->source.self, 0); /* warns when that is due */
    if (tti_cancel_pause(s->cancel, now_us() + delay_ms * 1000))
      break;
  }
  finish(s);
  pthread_mutex_lock(&s->mutex);
  s->ended = true;
  pthread_cond_broadcast(&s->ended_cond);
  pthread_mutex_unlock(&s->mutex);
  return NULL;
}

/* ---- Made ---- */

static uint64_t beginning(const sinks_options *o, const sink_spec *spec) {
  store_status status;
  if (strcmp(spec->from, "tail") == 0)
    return tt_stream_seq(bus_stream(o->bus));
  store_status_get(o->store, &status);
  return status.oldest_seq ? status.oldest_seq - 1 : 0;
}

void sink_name_of(const sink_spec *spec, const char *session,
                  char out_name[SINK_NAME_MAX]) {
  snprintf(out_name, SINK_NAME_MAX, "%s%s%s", spec->name, session ? "." : "",
           session ? session : "");
}

/* Beside the store, or where the configuration says; of each session its own.
 */
static tt_error name_dead_letters(const sinks_options *o, const sink_plan *plan,
                                  sink *s) {
  const char *said = plan->spec->dead_letters;
  int len = 0;
  if (*said)
    len = asprintf(&s->dead_letters, "%s%s%s", said, plan->session ? "." : "",
                   plan->session ? plan->session : "");
  else if (*o->store_path)
    len = asprintf(&s->dead_letters, "%s.%s.dead", o->store_path, s->name);
  if (len < 0)
    s->dead_letters = NULL;
  return len < 0 ? TT_ENOMEM : TT_OK;
}

static tt_error name_parts(const sinks_options *o, const sink_plan *plan,
                           sink *s) {
  const sink_spec *spec = plan->spec;
  char name[SINK_NAME_MAX];
  const char *where = *spec->path       ? spec->path
                      : *spec->endpoint ? spec->endpoint
                                        : spec->stream;
  sink_name_of(spec, plan->session, name);
  s->type = spec->kind == SINK_JSONL ? "jsonl"
            : spec->kind == SINK_S2  ? "s2"
                                     : "otlp";
  s->name = strdup(name);
  s->text = strdup(spec->text);
  s->destination = strdup(where);
  if (!s->name || !s->text || !s->destination)
    return TT_ENOMEM;
  return name_dead_letters(o, plan, s);
}

static tt_error make_writer(const sinks_options *o, const sink_plan *plan,
                            tti_buf *out_error, sink *s) {
  const sink_spec *spec = plan->spec;
  sink_source_options wants = {.name = s->name,
                               .bus = o->bus,
                               .store = o->store,
                               .position = s->position,
                               .session_id = plan->session_id,
                               .reach_percent = &s->reach_percent};
  tt_storage_writer_options options = {.position = &sink_position_ops,
                                       .position_self = s->position,
                                       .dead_letters = s->dead_letters,
                                       .dead_letters_max_bytes =
                                           spec->dead_letters_max,
                                       .log = server_log_hook("sinks")};
  tti_filter *filter;
  tt_storage *storage;
  uint64_t seq;
  tt_error error = sink_filter_new(spec, out_error, &filter, &wants.kinds);
  if (error)
    return error;
  error = sink_storage_new(spec, out_error, &storage);
  if (error) {
    tti_filter_free(filter);
    return error;
  }
  error = sink_source_new(&wants, filter, &s->source);
  if (error) {
    tt_storage_free(storage);
    return error;
  }
  sink_position_ops.load(s->position, &seq);
  s->source.ops->seek(s->source.self, seq);
  return tti_storage_writer_new(s->source, storage, &options, &s->writer);
}

tt_error sink_start(const sinks_options *options, const sink_plan *plan,
                    tti_buf *out_error, sink **out_sink) {
  sink *s = calloc(1, sizeof(*s));
  if (!s) {
    sink_position_free(plan->position);
    return TT_ENOMEM;
  }
  s->position = plan->position;
  pthread_mutex_init(&s->mutex, NULL);
  tti_cond_init(&s->ended_cond);
  tt_error error = name_parts(options, plan, s);
  if (!error)
    error = tt_cancel_new(&s->cancel);
  if (!error && !s->position)
    error = sink_position_open(options->store, s->name,
                               beginning(options, plan->spec), &s->position);
  if (!error)
    error = make_writer(options, plan, out_error, s);
  if (!error) {
    s->started = tti_thread_start(&s->thread, sink_main, s);
    error = s->started ? TT_OK : TT_ENOMEM;
  }
  if (error) {
    sink_free(s);
    return error;
  }
  *out_sink = s;
  return TT_OK;
}

/* ---- Told ---- */

const char *sink_name(const sink *s) {
  return s->name;
}

bool sink_is_named(const sink *s, const sink_spec *spec, const char *session) {
  char name[SINK_NAME_MAX];
  sink_name_of(spec, session, name);
  return strcmp(s->name, name) == 0;
}

bool sink_is_of(const sink *s, const sink_spec *spec, const char *session) {
  return strcmp(s->text, spec->text) == 0 && sink_is_named(s, spec, session);
}

void sink_state_get(sink *s, sink_state *out_state) {
  *out_state = (sink_state){.name = s->name,
                            .type = s->type,
                            .destination = s->destination,
                            .reach_percent = atomic_load_explicit(
                                &s->reach_percent, memory_order_relaxed)};
  tt_storage_writer_stats_get(s->writer, &out_state->stats);
  sink_position_missed_get(s->position, &out_state->missed);
  pthread_mutex_lock(&s->mutex);
  out_state->requeue = s->requeue;
  pthread_mutex_unlock(&s->mutex);
}

void sink_scrape(sink *s, tt_metrics *metrics) {
  tt_storage_writer_stats now, *last = &s->scraped;
  tt_storage_writer_stats_get(s->writer, &now);
  const struct {
    tt_metric metric;
    uint64_t more;
  } counters[] = {
      {TT_METRIC_SINK_APPENDED, now.appended - last->appended},
      {TT_METRIC_SINK_REJECTED, now.rejected - last->rejected},
      {TT_METRIC_SINK_GIVEN_UP, now.given_up - last->given_up},
      {TT_METRIC_SINK_MISSED, now.behind - last->behind},
      {TT_METRIC_SINK_DEAD_LETTERS, now.dead_letters - last->dead_letters},
      {TT_METRIC_SINK_FAILURES, now.failures - last->failures},
  };
  for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
    tt_metrics_add(metrics, counters[i].metric, counters[i].more, s->name,
                   NULL);
  tt_metrics_set(metrics, TT_METRIC_SINK_LAG, (double)now.lag, s->name, NULL);
  tt_metrics_set(metrics, TT_METRIC_SINK_FAILING, now.failing, s->name, NULL);
  *last = now;
}

/* ---- Dead letters again ---- */

static void *requeue_main(void *context) {
  sink *s = context;
  sink_requeue done = {.state = SINK_REQUEUE_DONE};
  done.error = tt_storage_writer_requeue(s->writer, REQUEUE_TIMEOUT_MS,
                                         &done.sent, &done.left);
  pthread_mutex_lock(&s->mutex);
  s->requeue = done;
  pthread_mutex_unlock(&s->mutex);
  return NULL;
}

tt_error sink_requeue_start(sink *s) {
  tt_error error = TT_OK;
  if (!s->dead_letters)
    return TT_ESTATE;
  pthread_mutex_lock(&s->mutex);
  if (s->requeue.state == SINK_REQUEUE_RUNNING) {
    error = TT_EBUSY;
  } else {
    if (s->requeue_started)
      pthread_join(s->requeue_thread, NULL); /* it ended */
    s->requeue = (sink_requeue){.state = SINK_REQUEUE_RUNNING};
    s->requeue_started = tti_thread_start(&s->requeue_thread, requeue_main, s);
    if (!s->requeue_started) {
      s->requeue.state = SINK_REQUEUE_NONE;
      error = TT_ENOMEM;
    }
  }
  pthread_mutex_unlock(&s->mutex);
  return error;
}

/* ---- Ended ---- */

void sink_ask_stop(sink *s, int64_t by_us) {
  pthread_mutex_lock(&s->mutex);
  s->stop_by_us = by_us;
  pthread_mutex_unlock(&s->mutex);
  tt_cancel_trigger(s->cancel);
}

bool sink_wait(sink *s, int64_t until_us) {
  pthread_mutex_lock(&s->mutex);
  while (!s->ended && tti_cond_wait(&s->ended_cond, &s->mutex, until_us))
    ;
  bool ended = s->ended;
  pthread_mutex_unlock(&s->mutex);
  return ended;
}

void sink_interrupt(sink *s) {
  tti_storage_writer_interrupt(s->writer);
}

void sink_free(sink *s) {
  if (!s)
    return;
  if (s->started)
    pthread_join(s->thread, NULL);
  if (s->requeue_started)
    pthread_join(s->requeue_thread, NULL);
  tt_storage_writer_free(s->writer);
  sink_position_free(s->position);
  tt_cancel_free(s->cancel);
  pthread_cond_destroy(&s->ended_cond);
  pthread_mutex_destroy(&s->mutex);
  free(s->name);
  free(s->text);
  free(s->destination);
  free(s->dead_letters);
  free(s);
}
