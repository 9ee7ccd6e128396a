#include "tests/unit.h"

#include "lib/emit/jsonl/file.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct fixture {
  char directory[32];
  char path[64];
} fixture;

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  *state = f;
  strcpy(f->directory, "/tmp/telltale-file-XXXXXX");
  if (!mkdtemp(f->directory))
    return 1;
  snprintf(f->path, sizeof(f->path), "%s/lines", f->directory);
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  unlink(f->path);
  int left = rmdir(f->directory);
  free(f);
  return left;
}

static void put(fixture *f, const char *text) {
  FILE *file = fopen(f->path, "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  fclose(file);
}

static void assert_content(fixture *f, const char *expected) {
  char content[256] = "";
  FILE *file = fopen(f->path, "r");
  assert_non_null(file);
  content[fread(content, 1, sizeof(content) - 1, file)] = '\0';
  fclose(file);
  assert_string_equal(content, expected);
}

static int open_file(fixture *f) {
  int fd = -1;
  assert_int_equal(tti_file_open(f->path, &fd), 0);
  return fd;
}

static void append(int fd, const char *lines) {
  size_t written;
  assert_int_equal(tti_file_append(fd, tti_slice_of(lines), &written), 0);
  assert_int_equal(written, strlen(lines));
}

static void a_new_file_is_its_owners(void **state) {
  fixture *f = *state;
  struct stat file;
  mode_t before = umask(0);
  int fd = open_file(f);
  umask(before);
  assert_int_equal(fstat(fd, &file), 0);
  assert_int_equal(file.st_mode & 0777, 0600);
  append(fd, "a\n");
  close(fd);
  assert_content(f, "a\n");
}

static void what_is_there_stays(void **state) {
  fixture *f = *state;
  put(f, "a\n");
  int one = open_file(f);
  int other = open_file(f);
  append(one, "b\n");
  append(other, "c\n");
  append(one, "d\n");
  close(one);
  close(other);
  assert_content(f, "a\nb\nc\nd\n");
}

static void a_line_without_an_end_gets_one(void **state) {
  fixture *f = *state;
  put(f, "a\nhal");
  int fd = open_file(f);
  append(fd, "b\n");
  close(fd);
  assert_content(f, "a\nhal\nb\n");
}

static void only_regular_files_are_opened(void **state) {
  fixture *f = *state;
  int fd = -1;
  assert_int_equal(tti_file_open(f->directory, &fd), EISDIR);
  assert_int_equal(tti_file_open("/dev/null", &fd), TTI_FILE_NOT_REGULAR);
  assert_int_equal(mkfifo(f->path, 0600), 0);
  assert_int_equal(tti_file_open(f->path, &fd), TTI_FILE_NOT_REGULAR);
  assert_int_equal(fd, -1);
  assert_string_equal(tti_file_error(TTI_FILE_NOT_REGULAR),
                      "it is not a regular file");
}

/* Appends while no file may be longer than this: as on a disk that is full. */
static int append_below(rlim_t bytes, int fd, const char *lines,
                        size_t *out_written) {
  struct rlimit before, small;
  getrlimit(RLIMIT_FSIZE, &before);
  small = (struct rlimit){.rlim_cur = bytes, .rlim_max = before.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  int error = tti_file_append(fd, tti_slice_of(lines), out_written);
  setrlimit(RLIMIT_FSIZE, &before);
  return error;
}

static void a_full_disk_keeps_whole_lines_only(void **state) {
  fixture *f = *state;
  static const char lines[] = "first\nsecond\nthird\n";
  for (rlim_t room = 0; room < sizeof(lines) - 1; room++) {
    size_t written = 99;
    put(f, "a\n");
    int fd = open_file(f);
    assert_int_equal(append_below(2 + room, fd, lines, &written), EFBIG);
    assert_int_equal(written, room < 6 ? 0 : room < 13 ? 6 : 13);
    assert_content(f, room < 6    ? "a\n"
                      : room < 13 ? "a\nfirst\n"
                                  : "a\nfirst\nsecond\n");
    append(fd, "b\n");
    close(fd);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_new_file_is_its_owners),
      TEST(what_is_there_stays),
      TEST(a_line_without_an_end_gets_one),
      TEST(only_regular_files_are_opened),
      TEST(a_full_disk_keeps_whole_lines_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
