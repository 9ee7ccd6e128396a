#include "server/store/tables/fleet_buckets.h"

/* A bucket's row is numbered so that those of one series and span lie side by
 * side, in the order of time:
 *
 *   63        32 31     30                              0
 *   | series n  | span | hours or days since 1970-01-01 |
 */
#define SERIES_SHIFT 32
#define SPAN_SHIFT   31
#define BUCKET_MASK  (((int64_t)1 << SPAN_SHIFT) - 1)
#define HOUR_US      INT64_C(3600000000)

/* ---- Series ---- */

static int64_t count(store_tx *tx, sqlite3_stmt *stmt) {
  int64_t n = tx_step(tx, stmt) ? sqlite3_column_int64(stmt, 0) : 0;
  tx_end(tx, stmt);
  return n;
}

static int64_t find(store_tx *tx, const fleet_series *s) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT n FROM fleet_series WHERE key = ?1 AND"
                     " dimension = ?2 AND other = ?3 AND value = ?4");
  tx_bind_slice(stmt, 1, s->key);
  tx_bind_slice(stmt, 2, s->dimension);
  tx_bind_int(stmt, 3, s->other);
  tx_bind_slice(stmt, 4, s->value);
  return count(tx, stmt);
}

static int64_t values_of(store_tx *tx, const fleet_series *s) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT count(*) FROM fleet_series WHERE key = ?1 AND"
                     " dimension = ?2 AND other = 0");
  tx_bind_slice(stmt, 1, s->key);
  tx_bind_slice(stmt, 2, s->dimension);
  return count(tx, stmt);
}

static tt_error insert(store_tx *tx, fleet_series *s, int64_t *held) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "INSERT INTO fleet_series(key, dimension, other, value, first_us,"
          " last_us) VALUES(?1, ?2, ?3, ?4, ?5, ?6)");
  tx_bind_slice(stmt, 1, s->key);
  tx_bind_slice(stmt, 2, s->dimension);
  tx_bind_int(stmt, 3, s->other);
  tx_bind_slice(stmt, 4, s->value);
  tx_bind_int(stmt, 5, s->first_us);
  tx_bind_int(stmt, 6, s->last_us);
  tt_error error = tx_run(tx, stmt);
  s->n = error ? 0 : tx_last_rowid(tx);
  ++*held;
  return error;
}

static tt_error touch(store_tx *tx, const fleet_series *s) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "UPDATE fleet_series SET first_us = min(first_us, ?2),"
                     " last_us = max(last_us, ?3) WHERE n = ?1");
  tx_bind_int(stmt, 1, s->n);
  tx_bind_int(stmt, 2, s->first_us);
  tx_bind_int(stmt, 3, s->last_us);
  return tx_run(tx, stmt);
}

tt_error fleet_series_claim(store_tx *tx, fleet_series *series, int64_t *held) {
  series->n = find(tx, series);
  if (series->n)
    return touch(tx, series);
  if (*held < 0)
    *held = count(tx, tx_prepare(tx, "SELECT count(*) FROM fleet_series"));
  bool room = *held < FLEET_SERIES_MAX;
  if (!series->dimension.len)
    return room ? insert(tx, series, held) : TT_OK;
  if (room && values_of(tx, series) < FLEET_DIMENSION_VALUES_MAX)
    return insert(tx, series, held);
  series->other = true;
  series->value = TTI_SLICE("");
  series->n = find(tx, series);
  if (series->n)
    return touch(tx, series);
  /* Only beside a key that has its place. */
  fleet_series all = {
      .key = series->key, .dimension = TTI_SLICE(""), .value = TTI_SLICE("")};
  return find(tx, &all) ? insert(tx, series, held) : TT_OK;
}

sqlite3_stmt *fleet_series_of(store_tx *tx, tti_slice key,
                              tti_slice dimension) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "SELECT n, other, value, first_us, last_us FROM fleet_series"
          " WHERE key = ?1 AND dimension = ?2");
  tx_bind_slice(stmt, 1, key);
  tx_bind_slice(stmt, 2, dimension);
  return stmt;
}

bool fleet_series_next(store_tx *tx, sqlite3_stmt *stmt,
                       fleet_series *out_series) {
  if (!tx_step(tx, stmt))
    return false;
  *out_series = (fleet_series){.n = sqlite3_column_int64(stmt, 0),
                               .other = sqlite3_column_int(stmt, 1),
                               .value = column_blob(stmt, 2),
                               .first_us = sqlite3_column_int64(stmt, 3),
                               .last_us = sqlite3_column_int64(stmt, 4)};
  return true;
}

/* ---- Buckets ---- */

int64_t fleet_bucket_of(fleet_span span, int64_t us) {
  int64_t length = span == FLEET_DAYS ? 24 * HOUR_US : HOUR_US;
  return us > 0 ? us / length : 0;
}

int64_t fleet_bucket_begin_us(fleet_span span, int64_t bucket) {
  return bucket * (span == FLEET_DAYS ? 24 * HOUR_US : HOUR_US);
}

static int64_t row_of(int64_t series_n, fleet_span span, int64_t bucket) {
  return series_n << SERIES_SHIFT | (int64_t)span << SPAN_SHIFT | bucket;
}

sqlite3_stmt *fleet_buckets(store_tx *tx, int64_t series_n, fleet_span span,
                            int64_t first, int64_t end) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "SELECT n, updates, numbers, sum, min, max, sketch, instances, tally"
          " FROM fleet_buckets WHERE n >= ?1 AND n < ?2 ORDER BY n");
  tx_bind_int(stmt, 1, row_of(series_n, span, first));
  tx_bind_int(stmt, 2, row_of(series_n, span, end));
  return stmt;
}

bool fleet_buckets_next(store_tx *tx, sqlite3_stmt *stmt,
                        fleet_bucket *out_bucket) {
  if (!tx_step(tx, stmt))
    return false;
  *out_bucket =
      (fleet_bucket){.bucket = sqlite3_column_int64(stmt, 0) & BUCKET_MASK,
                     .updates = column_u64(stmt, 1),
                     .numbers = column_u64(stmt, 2),
                     .sum = sqlite3_column_double(stmt, 3),
                     .min = sqlite3_column_double(stmt, 4),
                     .max = sqlite3_column_double(stmt, 5),
                     .sketch = column_blob(stmt, 6),
                     .instances = column_blob(stmt, 7),
                     .tally = column_blob(stmt, 8)};
  return true;
}

tt_error fleet_buckets_updates(store_tx *tx, int64_t series_n, fleet_span span,
                               int64_t first, int64_t end,
                               uint64_t *out_updates) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "SELECT sum(updates) FROM fleet_buckets WHERE n >= ?1 AND n < ?2");
  tx_bind_int(stmt, 1, row_of(series_n, span, first));
  tx_bind_int(stmt, 2, row_of(series_n, span, end));
  *out_updates = (uint64_t)count(tx, stmt);
  return TT_OK;
}

tt_error fleet_buckets_put(store_tx *tx, int64_t series_n, fleet_span span,
                           const fleet_bucket *bucket) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "REPLACE INTO fleet_buckets(n, updates, numbers, sum, min,"
                     " max, sketch, instances, tally)"
                     " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
  tx_bind_int(stmt, 1, row_of(series_n, span, bucket->bucket));
  tx_bind_int(stmt, 2, (int64_t)bucket->updates);
  if (bucket->numbers) {
    tx_bind_int(stmt, 3, (int64_t)bucket->numbers);
    tx_bind_double(stmt, 4, bucket->sum);
    tx_bind_double(stmt, 5, bucket->min);
    tx_bind_double(stmt, 6, bucket->max);
    tx_bind_bytes(stmt, 7, bucket->sketch.ptr, bucket->sketch.len);
  }
  tx_bind_bytes(stmt, 8, bucket->instances.ptr, bucket->instances.len);
  if (bucket->tally.len)
    tx_bind_bytes(stmt, 9, bucket->tally.ptr, bucket->tally.len);
  return tx_run(tx, stmt);
}

static void take_away(store_tx *tx, int64_t series_n, fleet_span span,
                      int64_t end) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "DELETE FROM fleet_buckets WHERE n >= ?1 AND n < ?2");
  tx_bind_int(stmt, 1, row_of(series_n, span, 0));
  tx_bind_int(stmt, 2, row_of(series_n, span, end));
  tx_run(tx, stmt);
}

tt_error fleet_buckets_expire(store_tx *tx, int64_t after_n, int64_t hour,
                              int64_t day, int64_t *out_n) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT min(n) FROM fleet_series WHERE n > ?1");
  tx_bind_int(stmt, 1, after_n);
  int64_t n = count(tx, stmt);
  if (n) {
    take_away(tx, n, FLEET_HOURS, hour);
    take_away(tx, n, FLEET_DAYS, day);
  }
  stmt = tx_prepare(tx, "DELETE FROM fleet_series WHERE n = ?1 AND"
                        " last_us < ?2");
  tx_bind_int(stmt, 1, n);
  tx_bind_int(stmt, 2, fleet_bucket_begin_us(FLEET_DAYS, day));
  *out_n = n;
  return tx_run(tx, stmt);
}

/* ---- How far ---- */

sqlite3_stmt *fleet_told_after(store_tx *tx, int64_t n) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT u.n, u.instance_n, u.received_us, u.data, i.fields"
                     " FROM fleet_updates u LEFT JOIN fleet_instances i"
                     " ON i.n = u.instance_n WHERE u.n > ?1 ORDER BY u.n");
  tx_bind_int(stmt, 1, n);
  return stmt;
}

bool fleet_told_next(store_tx *tx, sqlite3_stmt *stmt, fleet_told *out_told) {
  if (!tx_step(tx, stmt))
    return false;
  *out_told = (fleet_told){.n = sqlite3_column_int64(stmt, 0),
                           .instance_n = sqlite3_column_int64(stmt, 1),
                           .received_us = sqlite3_column_int64(stmt, 2),
                           .data = column_blob(stmt, 3),
                           .fields = column_blob(stmt, 4)};
  return true;
}

tt_error fleet_shards_load(store_tx *tx, int64_t out_n[FLEET_SHARDS]) {
  sqlite3_stmt *stmt = tx_prepare(tx, "SELECT shard, n FROM fleet_shards");
  memset(out_n, 0, FLEET_SHARDS * sizeof *out_n);
  while (tx_step(tx, stmt)) {
    int64_t shard = sqlite3_column_int64(stmt, 0);
    if (shard >= 0 && shard < FLEET_SHARDS)
      out_n[shard] = sqlite3_column_int64(stmt, 1);
  }
  return tx_end(tx, stmt);
}

tt_error fleet_shards_least(store_tx *tx, int64_t *out_n) {
  int64_t n[FLEET_SHARDS];
  tt_error error = fleet_shards_load(tx, n);
  *out_n = n[0];
  for (size_t i = 1; i < FLEET_SHARDS; i++)
    *out_n = n[i] < *out_n ? n[i] : *out_n;
  return error;
}

tt_error fleet_shards_behind(store_tx *tx, int64_t *out_updates) {
  int64_t n;
  tt_error error = fleet_shards_least(tx, &n);
  int64_t last = count(tx, tx_prepare(tx, "SELECT max(n) FROM fleet_updates"));
  *out_updates = last > n ? last - n : 0;
  return error;
}

tt_error fleet_shards_save(store_tx *tx, int shard, int64_t n) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "REPLACE INTO fleet_shards(shard, n) VALUES(?1, ?2)");
  tx_bind_int(stmt, 1, shard);
  tx_bind_int(stmt, 2, n);
  return tx_run(tx, stmt);
}
