#include "server/store/sqlite/schema.h"

#include "server/store/sqlite/database.h"
#include "server/store/tables/tables.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* What each table is for stands in docs/store.md. */
static const char version_1[] =
    "CREATE TABLE meta(id INTEGER PRIMARY KEY CHECK(id = 1),"
    " log_uuid TEXT NOT NULL, next_seq INTEGER NOT NULL,"
    " reserved_to INTEGER NOT NULL, group_number INTEGER NOT NULL);"
    "CREATE TABLE log_tables(id INTEGER PRIMARY KEY,"
    " from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL,"
    " state INTEGER NOT NULL, summarised_to INTEGER NOT NULL);"
    "CREATE TABLE log_blocks(from_seq INTEGER PRIMARY KEY,"
    " kinds INTEGER NOT NULL, levels INTEGER NOT NULL, bloom BLOB NOT NULL);"
    "CREATE TABLE ranges(from_seq INTEGER PRIMARY KEY,"
    " to_seq INTEGER NOT NULL, reason TEXT NOT NULL);"
    "CREATE TABLE counts(dimension INTEGER NOT NULL, name TEXT NOT NULL,"
    " count INTEGER NOT NULL, PRIMARY KEY(dimension, name)) WITHOUT ROWID;"
    "CREATE TABLE keys(id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE,"
    " body_sha256 BLOB NOT NULL, first_seq INTEGER NOT NULL,"
    " count INTEGER NOT NULL, created_us INTEGER NOT NULL);"
    "CREATE TABLE producers(id INTEGER PRIMARY KEY,"
    " digest BLOB NOT NULL UNIQUE, answers BLOB NOT NULL);"
    "CREATE TABLE tokens(id TEXT PRIMARY KEY, name TEXT NOT NULL,"
    " scopes INTEGER NOT NULL, sha256 BLOB NOT NULL UNIQUE,"
    " created_us INTEGER NOT NULL, revoked_us INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE settings(name TEXT PRIMARY KEY, value BLOB NOT NULL)"
    " WITHOUT ROWID;";

static const char version_2[] =
    "ALTER TABLE log_blocks ADD COLUMN columns BLOB;";

static const char version_3[] = "ALTER TABLE log_blocks ADD COLUMN grams BLOB;";

const migration schema_migrations[] = {
    {version_1}, {version_2}, {version_3}, {tables_schema}};
const size_t schema_migration_count =
    sizeof schema_migrations / sizeof *schema_migrations;

/* Offsets in the header: https://sqlite.org/fileformat2.html, section 1.3. */
#define HEADER_BYTES          108 /* the first page's b-tree head too */
#define HEADER_PAGE_COUNT     28
#define HEADER_USER_VERSION   60
#define HEADER_APPLICATION_ID 68
#define HEADER_SCHEMA_CELLS   103

static uint32_t big_endian_u32(const unsigned char *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 |
         at[3];
}

static uint64_t page_size_of(const unsigned char *header) {
  uint32_t size = (uint32_t)header[16] << 8 | header[17];
  return size == 1 ? 65536 : size;
}

static bool has_wal(const char *path) {
  char wal[4096];
  struct stat st;
  snprintf(wal, sizeof wal, "%s-wal", path);
  return stat(wal, &st) == 0 && st.st_size > 0;
}

static tt_error refuse_foreign(const char *path, tti_buf *out_error) {
  tti_buf_printf(out_error,
                 "%s is a database of another program: name another file "
                 "with --store",
                 path);
  return TT_ECORRUPT;
}

static bool is_ours(uint64_t application) {
  return application == SCHEMA_APPLICATION_ID ||
         application == SCHEMA_BACKUP_ID;
}

/* One page without a table: what a first start that was cut short leaves. */
static bool is_empty(const unsigned char *header, uint64_t file_bytes) {
  return file_bytes <= page_size_of(header) &&
         header[HEADER_SCHEMA_CELLS] == 0 &&
         header[HEADER_SCHEMA_CELLS + 1] == 0;
}

static tt_error check_bytes(const char *path, const unsigned char *header,
                            ssize_t len, uint64_t file_bytes, size_t newest,
                            tti_buf *out_error) {
  if (len < HEADER_BYTES || memcmp(header, "SQLite format 3", 16) != 0) {
    tti_buf_printf(out_error,
                   "%s is not an SQLite database: name another file with "
                   "--store, or restore it from a backup",
                   path);
    return TT_ECORRUPT;
  }
  uint32_t application = big_endian_u32(header + HEADER_APPLICATION_ID);
  uint32_t version = big_endian_u32(header + HEADER_USER_VERSION);
  /* What the write-ahead log adds is seen when the file is open. */
  if (application == 0 && version == 0 &&
      (has_wal(path) || is_empty(header, file_bytes)))
    return TT_OK;
  if (!is_ours(application))
    return refuse_foreign(path, out_error);
  if (application == SCHEMA_BACKUP_ID && has_wal(path)) {
    tti_buf_printf(out_error,
                   "%s is a backup and %s-wal belongs to another database: "
                   "move %s-wal and %s-shm away",
                   path, path, path, path);
    return TT_ECORRUPT;
  }
  if (version > newest) {
    tti_buf_printf(out_error,
                   "%s has schema version %u and this program knows up to "
                   "%zu: run a newer telltale",
                   path, (unsigned)version, newest);
    return TT_EVERSION;
  }
  uint64_t pages = big_endian_u32(header + HEADER_PAGE_COUNT);
  if (!has_wal(path) && pages * page_size_of(header) > file_bytes) {
    tti_buf_printf(out_error,
                   "%s is cut short (%llu bytes, its header says %llu): "
                   "restore it from a backup",
                   path, (unsigned long long)file_bytes,
                   (unsigned long long)(pages * page_size_of(header)));
    return TT_ECORRUPT;
  }
  return TT_OK;
}

/* SQLite would delete the log of a database that is empty or not there. */
static tt_error check_no_wal(const char *path, tti_buf *out_error) {
  if (!has_wal(path))
    return TT_OK;
  tti_buf_printf(out_error,
                 "%s is missing and %s-wal holds events of it: put it back, "
                 "or move the -wal file away to start empty",
                 path, path);
  return TT_ECORRUPT;
}

tt_error schema_check_header(const char *path, size_t newest,
                             tti_buf *out_error) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT)
    return check_no_wal(path, out_error);
  if (fd < 0) {
    tti_buf_printf(out_error, "cannot read %s: %s", path, strerror(errno));
    return TT_EIO;
  }
  tt_error error = TT_OK;
  unsigned char header[HEADER_BYTES];
  struct stat st;
  ssize_t len = 0;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    tti_buf_printf(out_error, "%s is not a file: name another with --store",
                   path);
    error = TT_EIO;
  } else if (st.st_size == 0) {
    error = check_no_wal(path, out_error);
  } else {
    len = pread(fd, header, sizeof header, 0);
    error =
        check_bytes(path, header, len, (uint64_t)st.st_size, newest, out_error);
  }
  close(fd);
  return error;
}

static tt_error fail(sqlite3 *db, const char *path, int rc, const char *what,
                     tti_buf *out_error) {
  tti_buf_printf(out_error, "%s: %s failed: %s", path, what,
                 sqlite3_errmsg(db));
  if ((rc & 0xff) == SQLITE_FULL)
    return TT_ENOSPACE;
  if ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB)
    return TT_ECORRUPT;
  return TT_EIO;
}

static int take_step(sqlite3 *db, const char *sql, size_t version) {
  char mark[96] = "";
  int len = 0;
  /* Later ones leave a backup's mark alone. */
  if (version == 1)
    len = snprintf(mark, sizeof mark, "PRAGMA application_id=%d;",
                   SCHEMA_APPLICATION_ID);
  snprintf(mark + len, sizeof mark - (size_t)len, "PRAGMA user_version=%zu;",
           version);
  int rc = database_exec(db, "BEGIN IMMEDIATE");
  if (rc == SQLITE_OK)
    rc = database_exec(db, sql);
  if (rc == SQLITE_OK)
    rc = database_exec(db, mark);
  if (rc == SQLITE_OK)
    rc = database_exec(db, "COMMIT");
  return rc;
}

static int back_up(sqlite3 *db, const char *path, uint64_t version) {
  char *sql = sqlite3_mprintf("VACUUM INTO '%q.backup-v%llu'", path,
                              (unsigned long long)version);
  char *file =
      sqlite3_mprintf("%s.backup-v%llu", path, (unsigned long long)version);
  int rc = SQLITE_NOMEM;
  if (sql && file) {
    /* A copy from a migration that was cut short is of the same version. */
    unlink(file);
    int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0)
      close(fd);
    rc = database_exec(db, sql);
  }
  sqlite3_free(sql);
  sqlite3_free(file);
  return rc;
}

tt_error schema_migrate(sqlite3 *db, const char *path,
                        const migration *migrations, size_t count,
                        tti_buf *out_error) {
  uint64_t version;
  int rc = database_u64(db, "PRAGMA user_version", &version);
  if (rc != SQLITE_OK)
    return fail(db, path, rc, "reading the schema version", out_error);
  if (version > count) {
    tti_buf_printf(out_error,
                   "%s has schema version %llu and this program knows up to "
                   "%zu: run a newer telltale",
                   path, (unsigned long long)version, count);
    return TT_EVERSION;
  }
  uint64_t application, tables;
  rc = database_u64(db, "PRAGMA application_id", &application);
  if (rc == SQLITE_OK)
    rc = database_u64(db, "SELECT count(*) FROM sqlite_schema", &tables);
  if (rc != SQLITE_OK)
    return fail(db, path, rc, "reading the schema", out_error);
  /* Marks and tables come in one transaction. */
  if (!is_ours(application) && (application || tables))
    return refuse_foreign(path, out_error);
  if (version == count)
    return TT_OK;
  if (version > 0 && (rc = back_up(db, path, version)) != SQLITE_OK)
    return fail(db, path, rc, "the backup before a migration", out_error);
  /* Before the first table these two still take effect. */
  if (version == 0)
    rc = database_exec(db, "PRAGMA auto_vacuum=INCREMENTAL;"
                           "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
  while (rc == SQLITE_OK && version < count) {
    rc = take_step(db, migrations[version].sql, version + 1);
    version++;
  }
  if (rc == SQLITE_OK)
    return TT_OK;
  tt_error error = fail(db, path, rc, "a migration", out_error);
  database_exec(db, "ROLLBACK");
  return error;
}

int schema_is_backup(sqlite3 *db, bool *out_is_backup) {
  uint64_t application = 0;
  int rc = database_u64(db, "PRAGMA application_id", &application);
  *out_is_backup = application == SCHEMA_BACKUP_ID;
  return rc;
}

int schema_unmark_backup(sqlite3 *db) {
  char sql[64];
  snprintf(sql, sizeof sql, "PRAGMA application_id=%d", SCHEMA_APPLICATION_ID);
  return database_exec(db, sql);
}
