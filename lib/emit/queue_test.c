#include "tests/unit.h"

#include "lib/emit/pack.h"
#include "lib/emit/queue.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

static tt_emitter_stats stats_of(tti_queue *queue) {
  tt_emitter_stats stats;
  tti_queue_stats(queue, &stats);
  uint64_t dropped = 0;
  for (int i = 0; i < TT_DROP_REASON_COUNT; i++)
    dropped += stats.dropped[i];
  assert_int_equal(stats.emitted, stats.sent + stats.queued + dropped);
  return stats;
}

static void push(tti_queue *queue, const char *type) {
  tt_event event = {.source = "test", .type = type, .ts_us = 1};
  tti_queue_push(queue, &event, NULL);
}

/* Checks that these are the types, in order; how many there are. */
static size_t types_of(tti_slice taken, const char *expected[]) {
  tti_packed packed;
  size_t count = 0;
  while (tti_unpack(&taken, &packed)) {
    tti_slice type = packed.texts[TTI_PACK_TYPE];
    assert_int_equal(type.len, strlen(expected[count]));
    assert_memory_equal(type.ptr, expected[count], type.len);
    count++;
  }
  return count;
}

static void keeps_the_order_over_two_sides(void **state) {
  (void)state;
  tti_queue *queue = tti_queue_new(10, 4096);
  push(queue, "a");
  push(queue, "b");
  tti_slice first = tti_queue_take(queue);
  push(queue, "c");
  assert_int_equal(types_of(first, (const char *[]){"a", "b"}), 2);
  assert_int_equal(stats_of(queue).queued, 3);
  tti_queue_sent(queue, 2, first.len);
  tti_slice second = tti_queue_take(queue);
  assert_int_equal(types_of(second, (const char *[]){"c"}), 1);
  tti_queue_dropped(queue, TT_DROP_REJECTED, 1, second.len);
  tt_emitter_stats stats = stats_of(queue);
  assert_int_equal(stats.sent, 2);
  assert_int_equal(stats.dropped[TT_DROP_REJECTED], 1);
  assert_int_equal(stats.queued, 0);
  tti_queue_free(queue);
}

static void drops_the_newest_beyond_the_events(void **state) {
  (void)state;
  tti_queue *queue = tti_queue_new(2, 4096);
  push(queue, "a");
  tti_slice taken = tti_queue_take(queue); /* still counts */
  push(queue, "b");
  push(queue, "c");
  assert_int_equal(stats_of(queue).dropped[TT_DROP_QUEUE_FULL], 1);
  tti_queue_sent(queue, 1, taken.len);
  push(queue, "d");
  assert_int_equal(types_of(tti_queue_take(queue), (const char *[]){"b", "d"}),
                   2);
  tti_queue_free(queue);
}

static void drops_the_newest_beyond_the_bytes(void **state) {
  (void)state;
  tt_event event = {.source = "test", .type = "a"};
  size_t size = tti_pack_size(&event, NULL);
  tti_queue *queue = tti_queue_new(100, 2 * size);
  push(queue, "a");
  tti_slice taken = tti_queue_take(queue);
  assert_int_equal(taken.len, size);
  push(queue, "b");
  push(queue, "c");
  tt_emitter_stats stats = stats_of(queue);
  assert_int_equal(stats.queued, 2);
  assert_int_equal(stats.dropped[TT_DROP_QUEUE_FULL], 1);
  tti_queue_free(queue);
}

static void takes_an_event_larger_than_the_stack_copy(void **state) {
  (void)state;
  char *text = malloc(TTI_QUEUE_EVENT_MAX_BYTES + 1);
  memset(text, 'x', TTI_QUEUE_EVENT_MAX_BYTES);
  text[TTI_QUEUE_EVENT_MAX_BYTES] = '\0';
  tti_queue *queue = tti_queue_new(10, 4 * TTI_QUEUE_EVENT_MAX_BYTES);
  push(queue, text); /* with its head it is too large by a few bytes */
  assert_int_equal(stats_of(queue).dropped[TT_DROP_TOO_LARGE], 1);
  text[5000] = '\0';
  push(queue, text);
  assert_int_equal(types_of(tti_queue_take(queue), (const char *[]){text}), 1);
  tti_queue_free(queue);
  free(text);
}

static void flush_covers_what_came_before_it(void **state) {
  (void)state;
  tti_queue *queue = tti_queue_new(10, 4096);
  assert_int_equal(tti_queue_flush(queue, 0), TT_OK);
  push(queue, "a");
  assert_int_equal(tti_queue_flush(queue, 0), TT_ETIMEOUT);
  tti_slice taken = tti_queue_take(queue);
  push(queue, "b");
  tti_queue_sent(queue, 1, taken.len);
  assert_int_equal(tti_queue_flush(queue, 0), TT_ETIMEOUT);
  tti_queue_sent(queue, 1, tti_queue_take(queue).len);
  assert_int_equal(tti_queue_flush(queue, 0), TT_OK);
  tti_queue_free(queue);
}

static void push_line(tti_queue *queue, const char *type) {
  tt_event event = {.source = "test", .type = type, .ts_us = 1, .is_log = true};
  tti_queue_push(queue, &event, NULL);
}

static void groups_kinds_that_take_turns_often(void **state) {
  (void)state;
  static const char *events[] = {"a", "b", "c", "d", "e", "f"};
  static const char *lines[] = {"A", "B", "C", "D", "E", "F"};
  const char *grouped[12], *turns[6];
  tti_queue *queue = tti_queue_new(20, 4096);
  for (int i = 0; i < 6; i++) {
    push(queue, grouped[i] = events[i]);
    push_line(queue, grouped[6 + i] = lines[i]);
  }
  tti_slice taken = tti_queue_take_grouped(queue);
  assert_int_equal(types_of(taken, grouped), 12);
  tti_queue_sent(queue, 12, taken.len);
  for (int i = 0; i < 6; i += 2) { /* seldom: they stay as they came */
    push_line(queue, turns[i] = lines[i]);
    push(queue, turns[i + 1] = events[i]);
  }
  taken = tti_queue_take_grouped(queue);
  assert_int_equal(types_of(taken, turns), 6);
  tti_queue_sent(queue, 6, taken.len);
  assert_int_equal(tti_queue_flush(queue, 0), TT_OK);
  tti_queue_free(queue);
}

typedef struct flushing {
  tti_queue *queue;
  atomic_bool returned;
} flushing;

static void *flush_forever(void *context) {
  flushing *f = context;
  tti_queue_flush(f->queue, -1);
  atomic_store(&f->returned, true);
  return NULL;
}

/* A flush that waits for the first event and the first line must not take the
 * second event for that line. */
static void a_flush_waits_for_all_that_was_grouped(void **state) {
  (void)state;
  pthread_t thread;
  flushing f = {.queue = tti_queue_new(20, 4096)};
  push(f.queue, "a");
  push_line(f.queue, "A");
  assert_int_equal(pthread_create(&thread, NULL, flush_forever, &f), 0);
  while (!tti_queue_is_flushing(f.queue))
    sched_yield();
  for (int i = 0; i < 5; i++) {
    push(f.queue, "b");
    push_line(f.queue, "B");
  }
  tti_slice taken = tti_queue_take_grouped(f.queue), rest = taken;
  tti_packed packed;
  for (int i = 0; i < 6; i++)
    assert_true(tti_unpack(&rest, &packed) && !packed.is_log);
  tti_queue_sent(f.queue, 6, taken.len - rest.len);
  for (int i = 0; i < 10000 && !atomic_load(&f.returned); i++)
    sched_yield();
  assert_false(atomic_load(&f.returned));
  tti_queue_sent(f.queue, 6, rest.len);
  pthread_join(thread, NULL);
  tti_queue_free(f.queue);
}

static void a_flush_cuts_a_pause_short(void **state) {
  (void)state;
  tti_queue *queue = tti_queue_new(10, 4096);
  assert_int_equal(tti_queue_pause(queue, 0), TTI_PAUSE_OVER);
  push(queue, "a");
  tti_queue_flush(queue, 0);
  assert_int_equal(tti_queue_pause(queue, 1000000), TTI_PAUSE_NUDGED);
  assert_int_equal(tti_queue_pause(queue, 0), TTI_PAUSE_OVER);
  tti_queue_stop(queue);
  assert_int_equal(tti_queue_pause(queue, 1000000), TTI_PAUSE_STOPPED);
  tti_queue_free(queue);
}

static void what_is_left_at_the_end_is_counted(void **state) {
  (void)state;
  tti_queue *queue = tti_queue_new(10, 4096);
  push(queue, "a");
  tti_queue_take(queue);
  push(queue, "b");
  tti_queue_stop(queue);
  assert_false(tti_queue_wait(queue, TTI_QUEUE_FOREVER));
  push(queue, "c");
  assert_int_equal(tti_queue_abandon(queue), 2);
  tt_emitter_stats stats = stats_of(queue);
  assert_int_equal(stats.queued, 0);
  assert_int_equal(stats.dropped[TT_DROP_SHUTDOWN], 3);
  tti_queue_free(queue);
}

#define PUSHERS 4
#define PUSHES  20000

static void *push_many(void *context) {
  for (int i = 0; i < PUSHES; i++)
    push(context, "many");
  return NULL;
}

static void *take_many(void *context) {
  tti_queue *queue = context;
  while (tti_queue_wait(queue, TTI_QUEUE_FOREVER)) {
    tti_slice rest = tti_queue_take(queue);
    tti_packed packed;
    while (rest.len) {
      size_t before = rest.len;
      tti_unpack(&rest, &packed);
      tti_queue_sent(queue, 1, before - rest.len);
    }
  }
  return NULL;
}

static void threads_lose_nothing_uncounted(void **state) {
  (void)state;
  tti_queue *queue = tti_queue_new(500, 1 << 20);
  pthread_t pushers[PUSHERS], taker;
  assert_int_equal(pthread_create(&taker, NULL, take_many, queue), 0);
  for (int i = 0; i < PUSHERS; i++)
    assert_int_equal(pthread_create(&pushers[i], NULL, push_many, queue), 0);
  for (int i = 0; i < PUSHERS; i++)
    pthread_join(pushers[i], NULL);
  assert_int_equal(tti_queue_flush(queue, -1), TT_OK);
  tt_emitter_stats stats = stats_of(queue);
  assert_int_equal(stats.emitted, PUSHERS * PUSHES);
  assert_int_equal(stats.queued, 0);
  tti_queue_stop(queue);
  pthread_join(taker, NULL);
  tti_queue_free(queue);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keeps_the_order_over_two_sides),
      cmocka_unit_test(drops_the_newest_beyond_the_events),
      cmocka_unit_test(drops_the_newest_beyond_the_bytes),
      cmocka_unit_test(takes_an_event_larger_than_the_stack_copy),
      cmocka_unit_test(flush_covers_what_came_before_it),
      cmocka_unit_test(groups_kinds_that_take_turns_often),
      cmocka_unit_test(a_flush_waits_for_all_that_was_grouped),
      cmocka_unit_test(a_flush_cuts_a_pause_short),
      cmocka_unit_test(what_is_left_at_the_end_is_counted),
      cmocka_unit_test(threads_lose_nothing_uncounted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
