/* What every store promises: backups while it is used. */
#include "tests/contract/support/store.h"

#include "server/io/clock.h"
#include "server/testing/fault.h"
#include "tests/contract/records.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct load {
  fixture *fixture;
  pthread_t thread;
  atomic_bool stop;
  uint64_t last_seq; /* after the join */
} load;

static void *write_on(void *context) {
  load *l = context;
  tti_batch batch;
  records_make(&batch, "load", "test", 10);
  while (!atomic_load(&l->stop)) {
    uint64_t first;
    if (append_batch(l->fixture, &batch, &first) == STORE_OK)
      l->last_seq = first + 9;
  }
  tti_batch_fini(&batch);
  return NULL;
}

static void start_load(load *l, fixture *f) {
  *l = (load){.fixture = f};
  assert_int_equal(pthread_create(&l->thread, NULL, write_on, l), 0);
}

static uint64_t stop_load(load *l) {
  atomic_store(&l->stop, true);
  pthread_join(l->thread, NULL);
  return l->last_seq;
}

static void name_copy(const fixture *f, char out_path[80]) {
  snprintf(out_path, 80, "%s/copy.db", f->directory);
}

static bool is_there(const char *path) {
  return access(path, F_OK) == 0;
}

/* True when the store can, which is then done; else it said why not. */
static bool back_up(fixture *f, store_backup *backup, tt_error expected) {
  tti_buf_clear(&f->error);
  tt_error error = store_back_up(f->store, backup, &f->error);
  assert_true(error == TT_OK || f->error.len > 0);
  assert_int_equal(error, f->impl->persists ? expected : TT_ESTATE);
  return f->impl->persists;
}

static void a_backup_is_one_moment(void **state) {
  fixture *f = *state;
  static uint64_t seqs[1000000];
  char path[80];
  load writing;
  name_copy(f, path);
  append(f, "before", 5000);
  start_load(&writing, f);
  store_backup backup = {.path = path};
  bool made = back_up(f, &backup, TT_OK);
  uint64_t issued = stop_load(&writing);
  if (!made)
    return;
  assert_true(backup.head_seq >= 5000 && backup.head_seq <= issued);
  /* Another store from it. */
  close_store(f);
  f->options.path = path;
  assert_int_equal(open_again(f), TT_OK);
  size_t count = read_all(f, (store_read){0}, seqs, 1000000);
  assert_int_equal(count, backup.head_seq);
  for (size_t i = 0; i < count; i++)
    assert_int_equal(seqs[i], i + 1);
  uint64_t next = append(f, "after", 1);
  assert_true(next > issued);
  store_range ranges[2];
  assert_int_equal(store_ranges(f->store, 0, next, ranges, 2), 1);
  assert_string_equal(ranges[0].reason, "restored");
  assert_int_equal(ranges[0].from_seq, backup.head_seq + 1);
  assert_int_equal(ranges[0].to_seq, next - 1);
}

static bool give_up(void *context, uint64_t done_bytes, uint64_t total_bytes) {
  (void)context;
  return done_bytes == 0 || done_bytes == total_bytes;
}

static void a_backup_that_is_given_up_leaves_nothing(void **state) {
  fixture *f = *state;
  char path[80], partial[96];
  name_copy(f, path);
  snprintf(partial, sizeof partial, "%s.partial", path);
  for (int i = 0; i < 8; i++)
    append(f, "before", 8000);
  store_backup backup = {.path = path, .progress = give_up};
  if (!back_up(f, &backup, TT_ECANCELLED))
    return;
  assert_false(is_there(path));
  assert_false(is_there(partial));
  backup.progress = NULL;
  assert_int_equal(back_up(f, &backup, TT_OK), true);
  back_up(f, &backup, TT_ECONFLICT);
}

/* The writer closes its connection in the middle of the copy. */
static bool break_store(void *context, uint64_t done_bytes,
                        uint64_t total_bytes) {
  (void)total_bytes;
  bool *broken = context;
  if (done_bytes > 0 && !*broken) {
    *broken = true;
    fault_set("store.commit.after", EIO, 0, 1);
  }
  return true;
}

static void a_backup_ends_with_its_stores_disk(void **state) {
  fixture *f = *state;
  char path[80];
  bool broken = false;
  load writing;
  name_copy(f, path);
  for (int i = 0; i < 8; i++)
    append(f, "before", 8000);
  start_load(&writing, f);
  store_backup backup = {
      .path = path, .progress = break_store, .context = &broken};
  tti_buf_clear(&f->error);
  tt_error error = store_back_up(f->store, &backup, &f->error);
  stop_load(&writing);
  fault_clear();
  if (!f->impl->persists)
    return;
  /* It may have ended before the error came. */
  assert_true(error == TT_EIO || error == TT_OK);
  assert_int_equal(is_there(path), error == TT_OK);
  backup = (store_backup){.path = path, .force = true};
  append(f, "after", 1);
  assert_int_equal(back_up(f, &backup, TT_OK), true);
}

static void a_backup_is_private(void **state) {
  fixture *f = *state;
  char path[80];
  struct stat st;
  name_copy(f, path);
  append(f, "a", 1);
  store_backup backup = {.path = path};
  if (!back_up(f, &backup, TT_OK))
    return;
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  assert_int_equal(st.st_size, backup.bytes);
  backup.path = f->path;
  backup.force = true;
  back_up(f, &backup, TT_EINVAL);
}

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test(a_backup_is_one_moment),
      cmocka_unit_test(a_backup_that_is_given_up_leaves_nothing),
      cmocka_unit_test(a_backup_ends_with_its_stores_disk),
      cmocka_unit_test(a_backup_is_private),
  };
  return store_contract(cases, sizeof cases / sizeof *cases);
}
