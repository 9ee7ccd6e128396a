#ifndef STORE_TABLES_FLEET_BUCKETS_H
#define STORE_TABLES_FLEET_BUCKETS_H

#include "server/store/tables/tables.h"

/* What instances told, added up. A series is a key as all instances tell it, or
 * as those tell it that have one value of a dimension ("version" "1.4"), or one
 * of the values that there was no room for ("other"). It has a bucket for each
 * hour and for each day in which it was told. The key "" stands for the updates
 * themselves. */
typedef struct fleet_series {
  int64_t n;
  tti_slice key;
  tti_slice dimension; /* empty: all instances */
  tti_slice value;
  bool other;
  int64_t first_us, last_us; /* receipt of its first update and its last */
} fleet_series;

/* Ceilings: series in all, and values that a dimension has for one key. Those
 * of "other" come on top, one for each key and dimension. */
enum { FLEET_SERIES_MAX = 10000, FLEET_DIMENSION_VALUES_MAX = 200 };

/* Finds or makes the series, which is told from first_us to last_us too, and
 * sets its n; where there is no room for one more value of the dimension it
 * becomes "other". Where there is room for nothing, n is 0. `held` remembers
 * how many there are during a transaction: -1 at first. */
tt_error fleet_series_claim(store_tx *tx, fleet_series *series, int64_t *held);

/* Walks the series of a key and dimension; tx_end at the end. The texts are
 * borrowed until the next. */
sqlite3_stmt *fleet_series_of(store_tx *tx, tti_slice key, tti_slice dimension);
bool fleet_series_next(store_tx *tx, sqlite3_stmt *stmt,
                       fleet_series *out_series);

/* ---- Buckets ---- */

typedef enum fleet_span { FLEET_HOURS, FLEET_DAYS } fleet_span;

/* The bucket of a moment, and the moment at which one begins. */
int64_t fleet_bucket_of(fleet_span span, int64_t us);
int64_t fleet_bucket_begin_us(fleet_span span, int64_t bucket);

/* The blobs are server/fleet's. */
typedef struct fleet_bucket {
  int64_t bucket;
  uint64_t updates, numbers;
  double sum, min, max;
  tti_slice sketch, instances, tally;
} fleet_bucket;

/* Walks the buckets from `first` to before `end`, in order; tx_end at the end.
 * Blobs are borrowed until the next. */
sqlite3_stmt *fleet_buckets(store_tx *tx, int64_t series_n, fleet_span span,
                            int64_t first, int64_t end);
bool fleet_buckets_next(store_tx *tx, sqlite3_stmt *stmt,
                        fleet_bucket *out_bucket);

/* How many updates they have together. */
tt_error fleet_buckets_updates(store_tx *tx, int64_t series_n, fleet_span span,
                               int64_t first, int64_t end,
                               uint64_t *out_updates);

/* Writes one in the place of what was there. */
tt_error fleet_buckets_put(store_tx *tx, int64_t series_n, fleet_span span,
                           const fleet_bucket *bucket);

/* Takes away what the next series after `after_n` has from before the hour and
 * the day, and the series too when it was not told since the day. *out_n: which
 * that was; 0: it was the last. */
tt_error fleet_buckets_expire(store_tx *tx, int64_t after_n, int64_t hour,
                              int64_t day, int64_t *out_n);

/* ---- How far the updates were added up ---- */

/* An update as it was kept, and what its instance told last. */
typedef struct fleet_told {
  int64_t n;
  int64_t instance_n;
  int64_t received_us;
  tti_slice data;   /* JSON; ptr NULL: none */
  tti_slice fields; /* JSON; ptr NULL: the instance is gone */
} fleet_told;

/* Walks the updates after `n`, in order; tx_end at the end. The texts are
 * borrowed until the next. */
sqlite3_stmt *fleet_told_after(store_tx *tx, int64_t n);
bool fleet_told_next(store_tx *tx, sqlite3_stmt *stmt, fleet_told *out_told);

/* Each series belongs to one of these by the hash of its names, and each of
 * these is as far as its number of an update says. */
enum { FLEET_SHARDS = 64 };

tt_error fleet_shards_load(store_tx *tx, int64_t out_n[FLEET_SHARDS]);
/* Up to which all of them are. */
tt_error fleet_shards_least(store_tx *tx, int64_t *out_n);
/* How many updates came since. */
tt_error fleet_shards_behind(store_tx *tx, int64_t *out_updates);
tt_error fleet_shards_save(store_tx *tx, int shard, int64_t n);

#endif
