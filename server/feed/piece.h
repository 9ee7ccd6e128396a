#ifndef FEED_PIECE_H
#define FEED_PIECE_H

#include "server/feed/topic.h"
#include "server/store/store.h"

/* A stretch of the past, rendered: all that a topic shows in one view of the
 * seqs after `after` up to `to_seq`. It never changes, so that many who come
 * back at the same place share it. */
typedef struct piece_key {
  topic *topic;
  tti_view view;
  uint64_t after;
  bool slow; /* for one who fell behind while connected: reason "slow" */
} piece_key;

typedef struct piece {
  list_node bucket;
  list_node age;
  piece_key key; /* borrows the topic: forgotten before that goes */
  uint64_t to_seq;
  uint64_t last_id; /* of the last frame; 0: there is none */
  size_t events;
  uint64_t dropped;
  bool damaged;      /* some of them, since the store is */
  http_chunk *chunk; /* NULL: nothing to show */
} piece;

void piece_free(piece *p);

/* A piece is closed when it holds this many bytes; for topics without a filter
 * also where a seq passes a multiple of PIECE_SEQS, so that those who started
 * at different places soon share the same pieces. */
#define PIECE_BYTES ((size_t)64 << 10)
#define PIECE_SEQS  256

/* Builds one piece from records in order. */
typedef struct piece_builder {
  piece_key key;
  tti_buf frames;
  uint64_t covered; /* everything up to here is in */
  uint64_t last_id;
  size_t events;
  uint64_t dropped;
  bool damaged;
} piece_builder;

void piece_begin(piece_builder *b, const piece_key *key);
/* False: the piece is full; end it and begin the next with this record. */
bool piece_add(piece_builder *b, uint64_t seq, const tti_record *record);
void piece_add_dropped(piece_builder *b, uint64_t from_seq, uint64_t to_seq,
                       const char *reason);
/* Dropped, since the store has them but cannot read them. */
void piece_add_damaged(piece_builder *b, uint64_t from_seq, uint64_t to_seq);
/* The piece up to `to_seq`, the caller's; NULL when out of memory. The builder
 * is empty afterwards. */
piece *piece_end(piece_builder *b, uint64_t to_seq);
void piece_abandon(piece_builder *b);

/* The pieces that one read of the store makes, in order, linked by `age`.
 * `end`: everything up to there is in the rows or in the ranges. A piece that
 * begins at its end is not made. A row that cannot be decoded is told as
 * dropped. TT_ENOMEM: nothing was made. */
tt_error piece_from_read(const piece_key *key, const store_read *read,
                         const store_range *ranges, size_t range_count,
                         uint64_t end, list_node *out_pieces);

/* ---- The cache: the most recently used pieces, bounded by bytes ---- */

#define CACHE_BUCKETS 256

typedef struct piece_cache {
  list_node buckets[CACHE_BUCKETS];
  list_node ages; /* oldest use first */
  size_t bytes;
  size_t max_bytes;
} piece_cache;

void cache_init(piece_cache *cache, size_t max_bytes);
void cache_fini(piece_cache *cache);
/* Borrowed until the next cache_put or cache_forget. */
piece *cache_find(piece_cache *cache, const piece_key *key);
/* Takes the piece over. The newest always stays, however large. */
void cache_put(piece_cache *cache, piece *p);
/* Drops what belongs to a topic. */
void cache_forget(piece_cache *cache, const topic *t);

#endif
