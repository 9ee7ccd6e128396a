#include "server/feed/piece.h"
#include "server/feed/frame.h"
#include <stdlib.h>

/* PIECE_BYTES, and on top of it one record of any size. */
#define FRAMES_MAX_BYTES (16u << 20)

void piece_free(piece *p) {
  if (!p)
    return;
  topic_chunk_unref(p->chunk);
  free(p);
}

void piece_begin(piece_builder *b, const piece_key *key) {
  *b = (piece_builder){.key = *key, .covered = key->after};
  tti_buf_init(&b->frames, FRAMES_MAX_BYTES);
}

static bool piece_is_full(const piece_builder *b, uint64_t seq) {
  if (b->frames.len >= PIECE_BYTES)
    return true;
  return b->events > 0 && topic_is_unfiltered(b->key.topic) &&
         (seq - 1) / PIECE_SEQS != (b->covered - 1) / PIECE_SEQS;
}

bool piece_add(piece_builder *b, uint64_t seq, const tti_record *record) {
  if (piece_is_full(b, seq))
    return false;
  frame_event(&b->frames, b->key.view, seq, record);
  b->covered = seq;
  b->last_id = seq;
  b->events++;
  return true;
}

void piece_add_dropped(piece_builder *b, uint64_t from_seq, uint64_t to_seq,
                       const char *reason) {
  if (b->key.slow && strcmp(reason, "retention") == 0)
    reason = "slow";
  frame_dropped(&b->frames, from_seq, to_seq, reason);
  b->covered = to_seq;
  b->last_id = to_seq;
  b->dropped += to_seq - from_seq + 1;
}

void piece_add_damaged(piece_builder *b, uint64_t from_seq, uint64_t to_seq) {
  piece_add_dropped(b, from_seq, to_seq, "damaged");
  b->damaged = true;
}

piece *piece_end(piece_builder *b, uint64_t to_seq) {
  piece *p = NULL;
  if (b->frames.error == TT_OK)
    p = calloc(1, sizeof(*p));
  if (!p)
    goto out;
  p->key = b->key;
  p->to_seq = to_seq;
  p->last_id = b->last_id;
  p->events = b->events;
  p->dropped = b->dropped;
  p->damaged = b->damaged;
  list_init(&p->bucket);
  list_init(&p->age);
  if (b->frames.len > 0) {
    p->chunk = topic_chunk_take(&b->frames);
    if (!p->chunk) {
      free(p);
      p = NULL;
    }
  }
out:
  tti_buf_fini(&b->frames);
  return p;
}

void piece_abandon(piece_builder *b) {
  tti_buf_fini(&b->frames);
}

/* ---- From the store ---- */

typedef struct range_walk {
  const store_range *ranges;
  size_t count;
  size_t at;
} range_walk;

/* Tells what is missing between the builder's end and `before` (exclusive).
 * With a row at `before`: a range that reaches over it was recorded while the
 * rows were being read, and says nothing about those that follow. */
static void tell_dropped(piece_builder *b, range_walk *walk, uint64_t before) {
  for (; walk->at < walk->count; walk->at++) {
    const store_range *range = &walk->ranges[walk->at];
    if (range->from_seq >= before)
      return;
    uint64_t from = range->from_seq;
    if (from <= b->covered)
      from = b->covered + 1;
    uint64_t to = range->to_seq < before ? range->to_seq : before - 1;
    if (from <= to)
      piece_add_dropped(b, from, to, range->reason);
  }
}

static bool pieces_push(list_node *pieces, piece *p) {
  if (p)
    list_push(pieces, &p->age);
  return p != NULL;
}

static void pieces_free(list_node *pieces) {
  while (!list_is_empty(pieces)) {
    piece *p = LIST_ENTRY(pieces->next, piece, age);
    list_remove(&p->age);
    piece_free(p);
  }
}

tt_error piece_from_read(const piece_key *key, const store_read *read,
                         const store_range *ranges, size_t range_count,
                         uint64_t end, list_node *out_pieces) {
  range_walk walk = {.ranges = ranges, .count = range_count};
  list_node pieces;
  list_init(&pieces);
  piece_builder b;
  piece_begin(&b, key);
  size_t offset = 0;
  store_row row;
  tti_slice bytes;
  while (store_row_next(read, &offset, &row, &bytes) && row.seq <= end) {
    tti_record record;
    if (row.seq <= b.covered)
      continue;
    tell_dropped(&b, &walk, row.seq);
    if (tti_record_decode(bytes, &record) != TT_OK) {
      piece_add_damaged(&b, row.seq, row.seq);
      continue;
    }
    if (piece_add(&b, row.seq, &record))
      continue;
    piece_key next = *key;
    next.after = b.covered;
    if (!pieces_push(&pieces, piece_end(&b, b.covered)))
      goto fail;
    piece_begin(&b, &next);
    piece_add(&b, row.seq, &record);
  }
  if (end < UINT64_MAX)
    tell_dropped(&b, &walk, end + 1);
  if (end > b.key.after) {
    if (!pieces_push(&pieces, piece_end(&b, end)))
      goto fail;
  } else {
    piece_abandon(&b);
  }
  list_init(out_pieces);
  list_splice(out_pieces, &pieces);
  return TT_OK;
fail:
  piece_abandon(&b);
  pieces_free(&pieces);
  return TT_ENOMEM;
}

/* ---- The cache ---- */

static size_t piece_bytes(const piece *p) {
  return sizeof(*p) + (p->chunk ? sizeof(*p->chunk) + p->chunk->len : 0);
}

static list_node *bucket_of(piece_cache *cache, const piece_key *key) {
  uint64_t mixed = ((uint64_t)(uintptr_t)key->topic >> 4) * 31 + key->after;
  mixed = (mixed * 2 + key->view) * 2 + key->slow;
  mixed *= 0x9e3779b97f4a7c15u;
  return &cache->buckets[mixed >> 56];
}

static void cache_drop(piece_cache *cache, piece *p) {
  list_remove(&p->bucket);
  list_remove(&p->age);
  cache->bytes -= piece_bytes(p);
  piece_free(p);
}

void cache_init(piece_cache *cache, size_t max_bytes) {
  for (size_t i = 0; i < CACHE_BUCKETS; i++)
    list_init(&cache->buckets[i]);
  list_init(&cache->ages);
  cache->bytes = 0;
  cache->max_bytes = max_bytes;
}

void cache_fini(piece_cache *cache) {
  while (!list_is_empty(&cache->ages))
    cache_drop(cache, LIST_ENTRY(cache->ages.next, piece, age));
}

piece *cache_find(piece_cache *cache, const piece_key *key) {
  list_node *bucket = bucket_of(cache, key);
  for (list_node *at = bucket->next; at != bucket; at = at->next) {
    piece *p = LIST_ENTRY(at, piece, bucket);
    if (p->key.topic == key->topic && p->key.view == key->view &&
        p->key.after == key->after && p->key.slow == key->slow) {
      list_move(&cache->ages, &p->age);
      return p;
    }
  }
  return NULL;
}

void cache_put(piece_cache *cache, piece *p) {
  piece *old = cache_find(cache, &p->key);
  if (old)
    cache_drop(cache, old);
  list_push(bucket_of(cache, &p->key), &p->bucket);
  list_push(&cache->ages, &p->age);
  cache->bytes += piece_bytes(p);
  while (cache->bytes > cache->max_bytes && cache->ages.next != &p->age)
    cache_drop(cache, LIST_ENTRY(cache->ages.next, piece, age));
}

void cache_forget(piece_cache *cache, const topic *t) {
  for (list_node *at = cache->ages.next, *next; at != &cache->ages; at = next) {
    next = at->next;
    piece *p = LIST_ENTRY(at, piece, age);
    if (p->key.topic == t)
      cache_drop(cache, p);
  }
}
