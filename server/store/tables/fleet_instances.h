#ifndef STORE_TABLES_FLEET_INSTANCES_H
#define STORE_TABLES_FLEET_INSTANCES_H

#include "server/store/tables/fleet_keys.h"

/* The installed programs that report, one row each. All functions run in a
 * transaction, on its thread. */

enum {
  FLEET_INSTANCE_ID = 37,      /* with the NUL */
  FLEET_INSTANCE_FIELDS = 8192 /* bytes of JSON */
};

/* Why an instance is not expected to come again, beside 410 and 451. */
enum { FLEET_GOES_ON = 0, FLEET_STOPPED = 1 };

typedef struct fleet_instance {
  int64_t n;
  char id[FLEET_INSTANCE_ID];
  int64_t first_us, last_us; /* of receipt */
  int64_t timestamp_us;      /* of the last update; INT64_MIN: it had none */
  int64_t expect_next_us;    /* 0: none is */
  int ended;
  uint64_t updates;
  uint64_t skewed;                    /* … whose clock was off */
  char fields[FLEET_INSTANCE_FIELDS]; /* a JSON object of texts */
  size_t fields_len;
  fleet_key_set keys; /* that it ever sent */
} fleet_instance;

/* TT_ENOTFOUND: the id is not known. */
tt_error fleet_instances_find(store_tx *tx, const char *id,
                              fleet_instance *out_instance);

/* The next one after row `n`, for a walk over all; TT_ENOTFOUND: there is none.
 */
tt_error fleet_instances_next(store_tx *tx, int64_t n,
                              fleet_instance *out_instance);

/* Walks them by their last update, the latest first: those below (last_us, n)
 * and not before `since_us`; tx_end at the end. */
sqlite3_stmt *fleet_instances_before(store_tx *tx, int64_t last_us, int64_t n,
                                     int64_t since_us);
/* The same by when the next update was due, those that are overdue. */
sqlite3_stmt *fleet_instances_due(store_tx *tx, int64_t expect_next_us,
                                  int64_t n, int64_t now_us);
bool fleet_instances_step(store_tx *tx, sqlite3_stmt *stmt,
                          fleet_instance *out_instance);

/* A new one, which gets its n, and counts in FLEET_TOTAL_INSTANCES. */
tt_error fleet_instances_insert(store_tx *tx, fleet_instance *instance);

tt_error fleet_instances_update(store_tx *tx, const fleet_instance *instance);

/* ---- Totals ---- */

typedef enum fleet_total {
  FLEET_TOTAL_INSTANCES,
  FLEET_TOTAL_KEYS_OTHER,   /* values whose key had no room in fleet_keys */
  FLEET_TOTAL_UPDATE_BYTES, /* of fleet_updates.data */
  FLEET_TOTALS
} fleet_total;

tt_error fleet_totals_add(store_tx *tx, fleet_total total, int64_t amount);
/* 0: nothing was counted. */
tt_error fleet_totals_get(store_tx *tx, fleet_total total, int64_t *out_value);

#endif
