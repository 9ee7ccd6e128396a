#include "server/store/memory/memory.h"

#include "server/io/clock.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- The log ---- */

static size_t entry_bytes(size_t record_len) {
  /* Every header aligned. */
  return (sizeof(memory_entry) + record_len + 7) & ~(size_t)7;
}

/* Looks that the whole batch has a place before any of it is taken: in the last
 * chunk, or in *out_spare, which is the caller's. False: no memory. */
static bool find_room(const memory_store *m, const tti_batch *batch,
                      memory_chunk **out_spare) {
  const memory_chunk *last = m->last_chunk;
  size_t bytes = 0;
  for (size_t i = 0; i < batch->count; i++)
    bytes += entry_bytes(batch->lengths[i]);
  *out_spare = NULL;
  if (bytes == 0 || (last && last->capacity - last->used >= bytes))
    return true;
  size_t capacity = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
  memory_chunk *chunk = malloc(sizeof *chunk + capacity);
  if (!chunk)
    return false;
  *chunk = (memory_chunk){.capacity = capacity};
  *out_spare = chunk;
  return true;
}

static void add_chunk(memory_store *m, memory_chunk *chunk) {
  if (m->last_chunk)
    m->last_chunk->next = chunk;
  else
    m->first_chunk = chunk;
  m->last_chunk = chunk;
  m->bytes += sizeof *chunk + chunk->capacity;
}

static size_t max_bytes(const memory_store *m) {
  uint64_t bytes = store_retain_bytes(&m->base);
  return bytes == 0              ? DEFAULT_LOG_BYTES
         : bytes < MAX_LOG_BYTES ? (size_t)bytes
                                 : MAX_LOG_BYTES;
}

static void evict(memory_store *m) {
  size_t max = max_bytes(m);
  while (m->bytes > max && m->first_chunk != m->last_chunk) {
    memory_chunk *chunk = m->first_chunk;
    m->first_chunk = chunk->next;
    m->bytes -= sizeof *chunk + chunk->capacity;
    range_list_retain(&m->ranges, chunk->first_seq, chunk->last_seq);
    tt_metrics_add(m->metrics, TT_METRIC_RETENTION_DELETED, chunk->rows, NULL,
                   NULL);
    free(chunk);
  }
}

static void put_row(memory_store *m, uint64_t seq, int64_t received_us,
                    tti_slice bytes) {
  size_t size = entry_bytes(bytes.len);
  memory_chunk *chunk = m->last_chunk;
  memory_entry *entry = (memory_entry *)(chunk->bytes + chunk->used);
  *entry =
      (memory_entry){.seq = seq, .received_us = received_us, .len = bytes.len};
  memcpy(entry + 1, bytes.ptr, bytes.len);
  if (chunk->rows++ == 0)
    chunk->first_seq = seq;
  chunk->last_seq = seq;
  chunk->last_received_us = received_us;
  chunk->used += size;
}

/* ---- Jobs ---- */

static void refuse(store_job *job, const char *reason) {
  job->verdict = STORE_RETRY;
  snprintf(job->reason, sizeof job->reason, "%s", reason);
}

static bool place(memory_store *m, store_job *job) {
  uint64_t next = m->next_seq;
  uint64_t seq = job->first_seq;
  if (!job->reserved)
    seq = m->handed_to >= next ? m->handed_to + 1 : next;
  if (seq < next) {
    refuse(job, "the sequence number is below the head");
    return false;
  }
  job->first_seq = seq;
  job->count = job->batch->count;
  if (job->received_us < m->received_us)
    job->received_us = m->received_us;
  if (job->run)
    memory_run_job(m, job);
  job->half = job->reserved && job->verdict != STORE_OK;
  if (job->half)
    job->verdict = STORE_OK; /* answered before */
  if (job->verdict != STORE_OK)
    return false;
  if (seq > next && range_list_add(&m->ranges, next, seq - 1, "lost")) {
    refuse(job, "out of memory");
    return false;
  }
  m->received_us = job->received_us;
  m->next_seq = seq + job->count;
  return true;
}

static void append(memory_store *m, store_job *job) {
  const tti_batch *batch = job->batch;
  bool keyed = store_key_is_set(&job->key);
  memory_key *known = NULL;
  if (keyed && !memory_keys_find(&m->keys, job, &known))
    return;
  memory_chunk *spare;
  if (!find_room(m, batch, &spare)) {
    refuse(job, "out of memory");
    return;
  }
  if (keyed && !known && !(known = memory_keys_add(&m->keys, job))) {
    free(spare);
    return;
  }
  if (batch->count == 0) {
    job->first_seq = job->count = 0;
  } else if (!place(m, job)) {
    free(spare);
    return;
  }
  if (spare)
    add_chunk(m, spare);
  const char *at = batch->bytes.data;
  for (size_t i = 0; i < batch->count; i++) {
    tti_slice bytes = {at, batch->lengths[i]};
    tti_record record;
    uint64_t seq = job->first_seq + i;
    put_row(m, seq, job->received_us, bytes);
    if (tti_record_decode(bytes, &record) == TT_OK)
      counters_note(&m->counts, &record);
    at += bytes.len;
  }
  counters_commit(&m->counts);
  if (keyed && !job->half)
    memory_keys_answer(known, job);
  m->stored_total += batch->count;
  evict(m);
}

static void reserve(memory_store *m, store_job *job) {
  uint64_t first = m->handed_to >= m->next_seq ? m->handed_to + 1 : m->next_seq;
  job->first_seq = first;
  job->count = job->reserve;
  m->handed_to = first + job->reserve - 1;
}

static store_token *find_token(memory_store *m, const store_token *like) {
  for (size_t i = 0; i < m->token_count; i++)
    if (strcmp(m->tokens[i].id, like->id) == 0)
      return &m->tokens[i];
  return NULL;
}

static void create_token(memory_store *m, store_job *job) {
  bool taken = find_token(m, &job->token) != NULL;
  for (size_t i = 0; i < m->token_count && !taken; i++)
    taken = memcmp(m->tokens[i].sha256, job->token.sha256, 32) == 0;
  if (taken) {
    job->verdict = STORE_EXISTS;
    return;
  }
  store_token *tokens = NULL;
  if (m->token_count < TOKENS_MAX)
    tokens = realloc(m->tokens, (m->token_count + 1) * sizeof *tokens);
  if (!tokens) {
    refuse(job, "no room for another token");
    return;
  }
  m->tokens = tokens;
  m->tokens[m->token_count] = job->token;
  m->tokens[m->token_count++].revoked_us = 0;
  m->token_generation++;
}

static void revoke_token(memory_store *m, store_job *job) {
  store_token *token = find_token(m, &job->token);
  if (!token || token->revoked_us) {
    job->verdict = STORE_NOT_FOUND;
    return;
  }
  token->revoked_us =
      job->token.revoked_us ? job->token.revoked_us : server_wall_us();
  m->token_generation++;
}

static void run(memory_store *m, store_job *job) {
  bool keyed = store_key_is_set(&job->key);
  memory_key *known = NULL;
  if (keyed && !memory_keys_find(&m->keys, job, &known))
    return;
  if (keyed && !known && !(known = memory_keys_add(&m->keys, job)))
    return;
  memory_run_job(m, job);
  if (keyed && job->verdict == STORE_OK)
    memory_keys_answer(known, job);
}

static void run_job(memory_store *m, store_job *job) {
  memory_key *known = NULL;
  job->verdict = STORE_OK;
  job->more = job->half = false;
  job->reason[0] = '\0';
  switch (job->kind) {
  case STORE_JOB_APPEND:
    append(m, job);
    break;
  case STORE_JOB_RESERVE:
    reserve(m, job);
    break;
  case STORE_JOB_LOOKUP:
    if (store_key_is_set(&job->key))
      memory_keys_find(&m->keys, job, &known);
    break;
  case STORE_JOB_TOKEN_CREATE:
    create_token(m, job);
    break;
  case STORE_JOB_TOKEN_REVOKE:
    revoke_token(m, job);
    break;
  case STORE_JOB_RUN:
    run(m, job);
    break;
  case STORE_JOB_SET: /* nothing reads it back in this life */
  case STORE_JOB_BARRIER:
    break;
  }
}

/* The thread that finds nobody answering answers for all, one job after the
 * other, so verdicts come in order of seq with no lock held. */
static tt_error memory_submit(store *base, store_job *job) {
  memory_store *m = (memory_store *)base;
  pthread_mutex_lock(&m->lock);
  if (m->waiting >= m->max_jobs) {
    pthread_mutex_unlock(&m->lock);
    return TT_EFULL;
  }
  job->reserved = job->kind == STORE_JOB_APPEND && job->first_seq != 0;
  job->next = NULL;
  run_job(m, job);
  if (m->last_job)
    m->last_job->next = job;
  else
    m->first_job = job;
  m->last_job = job;
  m->waiting++;
  bool answers = !m->answering;
  m->answering = true;
  while (answers && (job = m->first_job)) {
    m->first_job = job->next;
    if (!m->first_job)
      m->last_job = NULL;
    m->waiting--;
    pthread_mutex_unlock(&m->lock);
    job->done(job);
    pthread_mutex_lock(&m->lock);
  }
  if (answers)
    m->answering = false;
  pthread_mutex_unlock(&m->lock);
  return TT_OK;
}

/* ---- The interface ---- */

static void memory_status(store *base, store_status *out_status) {
  memory_store *m = (memory_store *)base;
  pthread_mutex_lock(&m->lock);
  *out_status = (store_status){
      .head_seq = m->next_seq - 1,
      .next_seq = m->next_seq,
      .oldest_seq = m->first_chunk ? m->first_chunk->first_seq : m->next_seq,
      .healthy = true,
      .queue_jobs = m->waiting,
      .used_bytes = m->bytes,
      .stored_total = m->stored_total,
  };
  pthread_mutex_unlock(&m->lock);
  memcpy(out_status->log_uuid, m->log_uuid, sizeof m->log_uuid);
}

/* Everything before this life is gone. Who resumes with an id from there is
 * told so; who asks for the oldest was promised nothing of it. */
static size_t memory_ranges(store *base, uint64_t after_seq, uint64_t to_seq,
                            store_range *out_ranges, size_t max) {
  memory_store *m = (memory_store *)base;
  size_t count = 0;
  if (after_seq > 0 && after_seq < m->born_seq - 1 && max > 0) {
    uint64_t last = to_seq < m->born_seq ? to_seq : m->born_seq - 1;
    out_ranges[count++] = (store_range){
        .from_seq = after_seq + 1, .to_seq = last, .reason = "restored"};
  }
  pthread_mutex_lock(&m->lock);
  count += range_list_copy(&m->ranges, after_seq, to_seq, out_ranges + count,
                           max - count);
  pthread_mutex_unlock(&m->lock);
  return count;
}

static size_t memory_counts(store *base, store_dimension dimension,
                            store_count *out_counts, size_t max) {
  return counters_copy(&((memory_store *)base)->counts, dimension, out_counts,
                       max);
}

static size_t memory_tokens(store *base, store_token *out_tokens, size_t max,
                            uint64_t *out_generation) {
  memory_store *m = (memory_store *)base;
  pthread_mutex_lock(&m->lock);
  size_t count = m->token_count < max ? m->token_count : max;
  if (count)
    memcpy(out_tokens, m->tokens, count * sizeof *out_tokens);
  if (out_generation)
    *out_generation = m->token_generation;
  pthread_mutex_unlock(&m->lock);
  return count;
}

static tt_error memory_setting(store *base, const char *name,
                               tti_buf *out_value) {
  (void)base;
  (void)name;
  (void)out_value;
  return TT_ENOTFOUND; /* settings are what one life tells the next */
}

static void memory_close(store *base, int timeout_ms) {
  memory_store *m = (memory_store *)base;
  (void)timeout_ms; /* every verdict was given when it was submitted */
  memory_reads_stop(m);
  while (m->first_chunk) {
    memory_chunk *chunk = m->first_chunk;
    m->first_chunk = chunk->next;
    free(chunk);
  }
  memory_tables_fini(m);
  memory_keys_fini(&m->keys);
  range_list_fini(&m->ranges);
  counters_fini(&m->counts);
  pthread_mutex_destroy(&m->lock);
  free(m->tokens);
  free(m);
}

static const store_ops memory_ops = {.name = "memory",
                                     .immediate = true,
                                     .close = memory_close,
                                     .submit = memory_submit,
                                     .read = memory_read,
                                     .status = memory_status,
                                     .ranges = memory_ranges,
                                     .counts = memory_counts,
                                     .tokens = memory_tokens,
                                     .setting = memory_setting};

tt_error store_memory_open(const store_options *options, tti_buf *out_error,
                           store **out_store) {
  memory_store *m = calloc(1, sizeof *m);
  if (!m)
    return TT_ENOMEM;
  m->base.ops = &memory_ops;
  m->metrics = options->metrics;
  m->max_jobs = options->queue_max_jobs ? options->queue_max_jobs : 65536;
  store_retain(&m->base, options->retain_us, options->retain_bytes);
  /* Above anything an earlier life gave out. */
  m->born_seq = (uint64_t)(server_wall_us() / 1000) * 1000;
  m->next_seq = m->born_seq;
  tti_uuid4(m->log_uuid);
  pthread_mutex_init(&m->lock, NULL);
  pthread_mutex_init(&m->tables_lock, NULL);
  counters_init(&m->counts);
  tt_error error = memory_reads_start(m);
  if (error) {
    tti_buf_append_text(out_error, "cannot start the store's thread");
    memory_close(&m->base, 0);
    return error;
  }
  *out_store = &m->base;
  return TT_OK;
}
