#include "lib/stream/internal.h"

#include "lib/base/log.h"
#include "lib/base/time.h"
#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_ENTRIES 65536u
#define DEFAULT_BYTES   ((size_t)64 << 20)
#define MAX_ENTRIES     ((size_t)1 << 31)
/* Metadata of one event, packed, until it is encoded. */
#define MAX_METADATA_BYTES ((size_t)16 << 20)

static size_t power_of_two(size_t at_least) {
  size_t n = 1;
  while (n < at_least)
    n *= 2;
  return n;
}

/* A ring of little memory has smaller chunks, so that few entries are evicted
 * at a time. */
static size_t chunk_bytes_for(size_t max_bytes) {
  size_t bytes = max_bytes / 16;
  if (bytes > TTI_CHUNK_BYTES)
    return TTI_CHUNK_BYTES;
  return bytes < TTI_CHUNK_MIN_BYTES ? TTI_CHUNK_MIN_BYTES : bytes;
}

tt_error tt_stream_new(const tt_stream_options *options,
                       tt_stream **out_stream) {
  static const tt_stream_options defaults;
  if (!out_stream)
    return TT_EINVAL;
  if (!options)
    options = &defaults;
  if (options->entries > MAX_ENTRIES)
    return TT_EINVAL;
  tt_stream *stream = aligned_alloc(TTI_CACHE_LINE, sizeof(*stream));
  if (!stream)
    return TT_ENOMEM;
  *stream = (tt_stream){
      .max_entries = options->entries ? options->entries : DEFAULT_ENTRIES,
      .max_bytes = options->bytes ? options->bytes : DEFAULT_BYTES,
      .pid = getpid(),
      .log = options->log,
  };
  stream->chunk_bytes = chunk_bytes_for(stream->max_bytes);
  size_t slots = power_of_two(stream->max_entries);
  stream->mask = slots - 1;
  tt_error error = TT_ENOMEM;
  stream->slots = calloc(slots, sizeof(slot));
  if (!stream->slots)
    goto fail_slots;
  if (pthread_mutex_init(&stream->mutex, NULL))
    goto fail_mutex;
  error = tti_bell_init(&stream->bell);
  if (error)
    goto fail_bell;
  *out_stream = stream;
  return TT_OK;

fail_bell:
  pthread_mutex_destroy(&stream->mutex);
fail_mutex:
  free(stream->slots);
fail_slots:
  free(stream);
  return error;
}

bool tti_stream_is_foreign(const tt_stream *stream) {
  return stream->pid != getpid();
}

void tt_stream_close(tt_stream *stream) {
  if (!stream || tti_stream_is_foreign(stream))
    return;
  pthread_mutex_lock(&stream->mutex);
  /* release: a reader that sees it sees every publish before it. */
  atomic_store_explicit(&stream->closed, true, memory_order_release);
  pthread_mutex_unlock(&stream->mutex);
  tti_bell_wake_readers(&stream->bell);
}

void tt_stream_free(tt_stream *stream) {
  if (!stream)
    return;
  if (!tti_stream_is_foreign(stream)) {
    tt_stream_close(stream);
    tti_bell_fini(&stream->bell);
    pthread_mutex_destroy(&stream->mutex);
  }
  tti_chunk_free_all(stream);
  free(stream->slots);
  free(stream);
}

tt_error tti_stream_start_after(tt_stream *stream, uint64_t seq) {
  if (!stream)
    return TT_EINVAL;
  tt_error error = TT_OK;
  pthread_mutex_lock(&stream->mutex);
  if (atomic_load_explicit(&stream->head, memory_order_relaxed) > 0) {
    error = TT_ESTATE;
  } else {
    stream->base_seq = seq;
    atomic_store_explicit(&stream->last_seq, seq, memory_order_release);
  }
  pthread_mutex_unlock(&stream->mutex);
  return error;
}

void tti_stream_on_publish(tt_stream *stream, void (*wake)(void *context),
                           void *context) {
  if (!stream)
    return;
  stream->wake = wake;
  stream->wake_context = context;
}

/* The ring is larger than the cache of a processor: the lines that the next
 * publish will write are asked for now, so that it need not wait for them. */
static void fetch_ahead(tt_stream *stream, const chunk *c, uint64_t head) {
  __builtin_prefetch(tti_slot_at(stream, head), 1);
  for (size_t ahead = 0; ahead < 6; ahead++)
    __builtin_prefetch(c->bytes + c->used + ahead * TTI_CACHE_LINE, 1);
}

/* Under the mutex: the entry at head, of which the bytes are written. Without
 * a chunk it is a hole. */
static void commit(tt_stream *stream, uint64_t seq, int64_t received_us,
                   chunk *c, size_t offset, size_t len) {
  uint64_t head = atomic_load_explicit(&stream->head, memory_order_relaxed);
  slot *s = tti_slot_at(stream, head);
  if (c) {
    c->used += len;
    c->live++;
  }
  /* release: who loads one of these with acquire sees the tail that declared
   * the slot's former entry gone. */
  atomic_store_explicit(&s->seq, seq, memory_order_release);
  atomic_store_explicit(&s->received_us, received_us, memory_order_release);
  atomic_store_explicit(&s->chunk, c, memory_order_release);
  atomic_store_explicit(&s->offset, (uint32_t)offset, memory_order_release);
  atomic_store_explicit(&s->len, (uint32_t)len, memory_order_release);
  atomic_store_explicit(&stream->last_seq, seq, memory_order_release);
  /* release: who sees the new head sees the slot and the bytes. */
  atomic_store_explicit(&stream->head, head + 1, memory_order_release);
  if (c)
    fetch_ahead(stream, c, head + 1);
}

/* Releases the mutex; wakes whom it may concern. */
static void unlock_published(tt_stream *stream) {
  bool ring = stream->armed;
  stream->armed = false;
  pthread_mutex_unlock(&stream->mutex);
  if (ring)
    tti_bell_ring(&stream->bell);
  if (stream->wake)
    stream->wake(stream->wake_context);
}

tt_error tti_stream_append(tt_stream *stream, uint64_t seq, int64_t received_us,
                           tti_slice record) {
  if (!stream || record.len > UINT32_MAX)
    return TT_EINVAL;
  chunk *c = NULL;
  size_t offset = 0;
  tt_error error = TT_OK;
  pthread_mutex_lock(&stream->mutex);
  if (atomic_load_explicit(&stream->closed, memory_order_relaxed))
    error = TT_ECLOSED;
  else if (seq <= atomic_load_explicit(&stream->last_seq, memory_order_relaxed))
    error = TT_EINVAL;
  if (error) {
    pthread_mutex_unlock(&stream->mutex);
    return error;
  }
  error = tti_chunk_reserve(stream, record.len, &c, &offset);
  if (!error && record.len)
    memcpy(c->bytes + offset, record.ptr, record.len);
  commit(stream, seq, received_us, c, offset, record.len);
  unlock_published(stream);
  return error;
}

static tt_error publish_record(tt_stream *stream, const tti_record *record,
                               int64_t received_us, uint64_t *out_seq) {
  size_t len = tti_record_size(record);
  if (len > UINT32_MAX)
    return TT_EINVAL;
  chunk *c;
  size_t offset;
  tt_error error = TT_ECLOSED;
  pthread_mutex_lock(&stream->mutex);
  if (!atomic_load_explicit(&stream->closed, memory_order_relaxed))
    error = tti_chunk_reserve(stream, len, &c, &offset);
  if (error) {
    pthread_mutex_unlock(&stream->mutex);
    return error;
  }
  tti_record_encode(record, c->bytes + offset);
  uint64_t seq =
      atomic_load_explicit(&stream->last_seq, memory_order_relaxed) + 1;
  commit(stream, seq, received_us, c, offset, len);
  unlock_published(stream);
  *out_seq = seq;
  return TT_OK;
}

/* What the event became: all but its texts may differ from the caller's. */
static void fill_envelope(const tt_event *event, const tti_record *record,
                          uint64_t seq, int64_t received_us,
                          tt_envelope *out_envelope) {
  *out_envelope =
      (tt_envelope){.seq = seq, .received_us = received_us, .event = *event};
  out_envelope->event.ts_us = record->ts_us;
  out_envelope->event.truncated = record->truncated;
  out_envelope->event.data = record->data.len ? record->data.ptr : NULL;
  out_envelope->event.data_len = record->data.len;
}

tt_error tti_stream_publish_as(tt_stream *stream, const tt_event *event,
                               tti_kind kind, uint64_t *out_seq,
                               tt_envelope *out_envelope) {
  tti_buf metadata;
  tti_record record;
  uint64_t seq = 0;
  tti_buf_init(&metadata, MAX_METADATA_BYTES);
  tt_error error = tti_record_from_event(event, kind, &metadata, &record);
  if (!error) {
    int64_t now_us = tti_wall_us(&tti_clock_system);
    if (record.ts_us == 0)
      record.ts_us = now_us;
    tti_record_truncate(&record);
    error = publish_record(stream, &record, now_us, &seq);
    if (!error && out_seq)
      *out_seq = seq;
    if (!error && out_envelope)
      fill_envelope(event, &record, seq, now_us, out_envelope);
  }
  tti_buf_fini(&metadata);
  return error;
}

tt_error tt_stream_publish(tt_stream *stream, const tt_event *event,
                           uint64_t *out_seq) {
  if (!stream)
    return TT_EINVAL;
  if (!event) {
    tti_log(&stream->log, TT_LEVEL_ERROR,
            "stream: publish without an event; nothing was published");
    return TT_EINVAL;
  }
  return tti_stream_publish_as(stream, event, TTI_KIND_RELAY, out_seq, NULL);
}

uint64_t tt_stream_seq(const tt_stream *stream) {
  return stream ? atomic_load_explicit(&stream->last_seq, memory_order_acquire)
                : 0;
}

uint64_t tt_stream_dropped(const tt_stream *stream) {
  return stream ? atomic_load_explicit(&stream->dropped, memory_order_relaxed)
                : 0;
}

void tti_stream_usage_get(const tt_stream *stream,
                          tti_stream_usage *out_usage) {
  *out_usage = (tti_stream_usage){0};
  if (!stream)
    return;
  /* Taking the lock and freeing what readers let go changes nothing that a
   * caller could tell. */
  tt_stream *own = (tt_stream *)stream;
  pthread_mutex_lock(&own->mutex);
  tti_chunk_reclaim(own);
  uint64_t head = atomic_load_explicit(&own->head, memory_order_relaxed);
  uint64_t tail = atomic_load_explicit(&own->tail, memory_order_relaxed);
  if (tail < head)
    out_usage->first_seq = atomic_load_explicit(&tti_slot_at(own, tail)->seq,
                                                memory_order_relaxed);
  out_usage->last_seq =
      atomic_load_explicit(&own->last_seq, memory_order_relaxed);
  out_usage->entries = (size_t)(head - tail);
  out_usage->bytes = own->held_bytes;
  out_usage->pinned_bytes = own->evicted_bytes;
  pthread_mutex_unlock(&own->mutex);
}
