#include "server/bus/local/local.h"

#include "server/io/clock.h"
#include "server/io/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void local_fill_ring(local_bus *b, const tti_batch *batch, uint64_t first_seq,
                     int64_t received_us) {
  const char *at = batch->bytes.data;
  for (size_t i = 0; i < batch->count; i++) {
    tti_slice record = {at, batch->lengths[i]};
    tt_error error =
        tti_stream_append(b->base.stream, first_seq + i, received_us, record);
    /* It is in the log; who reads live is told of a drop, and looks there. */
    if (error)
      server_log(TT_LEVEL_ERROR, "bus", "seq %llu is not in the ring: %s",
                 (unsigned long long)(first_seq + i), tt_error_message(error));
    at += record.len;
  }
  if (batch->count)
    atomic_store_explicit(&b->head, first_seq + batch->count - 1,
                          memory_order_release);
}

tt_error local_lend(local_bus *b, store_job *job) {
  atomic_fetch_add_explicit(&b->outstanding, 1, memory_order_relaxed);
  tt_error error = store_submit(b->store, job);
  if (error)
    local_give_back(b);
  return error;
}

/* ---- commit and sync ---- */

static bus_publish *publish_of(store_job *job) {
  return (bus_publish *)((char *)job - offsetof(bus_publish, job));
}

static void settle(local_bus *b, bus_publish *publish) {
  store_job *job = &publish->job;
  uint64_t events = publish->batch.count;
  publish->first_seq = job->first_seq;
  publish->count = job->count;
  switch (job->verdict) {
  case STORE_OK:
    publish->verdict = BUS_ACCEPTED;
    local_fill_ring(b, &publish->batch, job->first_seq, job->received_us);
    bus_count(&b->stored, events);
    break;
  case STORE_REPLAYED:
    publish->verdict = BUS_REPLAYED;
    bus_count(&b->replayed, events);
    break;
  case STORE_MISMATCH:
    publish->verdict = BUS_MISMATCH;
    bus_count(&b->replayed, events);
    break;
  case STORE_EXISTS:
    publish->verdict = BUS_EXISTS;
    bus_count(&b->replayed, events);
    break;
  default:
    publish->verdict = BUS_RETRY;
    memcpy(publish->reason, job->reason, sizeof publish->reason);
    bus_count(&b->rejected_failed, events);
  }
}

/* The chain of those to be answered goes through the jobs' own link. */
static void on_written(store_job *job) {
  bus_publish *publish = publish_of(job);
  local_bus *b = job->owner;
  settle(b, publish);
  job->next = NULL;
  if (b->last_settled)
    b->last_settled->next = job;
  else
    b->first_settled = job;
  b->last_settled = job;
  if (job->more)
    return;
  store_job *settled = b->first_settled;
  b->first_settled = b->last_settled = NULL;
  if (b->wake)
    b->wake(b->wake_context);
  while (settled) {
    store_job *next = settled->next;
    publish = publish_of(settled);
    publish->done(publish);
    local_give_back(b);
    settled = next;
  }
}

static tt_error run_beside(store_job *job, store_tx *tx) {
  bus_publish *publish = publish_of(job);
  return publish->run(publish, job, tx);
}

static tt_error submit_written(local_bus *b, bus_publish *publish) {
  publish->job = (store_job){.kind = STORE_JOB_APPEND,
                             .done = on_written,
                             .owner = b,
                             .batch = &publish->batch,
                             .received_us = server_wall_us(),
                             .key = publish->key,
                             .run = publish->run ? run_beside : NULL};
  return local_lend(b, &publish->job);
}

/* ---- The interface ---- */

static tt_error local_submit(bus *base, bus_publish *publish) {
  local_bus *b = (local_bus *)base;
  uint64_t events = publish->batch.count;
  if (atomic_load_explicit(&b->closing, memory_order_acquire))
    return TT_ECLOSED;
  publish->reason[0] = '\0';
  bus_count(&b->received, events);
  tt_error error = b->answers_first ? local_memory_submit(b, publish)
                                    : submit_written(b, publish);
  if (error)
    bus_count(&b->rejected_full, events);
  return error;
}

static uint64_t local_head(bus *base) {
  local_bus *b = (local_bus *)base;
  return atomic_load_explicit(&b->head, memory_order_acquire);
}

static uint64_t counted(_Atomic uint64_t *counter) {
  return atomic_load_explicit(counter, memory_order_acquire);
}

static void local_counts(bus *base, bus_counts *out_counts) {
  local_bus *b = (local_bus *)base;
  out_counts->stored = counted(&b->stored);
  out_counts->lost = counted(&b->lost);
  out_counts->replayed = counted(&b->replayed);
  out_counts->rejected_failed = counted(&b->rejected_failed);
  out_counts->rejected_full = counted(&b->rejected_full);
  out_counts->received = counted(&b->received);
}

static void destroy(local_bus *b) {
  tt_stream_free(b->base.stream);
  pthread_mutex_destroy(&b->lock);
  sem_destroy(&b->reserved);
  free(b);
}

/* Nothing new comes in; what the store holds gets its verdict. */
static void local_close(bus *base, int timeout_ms) {
  local_bus *b = (local_bus *)base;
  atomic_store_explicit(&b->closing, true, memory_order_release);
  const struct timespec pause = {.tv_nsec = 1000000};
  for (int waited = 0; counted(&b->outstanding) > 0; waited++) {
    /* The store will still call for these when it closes: what they point to
     * is left to them. */
    if (waited >= timeout_ms) {
      server_log(TT_LEVEL_ERROR, "bus", "closed with %llu batches unanswered",
                 (unsigned long long)counted(&b->outstanding));
      return;
    }
    nanosleep(&pause, NULL);
  }
  destroy(b);
}

static const bus_ops local_ops = {.name = "local",
                                  .close = local_close,
                                  .submit = local_submit,
                                  .head = local_head,
                                  .counts = local_counts};

tt_error bus_local_new(const bus_options *options, bus **out_bus) {
  local_bus *b = calloc(1, sizeof *b);
  if (!b)
    return TT_ENOMEM;
  b->base.ops = &local_ops;
  b->store = options->store;
  b->wake = options->wake;
  b->wake_context = options->wake_context;
  b->answers_first =
      options->durability == STORE_MEMORY && !options->store->ops->immediate;
  pthread_mutex_init(&b->lock, NULL);
  sem_init(&b->reserved, 0, 0);
  tt_stream_options ring = {.entries = options->ring_entries,
                            .bytes = options->ring_bytes,
                            .log = server_log_hook("stream")};
  tt_error error = tt_stream_new(&ring, &b->base.stream);
  store_status status;
  store_status_get(b->store, &status);
  uint64_t head = status.head_seq;
  if (!error && b->answers_first) {
    error = local_memory_start(b);
    head = b->next_seq - 1;
  }
  if (!error)
    error = tti_stream_start_after(b->base.stream, head);
  if (error) {
    destroy(b);
    return error;
  }
  atomic_store_explicit(&b->head, head, memory_order_release);
  *out_bus = &b->base;
  return TT_OK;
}
