#include "bench/bench.h"
#include <telltale/session.h>

/* What a publish through a session costs beside one straight into the stream,
 * and what it costs to find out that a category is not captured. */

static char payload[251];

static tt_event event_of(const char *category) {
  return (tt_event){.source = "bench",
                    .type = "tick",
                    .category = category,
                    .data = payload,
                    .data_len = 250};
}

static void publish_straight(void *context, size_t times) {
  tt_event event = event_of("api");
  event.session_id = "bench-session";
  for (size_t i = 0; i < times; i++)
    if (tt_stream_publish(context, &event, NULL))
      exit(1);
}

static void publish_captured(void *context, size_t times) {
  tt_event event = event_of("api");
  for (size_t i = 0; i < times; i++)
    if (!tt_session_publish(context, &event, NULL))
      exit(1);
}

static void publish_disabled(void *context, size_t times) {
  tt_event event = event_of("page");
  for (size_t i = 0; i < times; i++)
    if (tt_session_publish(context, &event, NULL))
      exit(1);
}

int main(int argc, char **argv) {
  int64_t ns = (int64_t)(bench_seconds(argc, argv) * 1e9 / 3 / BENCH_RUNS_MIN);
  const char *api = "api";
  tt_session_config config = {.categories = &api, .category_count = 1};
  tt_stream *stream = NULL;
  tt_session *session = NULL;
  if (tt_stream_new(NULL, &stream) || tt_session_new(stream, &session) ||
      tt_session_start(session, "bench-session", &config))
    return 1;
  memset(payload, 'x', sizeof(payload) - 1);
  payload[0] = payload[249] = '"';
  bench_samples straight = {0}, captured = {0}, disabled = {0};
  publish_straight(stream, 300000); /* the ring has its memory */
  for (int i = 0; i < BENCH_RUNS_MIN; i++) {
    bench_add(&straight, bench_run_ns(publish_straight, stream, ns));
    bench_add(&captured, bench_run_ns(publish_captured, session, ns));
    bench_add(&disabled, bench_run_ns(publish_disabled, session, ns));
  }
  bench_print("session_publish_250", "ns", &captured, "publish without session",
              &straight);
  bench_print("session_disabled", "ns", &disabled, NULL, NULL);
  tt_session_free(session);
  tt_stream_free(stream);
  return 0;
}
