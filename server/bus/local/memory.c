#include "server/bus/local/local.h"

#include "server/io/clock.h"
#include <stdio.h>
#include <stdlib.h>

/* Durability memory: the answer comes before the write, but where there is
 * something to be written beside the rows. */

/* ---- Numbers ---- */

static void on_reserved(store_job *job) {
  local_bus *b = job->owner;
  pthread_mutex_lock(&b->lock);
  bool first = b->next_seq == 0;
  if (job->verdict == STORE_OK) {
    /* Blocks follow each other unless somebody else appends to this store. */
    if (job->first_seq != b->reserved_to + 1 || first)
      b->next_seq = job->first_seq;
    b->reserved_to = job->first_seq + job->count - 1;
  }
  b->reserving = false;
  pthread_mutex_unlock(&b->lock);
  local_give_back(b);
  /* Last: who waits for it may free the bus. */
  if (first)
    sem_post(&b->reserved);
}

/* Under the lock, or before anybody else is there. */
static tt_error reserve(local_bus *b) {
  b->reserving = true;
  b->reserve_job = (store_job){.kind = STORE_JOB_RESERVE,
                               .done = on_reserved,
                               .owner = b,
                               .reserve = RESERVE_BLOCK};
  tt_error error = local_lend(b, &b->reserve_job);
  if (error)
    b->reserving = false;
  return error;
}

tt_error local_memory_start(local_bus *b) {
  tt_error error = reserve(b);
  if (error)
    return error;
  while (sem_wait(&b->reserved) != 0)
    ;
  return b->next_seq ? TT_OK : TT_EIO;
}

/* ---- Keys in flight ---- */

static late **flight_slot(local_bus *b, const unsigned char *digest) {
  return &b->flights[(digest[0] | digest[1] << 8) % FLIGHT_SLOTS];
}

static late *find_flight(local_bus *b, const late *l) {
  late *at = *flight_slot(b, l->digest);
  while (at && (at->number != l->number ||
                memcmp(at->digest, l->digest, sizeof l->digest) != 0))
    at = at->next_flight;
  return at;
}

static void land(local_bus *b, late *l) {
  pthread_mutex_lock(&b->lock);
  late **at = flight_slot(b, l->digest);
  while (*at != l)
    at = &(*at)->next_flight;
  *at = l->next_flight;
  pthread_mutex_unlock(&b->lock);
}

/* ---- One batch ---- */

static void disown(late *l) {
  /* acq_rel: whoever frees sees all that the other did with it. */
  if (atomic_fetch_sub_explicit(&l->owners, 1, memory_order_acq_rel) > 1)
    return;
  tti_batch_fini(&l->batch);
  free(l);
}

static void answer(bus_publish *publish, bus_verdict verdict,
                   uint64_t first_seq, uint64_t events) {
  publish->verdict = verdict;
  publish->first_seq = first_seq;
  publish->count = events;
  publish->done(publish);
}

static void on_late_written(store_job *job) {
  late *l = job->owner;
  local_bus *b = l->bus;
  uint64_t events = l->batch.count;
  bus_publish *waiting = l->publish;
  if (job->verdict == STORE_OK)
    bus_count(&b->stored, events);
  else if (job->verdict == STORE_RETRY)
    bus_count(&b->lost, events);
  else
    bus_count(&b->replayed, events);
  if (l->keyed)
    land(b, l);
  if (waiting) {
    memcpy(waiting->reason, job->reason, sizeof waiting->reason);
    answer(waiting,
           job->verdict == STORE_OK         ? BUS_ACCEPTED
           : job->verdict == STORE_REPLAYED ? BUS_REPLAYED
           : job->verdict == STORE_MISMATCH ? BUS_MISMATCH
                                            : BUS_RETRY,
           job->first_seq, job->count);
  }
  disown(l);
  local_give_back(b);
}

static tt_error run_beside(store_job *job, store_tx *tx) {
  late *l = job->owner;
  return l->publish->run(l->publish, job, tx);
}

/* The publish keeps its count of events; their bytes go over. */
static void take_batch(late *l, bus_publish *publish) {
  l->batch = publish->batch;
  tti_batch *left = &publish->batch;
  tti_buf_init(&left->bytes, left->bytes.max);
  left->lengths = NULL;
  left->capacity = 0;
}

static void return_batch(late *l, bus_publish *publish) {
  publish->batch = l->batch;
  l->batch = (tti_batch){0};
}

/* Number, queue and ring, in one order for all threads. The batch is `l`'s. */
static tt_error enqueue(local_bus *b, late *l) {
  store_job *job = &l->job;
  uint64_t events = l->batch.count;
  pthread_mutex_lock(&b->lock);
  bool short_of = events && b->next_seq + events - 1 > b->reserved_to;
  tt_error error = short_of ? TT_EFULL : TT_OK;
  if (!error) {
    int64_t now = server_wall_us();
    if (now > b->received_us)
      b->received_us = now;
    job->kind = STORE_JOB_APPEND;
    job->done = on_late_written;
    job->batch = &l->batch;
    job->received_us = b->received_us;
    job->first_seq = events ? b->next_seq : 0;
    job->run = l->publish->run ? run_beside : NULL;
    l->accepted_seq = job->first_seq;
    atomic_store_explicit(&l->owners, 2, memory_order_relaxed);
    bus_publish *publish = l->publish;
    if (!publish->run)
      l->publish = NULL;
    error = local_lend(b, job);
    if (error)
      l->publish = publish;
  }
  if (error)
    atomic_store_explicit(&l->owners, 0, memory_order_relaxed);
  if (!error && events) {
    local_fill_ring(b, &l->batch, b->next_seq, b->received_us);
    b->next_seq += events;
  }
  uint64_t left = b->reserved_to + 1 - b->next_seq;
  if (left < RESERVE_BLOCK / 2 && !b->reserving)
    reserve(b);
  pthread_mutex_unlock(&b->lock);
  return error;
}

static tt_error accept_batch(local_bus *b, late *l, bus_publish *publish) {
  uint64_t events = publish->batch.count;
  bool waits = publish->run != NULL;
  take_batch(l, publish);
  tt_error error = enqueue(b, l);
  if (error) {
    return_batch(l, publish);
    return error;
  }
  /* This thread's share keeps the job readable until here. */
  uint64_t first_seq = events ? l->accepted_seq : 0;
  disown(l);
  if (b->wake)
    b->wake(b->wake_context);
  if (!waits) /* else it may be gone by now */
    answer(publish, BUS_ACCEPTED, first_seq, events);
  return TT_OK;
}

static void drop(local_bus *b, late *l) {
  if (l->keyed)
    land(b, l);
  free(l);
}

static void on_looked_up(store_job *job) {
  late *l = job->owner;
  local_bus *b = l->bus;
  bus_publish *publish = l->publish;
  uint64_t events = publish->batch.count;
  store_verdict verdict = job->verdict;
  if (verdict == STORE_OK) {
    tt_error error = accept_batch(b, l, publish);
    if (!error) {
      local_give_back(b);
      return;
    }
    snprintf(publish->reason, sizeof publish->reason,
             "the store's queue is full");
  } else {
    memcpy(publish->reason, job->reason, sizeof publish->reason);
  }
  uint64_t first_seq = job->first_seq, answered = job->count;
  drop(b, l);
  if (verdict == STORE_REPLAYED || verdict == STORE_MISMATCH) {
    bus_count(&b->replayed, events);
    answer(publish, verdict == STORE_REPLAYED ? BUS_REPLAYED : BUS_MISMATCH,
           first_seq, answered);
  } else {
    bus_count(&b->rejected_failed, events);
    answer(publish, BUS_RETRY, 0, 0);
  }
  local_give_back(b);
}

/* ---- Keyed ---- */

static void copy_key(late *l, const store_key *key) {
  l->keyed = true;
  l->job.key = *key;
  if (key->scope.len)
    memcpy(l->text, key->scope.ptr, key->scope.len);
  memcpy(l->text + key->scope.len, key->key.ptr, key->key.len);
  l->job.key.scope.ptr = l->text;
  l->job.key.key.ptr = l->text + key->scope.len;
  if (!store_key_digest(&l->job.key, l->digest, &l->number))
    l->number = UINT64_MAX;
}

/* The same key is on its way: what it was answered, or that it is too early to
 * say. */
static void answer_flight(local_bus *b, bus_publish *publish, bool same_body,
                          uint64_t first_seq, uint64_t events, bool accepted) {
  if (!same_body || accepted)
    bus_count(&b->replayed, publish->batch.count);
  else
    bus_count(&b->rejected_failed, publish->batch.count);
  if (!same_body) {
    answer(publish, BUS_MISMATCH, 0, 0);
  } else if (accepted) {
    answer(publish, BUS_REPLAYED, first_seq, events);
  } else {
    snprintf(publish->reason, sizeof publish->reason,
             "a request with this key is being answered");
    answer(publish, BUS_RETRY, 0, 0);
  }
}

static tt_error submit_keyed(local_bus *b, late *l, bus_publish *publish) {
  copy_key(l, &publish->key);
  pthread_mutex_lock(&b->lock);
  const late *other = find_flight(b, l);
  if (other) {
    bool same =
        memcmp(other->job.key.body_sha256, publish->key.body_sha256, 32) == 0;
    bool accepted = other->publish == NULL;
    uint64_t first_seq = accepted ? other->accepted_seq : 0;
    uint64_t events = accepted ? other->batch.count : 0;
    pthread_mutex_unlock(&b->lock);
    free(l);
    answer_flight(b, publish, same, first_seq, events, accepted);
    return TT_OK;
  }
  l->next_flight = *flight_slot(b, l->digest);
  *flight_slot(b, l->digest) = l;
  pthread_mutex_unlock(&b->lock);
  l->job.kind = STORE_JOB_LOOKUP;
  l->job.done = on_looked_up;
  tt_error error = local_lend(b, &l->job);
  if (error)
    drop(b, l);
  return error;
}

tt_error local_memory_submit(local_bus *b, bus_publish *publish) {
  const store_key *key = &publish->key;
  bool keyed = store_key_is_set(key);
  if (!keyed && publish->batch.count == 0) {
    answer(publish, BUS_ACCEPTED, 0, 0);
    return TT_OK;
  }
  late *l = calloc(1, sizeof *l + (keyed ? key->scope.len + key->key.len : 0));
  if (!l)
    return TT_ENOMEM;
  l->bus = b;
  l->publish = publish;
  l->job.owner = l;
  if (keyed)
    return submit_keyed(b, l, publish);
  tt_error error = accept_batch(b, l, publish);
  if (error)
    free(l);
  return error;
}
