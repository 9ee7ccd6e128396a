#ifndef STORE_TABLES_FLEET_KEYS_H
#define STORE_TABLES_FLEET_KEYS_H

#include "server/store/tables/tables.h"

/* The keys that updates have had, each with a number from 1. None is ever
 * deleted, so a set of numbers is a set of keys for good. */

enum { FLEET_KEYS_MAX = 10000 };

/* A bit for each number. */
typedef struct fleet_key_set {
  unsigned char bits[FLEET_KEYS_MAX / 8 + 1];
  size_t len; /* bytes of it that are in use */
} fleet_key_set;

bool fleet_key_set_has(const fleet_key_set *set, int64_t n);
/* False: it was there. */
bool fleet_key_set_add(fleet_key_set *set, int64_t n);

/* Notes that an instance sent the key in a shape (bit 1 << shape), and puts its
 * number into the instance's set. *out_n is 0 when there is no room for one
 * more key. */
tt_error fleet_keys_see(store_tx *tx, tti_slice key, unsigned shape,
                        int64_t now_us, fleet_key_set *set, int64_t *out_n);

typedef struct fleet_key_row {
  int64_t n;
  tti_slice key;   /* borrowed until the next */
  unsigned shapes; /* bits */
  int64_t instances;
  int64_t first_us, last_us; /* the last to the hour */
} fleet_key_row;

/* Walks the keys below `n`, the newest first; tx_end at the end. */
sqlite3_stmt *fleet_keys_before(store_tx *tx, int64_t n);
bool fleet_keys_step(store_tx *tx, sqlite3_stmt *stmt, fleet_key_row *out_row);

/* Whether a key of the set is this one or, for a pattern that ends in '*',
 * begins so. */
tt_error fleet_keys_match(store_tx *tx, tti_slice pattern,
                          const fleet_key_set *set, bool *out_match);

#endif
