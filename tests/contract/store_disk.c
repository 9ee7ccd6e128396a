/* What every store promises: disks that fail, and files that are refused. */
#include "tests/contract/support/store.h"

#include "server/io/clock.h"
#include "server/testing/clock.h"
#include "server/testing/fault.h"
#include "tests/contract/records.h"
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Failing disks ---- */

static store_verdict append_one(fixture *f, char *out_reason) {
  tti_batch batch;
  records_make(&batch, "x", "test", 1);
  waited w = {.job = {.kind = STORE_JOB_APPEND,
                      .batch = &batch,
                      .received_us = server_wall_us()}};
  assert_int_equal(run(f, &w), TT_OK);
  tti_batch_fini(&batch);
  strcpy(out_reason, w.job.reason);
  return w.job.verdict;
}

static void wait_until_healthy(fixture *f) {
  /* Retries are a second apart by the server's clock. */
  while (!status(f).healthy) {
    testing_clock_advance_us(1000000);
    char reason[160];
    append_one(f, reason);
  }
}

static void a_full_disk_is_refused_and_recovers(void **state) {
  fixture *f = *state;
  char reason[160];
  if (!f->impl->persists)
    return;
  append(f, "a", 3);
  fault_set("store.write", ENOSPC, 0, 1000000);
  assert_int_equal(append_one(f, reason), STORE_RETRY);
  assert_non_null(strstr(reason, "no space left on the device"));
  assert_false(status(f).healthy);
  assert_non_null(strstr(status(f).reason, f->path));
  assert_int_equal(append_one(f, reason), STORE_RETRY);
  fault_clear();
  wait_until_healthy(f);
  uint64_t stored = status(f).head_seq;
  assert_int_equal(append(f, "b", 1), stored + 1);
}

static void a_failed_commit_is_not_stored(void **state) {
  fixture *f = *state;
  char reason[160];
  if (!f->impl->persists)
    return;
  append(f, "a", 3);
  fault_set("store.commit.before", EIO, 0, 1);
  assert_int_equal(append_one(f, reason), STORE_RETRY);
  wait_until_healthy(f);
  static uint64_t seqs[100];
  size_t count = read_all(f, (store_read){0}, seqs, 100);
  assert_int_equal(count, status(f).head_seq);
  assert_int_equal(append(f, "b", 1), count + 1);
}

/* The error came after the disk had it: it is there, so it is acknowledged. */
static void what_turns_out_durable_is_acknowledged(void **state) {
  fixture *f = *state;
  char reason[160];
  if (!f->impl->persists)
    return;
  append(f, "a", 3);
  fault_set("store.commit.after", EIO, 0, 1);
  assert_int_equal(append_one(f, reason), STORE_OK);
  wait_until_healthy(f);
  uint64_t seqs[8];
  assert_int_equal(read_all(f, (store_read){0}, seqs, 8), 4);
  assert_int_equal(status(f).stored_total, 4);
}

/* Numbers that were given out are not given out again by the reopened store. */
static void a_block_that_turns_out_durable_is_given_once(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  append(f, "a", 3);
  fault_set("store.commit.after", EIO, 0, 1);
  waited first = {.job = {.kind = STORE_JOB_RESERVE, .reserve = 100}};
  assert_int_equal(run(f, &first), TT_OK);
  assert_int_equal(first.job.verdict, STORE_OK);
  wait_until_healthy(f);
  waited next = {.job = {.kind = STORE_JOB_RESERVE, .reserve = 100}};
  assert_int_equal(run(f, &next), TT_OK);
  assert_int_equal(next.job.first_seq, first.job.first_seq + 100);
}

static void a_failed_checkpoint_reopens(void **state) {
  fixture *f = *state;
  char reason[160];
  if (!f->impl->persists)
    return;
  fault_set("store.checkpoint", EIO, 0, 1);
  for (int i = 0; i < 8; i++)
    append(f, "filling the write-ahead log", 2000);
  append_one(f, reason);
  wait_until_healthy(f);
  static uint64_t seqs[20000];
  assert_int_equal(read_all(f, (store_read){0}, seqs, 20000),
                   status(f).head_seq);
}

/* ---- Refusing to open ---- */

static void a_second_server_is_refused(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  store *second;
  tti_buf_clear(&f->error);
  assert_int_equal(f->impl->open(&f->options, &f->error, &second), TT_EBUSY);
  tti_buf_append_char(&f->error, '\0');
  assert_non_null(strstr(f->error.data, f->path));
  append(f, "still", 1);
}

static void write_file(const char *path, const void *bytes, size_t len) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, bytes, len), len);
  close(fd);
}

static void a_damaged_file_is_refused_untouched(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  close_store(f);
  char junk[5000], after[5000];
  memset(junk, 'j', sizeof junk);
  write_file(f->path, junk, sizeof junk);
  assert_int_equal(open_again(f), TT_ECORRUPT);
  assert_true(f->error.len > 0);
  int fd = open(f->path, O_RDONLY);
  assert_int_equal(read(fd, after, sizeof after), sizeof after);
  close(fd);
  assert_memory_equal(junk, after, sizeof junk);
}

/* Reads on until the end or an error; after which seq, or before which, it was.
 */
static tt_error read_error(fixture *f, store_order order, uint64_t *out_at) {
  uint64_t at = 0;
  for (;;) {
    waited_read r = {.read = {.order = order, .max_rows = 100}};
    if (order == STORE_ASCENDING)
      r.read.after_seq = at;
    else
      r.read.before_seq = at;
    tt_error error = try_read(f, &r);
    bool more = r.read.more;
    *out_at = at;
    at = r.read.next_seq;
    tti_buf_fini(&r.read.rows);
    if (error || !more)
      return error;
  }
}

/* A damaged page can make rows look as if they had never been. */
static void rows_that_vanished_are_an_error(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  append(f, "a", 60);
  uint64_t at;
  assert_int_equal(read_error(f, STORE_ASCENDING, &at), TT_OK);
  close_store(f);
  sqlite3 *db;
  assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
  assert_int_equal(
      sqlite3_exec(db, "DELETE FROM log_1 WHERE seq = 30", NULL, NULL, NULL),
      SQLITE_OK);
  sqlite3_close(db);
  assert_int_equal(open_again(f), TT_OK);
  assert_int_equal(read_error(f, STORE_ASCENDING, &at), TT_ECORRUPT);
  assert_int_equal(at, 29);
  assert_int_equal(read_error(f, STORE_DESCENDING, &at), TT_ECORRUPT);
  assert_int_equal(at, 31);
}

static void a_cut_file_is_refused(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  append(f, "a", 3000);
  close_store(f);
  struct stat st;
  assert_int_equal(stat(f->path, &st), 0);
  assert_int_equal(truncate(f->path, st.st_size / 2), 0);
  assert_int_equal(open_again(f), TT_ECORRUPT);
}

static void a_folder_is_refused(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  close_store(f);
  f->options.path = f->directory;
  assert_int_equal(open_again(f), TT_EIO);
  f->options.path = "/nowhere/at/all.db";
  assert_int_equal(open_again(f), TT_EIO);
}

static void the_file_is_private(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  append(f, "a", 1);
  char wal[80];
  struct stat st;
  assert_int_equal(stat(f->path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  snprintf(wal, sizeof wal, "%s-wal", f->path);
  assert_int_equal(stat(wal, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
}

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test(a_full_disk_is_refused_and_recovers),
      cmocka_unit_test(a_failed_commit_is_not_stored),
      cmocka_unit_test(what_turns_out_durable_is_acknowledged),
      cmocka_unit_test(a_block_that_turns_out_durable_is_given_once),
      cmocka_unit_test(a_failed_checkpoint_reopens),
      cmocka_unit_test(a_second_server_is_refused),
      cmocka_unit_test(a_damaged_file_is_refused_untouched),
      cmocka_unit_test(rows_that_vanished_are_an_error),
      cmocka_unit_test(a_cut_file_is_refused),
      cmocka_unit_test(a_folder_is_refused),
      cmocka_unit_test(the_file_is_private),
  };
  return store_contract(cases, sizeof cases / sizeof *cases);
}
