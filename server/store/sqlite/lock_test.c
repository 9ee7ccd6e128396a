#include "tests/unit.h"

#include "server/store/sqlite/lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MOST (UINT64_C(1) << 53)

typedef struct fixture {
  char folder[32];
  char path[48];
  char file[64];
  tti_buf error;
} fixture;

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  strcpy(f->folder, "/tmp/lock-test-XXXXXX");
  assert_non_null(mkdtemp(f->folder));
  snprintf(f->path, sizeof f->path, "%s/a.db", f->folder);
  snprintf(f->file, sizeof f->file, "%s.lock", f->path);
  tti_buf_init(&f->error, 1024);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  unlink(f->file);
  rmdir(f->folder);
  tti_buf_fini(&f->error);
  free(f);
  return 0;
}

static void what_was_written_is_found(void **state) {
  fixture *f = *state;
  store_lock lock = {.fd = -1};
  assert_int_equal(lock_take(&lock, f->path, &f->error), TT_OK);
  assert_int_equal(lock.memory.stored_seq, 0);
  assert_string_equal(lock.memory.log, "");
  lock.memory = (lock_memory){
      .boot = "b1", .log = "l1", .stored_seq = MOST, .issued_seq = 7};
  assert_true(lock_write(&lock));
  lock_release(&lock);
  /* Taking it changes nothing but the process id. */
  for (int i = 0; i < 2; i++) {
    store_lock again = {.fd = -1};
    assert_int_equal(lock_take(&again, f->path, &f->error), TT_OK);
    assert_string_equal(again.memory.boot, "b1");
    assert_string_equal(again.memory.log, "l1");
    assert_true(again.memory.stored_seq == MOST);
    assert_int_equal(again.memory.issued_seq, 7);
    lock_release(&again);
  }
}

static void one_process_has_it(void **state) {
  fixture *f = *state;
  store_lock lock = {.fd = -1}, other = {.fd = -1};
  assert_int_equal(lock_take(&lock, f->path, &f->error), TT_OK);
  assert_int_equal(lock_take(&other, f->path, &f->error), TT_EBUSY);
  char process[48];
  snprintf(process, sizeof process, "(process %ld)", (long)getpid());
  tti_buf_append_char(&f->error, '\0');
  assert_non_null(strstr(f->error.data, process));
  assert_int_equal(other.fd, -1);
  lock_release(&lock);
  assert_int_equal(lock_take(&other, f->path, &f->error), TT_OK);
  lock_release(&other);
}

static void another_content_is_no_memory(void **state) {
  fixture *f = *state;
  static const char *const contents[] = {
      "",
      "123\n",
      "\n\n\n",
      "123\nboot b log l stored 5 issue",
      "123\nboot b log l stored x issued 5\n",
      "123\nboot b log l stored 9007199254740993 issued 5\n",
      "123\nboot b log l stored 5 issued 9007199254740993\n",
      "123\nboot b log l stored 99999999999999999999 issued 5\n"};
  for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
    FILE *file = fopen(f->file, "w");
    fputs(contents[i], file);
    fclose(file);
    store_lock lock = {.fd = -1};
    assert_int_equal(lock_take(&lock, f->path, &f->error), TT_OK);
    assert_string_equal(lock.memory.boot, "");
    assert_string_equal(lock.memory.log, "");
    assert_int_equal(lock.memory.stored_seq, 0);
    assert_int_equal(lock.memory.issued_seq, 0);
    lock_release(&lock);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(what_was_written_is_found, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(one_process_has_it, set_up, tear_down),
      cmocka_unit_test_setup_teardown(another_content_is_no_memory, set_up,
                                      tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
