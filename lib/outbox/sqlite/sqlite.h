#ifndef TTI_OUTBOX_SQLITE_H
#define TTI_OUTBOX_SQLITE_H

#include "lib/outbox/outbox.h"
#include <sqlite3.h>

/* What all of this folder needs. The tables are described in docs/outbox.md. */

#define TTI_OUTBOX_SCHEMA_VERSION 1

/* The version of the tables in `db`; 0: there are none. */
tt_error tti_outbox_sqlite_version(sqlite3 *db, int64_t *out_version);

/* What a result code of SQLite means to a caller of ours. */
tt_error tti_outbox_sqlite_error(int rc);

#endif
