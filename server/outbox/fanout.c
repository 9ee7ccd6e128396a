#include "server/outbox/internal.h"

#include "server/io/clock.h"
#include "server/io/log.h"
#include "server/store/tables/deliveries.h"
#include "server/testing/fault.h"
#include <stdio.h>

static void failed(outbox *o, const char *stage) {
  tt_metrics_add(o->options.metrics, TT_METRIC_OUTBOX_FAILURES, 1, stage, NULL);
}

/* ---- A batch ---- */

static tti_slice keep(tti_buf *texts, tti_slice text) {
  if (!text.ptr)
    return text;
  const char *at = texts->data + texts->len;
  tti_buf_append_slice(texts, text);
  tti_buf_append_char(texts, '\0');
  return (tti_slice){at, text.len};
}

static bool take(void *context, const outbox_row *row) {
  outbox *o = context;
  pending *p = &o->batch[o->batch_count];
  const tti_outbox_row *event = &row->event;
  tti_buf *texts = &o->texts;
  size_t size = event->id.len + event->type.len + event->subject.len +
                event->source.len + event->category.len + event->agent_id.len +
                event->level.len + event->labels.len + 8;
  /* What is there may not move: what does not fit is taken next time. */
  if (o->batch_count && texts->cap - texts->len < size)
    return false;
  if (!tti_buf_reserve(texts, size))
    return false;
  p->row = (tti_outbox_row){.n = event->n,
                            .id = keep(texts, event->id),
                            .type = keep(texts, event->type),
                            .subject = keep(texts, event->subject),
                            .source = keep(texts, event->source),
                            .category = keep(texts, event->category),
                            .agent_id = keep(texts, event->agent_id),
                            .level = keep(texts, event->level),
                            .labels = keep(texts, event->labels)};
  p->attempts = row->attempts;
  o->batch_count++;
  return true;
}

static tt_error read_batch(store_read *read, store_tx *tx) {
  outbox *o = read->owner;
  o->batch_count = 0;
  tti_buf_clear(&o->texts);
  if (FAULT_POINT("outbox.lease"))
    return TT_EIO;
  if (!tti_buf_reserve(&o->texts, (size_t)BATCH_MAX * 1024))
    return TT_ENOMEM;
  tt_error error = outbox_due(tx, server_wall_us(), BATCH_MAX, take, o);
  return error ? error : o->texts.error;
}

static tt_error match(outbox *o, size_t from) {
  for (size_t i = from; i < o->batch_count; i++) {
    match_event event;
    match_event_of(&o->batch[i].row, &event);
    matcher_find(o->matcher, &event, &o->batch[i].found);
    if (o->batch[i].found.error)
      return o->batch[i].found.error;
  }
  return TT_OK;
}

/* ---- The job ---- */

static tt_error insert(outbox *o, store_tx *tx, const pending *p, size_t at,
                       int64_t now_us, bool *out_inserted) {
  char id[TABLES_ID_SIZE];
  uint32_t place;
  memcpy(&place, p->found.data + at * sizeof place, sizeof place);
  delivery row = {.webhook_id = matcher_id(o->matcher, place),
                  .event_id = p->row.id,
                  .event_type = p->row.type,
                  .created_us = now_us};
  if (FAULT_POINT("outbox.insert_delivery"))
    return TT_EIO;
  return deliveries_insert(tx, &row, true, id, out_inserted);
}

/* As many of its deliveries as there is room for; after the last one it is
 * closed. */
static tt_error go_on(outbox *o, store_tx *tx, outcome *out, size_t *room) {
  const pending *p = &o->batch[out->event];
  size_t total = p->found.len / sizeof(uint32_t);
  int64_t now_us = server_wall_us();
  bool inserted, closed;
  uint64_t matched;
  out->events[out->event].stage = "insert_delivery";
  for (; out->delivery<total && * room> 0; out->delivery++, --*room) {
    tt_error error = insert(o, tx, p, out->delivery, now_us, &inserted);
    if (error)
      return error;
    out->inserted += inserted;
  }
  if (out->delivery < total)
    return TT_OK;
  out->events[out->event].stage = "update_status";
  if (FAULT_POINT("outbox.update_status"))
    return TT_EIO;
  tt_error error =
      outbox_close(tx, p->row.n, p->row.id, now_us, &matched, &closed);
  if (error)
    return error;
  out->events[out->event].fate = closed ? FATE_CLOSED : FATE_LOST;
  out->events[out->event].matched = matched;
  return TT_OK;
}

static tt_error postpone(store_tx *tx, const pending *p, const char *stage,
                         tt_error error) {
  char why[128];
  snprintf(why, sizeof why, "%s: %s", stage, tt_error_message(error));
  return outbox_postpone(tx, p->row.n, why, server_wall_us() + POSTPONE_US);
}

/* One event under a savepoint of its own: what is wrong with it alone is no
 * reason to hold up the others. */
static tt_error fan_out_one(outbox *o, store_tx *tx, outcome *out,
                            size_t *room) {
  size_t n = out->event;
  uint64_t inserted = out->inserted;
  tt_error error = tx_run(tx, tx_prepare(tx, "SAVEPOINT event"));
  if (error)
    return error;
  error = go_on(o, tx, out, room);
  if (error) {
    tx_run(tx, tx_prepare(tx, "ROLLBACK TO event"));
    out->inserted = inserted;
    out->events[n].fate = FATE_FAILED;
    error = postpone(tx, &o->batch[n], out->events[n].stage, error);
  }
  if (!error)
    error = tx_run(tx, tx_prepare(tx, "RELEASE event"));
  if (out->events[n].fate != FATE_OPEN) {
    out->event++;
    out->delivery = 0;
  }
  return error;
}

static tt_error fan_out(store_job *job, store_tx *tx) {
  outbox *o = job->owner;
  outcome *out = &o->outcome;
  size_t room = INSERTS_MAX;
  *out = (outcome){.event = o->event, .delivery = o->delivery};
  while (out->event < o->batch_count && room > 0) {
    if (outbox_is_stale(o, o->batch[out->event].row.n)) {
      out->stale = true;
      break;
    }
    tt_error error = fan_out_one(o, tx, out, &room);
    if (error)
      return error;
  }
  return TT_OK;
}

static tt_error postpone_all(store_job *job, store_tx *tx) {
  outbox *o = job->owner;
  for (size_t i = o->event; i < o->batch_count; i++) {
    tt_error error = postpone(tx, &o->batch[i], o->stage, TT_EIO);
    if (error)
      return error;
  }
  return TT_OK;
}

/* ---- The thread ---- */

static void tell(outbox *o, size_t from) {
  tt_metrics *metrics = o->options.metrics;
  for (size_t i = from; i < o->batch_count && i <= o->outcome.event; i++) {
    const char *type = o->batch[i].row.type.ptr;
    uint64_t matched = o->outcome.events[i].matched;
    switch (o->outcome.events[i].fate) {
    case FATE_CLOSED:
      if (matched) {
        tt_metrics_add(metrics, TT_METRIC_OUTBOX_FANOUT, 1, type, NULL);
        tt_metrics_add(metrics, TT_METRIC_OUTBOX_MATCHED, matched, type, NULL);
      } else {
        tt_metrics_add(metrics, TT_METRIC_OUTBOX_NO_MATCH, 1, type, NULL);
      }
      break;
    case FATE_FAILED:
      failed(o, o->outcome.events[i].stage);
      server_log(TT_LEVEL_WARN, "outbox",
                 "event %s was not fanned out (%s); again in 60 s",
                 o->batch[i].row.id.ptr, o->outcome.events[i].stage);
      break;
    default:
      break;
    }
  }
}

/* False: it is better to wait a moment before more is tried. */
static bool give_up_batch(outbox *o, const char *stage, tt_error error) {
  server_log(TT_LEVEL_ERROR, "outbox",
             "%zu events were not fanned out (%s): %s; again in 60 s",
             o->batch_count - o->event, stage, tt_error_message(error));
  failed(o, stage);
  o->stage = stage;
  return outbox_change(o, postpone_all) == STORE_OK;
}

static bool fan_out_batch(outbox *o) {
  bool stale = outbox_is_stale(o, o->batch[o->batch_count - 1].row.n);
  bool fresh = true;
  o->event = o->delivery = 0;
  while (o->event < o->batch_count) {
    tt_error error = stale ? outbox_load_webhooks(o) : TT_OK;
    if (!error && (stale || fresh))
      error = match(o, o->event);
    if (error)
      return give_up_batch(o, "list_webhooks", error);
    if (stale)
      o->delivery = 0; /* the places are others; what is there stays */
    fresh = false;
    if (outbox_change(o, fan_out) != STORE_OK) {
      server_log(TT_LEVEL_ERROR, "outbox",
                 "events could not be fanned out: %s; they stay pending",
                 o->job.reason);
      failed(o, "update_status");
      return false;
    }
    tell(o, o->event);
    o->event = o->outcome.event;
    o->delivery = o->outcome.delivery;
    stale = o->outcome.stale;
  }
  return true;
}

/* New ones; those that are tried again come without a wake. */
static bool has_new(const outbox *o) {
  for (size_t i = 0; i < o->batch_count; i++)
    if (o->batch[i].attempts == 0)
      return true;
  return false;
}

/* A wake that has come by now was only late. */
static bool was_woken(outbox *o) {
  pthread_mutex_lock(&o->mutex);
  bool woken = o->woken;
  pthread_mutex_unlock(&o->mutex);
  return woken;
}

static tt_error read_oldest(store_read *read, store_tx *tx) {
  outbox *o = read->owner;
  return outbox_oldest(tx, &o->oldest_us);
}

static void tell_lag(outbox *o) {
  int64_t now_us = tti_monotonic_us(&tti_clock_system);
  if (now_us < o->gauge_us)
    return;
  o->gauge_us = now_us + POLL_US;
  if (outbox_read(o, read_oldest))
    return;
  int64_t lag_us = o->oldest_us ? server_wall_us() - o->oldest_us : 0;
  tt_metrics_set(o->options.metrics, TT_METRIC_PUBLISHER_LAG,
                 lag_us > 0 ? (double)lag_us / 1e6 : 0, NULL, NULL);
}

static bool is_stopping(outbox *o) {
  pthread_mutex_lock(&o->mutex);
  bool stopping = o->stopping;
  pthread_mutex_unlock(&o->mutex);
  return stopping;
}

void outbox_drain(outbox *o, bool announced) {
  bool more = true;
  while (more && !is_stopping(o)) {
    tell_lag(o);
    tt_error error = outbox_read(o, read_batch);
    if (error) {
      server_log(TT_LEVEL_ERROR, "outbox", "pending events cannot be read: %s",
                 tt_error_message(error));
      failed(o, "lease");
      return;
    }
    if (o->batch_count == 0)
      return;
    if (!announced && has_new(o) && !was_woken(o))
      tt_metrics_add(o->options.metrics, TT_METRIC_NOTIFY_MISSED, 1, NULL,
                     NULL);
    announced = true;
    more = fan_out_batch(o);
    atomic_fetch_add_explicit(&o->beats, 1, memory_order_relaxed);
  }
}
