#include "server/store/tables/fleet_keys.h"

/* When a key was last seen is written no more often. */
#define SEEN_US (INT64_C(3600) * 1000000)

bool fleet_key_set_has(const fleet_key_set *set, int64_t n) {
  size_t at = (size_t)n / 8;
  return n > 0 && at < set->len && (set->bits[at] >> (n % 8) & 1);
}

bool fleet_key_set_add(fleet_key_set *set, int64_t n) {
  size_t at = (size_t)n / 8;
  if (fleet_key_set_has(set, n))
    return false;
  if (at >= set->len) {
    memset(set->bits + set->len, 0, at + 1 - set->len);
    set->len = at + 1;
  }
  set->bits[at] = (unsigned char)(set->bits[at] | 1u << n % 8);
  return true;
}

static tt_error insert(store_tx *tx, tti_slice key, unsigned shape,
                       int64_t now_us, int64_t *out_n) {
  sqlite3_stmt *stmt = tx_prepare(tx, "SELECT max(n) FROM fleet_keys");
  int64_t last = tx_step(tx, stmt) ? sqlite3_column_int64(stmt, 0) : 0;
  tt_error error = tx_end(tx, stmt);
  if (error)
    return error;
  *out_n = 0;
  if (last >= FLEET_KEYS_MAX)
    return TT_OK;
  stmt = tx_prepare(tx, "INSERT INTO fleet_keys VALUES(?1, ?2, ?3, 1, ?4, ?4)");
  tx_bind_int(stmt, 1, last + 1);
  tx_bind_slice(stmt, 2, key);
  tx_bind_int(stmt, 3, 1 << shape);
  tx_bind_int(stmt, 4, now_us);
  error = tx_run(tx, stmt);
  if (!error)
    *out_n = last + 1;
  return error;
}

tt_error fleet_keys_see(store_tx *tx, tti_slice key, unsigned shape,
                        int64_t now_us, fleet_key_set *set, int64_t *out_n) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "SELECT n, shapes, last_us FROM fleet_keys WHERE key = ?1");
  tx_bind_slice(stmt, 1, key);
  int64_t n = 0, shapes = 0, last_us = 0;
  if (tx_step(tx, stmt)) {
    n = sqlite3_column_int64(stmt, 0);
    shapes = sqlite3_column_int64(stmt, 1);
    last_us = sqlite3_column_int64(stmt, 2);
  }
  tt_error error = tx_end(tx, stmt);
  if (!error && !n) {
    error = insert(tx, key, shape, now_us, &n);
    if (!error && n)
      fleet_key_set_add(set, n);
  } else if (!error) {
    bool first = fleet_key_set_add(set, n);
    if (first || !(shapes >> shape & 1) || now_us - last_us >= SEEN_US) {
      stmt = tx_prepare(tx, "UPDATE fleet_keys SET shapes = shapes | ?2,"
                            " instances = instances + ?3, last_us = ?4"
                            " WHERE n = ?1");
      tx_bind_int(stmt, 1, n);
      tx_bind_int(stmt, 2, 1 << shape);
      tx_bind_int(stmt, 3, first);
      tx_bind_int(stmt, 4, now_us);
      error = tx_run(tx, stmt);
    }
  }
  if (!error)
    *out_n = n;
  return error;
}

sqlite3_stmt *fleet_keys_before(store_tx *tx, int64_t n) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT n, key, shapes, instances, first_us, last_us"
                     " FROM fleet_keys WHERE n < ?1 ORDER BY n DESC");
  tx_bind_int(stmt, 1, n);
  return stmt;
}

bool fleet_keys_step(store_tx *tx, sqlite3_stmt *stmt, fleet_key_row *out_row) {
  if (!tx_step(tx, stmt))
    return false;
  *out_row = (fleet_key_row){.n = sqlite3_column_int64(stmt, 0),
                             .key = column_blob(stmt, 1),
                             .shapes = (unsigned)sqlite3_column_int(stmt, 2),
                             .instances = sqlite3_column_int64(stmt, 3),
                             .first_us = sqlite3_column_int64(stmt, 4),
                             .last_us = sqlite3_column_int64(stmt, 5)};
  return true;
}

tt_error fleet_keys_match(store_tx *tx, tti_slice pattern,
                          const fleet_key_set *set, bool *out_match) {
  bool prefix = pattern.len && pattern.ptr[pattern.len - 1] == '*';
  /* No text in UTF-8 has a byte 0xff, so all that begin so are below. */
  sqlite3_stmt *stmt =
      prefix ? tx_prepare(tx, "SELECT n FROM fleet_keys WHERE key >= ?1"
                              " AND key < ?1 || CAST(x'ff' AS TEXT)")
             : tx_prepare(tx, "SELECT n FROM fleet_keys WHERE key = ?1");
  tx_bind_slice(stmt, 1, (tti_slice){pattern.ptr, pattern.len - prefix});
  bool match = false;
  while (!match && tx_step(tx, stmt))
    match = fleet_key_set_has(set, sqlite3_column_int64(stmt, 0));
  tt_error error = tx_end(tx, stmt);
  if (!error)
    *out_match = match;
  return error;
}
