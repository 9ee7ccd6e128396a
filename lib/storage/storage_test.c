#include "tests/unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <telltale/storage.h>
#include <unistd.h>

#define MAX_SEQ 4096

/* A storage that does as it is told and remembers what it was given. */
typedef struct fake {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  unsigned times[MAX_SEQ]; /* each seq was stored */
  uint64_t last;
  bool out_of_order;
  size_t largest; /* of all appends */
  unsigned calls, flushes, closes;
  unsigned flushed_calls; /* how many appends the last good flush covered */
  /* Orders. */
  tt_error open_error;
  uint64_t there;
  unsigned failing; /* so many appends fail … */
  tt_error failure; /* … with this; TT_OK: none */
  size_t stored_anyway;
  uint64_t poison; /* a batch with this seq is TT_EINVAL */
  size_t limit;    /* more than so many are TT_ETOOBIG */
  unsigned failing_flushes;
  bool hang; /* until interrupted or told not to */
  bool interrupted;
} fake;

static tt_error fake_open(void *self, int timeout_ms, uint64_t *out_seq,
                          tt_append_report *report) {
  (void)timeout_ms;
  fake *f = self;
  if (f->open_error)
    snprintf(report->problem, sizeof(report->problem), "no such host");
  else
    *out_seq = f->there;
  return f->open_error;
}

static tt_error decide(fake *f, const tt_envelope *envelopes, size_t count,
                       tt_append_report *report) {
  while (f->hang && !f->interrupted)
    pthread_cond_wait(&f->changed, &f->mutex);
  if (f->interrupted)
    return TT_ECANCELLED;
  if (f->failing) {
    f->failing--;
    report->stored = f->stored_anyway < count ? f->stored_anyway : 0;
    snprintf(report->problem, sizeof(report->problem), "told to fail");
    return f->failure;
  }
  if (f->limit && count > f->limit)
    return TT_ETOOBIG;
  for (size_t i = 0; i < count; i++)
    if (f->poison && envelopes[i].seq == f->poison)
      return TT_EINVAL;
  return TT_OK;
}

static tt_error fake_append(void *self, const tt_envelope *envelopes,
                            size_t count, int timeout_ms,
                            tt_append_report *report) {
  (void)timeout_ms;
  fake *f = self;
  pthread_mutex_lock(&f->mutex);
  tt_error error = decide(f, envelopes, count, report);
  size_t stored = error ? report->stored : count;
  f->calls++;
  if (count > f->largest)
    f->largest = count;
  for (size_t i = 0; i < stored; i++) {
    uint64_t seq = envelopes[i].seq;
    f->times[seq]++;
    if (seq <= f->last)
      f->out_of_order = true;
    f->last = seq;
  }
  pthread_cond_broadcast(&f->changed);
  pthread_mutex_unlock(&f->mutex);
  return error;
}

static tt_error fake_flush(void *self, int timeout_ms,
                           tt_append_report *report) {
  (void)timeout_ms;
  (void)report;
  fake *f = self;
  tt_error error = TT_OK;
  pthread_mutex_lock(&f->mutex);
  if (f->failing_flushes) {
    f->failing_flushes--;
    error = TT_EIO;
  } else {
    f->flushes++;
    f->flushed_calls = f->calls;
  }
  pthread_cond_broadcast(&f->changed);
  pthread_mutex_unlock(&f->mutex);
  return error;
}

static tt_error fake_close(void *self, int timeout_ms,
                           tt_append_report *report) {
  (void)timeout_ms;
  (void)report;
  ((fake *)self)->closes++;
  return TT_OK;
}

static void fake_interrupt(void *self) {
  fake *f = self;
  pthread_mutex_lock(&f->mutex);
  f->interrupted = true;
  pthread_cond_broadcast(&f->changed);
  pthread_mutex_unlock(&f->mutex);
}

static const tt_storage_ops fake_ops = {.version = 1,
                                        .max_records = 64,
                                        .open = fake_open,
                                        .append = fake_append,
                                        .flush = fake_flush,
                                        .close = fake_close,
                                        .interrupt = fake_interrupt};

typedef struct fixture {
  tt_stream *stream;
  fake fake;
  tt_storage_writer *writer;
  char dir[32];
  char letters[64];
  uint64_t saved; /* the position; 0: none */
  unsigned saves;
} fixture;

static int setup(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  if (!f || tt_stream_new(NULL, &f->stream))
    return -1;
  pthread_mutex_init(&f->fake.mutex, NULL);
  pthread_cond_init(&f->fake.changed, NULL);
  strcpy(f->dir, "/tmp/tt-storage-XXXXXX");
  if (!mkdtemp(f->dir))
    return -1;
  snprintf(f->letters, sizeof(f->letters), "%s/letters", f->dir);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  tt_storage_writer_free(f->writer);
  tt_stream_free(f->stream);
  unlink(f->letters);
  rmdir(f->dir);
  pthread_cond_destroy(&f->fake.changed);
  pthread_mutex_destroy(&f->fake.mutex);
  free(f);
  return 0;
}

static tt_error load(void *self, uint64_t *out_seq) {
  fixture *f = self;
  if (!f->saved)
    return TT_ENOTFOUND;
  *out_seq = f->saved;
  return TT_OK;
}

/* A position is never ahead of what was flushed. */
static tt_error save(void *self, uint64_t seq) {
  fixture *f = self;
  pthread_mutex_lock(&f->fake.mutex);
  if (f->fake.flushed_calls == f->fake.calls)
    f->saved = seq;
  f->saves++;
  pthread_mutex_unlock(&f->fake.mutex);
  return TT_OK;
}

static const tt_position_ops position_ops = {1, load, save};

static void make_writer(fixture *f, tt_storage_writer_options options) {
  tt_storage *storage = NULL;
  options.retry_first_ms = 1;
  options.retry_last_ms = 2;
  assert_int_equal(tt_storage_from_ops(&fake_ops, &f->fake, "fake", &storage),
                   TT_OK);
  assert_int_equal(
      tt_storage_writer_new(f->stream, storage, &options, &f->writer), TT_OK);
}

static void publish(fixture *f, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    tt_event event = {.type = "tick"};
    assert_int_equal(tt_stream_publish(f->stream, &event, NULL), TT_OK);
  }
}

static tt_storage_writer_stats stats_of(fixture *f) {
  tt_storage_writer_stats stats;
  tt_storage_writer_stats_get(f->writer, &stats);
  return stats;
}

static void assert_stored(fixture *f, uint64_t from, uint64_t to) {
  for (uint64_t seq = from; seq <= to; seq++)
    assert_int_equal(f->fake.times[seq], 1);
  assert_false(f->fake.out_of_order);
}

/* Runs over a closed stream: all of it, then the end. */
static void run_all(fixture *f) {
  tt_stream_close(f->stream);
  assert_int_equal(tt_storage_writer_run(f->writer, NULL), TT_ECLOSED);
}

static void stores_all_in_order(void **state) {
  fixture *f = *state;
  publish(f, 1000);
  make_writer(f, (tt_storage_writer_options){0});
  run_all(f);
  assert_stored(f, 1, 1000);
  assert_int_equal(f->fake.largest, 64);
  assert_int_equal(tt_storage_writer_drain(f->writer, 1000), TT_OK);
  assert_int_equal(tt_storage_writer_close(f->writer, 1000), TT_OK);
  assert_int_equal(f->fake.closes, 1);
  tt_storage_writer_stats stats = stats_of(f);
  assert_int_equal(stats.position, 1000);
  assert_int_equal(stats.appended, 1000);
  assert_int_equal(stats.lag, 0);
}

static void holds_its_order_of_calls(void **state) {
  fixture *f = *state;
  make_writer(f, (tt_storage_writer_options){0});
  assert_int_equal(tt_storage_writer_drain(f->writer, 0), TT_ESTATE);
  assert_int_equal(tt_storage_writer_close(f->writer, 0), TT_ESTATE);
  assert_int_equal(tt_storage_writer_stop(f->writer, 0), TT_ESTATE);
  run_all(f);
  assert_int_equal(tt_storage_writer_run(f->writer, NULL), TT_ESTATE);
  assert_int_equal(tt_storage_writer_start(f->writer), TT_ESTATE);
  assert_int_equal(tt_storage_writer_close(f->writer, 1000), TT_OK);
  assert_int_equal(tt_storage_writer_close(f->writer, 0), TT_ESTATE);
  assert_int_equal(tt_storage_writer_drain(f->writer, 0), TT_ESTATE);
}

static void refuses_bad_input(void **state) {
  fixture *f = *state;
  tt_storage_ops ops = fake_ops;
  tt_storage *storage = NULL;
  ops.version = 2;
  assert_int_equal(tt_storage_from_ops(&ops, &f->fake, "fake", &storage),
                   TT_EINVAL);
  ops = fake_ops;
  ops.append = NULL;
  assert_int_equal(tt_storage_from_ops(&ops, &f->fake, "fake", &storage),
                   TT_EINVAL);
  assert_int_equal(tt_storage_from_ops(&fake_ops, &f->fake, "fake", &storage),
                   TT_OK);
  assert_int_equal(tt_storage_writer_new(NULL, storage, NULL, &f->writer),
                   TT_EINVAL);
  assert_int_equal(tt_storage_writer_run(NULL, NULL), TT_EINVAL);
  tt_storage_writer_free(NULL);
  tt_storage_free(NULL);
}

static void begins_at_the_tail(void **state) {
  fixture *f = *state;
  publish(f, 10);
  make_writer(f, (tt_storage_writer_options){.from = TT_STORAGE_FROM_TAIL});
  publish(f, 5);
  run_all(f);
  assert_int_equal(f->fake.times[10], 0);
  assert_stored(f, 11, 15);
}

static void cancel_ends_reading_and_drain_takes_the_rest(void **state) {
  fixture *f = *state;
  tt_cancel *cancel = NULL;
  publish(f, 10);
  make_writer(f, (tt_storage_writer_options){0});
  assert_int_equal(tt_cancel_new(&cancel), TT_OK);
  tt_cancel_trigger(cancel);
  assert_int_equal(tt_storage_writer_run(f->writer, cancel), TT_ECANCELLED);
  assert_int_equal(f->fake.times[1], 0);
  assert_int_equal(tt_storage_writer_drain(f->writer, 5000), TT_OK);
  assert_stored(f, 1, 10);
  tt_cancel_free(cancel);
}

static void tries_again_what_fails(void **state) {
  fixture *f = *state;
  publish(f, 100);
  f->fake.failing = 5;
  f->fake.failure = TT_EIO;
  make_writer(f, (tt_storage_writer_options){0});
  run_all(f);
  assert_stored(f, 1, 100);
  tt_storage_writer_stats stats = stats_of(f);
  assert_int_equal(stats.failures, 5);
  assert_false(stats.failing);
  assert_string_equal(stats.problem, "told to fail");
  assert_true(stats.problem_us > 0);
}

/* What is there in spite of the error is not sent again. */
static void goes_on_behind_what_was_stored(void **state) {
  fixture *f = *state;
  publish(f, 100);
  f->fake.failing = 3;
  f->fake.failure = TT_ETIMEOUT;
  f->fake.stored_anyway = 7;
  make_writer(f, (tt_storage_writer_options){0});
  run_all(f);
  assert_stored(f, 1, 100);
  assert_int_equal(stats_of(f).appended, 100);
}

static void halves_what_is_too_large(void **state) {
  fixture *f = *state;
  publish(f, 100);
  f->fake.limit = 3;
  make_writer(f, (tt_storage_writer_options){0});
  run_all(f);
  assert_stored(f, 1, 100);
  assert_int_equal(stats_of(f).rejected, 0);
}

static size_t lines_of(const char *path) {
  size_t lines = 0;
  FILE *file = fopen(path, "re");
  if (!file)
    return 0;
  for (int c; (c = getc(file)) != EOF;)
    lines += c == '\n';
  fclose(file);
  return lines;
}

/* One that is refused takes no other with it, and can be sent again. */
static void rejects_one_alone_and_sends_it_again(void **state) {
  fixture *f = *state;
  uint64_t sent = 9, left = 9;
  publish(f, 100);
  f->fake.poison = 42;
  make_writer(f, (tt_storage_writer_options){.dead_letters = f->letters});
  assert_int_equal(tt_storage_writer_requeue(f->writer, 0, &sent, &left),
                   TT_ESTATE);
  assert_int_equal(tt_storage_writer_start(f->writer), TT_OK);
  pthread_mutex_lock(&f->fake.mutex);
  while (f->fake.last < 100)
    pthread_cond_wait(&f->fake.changed, &f->fake.mutex);
  pthread_mutex_unlock(&f->fake.mutex);
  assert_stored(f, 1, 41);
  assert_int_equal(f->fake.times[42], 0);
  assert_stored(f, 43, 100);
  assert_int_equal(lines_of(f->letters), 1);
  tt_storage_writer_stats stats = stats_of(f);
  assert_int_equal(stats.rejected, 1);
  assert_int_equal(stats.dead_letters, 1);
  /* Refused again, it stays. */
  assert_int_equal(tt_storage_writer_requeue(f->writer, 5000, &sent, &left),
                   TT_OK);
  assert_int_equal(sent, 0);
  assert_int_equal(left, 1);
  assert_int_equal(lines_of(f->letters), 1);
  pthread_mutex_lock(&f->fake.mutex);
  f->fake.poison = 0;
  pthread_mutex_unlock(&f->fake.mutex);
  assert_int_equal(tt_storage_writer_requeue(f->writer, 5000, &sent, &left),
                   TT_OK);
  assert_int_equal(sent, 1);
  assert_int_equal(left, 0);
  assert_int_equal(f->fake.times[42], 1);
  assert_int_equal(lines_of(f->letters), 0);
  assert_int_equal(tt_storage_writer_stop(f->writer, 5000), TT_OK);
}

static void await_position(fixture *f, uint64_t seq) {
  while (stats_of(f).position < seq)
    usleep(1000);
}

/* A letter is removed when the storage has it for good, not before; and a flush
 * that fails in between may have taken what the writer appended. */
static void a_letter_stays_until_the_storage_flushed(void **state) {
  fixture *f = *state;
  uint64_t sent = 9, left = 9;
  publish(f, 10);
  f->fake.poison = 4;
  make_writer(f, (tt_storage_writer_options){.dead_letters = f->letters,
                                             .position = &position_ops,
                                             .position_self = f});
  assert_int_equal(tt_storage_writer_start(f->writer), TT_OK);
  await_position(f, 10);
  pthread_mutex_lock(&f->fake.mutex);
  f->fake.poison = 0;
  f->fake.failing_flushes = 1;
  pthread_mutex_unlock(&f->fake.mutex);
  assert_int_equal(tt_storage_writer_requeue(f->writer, 5000, &sent, &left),
                   TT_EIO);
  assert_int_equal(lines_of(f->letters), 1);
  publish(f, 1);
  await_position(f, 11);
  assert_int_equal(f->fake.times[11], 2); /* its first flush did not count */
  assert_int_equal(tt_storage_writer_requeue(f->writer, 5000, &sent, &left),
                   TT_OK);
  assert_int_equal(sent, 1);
  assert_int_equal(lines_of(f->letters), 0);
  assert_int_equal(tt_storage_writer_stop(f->writer, 5000), TT_OK);
}

/* A process that ended left half a letter: the next one is whole. */
static void half_a_letter_spoils_no_other(void **state) {
  fixture *f = *state;
  uint64_t sent = 0, left = 0;
  FILE *file = fopen(f->letters, "we");
  fputs("{\"seq\":1,\"received_us\":1,\"record\":\"AAAA", file);
  fclose(file);
  publish(f, 2);
  f->fake.poison = 2;
  make_writer(f, (tt_storage_writer_options){.dead_letters = f->letters});
  assert_int_equal(tt_storage_writer_start(f->writer), TT_OK);
  await_position(f, 2);
  pthread_mutex_lock(&f->fake.mutex);
  f->fake.poison = 0;
  pthread_mutex_unlock(&f->fake.mutex);
  assert_int_equal(tt_storage_writer_requeue(f->writer, 5000, &sent, &left),
                   TT_OK);
  assert_int_equal(sent, 1);
  assert_int_equal(left, 1);
  assert_int_equal(f->fake.times[2], 1);
  assert_int_equal(tt_storage_writer_stop(f->writer, 5000), TT_OK);
}

/* A letter tells people what it was, and a line of another hand stays. */
static void letters_are_json_lines(void **state) {
  fixture *f = *state;
  char line[1024] = "";
  tt_metadata pair = {"k", "v"};
  tt_event event = {.ts_us = 1,
                    .type = "paid",
                    .source = "shop",
                    .metadata = &pair,
                    .metadata_count = 1,
                    .data = "{\"n\":1.50}"};
  assert_int_equal(tt_stream_publish(f->stream, &event, NULL), TT_OK);
  f->fake.poison = 1;
  make_writer(f, (tt_storage_writer_options){.dead_letters = f->letters});
  run_all(f);
  FILE *file = fopen(f->letters, "re");
  assert_non_null(file);
  assert_non_null(fgets(line, sizeof(line), file));
  fclose(file);
  assert_non_null(strstr(line, "{\"seq\":1,\"received_us\":"));
  assert_non_null(strstr(line, "\"reason\":\"an argument is not valid\""));
  assert_non_null(strstr(line, "\"envelope\":{\"seq\":1,\"event\":{"));
  assert_non_null(strstr(line, "\"data\":{\"n\":1.50}}}}\n"));
}

/* At the ceiling of the file they are counted and gone. */
static void letters_are_bounded(void **state) {
  fixture *f = *state;
  publish(f, 50);
  f->fake.failing = UINT32_MAX;
  f->fake.failure = TT_EINVAL;
  make_writer(f, (tt_storage_writer_options){.dead_letters = f->letters,
                                             .dead_letters_max_bytes = 1000});
  run_all(f);
  tt_storage_writer_stats stats = stats_of(f);
  assert_int_equal(stats.rejected, 50);
  assert_true(stats.dead_letters > 0 && stats.dead_letters < 10);
  assert_int_equal(lines_of(f->letters), stats.dead_letters);
}

/* A storage that is away for longer than the ring reaches: each seq is stored,
 * a dead letter, or counted as one that was overwritten. */
static void accounts_for_what_it_was_overtaken_by(void **state) {
  fixture *f = *state;
  tt_stream_free(f->stream);
  tt_stream_options options = {.entries = 100};
  assert_int_equal(tt_stream_new(&options, &f->stream), TT_OK);
  publish(f, 10);
  f->fake.failing = UINT32_MAX;
  f->fake.failure = TT_EIO;
  make_writer(f, (tt_storage_writer_options){.dead_letters = f->letters});
  assert_int_equal(tt_storage_writer_start(f->writer), TT_OK);
  pthread_mutex_lock(&f->fake.mutex);
  while (f->fake.calls == 0)
    pthread_cond_wait(&f->fake.changed, &f->fake.mutex);
  pthread_mutex_unlock(&f->fake.mutex);
  publish(f, 1000);
  while (stats_of(f).given_up == 0)
    usleep(1000);
  pthread_mutex_lock(&f->fake.mutex);
  f->fake.failing = 0;
  pthread_mutex_unlock(&f->fake.mutex);
  assert_int_equal(tt_storage_writer_stop(f->writer, 10000), TT_OK);
  tt_storage_writer_stats stats = stats_of(f);
  assert_int_equal(stats.appended + stats.given_up + stats.behind, 1010);
  assert_int_equal(stats.dead_letters, stats.given_up);
  assert_int_equal(lines_of(f->letters), stats.given_up);
  assert_stored(f, 911, 1010);
  assert_int_equal(stats.position, 1010);
}

static void keeps_its_position(void **state) {
  fixture *f = *state;
  tt_storage_writer_options options = {.position = &position_ops,
                                       .position_self = f};
  publish(f, 10);
  make_writer(f, options);
  assert_int_equal(tt_storage_writer_start(f->writer), TT_OK);
  assert_int_equal(tt_storage_writer_stop(f->writer, 5000), TT_OK);
  assert_int_equal(f->saved, 10);
  tt_storage_writer_free(f->writer);
  f->writer = NULL;
  publish(f, 10);
  make_writer(f, options);
  run_all(f);
  assert_stored(f, 1, 20);
}

/* What the other side has already is not sent again, when it can be so. */
static void believes_what_the_storage_has(void **state) {
  fixture *f = *state;
  f->saved = 5;
  f->fake.there = 8;
  publish(f, 10);
  make_writer(f, (tt_storage_writer_options){.position = &position_ops,
                                             .position_self = f});
  run_all(f);
  assert_int_equal(f->fake.times[8], 0);
  assert_stored(f, 9, 10);
}

/* It is of another stream, say one of an earlier process. */
static void a_position_ahead_of_the_stream_loses_nothing(void **state) {
  fixture *f = *state;
  f->saved = 500;
  publish(f, 5);
  make_writer(f, (tt_storage_writer_options){.position = &position_ops,
                                             .position_self = f});
  assert_int_equal(tt_storage_writer_start(f->writer), TT_OK);
  publish(f, 5);
  assert_int_equal(tt_storage_writer_stop(f->writer, 5000), TT_OK);
  assert_stored(f, 1, 10);
  assert_int_equal(f->saved, 10);
}

static void does_not_believe_the_impossible(void **state) {
  fixture *f = *state;
  f->saved = 5;
  f->fake.there = 800;
  publish(f, 10);
  make_writer(f, (tt_storage_writer_options){.position = &position_ops,
                                             .position_self = f});
  run_all(f);
  assert_stored(f, 6, 10);
}

/* What was appended before a flush that failed may be gone: it comes again, and
 * the position waits for it. */
static void appends_again_after_a_failed_flush(void **state) {
  fixture *f = *state;
  publish(f, 10);
  f->fake.failing_flushes = 1;
  make_writer(f, (tt_storage_writer_options){.position = &position_ops,
                                             .position_self = f});
  assert_int_equal(tt_storage_writer_start(f->writer), TT_OK);
  pthread_mutex_lock(&f->fake.mutex);
  while (f->fake.flushes == 0)
    pthread_cond_wait(&f->fake.changed, &f->fake.mutex);
  pthread_mutex_unlock(&f->fake.mutex);
  assert_int_equal(tt_storage_writer_stop(f->writer, 5000), TT_OK);
  for (uint64_t seq = 1; seq <= 10; seq++)
    assert_int_equal(f->fake.times[seq], 2);
  assert_int_equal(f->saved, 10);
  assert_int_equal(stats_of(f).failures, 1);
}

static void start_answers_the_error_of_open(void **state) {
  fixture *f = *state;
  f->fake.open_error = TT_EIO;
  publish(f, 3);
  make_writer(f, (tt_storage_writer_options){0});
  assert_int_equal(tt_storage_writer_start(f->writer), TT_EIO);
  assert_int_equal(tt_storage_writer_stop(f->writer, 0), TT_ESTATE);
  f->fake.open_error = TT_OK;
  assert_int_equal(tt_storage_writer_start(f->writer), TT_OK);
  assert_int_equal(tt_storage_writer_start(f->writer), TT_ESTATE);
  assert_int_equal(tt_storage_writer_stop(f->writer, 5000), TT_OK);
  assert_stored(f, 1, 3);
  assert_int_equal(f->fake.closes, 1);
}

/* A storage that hangs delays neither publishers nor, beyond its time, stop. */
static void a_storage_that_hangs_holds_nobody(void **state) {
  fixture *f = *state;
  f->fake.hang = true;
  make_writer(f, (tt_storage_writer_options){0});
  assert_int_equal(tt_storage_writer_start(f->writer), TT_OK);
  publish(f, 3000);
  assert_int_equal(tt_storage_writer_stop(f->writer, 20), TT_ETIMEOUT);
  assert_int_equal(f->fake.last, 0);
  assert_int_equal(f->fake.closes, 1);
}

static void drain_keeps_its_time(void **state) {
  fixture *f = *state;
  tt_cancel *cancel = NULL;
  publish(f, 10);
  f->fake.failing = UINT32_MAX;
  f->fake.failure = TT_EIO;
  make_writer(f, (tt_storage_writer_options){0});
  assert_int_equal(tt_cancel_new(&cancel), TT_OK);
  tt_cancel_trigger(cancel);
  assert_int_equal(tt_storage_writer_run(f->writer, cancel), TT_ECANCELLED);
  assert_int_equal(tt_storage_writer_drain(f->writer, 20), TT_ETIMEOUT);
  assert_int_equal(stats_of(f).lag, 10);
  tt_cancel_free(cancel);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(stores_all_in_order),
      TEST(holds_its_order_of_calls),
      TEST(refuses_bad_input),
      TEST(begins_at_the_tail),
      TEST(cancel_ends_reading_and_drain_takes_the_rest),
      TEST(tries_again_what_fails),
      TEST(goes_on_behind_what_was_stored),
      TEST(halves_what_is_too_large),
      TEST(rejects_one_alone_and_sends_it_again),
      TEST(a_letter_stays_until_the_storage_flushed),
      TEST(half_a_letter_spoils_no_other),
      TEST(letters_are_json_lines),
      TEST(letters_are_bounded),
      TEST(accounts_for_what_it_was_overtaken_by),
      TEST(keeps_its_position),
      TEST(believes_what_the_storage_has),
      TEST(a_position_ahead_of_the_stream_loses_nothing),
      TEST(does_not_believe_the_impossible),
      TEST(appends_again_after_a_failed_flush),
      TEST(start_answers_the_error_of_open),
      TEST(a_storage_that_hangs_holds_nobody),
      TEST(drain_keeps_its_time),
  };
#undef TEST
  return cmocka_run_group_tests(tests, NULL, NULL);
}
