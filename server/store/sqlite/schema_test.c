#include "tests/unit.h"

#include "server/store/sqlite/database.h"
#include "server/store/sqlite/schema.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct fixture {
  char directory[32];
  char path[64];
  tti_buf error;
} fixture;

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  strcpy(f->directory, "/tmp/tt-schema-XXXXXX");
  if (!mkdtemp(f->directory))
    return -1;
  snprintf(f->path, sizeof f->path, "%s/log.db", f->directory);
  tti_buf_init(&f->error, 4096);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  char command[64];
  snprintf(command, sizeof command, "rm -r %s", f->directory);
  int removed = system(command);
  tti_buf_fini(&f->error);
  free(f);
  return removed;
}

static sqlite3 *open_path(const char *path) {
  sqlite3 *db;
  char reason[160];
  fclose(fopen(path, "a"));
  assert_int_equal(database_open(path, false, &db, reason, sizeof reason),
                   SQLITE_OK);
  return db;
}

static uint64_t ask(sqlite3 *db, const char *sql) {
  uint64_t value;
  assert_int_equal(database_u64(db, sql, &value), SQLITE_OK);
  return value;
}

static bool says(fixture *f, const char *text) {
  tti_buf_append_char(&f->error, '\0');
  return strstr(f->error.data, text) != NULL;
}

static const migration steps[] = {
    {"CREATE TABLE one(a); INSERT INTO one VALUES(7)"},
    {"CREATE TABLE two(b); INSERT INTO two SELECT a * 2 FROM one"},
    {"INSERT INTO nowhere VALUES(1)"},
};

static tt_error migrate(fixture *f, sqlite3 *db, size_t count) {
  return schema_migrate(db, f->path, steps, count, &f->error);
}

static void a_new_file_gets_every_step_and_no_backup(void **state) {
  fixture *f = *state;
  sqlite3 *db = open_path(f->path);
  assert_int_equal(migrate(f, db, 2), TT_OK);
  assert_int_equal(ask(db, "PRAGMA user_version"), 2);
  assert_int_equal(ask(db, "PRAGMA application_id"), SCHEMA_APPLICATION_ID);
  assert_int_equal(ask(db, "PRAGMA auto_vacuum"), 2);
  assert_int_equal(ask(db, "SELECT b FROM two"), 14);
  database_close(db);
  char backup[80];
  snprintf(backup, sizeof backup, "%s.backup-v0", f->path);
  assert_int_not_equal(access(backup, F_OK), 0);
}

static void an_old_file_is_copied_first(void **state) {
  fixture *f = *state;
  char backup[80];
  struct stat st;
  sqlite3 *db = open_path(f->path);
  assert_int_equal(migrate(f, db, 1), TT_OK);
  assert_int_equal(migrate(f, db, 2), TT_OK);
  assert_int_equal(ask(db, "SELECT b FROM two"), 14);
  database_close(db);
  snprintf(backup, sizeof backup, "%s.backup-v1", f->path);
  assert_int_equal(stat(backup, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  db = open_path(backup);
  assert_int_equal(ask(db, "PRAGMA user_version"), 1);
  assert_int_equal(ask(db, "SELECT a FROM one"), 7);
  database_close(db);
}

static void every_version_leads_to_the_newest(void **state) {
  fixture *f = *state;
  sqlite3 *db = open_path(f->path);
  for (size_t version = 1; version <= schema_migration_count; version++)
    assert_int_equal(
        schema_migrate(db, f->path, schema_migrations, version, &f->error),
        TT_OK);
  assert_int_equal(ask(db, "SELECT count(columns) + count(grams)"
                           " FROM log_blocks"),
                   0);
  database_close(db);
}

static void a_step_that_fails_leaves_the_version_before(void **state) {
  fixture *f = *state;
  sqlite3 *db = open_path(f->path);
  assert_int_equal(migrate(f, db, 2), TT_OK);
  assert_int_equal(migrate(f, db, 3), TT_EIO);
  assert_true(says(f, f->path));
  assert_int_equal(ask(db, "PRAGMA user_version"), 2);
  assert_int_equal(ask(db, "SELECT b FROM two"), 14);
  database_close(db);
}

static void a_newer_file_is_refused(void **state) {
  fixture *f = *state;
  sqlite3 *db = open_path(f->path);
  assert_int_equal(migrate(f, db, 2), TT_OK);
  assert_int_equal(migrate(f, db, 1), TT_EVERSION);
  assert_int_equal(sqlite3_wal_checkpoint_v2(
                       db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL),
                   SQLITE_OK);
  database_close(db);
  tti_buf_clear(&f->error);
  assert_int_equal(schema_check_header(f->path, 2, &f->error), TT_OK);
  assert_int_equal(schema_check_header(f->path, 1, &f->error), TT_EVERSION);
  assert_true(says(f, "run a newer telltale"));
}

static void a_strangers_database_is_refused(void **state) {
  fixture *f = *state;
  sqlite3 *db = open_path(f->path);
  assert_int_equal(database_exec(db, "CREATE TABLE theirs(a)"), SQLITE_OK);
  database_close(db);
  assert_int_equal(schema_check_header(f->path, 1, &f->error), TT_ECORRUPT);
  assert_true(says(f, "another program"));
}

/* Its tables are in the write-ahead log alone. */
static void a_strangers_open_database_is_refused(void **state) {
  fixture *f = *state;
  sqlite3 *theirs = open_path(f->path), *db;
  char reason[160];
  uint64_t value;
  assert_int_equal(database_u64(theirs, "PRAGMA journal_mode=WAL", &value),
                   SQLITE_OK);
  assert_int_equal(database_exec(theirs, "CREATE TABLE theirs(a)"), SQLITE_OK);
  assert_int_equal(schema_check_header(f->path, 1, &f->error), TT_OK);
  assert_int_equal(database_open(f->path, false, &db, reason, sizeof reason),
                   SQLITE_OK);
  assert_int_equal(migrate(f, db, 1), TT_ECORRUPT);
  assert_true(says(f, "another program"));
  assert_int_equal(ask(db, "PRAGMA application_id"), 0);
  database_close(db);
  database_close(theirs);
}

static void a_first_start_cut_short_goes_on(void **state) {
  fixture *f = *state;
  sqlite3 *db = open_path(f->path);
  uint64_t value;
  assert_int_equal(database_exec(db, "PRAGMA auto_vacuum=INCREMENTAL"),
                   SQLITE_OK);
  assert_int_equal(database_u64(db, "PRAGMA journal_mode=WAL", &value),
                   SQLITE_OK);
  assert_int_equal(schema_check_header(f->path, 1, &f->error), TT_OK);
  assert_int_equal(migrate(f, db, 2), TT_OK);
  database_close(db);
}

static void no_file_and_an_empty_one_are_fine(void **state) {
  fixture *f = *state;
  assert_int_equal(schema_check_header(f->path, 1, &f->error), TT_OK);
  fclose(fopen(f->path, "a"));
  assert_int_equal(schema_check_header(f->path, 1, &f->error), TT_OK);
}

static void a_log_without_its_database_is_kept(void **state) {
  fixture *f = *state;
  char wal[80];
  snprintf(wal, sizeof wal, "%s-wal", f->path);
  FILE *file = fopen(wal, "w");
  fputs("events", file);
  fclose(file);
  assert_int_equal(schema_check_header(f->path, 1, &f->error), TT_ECORRUPT);
  fclose(fopen(f->path, "a"));
  assert_int_equal(schema_check_header(f->path, 1, &f->error), TT_ECORRUPT);
  assert_true(says(f, wal));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_new_file_gets_every_step_and_no_backup),
      TEST(an_old_file_is_copied_first),
      TEST(every_version_leads_to_the_newest),
      TEST(a_step_that_fails_leaves_the_version_before),
      TEST(a_newer_file_is_refused),
      TEST(a_strangers_database_is_refused),
      TEST(a_strangers_open_database_is_refused),
      TEST(a_first_start_cut_short_goes_on),
      TEST(a_log_without_its_database_is_kept),
      TEST(no_file_and_an_empty_one_are_fine),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
