#include "tests/unit.h"

#include "tests/sink.h"
#include <telltale/storage.h>

/* Of a stream that another writer always is quicker to append to. */
static const char mismatch[] =
    "{\"tail\":{\"seq_num\":0},\"seq_num_mismatch\":7}";

/* Reads are answered, appends are not. */
static int take(void *context, const char *body, size_t len) {
  (void)context;
  (void)body;
  return len ? 412 : 200;
}

/* drain gives up in its time, on a thread that nothing interrupts. */
static void another_writer_holds_up_no_drain(void **state) {
  (void)state;
  sink *server = sink_new();
  server->take = take;
  server->answer = mismatch;
  server->answer_len = sizeof(mismatch) - 1;
  sink_listen(server);
  char *url = sink_url(server, "");
  tt_storage_s2_options options = {.basin = "shop-basin",
                                   .stream = "events",
                                   .access_token = "t",
                                   .endpoint = url};
  tt_storage_writer_options how = {.retry_first_ms = 20, .retry_last_ms = 20};
  tt_storage_writer_stats stats;
  tt_stream *stream = NULL;
  tt_storage *storage = NULL;
  tt_storage_writer *writer = NULL;
  tt_cancel *cancel = NULL;
  assert_int_equal(tt_stream_new(NULL, &stream), TT_OK);
  assert_int_equal(tt_storage_s2_new(&options, NULL, &storage), TT_OK);
  assert_int_equal(tt_storage_writer_new(stream, storage, &how, &writer),
                   TT_OK);
  assert_int_equal(tt_cancel_new(&cancel), TT_OK);
  tt_cancel_trigger(cancel);
  assert_int_equal(tt_storage_writer_run(writer, cancel), TT_ECANCELLED);
  tt_event event = {.type = "tick"};
  assert_int_equal(tt_stream_publish(stream, &event, NULL), TT_OK);
  assert_int_equal(tt_storage_writer_drain(writer, 200), TT_ETIMEOUT);
  tt_storage_writer_stats_get(writer, &stats);
  assert_int_equal(stats.appended, 0);
  assert_true(stats.failures > 0);
  tt_storage_writer_free(writer);
  tt_cancel_free(cancel);
  tt_stream_free(stream);
  free(url);
  sink_free(server);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(another_writer_holds_up_no_drain),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
