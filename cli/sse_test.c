#include "cli/sse.h"
#include "tests/unit.h"

static void note(void *context, const sse_event *event) {
  tti_buf_printf(context, "%s#%s=%.*s;", event->type, event->id,
                 (int)event->data.len, event->data.ptr);
}

/* The standard's own cases: any line end, in pieces of any size. */
static void takes_every_line_end(void **state) {
  (void)state;
  static const char *const forms[] = {
      ": hi\nretry: 2000\n\nid: 1\ndata: a\ndata:b\n\nevent: dropped\nid: 4\n"
      "data: {}\n\nid: 9\n\ndata\n\ndata: lost at the end",
      ": hi\rretry: 2000\r\rid: 1\rdata: a\rdata:b\r\revent: dropped\rid: 4\r"
      "data: {}\r\rid: 9\r\rdata\r\rdata: lost at the end",
      ": hi\r\nretry: 2000\r\n\r\nid: 1\r\ndata: a\r\ndata:b\r\n\r\n"
      "event: dropped\r\nid: 4\r\ndata: {}\r\n\r\nid: 9\r\n\r\ndata\r\n\r\n"
      "data: lost at the end"};
  for (size_t f = 0; f < 3; f++) {
    for (size_t piece = 1; piece < 9; piece++) {
      tti_buf seen;
      sse_parser p;
      tti_buf_init(&seen, 4096);
      sse_parser_init(&p, 4096, note, &seen);
      for (size_t at = 0; at < strlen(forms[f]); at += piece) {
        size_t left = strlen(forms[f]) - at;
        assert_true(
            sse_parser_take(&p, forms[f] + at, left < piece ? left : piece));
      }
      tti_buf_append(&seen, "", 1);
      assert_string_equal(seen.data, "message#1=a\nb;dropped#4={};message#9=;");
      assert_int_equal(p.retry_ms, 2000);
      sse_parser_fini(&p);
      tti_buf_fini(&seen);
    }
  }
}

/* A connection that breaks inside an event: the id to resume from is that of
 * the event before, or this one would be missed. */
static void an_id_counts_with_its_event(void **state) {
  (void)state;
  tti_buf seen;
  sse_parser p;
  tti_buf_init(&seen, 4096);
  sse_parser_init(&p, 4096, note, &seen);
  static const char bytes[] = "id: 7\ndata: a\n\nid: 8\ndata: b\n";
  assert_true(sse_parser_take(&p, bytes, sizeof(bytes) - 1));
  assert_string_equal(p.id, "7");
  sse_parser_restart(&p);
  assert_true(sse_parser_take(&p, "data: c\n\n", 9));
  tti_buf_append(&seen, "", 1);
  assert_string_equal(seen.data, "message#7=a;message#7=c;");
  sse_parser_fini(&p);
  tti_buf_fini(&seen);
}

static void stops_at_its_ceiling(void **state) {
  (void)state;
  sse_parser p;
  sse_parser_init(&p, 64, note, NULL);
  bool ok = true;
  for (int i = 0; i < 100 && ok; i++)
    ok = sse_parser_take(&p, "dddddddddd", 10);
  assert_false(ok);
  sse_parser_fini(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_every_line_end),
      cmocka_unit_test(an_id_counts_with_its_event),
      cmocka_unit_test(stops_at_its_ceiling),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
