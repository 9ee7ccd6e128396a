#include "server/testing/vfs.h"
#include "tests/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[32];
static char path[64];

static int set_up(void **state) {
  (void)state;
  strcpy(folder, "/tmp/telltale-vfs-XXXXXX");
  if (!mkdtemp(folder))
    return -1;
  snprintf(path, sizeof path, "%s/db", folder);
  return testing_vfs_register(1);
}

static int tear_down(void **state) {
  (void)state;
  static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
  char file[80];
  for (size_t i = 0; i < 4; i++) {
    snprintf(file, sizeof file, "%s%s", path, ends[i]);
    unlink(file);
  }
  return rmdir(folder);
}

static off_t real_size(const char *end) {
  char file[80];
  struct stat found;
  snprintf(file, sizeof file, "%s%s", path, end);
  return stat(file, &found) == 0 ? found.st_size : -1;
}

static sqlite3 *open_db(const char *vfs) {
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open_v2(path, &db,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                                   vfs),
                   SQLITE_OK);
  return db;
}

static void run(sqlite3 *db, const char *sql) {
  assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static long long value(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt = NULL;
  assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
  long long result = sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  return result;
}

/* Until the sync, others see it through the same VFS and the file does not have
 * it; after the sync the file has it. */
static void holds_back_what_is_not_synced(void **state) {
  (void)state;
  sqlite3 *writer = open_db(TESTING_VFS_NAME);
  run(writer, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;"
              "PRAGMA synchronous=NORMAL; CREATE TABLE t(x);"
              "PRAGMA wal_checkpoint(TRUNCATE);");
  assert_int_equal(testing_vfs_held(), 1); /* the truncation of the log */
  run(writer, "INSERT INTO t VALUES(1)");
  off_t before = real_size("-wal");
  run(writer, "INSERT INTO t VALUES(2)");
  assert_true(testing_vfs_held() > 1);
  assert_int_equal(real_size("-wal"), before);
  sqlite3 *reader = open_db(TESTING_VFS_NAME);
  assert_int_equal(value(reader, "SELECT sum(x) FROM t"), 3);
  run(writer, "PRAGMA synchronous=FULL; INSERT INTO t VALUES(3)");
  assert_int_equal(testing_vfs_held(), 0);
  assert_true(real_size("-wal") > before);
  assert_int_equal(value(reader, "SELECT sum(x) FROM t"), 6);
  sqlite3_close(reader);
  sqlite3_close(writer);
}

#define FILE_SECTORS 64
#define SECTOR       512

typedef struct raw_file {
  sqlite3_vfs *vfs;
  sqlite3_file *file;
} raw_file;

static raw_file open_raw(void) {
  raw_file r = {.vfs = sqlite3_vfs_find(TESTING_VFS_NAME)};
  assert_non_null(r.vfs);
  r.file = calloc(1, (size_t)r.vfs->szOsFile);
  assert_non_null(r.file);
  assert_int_equal(r.vfs->xOpen(r.vfs, path, r.file,
                                SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_READWRITE |
                                    SQLITE_OPEN_CREATE,
                                NULL),
                   SQLITE_OK);
  return r;
}

static void close_raw(raw_file *r) {
  r->file->pMethods->xClose(r->file);
  free(r->file);
}

static void fill(raw_file *r, char byte, int sectors, int offset) {
  char bytes[FILE_SECTORS * SECTOR];
  memset(bytes, byte, sizeof bytes);
  assert_int_equal(
      r->file->pMethods->xWrite(r->file, bytes, sectors * SECTOR, offset),
      SQLITE_OK);
}

static void expect_read(raw_file *r, int offset, const char *want, int len,
                        int rc) {
  char got[64];
  memset(got, '?', sizeof got);
  assert_int_equal(r->file->pMethods->xRead(r->file, got, len, offset), rc);
  assert_memory_equal(got, want, len);
}

static void write_text(raw_file *r, const char *text, int offset) {
  assert_int_equal(
      r->file->pMethods->xWrite(r->file, text, (int)strlen(text), offset),
      SQLITE_OK);
}

/* Reads are what a file would give: writes over each other, truncations
 * between them, holes of zeros, and short at the end. */
static void reads_as_a_file_would(void **state) {
  (void)state;
  raw_file r = open_raw();
  sqlite3_int64 size = -1;
  write_text(&r, "abcdefgh", 0);
  assert_int_equal(r.file->pMethods->xSync(r.file, SQLITE_SYNC_NORMAL),
                   SQLITE_OK);
  write_text(&r, "XY", 2);
  write_text(&r, "Z", 3);
  expect_read(&r, 0, "abXZefgh", 8, SQLITE_OK);
  assert_int_equal(r.file->pMethods->xTruncate(r.file, 5), SQLITE_OK);
  assert_int_equal(r.file->pMethods->xFileSize(r.file, &size), SQLITE_OK);
  assert_int_equal(size, 5);
  expect_read(&r, 0, "abXZe\0\0\0", 8, SQLITE_IOERR_SHORT_READ);
  write_text(&r, "!", 7);
  expect_read(&r, 0, "abXZe\0\0!", 8, SQLITE_OK);
  expect_read(&r, 6, "\0!\0\0", 4, SQLITE_IOERR_SHORT_READ);
  assert_int_equal(real_size(""), 8);
  assert_int_equal(r.file->pMethods->xSync(r.file, SQLITE_SYNC_NORMAL),
                   SQLITE_OK);
  assert_int_equal(testing_vfs_held(), 0);
  expect_read(&r, 0, "abXZe\0\0!", 8, SQLITE_OK);
  close_raw(&r);
}

/* One cut: four writes of sixteen sectors each over a synced file. Which of the
 * sectors have the new: a bit each. */
static uint64_t cut_once(uint64_t seed) {
  assert_int_equal(testing_vfs_register(seed), SQLITE_OK);
  unlink(path);
  raw_file r = open_raw();
  fill(&r, 'o', FILE_SECTORS, 0);
  assert_int_equal(r.file->pMethods->xSync(r.file, SQLITE_SYNC_NORMAL),
                   SQLITE_OK);
  for (int i = 0; i < 4; i++)
    fill(&r, 'n', 16, i * 16 * SECTOR);
  assert_int_equal(testing_vfs_held(), 4);
  testing_vfs_cut();
  char byte;
  assert_int_not_equal(r.file->pMethods->xRead(r.file, &byte, 1, 0), SQLITE_OK);
  assert_int_not_equal(r.file->pMethods->xWrite(r.file, "x", 1, 0), SQLITE_OK);
  assert_int_not_equal(r.file->pMethods->xSync(r.file, SQLITE_SYNC_NORMAL),
                       SQLITE_OK);
  close_raw(&r);
  char bytes[FILE_SECTORS * SECTOR];
  int fd = open(path, O_RDONLY);
  assert_int_equal(read(fd, bytes, sizeof bytes), sizeof bytes);
  close(fd);
  uint64_t fresh = 0;
  for (int i = 0; i < FILE_SECTORS; i++) {
    char first = bytes[i * SECTOR];
    assert_true(first == 'o' || first == 'n');
    for (int j = 0; j < SECTOR; j++)
      assert_int_equal(bytes[i * SECTOR + j], first);
    fresh |= (uint64_t)(first == 'n') << i;
  }
  return fresh;
}

/* What was synced is there; of the rest some is, by whole writes and by
 * sectors, from nothing to everything; and a seed says which. */
static void keeps_a_part_of_the_rest(void **state) {
  (void)state;
  bool none = false, all = false, whole = false, torn = false;
  for (uint64_t seed = 1; seed <= 60; seed++) {
    uint64_t fresh = cut_once(seed);
    assert_true(fresh == cut_once(seed));
    none |= fresh == 0;
    all |= fresh == UINT64_MAX;
    for (int i = 0; i < 4; i++) {
      unsigned part = (unsigned)(fresh >> i * 16 & 0xffff);
      torn |= part != 0 && part != 0xffff;
      whole |= part == 0xffff && fresh != UINT64_MAX;
    }
  }
  assert_true(none && all && whole && torn);
}

/* A process that commits with a sync each, tells, and loses power. */
static void commit_and_die(int told, uint64_t seed, const char *synchronous) {
  char sql[100];
  if (testing_vfs_register(seed))
    _exit(1);
  sqlite3 *db = NULL;
  if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                      TESTING_VFS_NAME))
    _exit(1);
  snprintf(sql, sizeof sql, "PRAGMA synchronous=%s", synchronous);
  sqlite3_exec(db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
  sqlite3_exec(db, "CREATE TABLE IF NOT EXISTS t(x, y)", NULL, NULL, NULL);
  sqlite3_exec(db, sql, NULL, NULL, NULL);
  for (int i = 1; i <= 40; i++) {
    if (sqlite3_exec(db, "INSERT INTO t VALUES(1, zeroblob(3000))", NULL, NULL,
                     NULL))
      _exit(1);
    if (write(told, "x", 1) != 1)
      _exit(1);
    if (i == 20)
      sqlite3_exec(db, "PRAGMA wal_checkpoint(PASSIVE)", NULL, NULL, NULL);
  }
  sqlite3_exec(db, "BEGIN; INSERT INTO t VALUES(2, zeroblob(9000))", NULL, NULL,
               NULL);
  testing_power_cut();
}

static int cut_a_process(uint64_t seed, const char *synchronous) {
  int pipes[2], status = 0, told = 0;
  char byte;
  assert_int_equal(pipe(pipes), 0);
  pid_t child = fork();
  if (child == 0)
    commit_and_die(pipes[1], seed, synchronous);
  close(pipes[1]);
  while (read(pipes[0], &byte, 1) == 1)
    told++;
  close(pipes[0]);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  return told;
}

/* With a sync a commit, every one that was told survives each cut; without,
 * the database is whole all the same, and over the rounds something is lost:
 * the cut is one. */
static void loses_nothing_that_was_synced(void **state) {
  (void)state;
  long long expected = 0, least = 0;
  for (uint64_t seed = 1; seed <= 15; seed++) {
    expected += cut_a_process(seed, "FULL");
    sqlite3 *db = open_db(NULL);
    assert_int_equal(value(db, "SELECT count(*) FROM t WHERE x=1"), expected);
    assert_int_equal(value(db, "SELECT count(*) FROM t WHERE x=2"), 0);
    assert_int_equal(value(db, "SELECT count(*) FROM pragma_integrity_check "
                               "WHERE integrity_check='ok'"),
                     1);
    sqlite3_close(db);
  }
  for (uint64_t seed = 1; seed <= 15; seed++) {
    expected += cut_a_process(seed, "NORMAL");
    sqlite3 *db = open_db(NULL);
    least = value(db, "SELECT count(*) FROM t");
    assert_true(least <= expected);
    assert_int_equal(value(db, "SELECT count(*) FROM pragma_integrity_check "
                               "WHERE integrity_check='ok'"),
                     1);
    sqlite3_close(db);
  }
  assert_true(least < expected);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(holds_back_what_is_not_synced, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(reads_as_a_file_would, set_up, tear_down),
      cmocka_unit_test_setup_teardown(keeps_a_part_of_the_rest, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(loses_nothing_that_was_synced, set_up,
                                      tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
