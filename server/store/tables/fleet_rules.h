#ifndef STORE_TABLES_FLEET_RULES_H
#define STORE_TABLES_FLEET_RULES_H

#include "server/store/tables/tables.h"

/* The rules by which instances are steered: one text. */

/* Appends it. TT_ENOTFOUND: none was ever set. */
tt_error fleet_rules_get(store_tx *tx, tti_buf *out_text);
tt_error fleet_rules_set(store_tx *tx, tti_slice text);

#endif
