#include "tests/unit.h"

#include "lib/storage/internal.h"
#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <telltale/storage.h>
#include <unistd.h>
#include <zlib.h>

static atomic_int failing_syncs;

/* In place of the C library's: a disk that fails. */
int fdatasync(int fd) {
  if (failing_syncs > 0) {
    failing_syncs--;
    errno = EIO;
    return -1;
  }
  return (int)syscall(SYS_fdatasync, fd);
}

typedef struct fixture {
  tt_stream *stream;
  tt_storage_writer *writer;
  char dir[32];
  char path[64];
} fixture;

static int setup(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  if (!f || tt_stream_new(NULL, &f->stream))
    return -1;
  snprintf(f->dir, sizeof(f->dir), "/tmp/tt-jsonl-XXXXXX");
  if (!mkdtemp(f->dir))
    return -1;
  snprintf(f->path, sizeof(f->path), "%s/events.jsonl", f->dir);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  char command[64];
  tt_storage_writer_free(f->writer);
  tt_stream_free(f->stream);
  snprintf(command, sizeof(command), "rm -r %s", f->dir);
  free(f);
  return system(command);
}

/* A position that stays at where the first writer of a test was. */
static tt_error load(void *self, uint64_t *out_seq) {
  *out_seq = *(uint64_t *)self;
  return TT_OK;
}
static tt_error save(void *self, uint64_t seq) {
  (void)self;
  (void)seq;
  return TT_OK;
}
static const tt_position_ops stuck = {1, load, save};

static tt_error begin(fixture *f, tt_storage_jsonl_options options,
                      uint64_t *position) {
  tt_storage *storage = NULL;
  tt_storage_writer_options how = {.retry_first_ms = 1, .retry_last_ms = 2};
  if (position) {
    how.position = &stuck;
    how.position_self = position;
  }
  if (!options.path)
    options.path = f->path;
  assert_int_equal(tt_storage_jsonl_new(&options, &storage), TT_OK);
  assert_int_equal(tt_storage_writer_new(f->stream, storage, &how, &f->writer),
                   TT_OK);
  return tt_storage_writer_start(f->writer);
}

static void end(fixture *f) {
  assert_int_equal(tt_storage_writer_stop(f->writer, 10000), TT_OK);
  tt_storage_writer_free(f->writer);
  f->writer = NULL;
}

static void publish(fixture *f, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    tt_metadata pair = {"k", "v"};
    tt_event event = {.ts_us = 5,
                      .type = "tick",
                      .category = "api",
                      .source = "shop",
                      .metadata = &pair,
                      .metadata_count = 1,
                      .data = "{\"n\":1.50}"};
    assert_int_equal(tt_stream_publish(f->stream, &event, NULL), TT_OK);
  }
}

/* The lines of a file, plain or compressed, are seqs one after the other from
 * *next on. */
static void expect_lines(const char *path, uint64_t *next) {
  char line[512], expected[512];
  gzFile file = gzopen(path, "rb");
  assert_non_null(file);
  while (gzgets(file, line, sizeof(line))) {
    snprintf(expected, sizeof(expected),
             "{\"seq\":%llu,\"event\":{\"ts\":5,\"type\":\"tick\","
             "\"category\":\"api\",\"source\":{\"kind\":\"shop\","
             "\"metadata\":{\"k\":\"v\"}},\"data\":{\"n\":1.50}}}\n",
             (unsigned long long)(*next)++);
    assert_string_equal(line, expected);
  }
  gzclose(file);
}

static void writes_lines(void **state) {
  fixture *f = *state;
  struct stat file;
  uint64_t next = 1;
  publish(f, 5000);
  assert_int_equal(begin(f, (tt_storage_jsonl_options){0}, NULL), TT_OK);
  end(f);
  expect_lines(f->path, &next);
  assert_int_equal(next, 5001);
  assert_int_equal(stat(f->path, &file), 0);
  assert_int_equal(file.st_mode & 0777, 0600);
}

/* What the file has is not written again, though the position is behind; a line
 * that a crash cut is. */
static void goes_on_behind_the_last_whole_line(void **state) {
  fixture *f = *state;
  uint64_t position = 2, next = 1;
  publish(f, 10);
  assert_int_equal(begin(f, (tt_storage_jsonl_options){0}, NULL), TT_OK);
  end(f);
  struct stat file;
  assert_int_equal(stat(f->path, &file), 0);
  assert_int_equal(truncate(f->path, file.st_size - 20), 0);
  publish(f, 5);
  assert_int_equal(begin(f, (tt_storage_jsonl_options){0}, &position), TT_OK);
  end(f);
  expect_lines(f->path, &next);
  assert_int_equal(next, 16);
}

static int is_closed_file(const struct dirent *entry) {
  return strncmp(entry->d_name, "events.jsonl.", 13) == 0;
}

static void rotates_by_size_and_compresses(void **state) {
  fixture *f = *state;
  uint64_t next = 1;
  tt_storage_jsonl_options options = {.max_bytes = 200000,
                                      .closed = tt_gzip_file};
  publish(f, 10000);
  assert_int_equal(begin(f, options, NULL), TT_OK);
  end(f);
  struct dirent **entries = NULL;
  int count = scandir(f->dir, &entries, is_closed_file, alphasort);
  assert_true(count >= 5);
  for (int i = 0; i < count; i++) {
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", f->dir, entries[i]->d_name);
    assert_string_equal(path + strlen(path) - 4, "Z.gz");
    expect_lines(path, &next);
    free(entries[i]);
  }
  free(entries);
  struct stat file;
  assert_int_equal(stat(f->path, &file), 0);
  assert_true(file.st_size <= 200000);
  expect_lines(f->path, &next);
  assert_int_equal(next, 10001);
}

static void keeps_the_newest(void **state) {
  fixture *f = *state;
  tt_storage_jsonl_options options = {.max_bytes = 200000, .keep = 2};
  publish(f, 10000);
  assert_int_equal(begin(f, options, NULL), TT_OK);
  end(f);
  struct dirent **entries = NULL;
  int count = scandir(f->dir, &entries, is_closed_file, alphasort);
  assert_int_equal(count, 2);
  char path[512];
  snprintf(path, sizeof(path), "%s/%s", f->dir, entries[0]->d_name);
  FILE *file = fopen(path, "re");
  unsigned long long first = 0;
  assert_int_equal(fscanf(file, "{\"seq\":%llu", &first), 1);
  fclose(file);
  assert_true(first > 5000);
  for (int i = 0; i < count; i++)
    free(entries[i]);
  free(entries);
}

/* What an earlier life closed and did not get to compress. */
static void deals_with_what_was_left(void **state) {
  fixture *f = *state;
  char path[128], gz[160];
  snprintf(path, sizeof(path), "%s.20260102T030405.000006Z", f->path);
  snprintf(gz, sizeof(gz), "%s.gz", path);
  FILE *file = fopen(path, "we");
  fputs("left\n", file);
  fclose(file);
  tt_storage_jsonl_options options = {.closed = tt_gzip_file};
  assert_int_equal(begin(f, options, NULL), TT_OK);
  end(f);
  assert_int_equal(access(gz, F_OK), 0);
  assert_int_not_equal(access(path, F_OK), 0);
}

static void one_writer_a_file(void **state) {
  fixture *f = *state;
  tt_storage_writer_stats stats;
  assert_int_equal(begin(f, (tt_storage_jsonl_options){0}, NULL), TT_OK);
  tt_storage_writer *first = f->writer;
  assert_int_equal(begin(f, (tt_storage_jsonl_options){0}, NULL), TT_EBUSY);
  tt_storage_writer_stats_get(f->writer, &stats);
  tt_storage_writer_free(f->writer);
  f->writer = first;
  end(f);
}

static void says_what_is_wrong(void **state) {
  fixture *f = *state;
  tt_storage *storage = NULL;
  char path[128];
  assert_int_equal(tt_storage_jsonl_new(NULL, &storage), TT_EINVAL);
  assert_int_equal(
      tt_storage_jsonl_new(&(tt_storage_jsonl_options){.path = ""}, &storage),
      TT_EINVAL);
  snprintf(path, sizeof(path), "%s/no/where", f->dir);
  assert_int_equal(begin(f, (tt_storage_jsonl_options){.path = path}, NULL),
                   TT_EIO);
  tt_storage_writer_free(f->writer);
  f->writer = NULL;
  assert_int_equal(begin(f, (tt_storage_jsonl_options){.path = f->dir}, NULL),
                   TT_EIO);
}

static void outlives_trouble_that_passes(void **state) {
  fixture *f = *state;
  tt_storage_writer_stats stats = {0};
  char gone[64];
  uint64_t next = 1;
  snprintf(gone, sizeof(gone), "%s-gone", f->dir);
  tt_storage_jsonl_options options = {.max_bytes = 1000};
  assert_int_equal(begin(f, options, NULL), TT_OK);
  publish(f, 1);
  while (stats.appended == 0) {
    usleep(1000);
    tt_storage_writer_stats_get(f->writer, &stats);
  }
  assert_int_equal(rename(f->dir, gone), 0);
  publish(f, 99);
  while (stats.failures == 0) {
    usleep(1000);
    tt_storage_writer_stats_get(f->writer, &stats);
  }
  assert_non_null(strstr(stats.problem, "its directory does not exist"));
  assert_int_equal(rename(gone, f->dir), 0);
  end(f);
  struct dirent **entries = NULL;
  int count = scandir(f->dir, &entries, is_closed_file, alphasort);
  for (int i = 0; i < count; i++) {
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", f->dir, entries[i]->d_name);
    expect_lines(path, &next);
    free(entries[i]);
  }
  free(entries);
  expect_lines(f->path, &next);
  assert_int_equal(next, 101);
}

/* The storage alone, without a writer. */
static tt_storage *open_alone(tt_storage_jsonl_options options) {
  tt_storage *s = NULL;
  tt_append_report report = {0};
  uint64_t seq = 0;
  assert_int_equal(tt_storage_jsonl_new(&options, &s), TT_OK);
  assert_int_equal(s->ops.open(s->self, 1000, &seq, &report), TT_OK);
  return s;
}

static tt_error append_one(tt_storage *s, uint64_t seq) {
  tt_append_report report = {0};
  tt_envelope envelope = {.seq = seq, .event = {.type = "tick"}};
  return s->ops.append(s->self, &envelope, 1, 1000, &report);
}

/* What a sync took that failed when a file was closed comes again too: the next
 * flush says so, though the disk works by then. */
static void a_failed_sync_is_told_by_the_flush(void **state) {
  fixture *f = *state;
  tt_append_report report = {0};
  tt_storage *s =
      open_alone((tt_storage_jsonl_options){.path = f->path, .max_bytes = 100});
  assert_int_equal(append_one(s, 1), TT_OK);
  failing_syncs = 1;
  assert_int_equal(append_one(s, 2), TT_EIO);
  assert_int_equal(append_one(s, 2), TT_OK);
  assert_int_equal(s->ops.flush(s->self, 1000, &report), TT_EIO);
  assert_int_equal(s->ops.flush(s->self, 1000, &report), TT_OK);
  tt_storage_free(s);
}

static void a_file_that_was_taken_away_is_no_trouble(void **state) {
  fixture *f = *state;
  tt_storage *s =
      open_alone((tt_storage_jsonl_options){.path = f->path, .max_bytes = 100});
  assert_int_equal(append_one(s, 1), TT_OK);
  assert_int_equal(unlink(f->path), 0);
  assert_int_equal(append_one(s, 2), TT_OK);
  assert_int_equal(access(f->path, F_OK), 0);
  tt_storage_free(s);
}

/* A child that lives on keeps nobody from a file that was closed. */
static void a_child_does_not_hold_what_was_let_go(void **state) {
  fixture *f = *state;
  int ends[2], status;
  char byte;
  tt_storage_jsonl_options options = {.path = f->path};
  tt_storage *s = open_alone(options);
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0) {
    alarm(60);
    close(ends[1]);
    _exit((int)read(ends[0], &byte, 1));
  }
  tt_storage_free(s);
  tt_storage_free(open_alone(options));
  close(ends[0]);
  close(ends[1]);
  assert_int_equal(waitpid(child, &status, 0), child);
}

/* Only a line of ours comes again when it is cut off. */
static void what_another_wrote_stays(void **state) {
  fixture *f = *state;
  char line[64] = "";
  FILE *file = fopen(f->path, "we");
  fputs("no line of ours", file);
  fclose(file);
  publish(f, 1);
  assert_int_equal(begin(f, (tt_storage_jsonl_options){0}, NULL), TT_OK);
  end(f);
  file = fopen(f->path, "re");
  assert_non_null(fgets(line, sizeof(line), file));
  assert_string_equal(line, "no line of ours\n");
  assert_non_null(fgets(line, sizeof(line), file));
  assert_int_equal(strncmp(line, "{\"seq\":1,", 9), 0);
  fclose(file);
}

typedef struct visits {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  unsigned count;
  bool held;
} visits;

static tt_error visit_slowly(void *context, const char *path) {
  visits *v = context;
  (void)path;
  pthread_mutex_lock(&v->mutex);
  v->count++;
  pthread_cond_broadcast(&v->changed);
  while (v->held)
    pthread_cond_wait(&v->changed, &v->mutex);
  pthread_mutex_unlock(&v->mutex);
  return TT_OK;
}

/* Files that take long hold up a stop for one of them, not for all. */
static void a_stop_leaves_closed_files_to_the_next_life(void **state) {
  fixture *f = *state;
  visits v = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, true};
  for (int i = 0; i < 5; i++) {
    char path[128];
    snprintf(path, sizeof(path), "%s.20260102T030405.00000%dZ", f->path, i);
    fclose(fopen(path, "we"));
  }
  tt_storage_jsonl_options options = {.closed = visit_slowly, .context = &v};
  assert_int_equal(begin(f, options, NULL), TT_OK);
  pthread_mutex_lock(&v.mutex);
  while (v.count == 0)
    pthread_cond_wait(&v.changed, &v.mutex);
  pthread_mutex_unlock(&v.mutex);
  assert_int_equal(tt_storage_writer_stop(f->writer, 10), TT_ETIMEOUT);
  pthread_mutex_lock(&v.mutex);
  v.held = false;
  pthread_cond_broadcast(&v.changed);
  pthread_mutex_unlock(&v.mutex);
  tt_storage_writer_free(f->writer);
  f->writer = NULL;
  assert_int_equal(v.count, 1);
}

static void gzip_leaves_what_it_cannot(void **state) {
  fixture *f = *state;
  assert_int_equal(tt_gzip_file(NULL, NULL), TT_EINVAL);
  assert_int_equal(tt_gzip_file(NULL, f->path), TT_EIO);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(writes_lines),
      TEST(goes_on_behind_the_last_whole_line),
      TEST(rotates_by_size_and_compresses),
      TEST(keeps_the_newest),
      TEST(deals_with_what_was_left),
      TEST(one_writer_a_file),
      TEST(says_what_is_wrong),
      TEST(outlives_trouble_that_passes),
      TEST(a_failed_sync_is_told_by_the_flush),
      TEST(a_file_that_was_taken_away_is_no_trouble),
      TEST(a_child_does_not_hold_what_was_let_go),
      TEST(what_another_wrote_stays),
      TEST(a_stop_leaves_closed_files_to_the_next_life),
      TEST(gzip_leaves_what_it_cannot),
  };
#undef TEST
  return cmocka_run_group_tests(tests, NULL, NULL);
}
