/* What every store promises: restarts, kills and lost power. */
#include "tests/contract/support/store.h"

#include "server/testing/clock.h"
#include "server/testing/vfs.h"
#include "tests/contract/records.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Restart, kill ---- */

static void a_restart_keeps_everything(void **state) {
  fixture *f = *state;
  static uint64_t seqs[3000];
  uint64_t first, count;
  if (!f->impl->persists)
    return;
  append(f, "a", 2500);
  append_keyed(f, "kept", 'a', 1, &first, &count);
  store_status before = status(f);
  close_store(f);
  assert_int_equal(open_again(f), TT_OK);
  store_status after = status(f);
  assert_string_equal(after.log_uuid, before.log_uuid);
  assert_int_equal(after.head_seq, before.head_seq);
  assert_int_equal(after.next_seq, before.next_seq);
  assert_int_equal(after.oldest_seq, before.oldest_seq);
  store_range range;
  assert_int_equal(store_ranges(f->store, 0, after.head_seq, &range, 1), 0);
  assert_int_equal(read_all(f, (store_read){0}, seqs, 3000), 2501);
  assert_int_equal(append_keyed(f, "kept", 'a', 1, &first, &count),
                   STORE_REPLAYED);
  assert_int_equal(append(f, "b", 1), 2502);
}

static void another_life_starts_higher(void **state) {
  fixture *f = *state;
  if (f->impl->persists)
    return;
  append(f, "a", 1);
  uint64_t head = status(f).head_seq;
  close_store(f);
  testing_clock_advance_us(2000);
  assert_int_equal(open_again(f), TT_OK);
  assert_true(status(f).next_seq > head);
  store_range range;
  assert_int_equal(store_ranges(f->store, head, status(f).head_seq, &range, 1),
                   1);
  assert_int_equal(range.from_seq, head + 1);
  assert_int_equal(range.to_seq, status(f).head_seq);
}

/* A child appends and tells of each answer, until it is killed. */
static void append_until_killed(fixture *f, int answers) {
  fixture child = *f;
  if (child.impl->open(&child.options, &child.error, &child.store) != TT_OK)
    _exit(1);
  for (;;) {
    tti_batch batch;
    uint64_t first;
    records_make(&batch, "killed", "test", 10);
    if (append_batch(&child, &batch, &first) != STORE_OK)
      _exit(1);
    tti_batch_fini(&batch);
    if (write(answers, &first, sizeof first) != sizeof first)
      _exit(1);
  }
}

static uint64_t kill_under_load(fixture *f) {
  int answers[2];
  assert_int_equal(pipe(answers), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0)
    append_until_killed(f, answers[1]);
  close(answers[1]);
  uint64_t first = 0, last = 0;
  for (int i = 0; i < 20; i++) {
    assert_int_equal(read(answers[0], &first, sizeof first), sizeof first);
    last = first;
  }
  kill(child, SIGKILL);
  while (read(answers[0], &first, sizeof first) == sizeof first)
    last = first;
  waitpid(child, NULL, 0);
  close(answers[0]);
  return last + 9;
}

static void check_after_kill(fixture *f, store_durability durability) {
  static uint64_t seqs[200000];
  close_store(f);
  f->options.durability = durability;
  uint64_t acknowledged = kill_under_load(f);
  assert_int_equal(open_again(f), TT_OK);
  size_t count = read_all(f, (store_read){0}, seqs, 200000);
  assert_true(count >= acknowledged);
  assert_int_equal(count % 10, 0);
  for (size_t i = 0; i < count; i++)
    assert_int_equal(seqs[i], i + 1);
  /* The kernel lived on: what was committed is there, and no more than that
   * was given out. */
  store_range range;
  assert_int_equal(append(f, "after", 1), count + 1);
  assert_int_equal(store_ranges(f->store, 0, count + 1, &range, 1), 0);
  store_count counts[2];
  store_counts(f->store, STORE_BY_SOURCE, counts, 2);
  assert_string_equal(counts[0].name, "killed");
  assert_int_equal(counts[0].count, count);
}

static void a_kill_loses_nothing_acknowledged(void **state) {
  fixture *f = *state;
  if (f->impl->persists)
    check_after_kill(f, STORE_SYNC);
}

static void a_kill_under_commit_loses_nothing_either(void **state) {
  fixture *f = *state;
  if (f->impl->persists)
    check_after_kill(f, STORE_COMMIT);
}

/* ---- Power loss: what was not synced is gone, in part ---- */

static void append_until_power_goes(fixture *f, int answers, unsigned seed) {
  char text[16];
  snprintf(text, sizeof text, "%u", seed);
  setenv("TELLTALE_TEST_VFS", text, 1);
  testing_vfs_register(seed);
  fixture child = *f;
  if (child.impl->open(&child.options, &child.error, &child.store) != TT_OK)
    _exit(1);
  for (unsigned i = 0; i < 10 + seed * 7; i++) {
    tti_batch batch;
    uint64_t first;
    records_make(&batch, "cut", "test", 10);
    if (append_batch(&child, &batch, &first) != STORE_OK)
      _exit(1);
    tti_batch_fini(&batch);
    if (write(answers, &first, sizeof first) != sizeof first)
      _exit(1);
  }
  testing_power_cut();
}

/* The last seq that was acknowledged. */
static uint64_t cut_power(fixture *f, unsigned seed) {
  int answers[2];
  assert_int_equal(pipe(answers), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0)
    append_until_power_goes(f, answers[1], seed);
  close(answers[1]);
  uint64_t first = 0, last = 0;
  while (read(answers[0], &first, sizeof first) == sizeof first)
    last = first + 9;
  int ended;
  waitpid(child, &ended, 0);
  close(answers[0]);
  assert_true(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL);
  return last;
}

/* Every number up to the head is a row or in a recorded range. */
static void check_complete(fixture *f) {
  static uint64_t seqs[20000];
  store_range ranges[64];
  uint64_t head = status(f).head_seq, accounted = 0;
  accounted += read_all(f, (store_read){0}, seqs, 20000);
  for (size_t i = 1; i < accounted; i++)
    assert_true(seqs[i] > seqs[i - 1]);
  size_t count = store_ranges(f->store, 0, head, ranges, 64);
  for (size_t i = 0; i < count; i++)
    accounted += ranges[i].to_seq - ranges[i].from_seq + 1;
  assert_int_equal(accounted, head);
}

static void survive_power_cuts(fixture *f, store_durability durability) {
  static uint64_t seqs[20000];
  close_store(f);
  f->options.durability = durability;
  uint64_t acknowledged = 0;
  for (unsigned seed = 1; seed <= 6; seed++) {
    uint64_t last = cut_power(f, seed);
    assert_true(last > acknowledged);
    acknowledged = last;
    assert_int_equal(open_again(f), TT_OK);
    assert_true(status(f).next_seq > acknowledged);
    if (durability == STORE_SYNC)
      assert_int_equal(read_all(f, (store_read){0}, seqs, 20000), acknowledged);
    check_complete(f);
    close_store(f);
  }
  assert_int_equal(open_again(f), TT_OK);
}

static void power_loss_takes_nothing_acknowledged(void **state) {
  fixture *f = *state;
  if (f->impl->persists)
    survive_power_cuts(f, STORE_SYNC);
}

static void power_loss_under_commit_is_told(void **state) {
  fixture *f = *state;
  if (f->impl->persists)
    survive_power_cuts(f, STORE_COMMIT);
}

static void a_clean_end_leaves_no_hole(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  close_store(f);
  f->options.durability = STORE_COMMIT;
  assert_int_equal(open_again(f), TT_OK);
  append(f, "a", 10);
  close_store(f);
  assert_int_equal(open_again(f), TT_OK);
  assert_int_equal(append(f, "a", 1), 11);
}

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test(a_restart_keeps_everything),
      cmocka_unit_test(another_life_starts_higher),
      cmocka_unit_test(a_kill_loses_nothing_acknowledged),
      cmocka_unit_test(a_kill_under_commit_loses_nothing_either),
      cmocka_unit_test(power_loss_takes_nothing_acknowledged),
      cmocka_unit_test(power_loss_under_commit_is_told),
      cmocka_unit_test(a_clean_end_leaves_no_hole),
  };
  return store_contract(cases, sizeof cases / sizeof *cases);
}
