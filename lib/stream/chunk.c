#include "lib/stream/internal.h"

#include <stdlib.h>

/* Where `tail` and `head` are only ever written under the mutex, the holder of
 * the mutex reads them relaxed. */
static uint64_t own(_Atomic uint64_t *counter) {
  return atomic_load_explicit(counter, memory_order_relaxed);
}

static bool pinned_by_reader(tt_stream *stream, const chunk *c) {
  for (tt_reader *r = stream->readers; r; r = r->next)
    if (atomic_load_explicit(&r->pinned, memory_order_seq_cst) == c)
      return true;
  return false;
}

/* A chunk that nobody can see: kept for the next use, or freed. */
static void recycle(tt_stream *stream, chunk *c) {
  if (!stream->spare && c->size == stream->chunk_bytes &&
      stream->held_bytes + c->size <= stream->max_bytes) {
    c->used = 0;
    stream->spare = c;
    stream->held_bytes += c->size;
  } else {
    free(c);
  }
}

void tti_chunk_reclaim(tt_stream *stream) {
  chunk **link = &stream->evicted;
  while (*link) {
    chunk *c = *link;
    if (pinned_by_reader(stream, c)) {
      link = &c->next;
      continue;
    }
    *link = c->next;
    stream->evicted_bytes -= c->size;
    recycle(stream, c);
  }
}

/* Takes a chunk without living entries out of the ring. */
static void retire(tt_stream *stream, chunk *c) {
  /* The value is there already; this store is the seq_cst one that readers'
   * loads are ordered against. */
  atomic_store_explicit(&stream->tail, own(&stream->tail),
                        memory_order_seq_cst);
  stream->held_bytes -= c->size;
  c->next = stream->evicted;
  stream->evicted = c;
  stream->evicted_bytes += c->size;
  tti_chunk_reclaim(stream);
}

void tti_stream_evict(tt_stream *stream) {
  uint64_t tail = own(&stream->tail);
  slot *s = tti_slot_at(stream, tail);
  chunk *c = atomic_load_explicit(&s->chunk, memory_order_relaxed);
  atomic_store_explicit(&stream->tail, tail + 1, memory_order_release);
  if (c && --c->live == 0 && c != stream->active)
    retire(stream, c);
}

static void retire_active(tt_stream *stream) {
  chunk *c = stream->active;
  stream->active = NULL;
  if (c && c->live == 0)
    retire(stream, c);
}

static void free_spare(tt_stream *stream) {
  if (!stream->spare)
    return;
  stream->held_bytes -= stream->spare->size;
  free(stream->spare);
  stream->spare = NULL;
}

/* Evicts until `size` more bytes fit. The newest entry may be larger than the
 * whole ring: then it is alone in it. */
static void make_room(tt_stream *stream, size_t size) {
  while (stream->held_bytes + size > stream->max_bytes) {
    if (stream->spare && size != stream->chunk_bytes)
      free_spare(stream);
    else if (stream->spare)
      return;
    else if (own(&stream->tail) < own(&stream->head))
      tti_stream_evict(stream);
    else if (stream->active)
      retire_active(stream);
    else
      return;
  }
}

static chunk *chunk_new(tt_stream *stream, size_t size) {
  make_room(stream, size);
  chunk *c = NULL;
  if (stream->spare && size == stream->chunk_bytes) {
    c = stream->spare;
    stream->spare = NULL;
    return c;
  }
  c = malloc(size);
  if (!c)
    return NULL;
  *c = (chunk){.size = size};
  stream->held_bytes += size;
  return c;
}

tt_error tti_chunk_reserve(tt_stream *stream, size_t len, chunk **out_chunk,
                           size_t *out_offset) {
  while (own(&stream->head) - own(&stream->tail) >= stream->max_entries)
    tti_stream_evict(stream);
  chunk *c = stream->active;
  if (len > stream->chunk_bytes / 4) {
    /* A chunk of its own: at most a quarter of a common one is ever wasted at
     * its end. The one being filled stays in use. */
    c = chunk_new(stream, sizeof(*c) + len);
  } else if (!c || c->size - sizeof(*c) - c->used < len) {
    retire_active(stream);
    c = chunk_new(stream, stream->chunk_bytes);
    stream->active = c;
  }
  if (!c)
    return TT_ENOMEM;
  *out_chunk = c;
  *out_offset = c->used;
  return TT_OK;
}

void tti_chunk_free_all(tt_stream *stream) {
  uint64_t head = own(&stream->head);
  for (uint64_t p = own(&stream->tail); p < head; p++) {
    slot *s = tti_slot_at(stream, p);
    chunk *c = atomic_load_explicit(&s->chunk, memory_order_relaxed);
    if (c && --c->live == 0 && c != stream->active)
      free(c);
  }
  free(stream->active);
  free(stream->spare);
  while (stream->evicted) {
    chunk *c = stream->evicted;
    stream->evicted = c->next;
    free(c);
  }
}
