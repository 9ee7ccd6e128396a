#ifndef STORE_SQLITE_SCHEMA_H
#define STORE_SQLITE_SCHEMA_H

#include "lib/base/buf.h"
#include <sqlite3.h>

/* "TTLE", in the header of every database of ours. */
#define SCHEMA_APPLICATION_ID 0x54544c45
/* "TTLB": one that is a backup and was not opened by a server yet. */
#define SCHEMA_BACKUP_ID 0x54544c42

/* One step forward; there are none back. The version a database has is its
 * user_version: the number of steps that were taken. */
typedef struct migration {
  const char *sql;
} migration;

extern const migration schema_migrations[];
extern const size_t schema_migration_count;

/* Looks at the file's header without SQLite, so that a file which is not ours
 * to open stays as it is. An absent or empty file is fine. TT_ECORRUPT,
 * TT_EVERSION, TT_EIO; then *out_error has a sentence. */
tt_error schema_check_header(const char *path, size_t newest,
                             tti_buf *out_error);

/* Brings the database to the last of `count` migrations, each in its own
 * transaction. Before the first of them an existing database is copied to
 * PATH.backup-vN, N being the version it had. TT_EVERSION when it is newer
 * already; TT_EIO, TT_ENOSPACE. *out_error has a sentence. */
tt_error schema_migrate(sqlite3 *db, const char *path,
                        const migration *migrations, size_t count,
                        tti_buf *out_error);

/* Whether it is a backup; and, inside a transaction: it is none any more.
 * SQLite result codes. */
int schema_is_backup(sqlite3 *db, bool *out_is_backup);
int schema_unmark_backup(sqlite3 *db);

#endif
