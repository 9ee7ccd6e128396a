#include "lib/stream/stream.h"
#include "tests/fork.h"
#include "tests/unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Assertions leave by longjmp, so threads only note what they saw and the main
 * thread asserts. */

#define READERS    64
#define PUBLISHERS 2
#define EACH       10000

typedef struct watcher {
  pthread_t thread;
  tt_stream *stream;
  tt_reader *reader;
  unsigned slowness; /* yields after each read */
  uint64_t read;
  uint64_t dropped;
  uint64_t last_seq;
  tt_error end;
  const char *fault; /* NULL: all was as promised */
} watcher;

/* The data of each event is {"p":publisher,"n":number} padded to its length,
 * which depends on the number. */
static void check_data(watcher *w, const tt_event *event, int *last_number) {
  int publisher, number;
  if (sscanf(event->data, "{\"p\":%d,\"n\":%d", &publisher, &number) != 2 ||
      publisher < 0 || publisher >= PUBLISHERS)
    w->fault = "data is not what was published";
  else if (number <= last_number[publisher])
    w->fault = "out of order";
  else
    last_number[publisher] = number;
  if (event->data[event->data_len - 1] != '}' ||
      strlen(event->data) != event->data_len)
    w->fault = "data is cut";
}

static void *watch(void *arg) {
  watcher *w = arg;
  int last_number[PUBLISHERS] = {-1, -1};
  for (;;) {
    tt_read_result result;
    w->end = tt_reader_read(w->reader, TELLTALE_FOREVER, NULL, &result);
    if (w->end)
      return NULL;
    if (result.envelope) {
      if (result.envelope->seq != w->last_seq + 1)
        w->fault = "an envelope is missing without a report";
      w->last_seq = result.envelope->seq;
      w->read++;
      for (unsigned i = 0; i < w->slowness; i++)
        sched_yield();
      check_data(w, &result.envelope->event, last_number);
    } else {
      if (result.from_seq != w->last_seq + 1 ||
          result.to_seq - result.from_seq + 1 != result.dropped)
        w->fault = "a report does not fit what was read";
      w->last_seq = result.to_seq;
      w->dropped += result.dropped;
    }
  }
}

typedef struct publisher {
  pthread_t thread;
  tt_stream *stream;
  int number;
  tt_error error;
} publisher;

static void *publish_all(void *arg) {
  publisher *p = arg;
  char data[2048];
  for (int n = 0; n < EACH && !p->error; n++) {
    int pad = n % 50 == 0 ? 1500 : n % 97;
    int len = snprintf(data, sizeof(data), "{\"p\":%d,\"n\":%d,\"x\":\"%*s\"}",
                       p->number, n, pad, "");
    tt_event event = {.source = "test", .data = data, .data_len = (size_t)len};
    p->error = tt_stream_publish(p->stream, &event, NULL);
  }
  return NULL;
}

/* 64 readers of different speed on a ring that is much too small: each accounts
 * for every seq, in order, as read or dropped, and no byte is torn. */
static void every_reader_accounts_for_all(void **state) {
  (void)state;
  tt_stream_options options = {.entries = 200, .bytes = 32768};
  tt_stream *stream = NULL;
  assert_int_equal(tt_stream_new(&options, &stream), TT_OK);
  watcher *watchers = calloc(READERS, sizeof(*watchers));
  assert_non_null(watchers);
  for (unsigned i = 0; i < READERS; i++) {
    watchers[i].stream = stream;
    watchers[i].slowness = i % 8 == 0 ? 0 : i % 8 == 1 ? 40 : i % 3;
    assert_int_equal(tt_reader_new(stream, 0, &watchers[i].reader), TT_OK);
    pthread_create(&watchers[i].thread, NULL, watch, &watchers[i]);
  }
  publisher publishers[PUBLISHERS];
  for (int i = 0; i < PUBLISHERS; i++) {
    publishers[i] = (publisher){.stream = stream, .number = i};
    pthread_create(&publishers[i].thread, NULL, publish_all, &publishers[i]);
  }
  for (int i = 0; i < PUBLISHERS; i++) {
    pthread_join(publishers[i].thread, NULL);
    assert_int_equal(publishers[i].error, TT_OK);
  }
  tti_stream_usage usage;
  tti_stream_usage_get(stream, &usage);
  assert_true(usage.bytes <= 32768);
  assert_true(usage.pinned_bytes <= READERS * 2048u);
  tt_stream_close(stream);
  uint64_t dropped = 0;
  for (unsigned i = 0; i < READERS; i++) {
    pthread_join(watchers[i].thread, NULL);
    assert_null(watchers[i].fault);
    assert_int_equal(watchers[i].end, TT_ECLOSED);
    assert_int_equal(watchers[i].read + watchers[i].dropped, PUBLISHERS * EACH);
    dropped += watchers[i].dropped;
    tt_reader_free(watchers[i].reader);
  }
  assert_int_equal(tt_stream_dropped(stream), dropped);
  tti_stream_usage_get(stream, &usage);
  assert_int_equal(usage.pinned_bytes, 0);
  free(watchers);
  tt_stream_free(stream);
}

typedef struct blocked {
  pthread_t thread;
  tt_reader *reader;
  tt_cancel *cancel;
  tt_error error;
  uint64_t seq;
  uint64_t busy; /* times another thread was in the reader */
} blocked;

static void *block(void *arg) {
  blocked *b = arg;
  tt_read_result result = {0};
  do {
    b->error = tt_reader_read(b->reader, TELLTALE_FOREVER, b->cancel, &result);
    b->busy += b->error == TT_EBUSY;
  } while (b->error == TT_EBUSY);
  if (!b->error && result.envelope)
    b->seq = result.envelope->seq;
  return NULL;
}

static void block_all(blocked *all, tt_stream *stream, tt_cancel *cancel) {
  for (int i = 0; i < 8; i++) {
    all[i] = (blocked){.cancel = cancel};
    assert_int_equal(tt_reader_new(stream, 0, &all[i].reader), TT_OK);
    pthread_create(&all[i].thread, NULL, block, &all[i]);
  }
}

static void join_all(blocked *all, tt_error expected, uint64_t seq) {
  for (int i = 0; i < 8; i++) {
    pthread_join(all[i].thread, NULL);
    assert_int_equal(all[i].error, expected);
    assert_int_equal(all[i].seq, seq);
    tt_reader_free(all[i].reader);
  }
}

/* Publish, cancel and close each end a read that waits forever. Each round may
 * find the readers anywhere between "not there yet" and "asleep". */
static void wakes_blocked_readers(void **state) {
  (void)state;
  for (int round = 0; round < 20; round++) {
    tt_stream *stream = NULL;
    tt_cancel *cancel = NULL;
    blocked all[8];
    assert_int_equal(tt_stream_new(NULL, &stream), TT_OK);
    assert_int_equal(tt_cancel_new(&cancel), TT_OK);
    block_all(all, stream, cancel);
    for (int i = 0; i < round; i++)
      sched_yield();
    tt_event event = {.source = "test"};
    assert_int_equal(tt_stream_publish(stream, &event, NULL), TT_OK);
    join_all(all, TT_OK, 1);

    tt_reader *last = NULL;
    assert_int_equal(tt_reader_new(stream, 1, &last), TT_OK);
    tt_reader_free(last);
    tt_stream_free(stream);
    assert_int_equal(tt_stream_new(NULL, &stream), TT_OK);
    block_all(all, stream, cancel);
    for (int i = 0; i < round; i++)
      sched_yield();
    tt_cancel_trigger(cancel);
    join_all(all, TT_ECANCELLED, 0);

    block_all(all, stream, NULL);
    for (int i = 0; i < round; i++)
      sched_yield();
    tt_stream_close(stream);
    join_all(all, TT_ECLOSED, 0);
    tt_cancel_free(cancel);
    tt_stream_free(stream);
  }
}

static void *answer(void *arg) {
  tt_stream **streams = arg;
  tt_reader *reader = NULL;
  tt_read_result result;
  tt_event event = {.source = "pong"};
  if (tt_reader_new(streams[0], 0, &reader))
    return NULL;
  while (tt_reader_read(reader, TELLTALE_FOREVER, NULL, &result) == TT_OK)
    if (tt_stream_publish(streams[1], &event, NULL))
      break;
  tt_reader_free(reader);
  return NULL;
}

/* A ping and its answer over two streams, again and again: one lost wake and
 * this never ends. */
static void loses_no_wake(void **state) {
  (void)state;
  tt_stream *streams[2] = {NULL, NULL};
  tt_reader *reader = NULL;
  tt_read_result result;
  tt_event event = {.source = "ping"};
  pthread_t thread;
  assert_int_equal(tt_stream_new(NULL, &streams[0]), TT_OK);
  assert_int_equal(tt_stream_new(NULL, &streams[1]), TT_OK);
  assert_int_equal(tt_reader_new(streams[1], 0, &reader), TT_OK);
  pthread_create(&thread, NULL, answer, streams);
  for (uint64_t i = 1; i <= 200; i++) {
    assert_int_equal(tt_stream_publish(streams[0], &event, NULL), TT_OK);
    assert_int_equal(tt_reader_read(reader, TELLTALE_FOREVER, NULL, &result),
                     TT_OK);
    assert_int_equal(result.envelope->seq, i);
  }
  tt_stream_close(streams[0]);
  pthread_join(thread, NULL);
  tt_reader_free(reader);
  tt_stream_free(streams[0]);
  tt_stream_free(streams[1]);
}

/* Two threads in one reader: one of them is told so, and nothing breaks. */
static void refuses_a_second_thread(void **state) {
  (void)state;
  tt_stream *stream = NULL;
  tt_read_result result;
  tt_error error;
  assert_int_equal(tt_stream_new(NULL, &stream), TT_OK);
  blocked one = {0};
  assert_int_equal(tt_reader_new(stream, 0, &one.reader), TT_OK);
  pthread_create(&one.thread, NULL, block, &one);
  while ((error = tt_reader_read(one.reader, 0, NULL, &result)) == TT_ETIMEOUT)
    sched_yield();
  assert_int_equal(error, TT_EBUSY);
  tt_stream_close(stream);
  pthread_join(one.thread, NULL);
  assert_int_equal(one.error, TT_ECLOSED);
  tt_reader_free(one.reader);
  tt_stream_free(stream);
}

/* A forked child can free what it inherited, though the bell's thread is not
 * there. */
static void can_be_freed_in_a_child(void **state) {
  (void)state;
  tt_stream *stream = NULL;
  tt_reader *reader = NULL;
  tt_read_result result;
  assert_int_equal(tt_stream_new(NULL, &stream), TT_OK);
  assert_int_equal(tt_reader_new(stream, 0, &reader), TT_OK);
  assert_int_equal(tt_reader_read(reader, 1, NULL, &result), TT_ETIMEOUT);
  pid_t child = fork_for_test();
  if (child == 0) {
    tt_reader_free(reader);
    tt_stream_close(stream);
    tt_stream_free(stream);
    _exit(7);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 7);
  tt_reader_free(reader);
  tt_stream_free(stream);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_reader_accounts_for_all),
      cmocka_unit_test(wakes_blocked_readers),
      cmocka_unit_test(loses_no_wake),
      cmocka_unit_test(refuses_a_second_thread),
      cmocka_unit_test(can_be_freed_in_a_child),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
