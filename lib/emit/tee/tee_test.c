#include "tests/unit.h"

#include "lib/base/time.h"
#include <stdio.h>
#include <telltale/emitter.h>

/* A part that notes what it is asked for. */
typedef struct part {
  unsigned emits;
  char source[16];
  char agent_id[16];
  int64_t ts_us;
  size_t fields;
  const char *data;
  unsigned flushes;
  int flush_ms; /* of the last one */
  tt_error flush_answer;
  bool uses_all_its_time;
  unsigned frees;
  int free_ms;
  tt_emitter_stats stats;
} part;

static void part_emit(void *self, const tt_event *event,
                      const tt_field *fields) {
  part *p = self;
  p->emits++;
  snprintf(p->source, sizeof(p->source), "%s", event->source);
  snprintf(p->agent_id, sizeof(p->agent_id), "%s",
           event->agent_id ? event->agent_id : "");
  p->ts_us = event->ts_us;
  p->data = event->data;
  p->fields = 0;
  while (fields && fields[p->fields].kind != TT_FIELD_END)
    p->fields++;
}

static tt_error part_flush(void *self, int timeout_ms) {
  part *p = self;
  p->flushes++;
  p->flush_ms = timeout_ms;
  int64_t until = tti_monotonic_us(&tti_clock_system) + timeout_ms * 1000;
  while (p->uses_all_its_time && tti_monotonic_us(&tti_clock_system) < until)
    ;
  return p->flush_answer;
}

static void part_stats(void *self, tt_emitter_stats *out_stats) {
  *out_stats = ((part *)self)->stats;
}

static void part_free(void *self, int timeout_ms) {
  part *p = self;
  p->frees++;
  p->free_ms = timeout_ms;
}

static tt_emitter *part_new(part *p, const char *source, int free_timeout_ms) {
  tt_emitter_ops ops = {.version = 1,
                        .emit = part_emit,
                        .flush = part_flush,
                        .stats = part_stats,
                        .free = part_free,
                        .free_timeout_ms = free_timeout_ms};
  tt_emitter *emitter;
  assert_int_equal(tt_emitter_from_ops(&ops, p, source, &emitter), TT_OK);
  return emitter;
}

static tt_emitter *tee_of(part *a, part *b) {
  tt_emitter *parts[] = {part_new(a, "a", 500), NULL, part_new(b, "b", 700)};
  tt_emitter *tee;
  assert_int_equal(tt_emitter_tee_new(parts, 3, &tee), TT_OK);
  return tee;
}

static void every_part_gets_the_event_as_its_own(void **state) {
  (void)state;
  part a = {0}, b = {0};
  tt_emitter *tee = tee_of(&a, &b);
  tt_emit(tee, "deploy", tt_int("n", 1), tt_bool("ok", true));
  assert_int_equal(a.emits, 1);
  assert_int_equal(b.emits, 1);
  assert_string_equal(a.source, "a");
  assert_string_equal(b.source, "b");
  assert_int_equal(a.fields, 2);
  assert_int_equal(b.fields, 2);
  assert_true(a.ts_us != 0 && a.ts_us == b.ts_us);
  tt_emitter_free(tee);
}

static void what_an_event_brings_is_kept(void **state) {
  (void)state;
  part a = {0}, b = {0};
  tt_emitter *tee = tee_of(&a, &b);
  tt_emitter_set_agent_id(tee, "tee");
  tt_event event = {.source = "own", .type = "t", .ts_us = 5, .data = "{}"};
  tt_emit_full(tee, &event);
  assert_string_equal(a.source, "own");
  assert_string_equal(b.source, "own");
  assert_string_equal(b.agent_id, "tee");
  assert_int_equal(b.ts_us, 5);
  assert_ptr_equal(b.data, event.data);
  assert_int_equal(b.fields, 0);
  tt_emitter_free(tee);
}

static void a_part_has_its_own_agent(void **state) {
  (void)state;
  part a = {0}, b = {0};
  tt_emitter *parts[] = {part_new(&a, "a", 0), part_new(&b, "b", 0)};
  tt_emitter *tee;
  tt_emitter_set_agent_id(parts[1], "b's");
  assert_int_equal(tt_emitter_tee_new(parts, 2, &tee), TT_OK);
  tt_emit(tee, "t");
  assert_string_equal(a.agent_id, "");
  assert_string_equal(b.agent_id, "b's");
  tt_emitter_free(tee);
}

static void statistics_are_the_sums(void **state) {
  (void)state;
  part a = {.stats = {.emitted = 7,
                      .sent = 4,
                      .queued = 1,
                      .dropped[TT_DROP_REJECTED] = 2}};
  part b = {.stats = {.emitted = 9,
                      .sent = 5,
                      .queued = 1,
                      .dropped[TT_DROP_REJECTED] = 1,
                      .dropped[TT_DROP_NO_MEMORY] = 2}};
  tt_emitter_stats stats;
  tt_emitter *tee = tee_of(&a, &b);
  tt_emitter_stats_get(tee, &stats);
  assert_int_equal(stats.emitted, 16);
  assert_int_equal(stats.sent, 9);
  assert_int_equal(stats.queued, 2);
  assert_int_equal(stats.dropped[TT_DROP_REJECTED], 3);
  assert_int_equal(stats.dropped[TT_DROP_NO_MEMORY], 2);
  tt_emitter_free(tee);
}

static void one_deadline_is_for_all_parts(void **state) {
  (void)state;
  part a = {.uses_all_its_time = true, .flush_answer = TT_ETIMEOUT}, b = {0};
  tt_emitter *tee = tee_of(&a, &b);
  assert_int_equal(tt_emitter_flush(tee, 1), TT_ETIMEOUT);
  assert_int_equal(a.flush_ms, 1);
  assert_int_equal(b.flush_ms, 0);
  assert_int_equal(b.flushes, 2); /* once before a took the time */
  a.uses_all_its_time = false;
  a.flush_answer = TT_OK;
  assert_int_equal(tt_emitter_flush(tee, TELLTALE_FOREVER), TT_OK);
  assert_int_equal(a.flush_ms, TELLTALE_FOREVER);
  assert_int_equal(b.flush_ms, TELLTALE_FOREVER);
  b.flush_answer = TT_ETIMEOUT;
  assert_int_equal(tt_emitter_flush(tee, 0), TT_ETIMEOUT);
  tt_emitter_free(tee);
}

static void parts_are_freed_with_it_each_in_its_time(void **state) {
  (void)state;
  part a = {0}, b = {0};
  tt_emitter_free(tee_of(&a, &b));
  assert_int_equal(a.frees, 1);
  assert_int_equal(b.frees, 1);
  assert_true(a.free_ms <= 500);
  assert_true(b.free_ms <= 700);
  assert_int_equal(a.flushes, 1); /* all begin before the first is waited for */
}

static void a_refusal_leaves_the_parts(void **state) {
  (void)state;
  part a = {0};
  tt_emitter *one = part_new(&a, "a", 0);
  tt_emitter *twice[] = {one, one};
  tt_emitter *tee = NULL;
  assert_int_equal(tt_emitter_tee_new(twice, 2, &tee), TT_EINVAL);
  assert_int_equal(tt_emitter_tee_new(NULL, 1, &tee), TT_EINVAL);
  assert_int_equal(tt_emitter_tee_new(twice, 1, NULL), TT_EINVAL);
  assert_null(tee);
  assert_int_equal(a.frees, 0);
  tt_emitter_free(one);
}

static void without_parts_it_does_nothing(void **state) {
  (void)state;
  tt_emitter *none[] = {NULL, NULL};
  tt_emitter *tee;
  tt_emitter_stats stats;
  assert_int_equal(tt_emitter_tee_new(none, 2, &tee), TT_OK);
  tt_emit(tee, "nothing");
  assert_int_equal(tt_emitter_flush(tee, 0), TT_OK);
  tt_emitter_stats_get(tee, &stats);
  assert_int_equal(stats.emitted, 0);
  tt_emitter_free(tee);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_part_gets_the_event_as_its_own),
      cmocka_unit_test(what_an_event_brings_is_kept),
      cmocka_unit_test(a_part_has_its_own_agent),
      cmocka_unit_test(statistics_are_the_sums),
      cmocka_unit_test(one_deadline_is_for_all_parts),
      cmocka_unit_test(parts_are_freed_with_it_each_in_its_time),
      cmocka_unit_test(a_refusal_leaves_the_parts),
      cmocka_unit_test(without_parts_it_does_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
