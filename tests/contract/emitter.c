#include "lib/emit/testing.h"

#include "tests/sink.h"
#include <telltale/logger.h>

/* What every emitter promises, whatever is behind it: what was emitted before a
 * flush has arrived after it, once, in order, as it was given; or it is
 * counted. Run on each implementation. */

typedef struct fixture fixture;

typedef struct implementation {
  const char *name;
  size_t copies; /* of every event, in its statistics; 0: it keeps nothing */
  void (*open)(fixture *f);
  /* What arrived, as relay events; the caller's. NULL: nothing ever does. */
  json_t *(*arrived)(fixture *f);
  void (*close)(fixture *f);
} implementation;

struct fixture {
  const implementation *of;
  tt_emitter *emitter;
  sink *sink;
  tt_stream *stream;
  char directory[32]; /* of the file */
};

/* -- The implementations. -- */

static void noop_open(fixture *f) {
  assert_int_equal(tt_emitter_noop_new(&f->emitter), TT_OK);
}

static void noop_close(fixture *f) {
  (void)f;
}

static void stream_open(fixture *f) {
  assert_int_equal(tt_stream_new(NULL, &f->stream), TT_OK);
  assert_int_equal(tt_emitter_stream_new(f->stream, "test", &f->emitter),
                   TT_OK);
}

static json_t *relay_of(const tt_event *event) {
  const char *level =
      event->level_name[0] ? event->level_name : tt_level_name(event->level);
  json_t *e = json_pack("{ss, ss, ss, ss, ss}", "source", event->source,
                        "action", event->type, "channel", event->category,
                        "level", level, "agent_id", event->agent_id);
  if (event->has_duration)
    json_object_set_new(e, "duration_ms", json_integer(event->duration_ms));
  if (event->data_len)
    json_object_set_new(e, "data",
                        json_loadb(event->data, event->data_len, 0, NULL));
  return e;
}

static json_t *stream_arrived(fixture *f) {
  json_t *all = json_array();
  tt_reader *reader;
  tt_read_result result;
  assert_int_equal(tt_reader_new(f->stream, 0, &reader), TT_OK);
  while (tt_reader_try_read(reader, &result)) {
    assert_non_null(result.envelope);
    json_array_append_new(all, relay_of(&result.envelope->event));
  }
  tt_reader_free(reader);
  return all;
}

static void stream_close(fixture *f) {
  tt_stream_free(f->stream);
}

static void http_open(fixture *f) {
  f->sink = sink_new();
  sink_listen(f->sink);
  char *url = sink_url(f->sink, "/events");
  tt_emitter_options options = {.url = url, .source = "test"};
  assert_int_equal(tt_emitter_new(&options, &f->emitter), TT_OK);
  free(url);
}

/* A log line has a route, and a form, of its own. */
static void as_event(json_t *line) {
  static const char *const names[] = {"message", "fields", "caller"};
  json_t *data = json_object();
  for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
    json_t *value = json_object_get(line, names[i]);
    if (value)
      json_object_set(data, names[i], value);
  }
  json_t *logger = json_object_get(line, "logger");
  if (logger)
    json_object_set(line, "action", logger);
  json_object_set_new(line, "channel", json_string("log"));
  json_object_set_new(line, "data", data);
}

static json_t *http_arrived(fixture *f) {
  sink_request_count(f->sink);
  json_t *all = json_deep_copy(f->sink->events);
  size_t i;
  json_t *event;
  json_array_foreach(all, i, event) {
    if (json_object_get(event, "message"))
      as_event(event);
  }
  return all;
}

static void http_close(fixture *f) {
  sink_free(f->sink);
}

static void jsonl_path(fixture *f, char *out_path, size_t size) {
  snprintf(out_path, size, "%s/events.jsonl", f->directory);
}

static void jsonl_open(fixture *f) {
  char path[64];
  strcpy(f->directory, "/tmp/telltale-emitter-XXXXXX");
  assert_non_null(mkdtemp(f->directory));
  jsonl_path(f, path, sizeof(path));
  tt_jsonl_options options = {.path = path, .source = "test"};
  assert_int_equal(tt_emitter_jsonl_new(&options, &f->emitter), TT_OK);
}

static json_t *jsonl_arrived(fixture *f) {
  char path[64];
  char *line = NULL;
  size_t room = 0;
  json_t *all = json_array();
  jsonl_path(f, path, sizeof(path));
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  while (getline(&line, &room, file) > 0) {
    json_t *event = json_loads(line, 0, NULL);
    assert_non_null(event);
    json_array_append_new(all, event);
  }
  free(line);
  fclose(file);
  return all;
}

static void jsonl_close(fixture *f) {
  char path[64];
  jsonl_path(f, path, sizeof(path));
  unlink(path);
  rmdir(f->directory);
}

static void tee_open(fixture *f) {
  tt_emitter *parts[2];
  stream_open(f);
  parts[0] = f->emitter;
  http_open(f);
  parts[1] = f->emitter;
  assert_int_equal(tt_emitter_tee_new(parts, 2, &f->emitter), TT_OK);
}

static json_t *tee_arrived(fixture *f) {
  json_t *streamed = stream_arrived(f);
  json_t *posted = http_arrived(f);
  assert_int_equal(json_array_size(streamed), json_array_size(posted));
  json_decref(posted);
  return streamed;
}

static void tee_close(fixture *f) {
  stream_close(f);
  http_close(f);
}

static const implementation implementations[] = {
    {"noop", 0, noop_open, NULL, noop_close},
    {"stream", 1, stream_open, stream_arrived, stream_close},
    {"http", 1, http_open, http_arrived, http_close},
    {"jsonl", 1, jsonl_open, jsonl_arrived, jsonl_close},
    {"tee", 2, tee_open, tee_arrived, tee_close},
};

/* -- The suite. -- */

/* Everything that was emitted; NULL when this one keeps nothing. */
static json_t *flushed(fixture *f, size_t count) {
  assert_int_equal(tt_emitter_flush(f->emitter, LONG_MS), TT_OK);
  tt_emitter_stats stats = stats_of(f->emitter);
  assert_int_equal(stats.queued, 0);
  if (!f->of->arrived) {
    assert_int_equal(stats.emitted, 0);
    return NULL;
  }
  assert_int_equal(stats.sent, count * f->of->copies);
  json_t *all = f->of->arrived(f);
  assert_int_equal(json_array_size(all), count);
  return all;
}

static const char *text_of(json_t *event, const char *name) {
  const char *text = json_string_value(json_object_get(event, name));
  return text ? text : "";
}

static void arrives_as_it_was_given(fixture *f) {
  tt_emit(f->emitter, "deploy", tt_str("env", "a \"b\"\n\xc3\xa9"),
          tt_int("low", INT64_MIN), tt_uint("high", INT64_MAX),
          tt_double("ratio", 0.25), tt_bool("ok", true),
          tt_json("list", "[1, {\"a\": null}]"), tt_str("none", NULL));
  json_t *all = flushed(f, 1);
  if (!all)
    return;
  json_t *event = json_array_get(all, 0);
  json_t *data = json_pack("{ss, sI, sI, sf, sb, s[i, {sn}], sn}", "env",
                           "a \"b\"\n\xc3\xa9", "low", (json_int_t)INT64_MIN,
                           "high", (json_int_t)INT64_MAX, "ratio", 0.25, "ok",
                           1, "list", 1, "a", "none");
  assert_true(json_equal(json_object_get(event, "data"), data));
  assert_string_equal(text_of(event, "source"), "test");
  assert_string_equal(text_of(event, "action"), "deploy");
  assert_string_equal(text_of(event, "level"), "info");
  json_decref(data);
  json_decref(all);
}

static void a_field_that_is_no_json_becomes_null(fixture *f) {
  static const char *const bad[] = {"", "{", "1 2", "nul", "\"\xff\"", "[1,]"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
    tt_emit(f->emitter, "bad", tt_json("value", bad[i]), tt_int("i", 7));
  json_t *all = flushed(f, sizeof(bad) / sizeof(*bad));
  size_t i;
  json_t *event;
  json_array_foreach(all, i, event) {
    json_t *data = json_object_get(event, "data");
    assert_true(json_is_null(json_object_get(data, "value")));
    assert_int_equal(json_integer_value(json_object_get(data, "i")), 7);
  }
  json_decref(all);
}

static void levels_and_agents_are_those_of_the_call(fixture *f) {
  tt_emit_debug(f->emitter, "a");
  tt_emitter_set_agent_id(f->emitter, "agent-1");
  tt_emit_warn(f->emitter, "b");
  tt_emit_as(f->emitter, "agent-2", "c", tt_int("n", 1));
  tt_emitter_set_agent_id(f->emitter, NULL);
  tt_emit_error(f->emitter, "d");
  json_t *all = flushed(f, 4);
  static const char *const expected[][3] = {{"a", "debug", ""},
                                            {"b", "warn", "agent-1"},
                                            {"c", "info", "agent-2"},
                                            {"d", "error", ""}};
  for (size_t i = 0; all && i < 4; i++) {
    json_t *event = json_array_get(all, i);
    assert_string_equal(text_of(event, "action"), expected[i][0]);
    assert_string_equal(text_of(event, "level"), expected[i][1]);
    assert_string_equal(text_of(event, "agent_id"), expected[i][2]);
  }
  json_decref(all);
}

static void a_full_event_keeps_what_it_brings(fixture *f) {
  char data[] = "{\"rows\": [1, 2]}xx";
  tt_event event = {.source = "other",
                    .type = "query",
                    .category = "api",
                    .level_name = "notice",
                    .agent_id = "agent-9",
                    .has_duration = true,
                    .duration_ms = 0,
                    .data = data,
                    .data_len = strlen(data) - 2};
  tt_emit_full(f->emitter, &event);
  memset(data, 'x', sizeof(data)); /* it was only borrowed */
  json_t *all = flushed(f, 1);
  if (!all)
    return;
  json_t *got = json_array_get(all, 0);
  json_t *rows = json_object_get(json_object_get(got, "data"), "rows");
  assert_int_equal(json_array_size(rows), 2);
  assert_string_equal(text_of(got, "source"), "other");
  assert_string_equal(text_of(got, "channel"), "api");
  assert_string_equal(text_of(got, "level"), "notice");
  assert_string_equal(text_of(got, "agent_id"), "agent-9");
  json_t *duration = json_object_get(got, "duration_ms");
  assert_true(json_is_integer(duration) && json_integer_value(duration) == 0);
  json_decref(all);
}

static void log_lines_take_the_same_way(fixture *f) {
  char longer[3000], place[64];
  memset(longer, 'x', sizeof(longer) - 1);
  longer[sizeof(longer) - 1] = '\0';
  tt_emit(f->emitter, "before");
  tt_log_warn(f->emitter, "db", "took %d ms: %s", 42, "a \"b\"");
  snprintf(place, sizeof(place), "emitter.c:%d", __LINE__ - 1);
  tt_log_with(f->emitter, TT_LEVEL_FATAL, NULL,
              tt_log_fields(tt_int("rows", 3), tt_json("bad", "{")), "%s",
              longer);
  tt_log_write(f->emitter, TT_LEVEL_DEBUG, "db", (tt_field[]){TT_END}, NULL, 0,
               "nowhere");
  tt_emit(f->emitter, "after");
  json_t *all = flushed(f, 5);
  if (!all)
    return;
  json_t *lines[] = {
      json_pack("{ss, ss}", "message", "took 42 ms: a \"b\"", "caller", place),
      json_pack("{ss, s{si, sn}}", "message", longer, "fields", "rows", 3,
                "bad"),
      json_pack("{ss}", "message", "nowhere")};
  static const char *const expected[][2] = {
      {"db", "warn"}, {"", "fatal"}, {"db", "debug"}};
  for (size_t i = 0; i < 3; i++) {
    json_t *line = json_array_get(all, i + 1);
    json_t *data = json_object_get(line, "data");
    if (i == 1)
      json_object_del(data, "caller");
    assert_true(json_equal(data, lines[i]));
    assert_string_equal(text_of(line, "channel"), "log");
    assert_string_equal(text_of(line, "action"), expected[i][0]);
    assert_string_equal(text_of(line, "level"), expected[i][1]);
    assert_string_equal(text_of(line, "source"), "test");
    json_decref(lines[i]);
  }
  assert_string_equal(text_of(json_array_get(all, 4), "action"), "after");
  json_decref(all);
}

#define THREADS 4
#define RUN     500

typedef struct emitting {
  tt_emitter *emitter;
  int thread;
} emitting;

static void *emit_many(void *context) {
  emitting *e = context;
  for (int i = 0; i < RUN; i++)
    tt_emit(e->emitter, "run", tt_int("thread", e->thread), tt_int("i", i));
  return NULL;
}

static void threads_keep_their_order(fixture *f) {
  pthread_t threads[THREADS];
  emitting runs[THREADS];
  for (int i = 0; i < THREADS; i++) {
    runs[i] = (emitting){f->emitter, i};
    assert_int_equal(pthread_create(&threads[i], NULL, emit_many, &runs[i]), 0);
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  json_t *all = flushed(f, (size_t)THREADS * RUN);
  int next[THREADS] = {0};
  size_t at;
  json_t *event;
  json_array_foreach(all, at, event) {
    json_t *data = json_object_get(event, "data");
    json_int_t thread = json_integer_value(json_object_get(data, "thread"));
    json_int_t i = json_integer_value(json_object_get(data, "i"));
    assert_int_equal(i, next[thread]++);
  }
  json_decref(all);
}

static void flushing_nothing_is_at_once(fixture *f) {
  assert_int_equal(tt_emitter_flush(f->emitter, 0), TT_OK);
  assert_int_equal(stats_of(f->emitter).emitted, 0);
}

static void no_emitter_is_no_trouble(fixture *f) {
  tt_emitter_stats stats = {.emitted = 1};
  tt_emitter *none = NULL;
  (void)f;
  tt_emit(none, "nothing", tt_int("n", 1));
  tt_emit_full(none, &(tt_event){.type = "nothing"});
  tt_log_info(none, NULL, "nothing");
  tt_emitter_set_agent_id(none, "agent");
  assert_int_equal(tt_emitter_flush(none, -1), TT_OK);
  tt_emitter_stats_get(none, &stats);
  assert_int_equal(stats.emitted, 0);
  tt_emitter_free(none);
}

static void (*const suite[])(fixture *f) = {
    arrives_as_it_was_given,           a_field_that_is_no_json_becomes_null,
    a_full_event_keeps_what_it_brings, levels_and_agents_are_those_of_the_call,
    threads_keep_their_order,          flushing_nothing_is_at_once,
    no_emitter_is_no_trouble,          log_lines_take_the_same_way,
};

static void run_suite(const char *name) {
  const implementation *of = implementations;
  while (strcmp(of->name, name) != 0)
    of++;
  for (size_t i = 0; i < sizeof(suite) / sizeof(*suite); i++) {
    fixture f = {.of = of};
    of->open(&f);
    suite[i](&f);
    tt_emitter_free(f.emitter);
    of->close(&f);
  }
}

static void noop(void **state) {
  (void)state;
  run_suite("noop");
}

static void stream(void **state) {
  (void)state;
  run_suite("stream");
}

static void http(void **state) {
  (void)state;
  run_suite("http");
}

static void jsonl(void **state) {
  (void)state;
  run_suite("jsonl");
}

static void tee(void **state) {
  (void)state;
  run_suite("tee");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(noop),  cmocka_unit_test(stream), cmocka_unit_test(http),
      cmocka_unit_test(jsonl), cmocka_unit_test(tee),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
