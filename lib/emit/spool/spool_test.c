#include "tests/unit.h"

#include "lib/emit/spool/spool.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DESTINATION 7
#define ROOM        ((size_t)1024 * 1024)

typedef struct fixture {
  char directory[32];
  char path[48]; /* of the spool, below it */
  tti_spool *spool;
} fixture;

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  strcpy(f->directory, "/tmp/telltale-spool-XXXXXX");
  if (!f || !mkdtemp(f->directory))
    return -1;
  snprintf(f->path, sizeof(f->path), "%s/spool", f->directory);
  f->spool = tti_spool_new(f->path, ROOM, DESTINATION);
  *state = f;
  return f->spool == NULL;
}

static int tear_down(void **state) {
  fixture *f = *state;
  char command[80];
  tti_spool_free(f->spool);
  snprintf(command, sizeof(command), "rm -rf %s", f->directory);
  int status = system(command);
  free(f);
  return status;
}

/* The spool of another process, or of this one after a restart. */
static void restart(fixture *f) {
  tti_spool_free(f->spool);
  f->spool = tti_spool_new(f->path, ROOM, DESTINATION);
  assert_non_null(f->spool);
}

static int put(tti_spool *spool, const char *body, uint32_t events) {
  tti_record_head record = {.events = events};
  return tti_spool_put(spool, &record, tti_slice_of(body));
}

static uint64_t adopt(tti_spool *spool) {
  uint64_t events;
  assert_int_equal(tti_spool_adopt(spool, &events), 0);
  return events;
}

/* The head has this body; its key. */
static tti_record_head head(tti_spool *spool, const char *body) {
  tti_record_head record;
  tti_slice found;
  uint64_t lost;
  assert_int_equal(tti_spool_head(spool, &record, &found, &lost), TT_OK);
  assert_int_equal(found.len, strlen(body));
  assert_memory_equal(found.ptr, body, found.len);
  return record;
}

static void take(tti_spool *spool, const char *body, uint32_t events) {
  head(spool, body);
  tti_spool_settle(spool, events);
}

/* Files of this ending; the name of one of them. */
static int files(fixture *f, const char *end, char *out_path, size_t size) {
  int count = 0;
  DIR *entries = opendir(f->path);
  for (struct dirent *e; entries && (e = readdir(entries));) {
    size_t len = strlen(e->d_name), tail = strlen(end);
    if (len <= tail || strcmp(e->d_name + len - tail, end) != 0)
      continue;
    count++;
    if (out_path)
      snprintf(out_path, size, "%s/%s", f->path, e->d_name);
  }
  if (entries)
    closedir(entries);
  return count;
}

static void comes_out_in_order_and_leaves_nothing(void **state) {
  fixture *f = *state;
  assert_true(tti_spool_is_empty(f->spool));
  assert_int_equal(put(f->spool, "[{\"a\":1},\n{\"a\":2}]", 2), 0);
  assert_int_equal(put(f->spool, "{\"a\":3}", 1), 0);
  take(f->spool, "[{\"a\":1},\n{\"a\":2}]", 2);
  assert_false(tti_spool_is_empty(f->spool));
  take(f->spool, "{\"a\":3}", 1);
  assert_true(tti_spool_is_empty(f->spool));
  assert_int_equal(files(f, "", NULL, 0), 2); /* . and .. */
}

static void a_key_stays_with_its_request(void **state) {
  fixture *f = *state;
  tti_record_head tried = {.producer = "01234567-89ab-4def-8123-456789abcdef",
                           .number = 42,
                           .events = 1};
  assert_int_equal(tti_spool_put(f->spool, &tried, TTI_SLICE("{}")), 0);
  put(f->spool, "[1,\n2,\n3]", 3);
  put(f->spool, "[4]", 1);
  restart(f);
  assert_int_equal(adopt(f->spool), 5);
  put(f->spool, "[5]", 1); /* by the one that adopted them */
  tti_record_head first = head(f->spool, "{}");
  assert_string_equal(first.producer, tried.producer);
  assert_int_equal(first.number, 42);
  tti_spool_settle(f->spool, 1);
  tti_record_head second = head(f->spool, "[1,\n2,\n3]");
  assert_string_not_equal(second.producer, first.producer);
  tti_spool_settle(f->spool, 3);
  /* Every event has a number of its own, for when a request is divided. */
  tti_record_head third = head(f->spool, "[4]");
  assert_string_equal(third.producer, second.producer);
  assert_int_equal(third.number, second.number + 3);
  tti_spool_settle(f->spool, 1);
  tti_record_head fourth = head(f->spool, "[5]");
  assert_string_not_equal(fourth.producer, third.producer);
}

static void what_is_settled_stays_settled(void **state) {
  fixture *f = *state;
  put(f->spool, "[1,\n2,\n3]", 3);
  head(f->spool, "[1,\n2,\n3]");
  tti_spool_settle(f->spool, 2);
  restart(f);
  assert_int_equal(adopt(f->spool), 1);
  assert_int_equal(head(f->spool, "[1,\n2,\n3]").settled, 2);
  tti_spool_settle(f->spool, 1);
  assert_true(tti_spool_is_empty(f->spool));
}

static void no_two_own_a_segment(void **state) {
  fixture *f = *state;
  tti_spool *other = tti_spool_new(f->path, ROOM, DESTINATION);
  put(f->spool, "[1]", 1);
  assert_int_equal(adopt(other), 0);
  put(other, "[2]", 1);
  take(other, "[2]", 1);
  tti_spool_free(f->spool);
  f->spool = NULL;
  assert_int_equal(adopt(other), 1);
  take(other, "[1]", 1);
  tti_spool_free(other);
}

static void what_is_meant_for_another_server_stays(void **state) {
  fixture *f = *state;
  put(f->spool, "[1]", 1);
  tti_spool *other = tti_spool_new(f->path, ROOM, DESTINATION + 1);
  restart(f);
  assert_int_equal(adopt(other), 0);
  assert_int_equal(adopt(f->spool), 1);
  tti_spool_free(other);
}

static void the_oldest_is_adopted_first(void **state) {
  fixture *f = *state;
  put(f->spool, "[1]", 1);
  tti_spool *other = tti_spool_new(f->path, ROOM, DESTINATION);
  put(other, "[2]", 1);
  tti_spool_free(other);
  restart(f);
  adopt(f->spool);
  take(f->spool, "[1]", 1);
  adopt(f->spool);
  take(f->spool, "[2]", 1);
}

/* A body of one event and about 50,000 bytes. */
static char *large(char fill) {
  static char body[50000];
  memset(body, fill, sizeof(body) - 1);
  body[0] = '[';
  body[sizeof(body) - 2] = ']';
  return body;
}

static size_t bytes_of(fixture *f) {
  size_t total = 0;
  DIR *entries = opendir(f->path);
  for (struct dirent *e; (e = readdir(entries));) {
    char path[320];
    struct stat file;
    snprintf(path, sizeof(path), "%s/%s", f->path, e->d_name);
    if (stat(path, &file) == 0 && S_ISREG(file.st_mode))
      total += (size_t)file.st_size;
  }
  closedir(entries);
  return total;
}

static void refuses_the_newest_at_its_ceiling(void **state) {
  fixture *f = *state;
  tti_spool *other = tti_spool_new(f->path, ROOM, DESTINATION);
  int count = 0, more = 0;
  while (put(f->spool, large('1'), 1) == 0 && count < 1000)
    count++;
  assert_in_range(count, 14, 21);
  /* The ceiling is that of the directory, whoever writes. */
  assert_int_equal(put(other, "[2]", 1), TTI_SPOOL_FULL);
  assert_true(bytes_of(f) <= ROOM);
  take(f->spool, large('1'), 1);
  while (put(f->spool, large('2'), 1) == 0 && more < 1000)
    more++;
  assert_in_range(more, 1, 2);
  assert_true(bytes_of(f) <= ROOM);
  for (int i = 1; i < count; i++)
    take(f->spool, large('1'), 1);
  for (int i = 0; i < more; i++)
    take(f->spool, large('2'), 1);
  tti_spool_free(other);
}

static void a_request_beyond_the_ceiling_is_refused(void **state) {
  fixture *f = *state;
  tti_spool *small = tti_spool_new(f->path, 1000, DESTINATION);
  assert_int_equal(put(small, large('1'), 1), TTI_SPOOL_FULL);
  assert_int_equal(put(small, "[1]", 1), 0);
  tti_spool_free(small);
}

/* -- Damage. -- */

/* Changes a byte of the only segment, or cuts it there; from its end when `at`
 * is negative. */
static void damage(fixture *f, long at, bool cut) {
  char path[320];
  struct stat file;
  assert_int_equal(files(f, ".spool", path, sizeof(path)), 1);
  int fd = open(path, O_RDWR);
  assert_int_equal(fstat(fd, &file), 0);
  long where = at < 0 ? file.st_size + at : at;
  char c;
  if (cut) {
    assert_int_equal(ftruncate(fd, where), 0);
  } else {
    assert_int_equal(pread(fd, &c, 1, where), 1);
    c ^= 1;
    assert_int_equal(pwrite(fd, &c, 1, where), 1);
  }
  close(fd);
}

/* Three records, of which the damage took some. */
static void check_damaged(fixture *f, long at, bool cut, int good) {
  static const char *bodies[] = {"[1]", "[2]", "[3]"};
  for (int i = 0; i < 3; i++)
    put(f->spool, bodies[i], 1);
  tti_spool_free(f->spool);
  f->spool = NULL;
  damage(f, at, cut);
  restart(f);
  assert_int_equal(adopt(f->spool), good);
  put(f->spool, "[9]", 1); /* goes into a file of its own */
  for (int i = 0; i < good; i++)
    take(f->spool, bodies[i], 1);
  assert_int_equal(tti_spool_set_aside(f->spool), 1);
  take(f->spool, "[9]", 1);
  assert_true(tti_spool_is_empty(f->spool));
  assert_int_equal(files(f, ".spool", NULL, 0), 0);
  assert_int_equal(files(f, ".bad", NULL, 0), 1);
}

static void a_flipped_bit_ends_a_segment(void **state) {
  check_damaged(*state, -2, false, 2);
}

static void a_flipped_bit_in_the_middle_ends_it_there(void **state) {
  check_damaged(*state, TTI_SEGMENT_HEAD_BYTES + TTI_RECORD_HEAD_BYTES + 3 + 9,
                false, 1);
}

static void a_truncated_record_ends_it(void **state) {
  check_damaged(*state, -1, true, 2);
}

static void a_truncated_head_ends_it(void **state) {
  check_damaged(*state, -3 - TTI_RECORD_HEAD_BYTES / 2, true, 2);
}

static void a_segment_of_another_form_is_set_aside(void **state) {
  check_damaged(*state, 3, false, 0);
}

static void a_torn_mark_sends_again(void **state) {
  fixture *f = *state;
  put(f->spool, "[1,\n2]", 2);
  head(f->spool, "[1,\n2]");
  tti_spool_settle(f->spool, 1);
  tti_spool_free(f->spool);
  f->spool = NULL;
  damage(f, TTI_SEGMENT_HEAD_BYTES + TTI_RECORD_SETTLED_AT, false);
  restart(f);
  assert_int_equal(adopt(f->spool), 2);
  assert_int_equal(head(f->spool, "[1,\n2]").settled, 0);
}

static void damage_while_it_is_in_use_is_counted(void **state) {
  fixture *f = *state;
  tti_record_head record;
  tti_slice body;
  uint64_t lost = 0;
  put(f->spool, "[1,\n2]", 2);
  put(f->spool, "[3]", 1);
  damage(f, -1, false);
  take(f->spool, "[1,\n2]", 2);
  assert_int_equal(tti_spool_head(f->spool, &record, &body, &lost),
                   TT_ECORRUPT);
  assert_int_equal(lost, 1);
  assert_true(tti_spool_is_empty(f->spool));
}

static void garbage_in_the_directory_disturbs_nothing(void **state) {
  fixture *f = *state;
  char path[320], text[4096];
  put(f->spool, "[1]", 1);
  static const char *names[] = {
      "0000000000000007-00000000000001-00000000.spool", /* of ours, it says */
      "0000000000000007-00000000000002-00000000.spool",
      "0000000000000007-.spool",
      "notes.txt",
      ".spool",
      "x.bad"};
  for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
    snprintf(path, sizeof(path), "%s/%s", f->path, names[i]);
    FILE *file = fopen(path, "w");
    for (size_t k = 0; k < sizeof(text); k++)
      text[k] = (char)rand();
    if (i != 1) /* one is empty */
      assert_int_equal(fwrite(text, 1, sizeof(text), file), sizeof(text));
    fclose(file);
  }
  snprintf(path, sizeof(path), "%s/0000000000000007-0-directory.spool",
           f->path);
  assert_int_equal(mkdir(path, 0700), 0);
  snprintf(path, sizeof(path), "%s/0000000000000007-0-fifo.spool", f->path);
  assert_int_equal(mkfifo(path, 0600), 0);
  restart(f);
  assert_int_equal(adopt(f->spool), 1);
  assert_int_equal(tti_spool_set_aside(f->spool), 2);
  take(f->spool, "[1]", 1);
  assert_int_equal(adopt(f->spool), 0);
}

static void what_was_set_aside_makes_room(void **state) {
  fixture *f = *state;
  char path[320];
  assert_int_equal(put(f->spool, "[1]", 1), 0);
  snprintf(path, sizeof(path), "%s/x.bad", f->path);
  assert_int_equal(truncate(path, 0), -1);
  int fd = open(path, O_WRONLY | O_CREAT, 0600);
  assert_int_equal(ftruncate(fd, ROOM), 0);
  close(fd);
  assert_int_equal(put(f->spool, large('1'), 1), 0);
  assert_int_equal(put(f->spool, large('2'), 1), 0);
  assert_int_equal(files(f, ".bad", NULL, 0), 0);
}

/* -- Directories that will not do. -- */

static void says_what_is_wrong_with_the_directory(void **state) {
  fixture *f = *state;
  char path[80];
  uint64_t events;
  snprintf(path, sizeof(path), "%s/file", f->directory);
  close(open(path, O_WRONLY | O_CREAT, 0600));
  tti_spool *file = tti_spool_new(path, ROOM, DESTINATION);
  int error = put(file, "[1]", 1);
  assert_string_equal(tti_spool_error(error), "it is not a directory");
  assert_int_equal(tti_spool_adopt(file, &events), error);
  tti_spool_free(file);
  snprintf(path, sizeof(path), "%s/a/b", f->directory);
  tti_spool *missing = tti_spool_new(path, ROOM, DESTINATION);
  assert_string_equal(tti_spool_error(put(missing, "[1]", 1)),
                      "its parent directory does not exist");
  tti_spool_free(missing);
}

static void goes_on_when_the_directory_comes_back(void **state) {
  fixture *f = *state;
  char moved[64];
  snprintf(moved, sizeof(moved), "%s/moved", f->directory);
  put(f->spool, "[1]", 1);
  take(f->spool, "[1]", 1);
  assert_int_equal(rmdir(f->path), 0);
  assert_int_equal(put(f->spool, "[2]", 1), ENOENT);
  assert_int_equal(put(f->spool, "[2]", 1), 0);
  take(f->spool, "[2]", 1);
}

/* A full disk, to a process: writing ends in the middle of a record. */
static void a_write_that_fails_leaves_no_part(void **state) {
  fixture *f = *state;
  assert_int_equal(put(f->spool, "[1]", 1), 0);
  pid_t child = fork();
  if (child == 0) {
    tti_spool *full = tti_spool_new(f->path, ROOM, DESTINATION);
    struct rlimit limit = {1000, 1000};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    bool ok = put(full, large('1'), 1) == EFBIG && tti_spool_is_empty(full) &&
              put(full, "[2]", 1) == 0 && put(full, large('1'), 1) == EFBIG &&
              put(full, "[3]", 1) == 0;
    _exit(ok ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  restart(f);
  assert_int_equal(adopt(f->spool), 1);
  take(f->spool, "[1]", 1);
  assert_int_equal(adopt(f->spool), 2);
  take(f->spool, "[2]", 1);
  take(f->spool, "[3]", 1);
  assert_int_equal(tti_spool_set_aside(f->spool), 0);
}

/* -- Parts. -- */

static void parts_make_the_whole(void **state) {
  (void)state;
  tti_slice body = TTI_SLICE("[{\"a\":1},\n{\"a\":2},\n{\"a\":3}]");
  tti_buf part;
  tti_buf_init(&part, 1000);
#define PART(first, count, single, text)                                       \
  do {                                                                         \
    tti_record_part(body, first, count, single, &part);                        \
    assert_int_equal(part.len, strlen(text));                                  \
    assert_memory_equal(part.data, text, part.len);                            \
  } while (0)
  PART(0, 3, false, "[{\"a\":1},\n{\"a\":2},\n{\"a\":3}]");
  PART(0, 2, false, "[{\"a\":1},\n{\"a\":2}]");
  PART(2, 1, false, "[{\"a\":3}]");
  PART(0, 1, true, "{\"a\":1}");
  PART(2, 1, true, "{\"a\":3}");
  tti_buf_fini(&part);
}

/* Whoever begins anew at any point comes to the same parts. */
static void halving_ends_and_is_the_same_again(void **state) {
  (void)state;
  for (uint32_t events = 1; events <= 70; events++) {
    for (uint32_t at = 0; at < events; at++) {
      uint32_t size = tti_record_part_size(events, at, UINT32_MAX);
      assert_in_range(size, 1, events - at);
      while (size > 1) {
        uint32_t half = tti_record_part_size(events, at, size - 1);
        assert_in_range(half, 1, size - 1);
        /* The rest begins with a part that ends where this one did. */
        uint32_t most = UINT32_MAX, rest;
        while ((rest = tti_record_part_size(events, at + half, most)) >
               size - half)
          most = rest - 1;
        assert_true(rest <= size - half);
        size = half;
      }
    }
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(comes_out_in_order_and_leaves_nothing),
      TEST(a_key_stays_with_its_request),
      TEST(what_is_settled_stays_settled),
      TEST(no_two_own_a_segment),
      TEST(what_is_meant_for_another_server_stays),
      TEST(the_oldest_is_adopted_first),
      TEST(refuses_the_newest_at_its_ceiling),
      TEST(a_request_beyond_the_ceiling_is_refused),
      TEST(a_flipped_bit_ends_a_segment),
      TEST(a_flipped_bit_in_the_middle_ends_it_there),
      TEST(a_truncated_record_ends_it),
      TEST(a_truncated_head_ends_it),
      TEST(a_segment_of_another_form_is_set_aside),
      TEST(a_torn_mark_sends_again),
      TEST(damage_while_it_is_in_use_is_counted),
      TEST(garbage_in_the_directory_disturbs_nothing),
      TEST(what_was_set_aside_makes_room),
      TEST(says_what_is_wrong_with_the_directory),
      TEST(goes_on_when_the_directory_comes_back),
      TEST(a_write_that_fails_leaves_no_part),
      cmocka_unit_test(parts_make_the_whole),
      cmocka_unit_test(halving_ends_and_is_the_same_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
