#include "lib/stream/stream.h"
#include "tests/unit.h"

#include <stdlib.h>

static tt_stream *stream_of(size_t entries, size_t bytes) {
  tt_stream *stream = NULL;
  tt_stream_options options = {.entries = entries, .bytes = bytes};
  assert_int_equal(tt_stream_new(&options, &stream), TT_OK);
  return stream;
}

static tt_reader *reader_after(tt_stream *stream, uint64_t seq) {
  tt_reader *reader = NULL;
  assert_int_equal(tt_reader_new(stream, seq, &reader), TT_OK);
  return reader;
}

static void publish(tt_stream *stream, int count) {
  for (int i = 0; i < count; i++) {
    tt_event event = {.source = "test", .type = "tick"};
    assert_int_equal(tt_stream_publish(stream, &event, NULL), TT_OK);
  }
}

/* Appends `len` bytes that all are the low byte of seq. */
static void append(tt_stream *stream, uint64_t seq, size_t len) {
  char *bytes = malloc(len);
  assert_non_null(bytes);
  memset(bytes, (int)(seq & 0xff), len);
  assert_int_equal(tti_stream_append(stream, seq, 0, (tti_slice){bytes, len}),
                   TT_OK);
  free(bytes);
}

static void assert_filled(const tti_stream_entry *entry) {
  for (size_t i = 0; i < entry->record.len; i++)
    assert_int_equal((unsigned char)entry->record.ptr[i], entry->seq & 0xff);
}

static void expect_envelope(tt_reader *reader, uint64_t seq) {
  tt_read_result result;
  assert_true(tt_reader_try_read(reader, &result));
  assert_non_null(result.envelope);
  assert_int_equal(result.envelope->seq, seq);
}

static void expect_drop(tt_reader *reader, uint64_t count, uint64_t from,
                        uint64_t to) {
  tt_read_result result;
  assert_true(tt_reader_try_read(reader, &result));
  assert_null(result.envelope);
  assert_int_equal(result.dropped, count);
  assert_int_equal(result.from_seq, from);
  assert_int_equal(result.to_seq, to);
}

static void expect_nothing(tt_reader *reader) {
  tt_read_result result;
  assert_false(tt_reader_try_read(reader, &result));
}

/* What goes in comes out, with a seq that starts at 1. */
static void carries_an_event(void **state) {
  (void)state;
  tt_stream *stream = stream_of(0, 0);
  tt_reader *reader = reader_after(stream, 0);
  uint64_t seq = 0;
  tt_event event = {.ts_us = 1700000000000001,
                    .source = "shop",
                    .type = "order.paid",
                    .category = "api",
                    .level = TT_LEVEL_WARN,
                    .agent_id = "a-1",
                    .has_duration = true,
                    .duration_ms = 12,
                    .data = "{\"n\":1}"};
  assert_int_equal(tt_stream_seq(stream), 0);
  assert_int_equal(tt_stream_publish(stream, &event, &seq), TT_OK);
  assert_int_equal(seq, 1);
  assert_int_equal(tt_stream_seq(stream), 1);
  tt_read_result result;
  assert_int_equal(tt_reader_read(reader, 0, NULL, &result), TT_OK);
  assert_non_null(result.envelope);
  const tt_event *got = &result.envelope->event;
  assert_int_equal(result.envelope->seq, 1);
  assert_true(result.envelope->received_us > 0);
  assert_int_equal(got->ts_us, event.ts_us);
  assert_string_equal(got->source, "shop");
  assert_string_equal(got->source_event, "");
  assert_string_equal(got->type, "order.paid");
  assert_string_equal(got->category, "api");
  assert_int_equal(got->level, TT_LEVEL_WARN);
  assert_string_equal(got->agent_id, "a-1");
  assert_true(got->has_duration);
  assert_int_equal(got->duration_ms, 12);
  assert_string_equal(got->data, "{\"n\":1}");
  assert_int_equal(got->data_len, 7);
  tt_reader_free(reader);
  tt_stream_free(stream);
}

/* An event without a time gets the time of its receipt. */
static void fills_the_time(void **state) {
  (void)state;
  tt_stream *stream = stream_of(0, 0);
  tt_reader *reader = reader_after(stream, 0);
  publish(stream, 1);
  tt_read_result result;
  assert_true(tt_reader_try_read(reader, &result));
  assert_int_equal(result.envelope->event.ts_us, result.envelope->received_us);
  tt_reader_free(reader);
  tt_stream_free(stream);
}

/* A reader that fell behind is told how much it missed, then goes on with the
 * oldest envelope there is. */
static void reports_what_was_overwritten(void **state) {
  (void)state;
  for (size_t entries = 1; entries <= 5; entries++) {
    tt_stream *stream = stream_of(entries, 0);
    tt_reader *reader = reader_after(stream, 0);
    publish(stream, 1);
    expect_envelope(reader, 1);
    publish(stream, 9);
    expect_drop(reader, 9 - entries, 2, 10 - entries);
    for (uint64_t seq = 11 - entries; seq <= 10; seq++)
      expect_envelope(reader, seq);
    expect_nothing(reader);
    assert_int_equal(tt_stream_dropped(stream), 9 - entries);
    tt_reader_free(reader);
    tt_stream_free(stream);
  }
}

/* 0 is the oldest, silently; any other position is exact: behind the ring it
 * begins with a report, ahead of the head it waits. */
static void starts_where_asked(void **state) {
  (void)state;
  tt_stream *stream = stream_of(4, 0);
  publish(stream, 10);
  tt_reader *oldest = reader_after(stream, 0);
  tt_reader *behind = reader_after(stream, 3);
  tt_reader *edge = reader_after(stream, 6);
  tt_reader *inside = reader_after(stream, 8);
  tt_reader *ahead = reader_after(stream, 11);
  expect_envelope(oldest, 7);
  expect_drop(behind, 3, 4, 6);
  expect_envelope(behind, 7);
  expect_envelope(edge, 7);
  expect_envelope(inside, 9);
  expect_nothing(ahead);
  publish(stream, 1);
  expect_nothing(ahead);
  publish(stream, 1);
  expect_envelope(ahead, 12);
  tti_reader_seek(ahead, 9);
  expect_envelope(ahead, 10);
  /* What a reader ahead was going to skip does not count as missed. */
  tti_reader_seek(ahead, 13);
  publish(stream, 8);
  expect_drop(ahead, 3, 14, 16);
  expect_envelope(ahead, 17);
  tti_reader_seek(ahead, 22);
  publish(stream, 4);
  expect_envelope(ahead, 23);
  expect_envelope(ahead, 24);
  tt_reader_free(oldest);
  tt_reader_free(behind);
  tt_reader_free(edge);
  tt_reader_free(inside);
  tt_reader_free(ahead);
  tt_stream_free(stream);
}

/* The server's seqs have holes: positions are found, and drops count entries.
 */
static void takes_given_seqs(void **state) {
  (void)state;
  tt_stream *stream = stream_of(3, 0);
  assert_int_equal(tti_stream_start_after(stream, 1000), TT_OK);
  assert_int_equal(tt_stream_seq(stream), 1000);
  tt_reader *reader = reader_after(stream, 1000);
  tt_reader *older = reader_after(stream, 400);
  expect_drop(older, 600, 401, 1000);
  append(stream, 1010, 10);
  assert_int_equal(tti_stream_start_after(stream, 7), TT_ESTATE);
  assert_int_equal(tti_stream_append(stream, 1010, 0, TTI_SLICE("x")),
                   TT_EINVAL);
  append(stream, 1020, 10);
  append(stream, 1030, 10);
  append(stream, 1040, 10);
  append(stream, 1050, 10);
  tti_stream_entry entry;
  tt_read_result drop;
  assert_int_equal(tti_reader_next(reader, &entry, &drop), TTI_READ_DROPPED);
  assert_int_equal(drop.dropped, 2);
  assert_int_equal(drop.from_seq, 1001);
  assert_int_equal(drop.to_seq, 1029);
  static const uint64_t seqs[] = {1030, 1040, 1050};
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(tti_reader_next(reader, &entry, &drop), TTI_READ_ENTRY);
    assert_int_equal(entry.seq, seqs[i]);
    assert_filled(&entry);
  }
  assert_int_equal(tti_reader_next(reader, &entry, &drop), TTI_READ_NONE);
  tti_reader_seek(reader, 1035);
  assert_int_equal(tti_reader_next(reader, &entry, &drop), TTI_READ_ENTRY);
  assert_int_equal(entry.seq, 1040);
  tti_stream_usage usage;
  tti_stream_usage_get(stream, &usage);
  assert_int_equal(usage.first_seq, 1030);
  assert_int_equal(usage.last_seq, 1050);
  assert_int_equal(usage.entries, 3);
  tt_reader_free(reader);
  tt_reader_free(older);
  tt_stream_free(stream);
}

/* Memory stays under the ceiling whatever the sizes, and every entry is read or
 * reported. */
static void keeps_to_its_bytes(void **state) {
  (void)state;
  static const size_t ceilings[] = {1000, 65536, 1 << 20};
  for (size_t c = 0; c < 3; c++) {
    tt_stream *stream = stream_of(0, ceilings[c]);
    tt_reader *reader = reader_after(stream, 0);
    tti_stream_usage usage;
    tti_stream_entry entry;
    tt_read_result drop;
    uint64_t seen = 0;
    for (uint64_t seq = 1; seq <= 5000; seq++) {
      size_t len = 1 + (size_t)(seq * 2654435761u % (ceilings[c] / 3));
      append(stream, seq, len);
      tti_stream_usage_get(stream, &usage);
      assert_true(usage.bytes <= ceilings[c]);
      assert_true(usage.entries >= 1);
      assert_true(usage.bytes >= len);
      if (seq % 7)
        continue;
      tti_read kind = tti_reader_next(reader, &entry, &drop);
      assert_int_not_equal(kind, TTI_READ_NONE);
      seen += kind == TTI_READ_ENTRY ? 1 : drop.dropped;
      if (kind == TTI_READ_ENTRY)
        assert_filled(&entry);
    }
    tti_read kind;
    while ((kind = tti_reader_next(reader, &entry, &drop)) != TTI_READ_NONE)
      seen += kind == TTI_READ_ENTRY ? 1 : drop.dropped;
    assert_int_equal(seen, 5000);
    tt_reader_free(reader);
    tt_stream_free(stream);
  }
}

/* An entry larger than the ring is alone in it, and leaves like any other. */
static void holds_an_entry_larger_than_itself(void **state) {
  (void)state;
  tt_stream *stream = stream_of(0, 4096);
  tt_reader *reader = reader_after(stream, 0);
  tti_stream_entry entry;
  tt_read_result drop;
  append(stream, 1, 100);
  append(stream, 2, 100000);
  tti_stream_usage usage;
  tti_stream_usage_get(stream, &usage);
  assert_int_equal(usage.entries, 1);
  assert_int_equal(tti_reader_next(reader, &entry, &drop), TTI_READ_DROPPED);
  assert_int_equal(drop.dropped, 1);
  assert_int_equal(tti_reader_next(reader, &entry, &drop), TTI_READ_ENTRY);
  assert_int_equal(entry.record.len, 100000);
  assert_filled(&entry);
  tti_reader_unpin(reader);
  append(stream, 3, 100);
  tti_stream_usage_get(stream, &usage);
  assert_int_equal(usage.first_seq, 3);
  assert_true(usage.bytes <= 4096);
  assert_int_equal(usage.pinned_bytes, 0);
  tt_reader_free(reader);
  tt_stream_free(stream);
}

/* What a reader borrowed stays as it is until its next read, however far the
 * ring went on; and the memory is shown as pinned until then. */
static void keeps_what_is_borrowed(void **state) {
  (void)state;
  tt_stream *stream = stream_of(0, 65536);
  tt_reader *reader = reader_after(stream, 0);
  tti_stream_entry entry;
  tt_read_result drop;
  append(stream, 1, 500);
  assert_int_equal(tti_reader_next(reader, &entry, &drop), TTI_READ_ENTRY);
  for (uint64_t seq = 2; seq < 2000; seq++)
    append(stream, seq, 500);
  assert_int_equal(entry.seq, 1);
  assert_filled(&entry);
  tti_stream_usage usage;
  tti_stream_usage_get(stream, &usage);
  assert_true(usage.pinned_bytes >= 500);
  assert_true(usage.pinned_bytes <= 262144);
  tti_reader_unpin(reader);
  tti_stream_usage_get(stream, &usage);
  assert_int_equal(usage.pinned_bytes, 0);
  tt_reader_free(reader);
  tt_stream_free(stream);
}

/* Over the limit the envelope loses its data, and says so. */
static void truncates_large_envelopes(void **state) {
  (void)state;
  tt_stream *stream = stream_of(0, 0);
  tt_reader *reader = reader_after(stream, 0);
  size_t len = TELLTALE_ENVELOPE_MAX_BYTES + 2;
  char *data = malloc(len);
  assert_non_null(data);
  memset(data, 'x', len);
  data[0] = data[len - 1] = '"';
  tt_event event = {.source = "test", .data = data, .data_len = len};
  assert_int_equal(tt_stream_publish(stream, &event, NULL), TT_OK);
  event.data_len = 1000;
  data[999] = '"';
  assert_int_equal(tt_stream_publish(stream, &event, NULL), TT_OK);
  tt_read_result result;
  assert_true(tt_reader_try_read(reader, &result));
  assert_true(result.envelope->event.truncated);
  assert_string_equal(result.envelope->event.data, "null");
  assert_true(tt_reader_try_read(reader, &result));
  assert_false(result.envelope->event.truncated);
  assert_int_equal(result.envelope->event.data_len, 1000);
  free(data);
  tt_reader_free(reader);
  tt_stream_free(stream);
}

/* Bytes that are no record cannot be shown; they are counted. */
static void counts_what_cannot_be_decoded(void **state) {
  (void)state;
  tt_stream *stream = stream_of(0, 0);
  tt_reader *reader = reader_after(stream, 0);
  append(stream, 5, 3);
  expect_drop(reader, 1, 5, 5);
  expect_nothing(reader);
  tt_reader_free(reader);
  tt_stream_free(stream);
}

/* A closed stream takes nothing and gives what it has. */
static void drains_after_close(void **state) {
  (void)state;
  tt_stream *stream = stream_of(2, 0);
  tt_reader *reader = reader_after(stream, 0);
  publish(stream, 3);
  tt_stream_close(stream);
  tt_event event = {.source = "test"};
  uint64_t seq = 77;
  assert_int_equal(tt_stream_publish(stream, &event, &seq), TT_ECLOSED);
  assert_int_equal(seq, 77);
  assert_int_equal(tti_stream_append(stream, 9, 0, TTI_SLICE("x")), TT_ECLOSED);
  tt_read_result result;
  assert_int_equal(tt_reader_read(reader, TELLTALE_FOREVER, NULL, &result),
                   TT_OK);
  assert_int_equal(result.dropped, 1);
  for (uint64_t want = 2; want <= 3; want++) {
    assert_int_equal(tt_reader_read(reader, TELLTALE_FOREVER, NULL, &result),
                     TT_OK);
    assert_int_equal(result.envelope->seq, want);
  }
  assert_int_equal(tt_reader_read(reader, TELLTALE_FOREVER, NULL, &result),
                   TT_ECLOSED);
  tt_reader_free(reader);
  tt_stream_free(stream);
}

/* Every way a blocking read can end without a result, where nothing wakes it.
 */
static void ends_a_read_as_told(void **state) {
  (void)state;
  tt_stream *stream = stream_of(0, 0);
  tt_reader *reader = reader_after(stream, 0);
  tt_cancel *cancel = NULL;
  tt_read_result result;
  assert_int_equal(tt_cancel_new(&cancel), TT_OK);
  assert_int_equal(tt_reader_read(reader, 0, cancel, &result), TT_ETIMEOUT);
  assert_int_equal(tt_reader_read(reader, 1, cancel, &result), TT_ETIMEOUT);
  tt_cancel_trigger(cancel);
  tt_cancel_trigger(cancel);
  assert_int_equal(tt_reader_read(reader, 0, cancel, &result), TT_ECANCELLED);
  assert_int_equal(tt_reader_read(reader, TELLTALE_FOREVER, cancel, &result),
                   TT_ECANCELLED);
  tt_cancel_free(cancel);
  tt_reader_free(reader);
  tt_stream_free(stream);
}

static void count_wake(void *context) {
  ++*(int *)context;
}

/* The hook is called once a publish, whatever kind it is. */
static void calls_the_hook(void **state) {
  (void)state;
  int wakes = 0;
  tt_stream *stream = stream_of(0, 0);
  tti_stream_on_publish(stream, count_wake, &wakes);
  publish(stream, 2);
  append(stream, 10, 5);
  assert_int_equal(tti_stream_append(stream, 10, 0, TTI_SLICE("x")), TT_EINVAL);
  assert_int_equal(wakes, 3);
  tt_stream_free(stream);
}

static void keep_line(void *context, tt_level level, const char *message) {
  (void)level;
  *(bool *)context = strstr(message, "publish") != NULL;
}

/* NULL is a no-op or an error, never a crash; a NULL event is logged. */
static void survives_null(void **state) {
  (void)state;
  bool logged = false;
  tt_event event = {.source = "test"};
  tt_stream *stream = NULL;
  tt_reader *reader = NULL;
  tt_read_result result;
  tt_stream_options options = {.log = {keep_line, &logged}};
  assert_int_equal(tt_stream_publish(NULL, &event, NULL), TT_EINVAL);
  assert_int_equal(tt_reader_new(NULL, 0, &reader), TT_EINVAL);
  assert_int_equal(tt_reader_read(NULL, 0, NULL, &result), TT_EINVAL);
  assert_false(tt_reader_try_read(NULL, &result));
  assert_int_equal(tt_stream_seq(NULL), 0);
  assert_int_equal(tt_stream_dropped(NULL), 0);
  tt_stream_close(NULL);
  tt_stream_free(NULL);
  tt_reader_free(NULL);
  tt_cancel_trigger(NULL);
  tt_cancel_free(NULL);
  assert_int_equal(tt_stream_new(&options, &stream), TT_OK);
  assert_int_equal(tt_stream_publish(stream, NULL, NULL), TT_EINVAL);
  assert_true(logged);
  assert_int_equal(tt_stream_seq(stream), 0);
  tt_stream_free(stream);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(carries_an_event),
      cmocka_unit_test(fills_the_time),
      cmocka_unit_test(reports_what_was_overwritten),
      cmocka_unit_test(starts_where_asked),
      cmocka_unit_test(takes_given_seqs),
      cmocka_unit_test(keeps_to_its_bytes),
      cmocka_unit_test(holds_an_entry_larger_than_itself),
      cmocka_unit_test(keeps_what_is_borrowed),
      cmocka_unit_test(truncates_large_envelopes),
      cmocka_unit_test(counts_what_cannot_be_decoded),
      cmocka_unit_test(drains_after_close),
      cmocka_unit_test(ends_a_read_as_told),
      cmocka_unit_test(calls_the_hook),
      cmocka_unit_test(survives_null),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
