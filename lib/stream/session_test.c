#include "lib/stream/stream.h"
#include "tests/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <telltale/session.h>

typedef struct fixture {
  tt_stream *stream;
  tt_session *session;
} fixture;

static int setup(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  if (!f || tt_stream_new(NULL, &f->stream) ||
      tt_session_new(f->stream, &f->session))
    return -1;
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  tt_session_free(f->session);
  tt_stream_free(f->stream);
  free(f);
  return 0;
}

static bool publish(fixture *f, const char *category) {
  tt_event event = {.source = "test", .type = "tick", .category = category};
  return tt_session_publish(f->session, &event, NULL);
}

static void start(fixture *f, const char *id, const char *category) {
  tt_session_config config = {.categories = &category, .category_count = 1};
  assert_int_equal(tt_session_start(f->session, id, category ? &config : NULL),
                   TT_OK);
}

static bool lists(const tt_session_state *state, const char *category) {
  for (size_t i = 0; i < state->category_count; i++)
    if (strcmp(state->categories[i], category) == 0)
      return true;
  return false;
}

static tt_session_state state_of(fixture *f) {
  tt_session_state state;
  tt_session_state_get(f->session, &state);
  return state;
}

static void needs_a_stream(void **state) {
  (void)state;
  tt_session *session = NULL;
  assert_int_equal(tt_session_new(NULL, &session), TT_EINVAL);
  assert_null(session);
}

static void all_categories_are_the_six(void **state) {
  (void)state;
  static const char *const six[] = {"console",     "network", "page",
                                    "interaction", "api",     "system"};
  assert_int_equal(TELLTALE_ALL_CATEGORIES_COUNT, 6);
  for (int i = 0; i < 6; i++)
    assert_string_equal(tt_all_categories[i], six[i]);
}

/* Before a start nothing is captured, system neither. */
static void captures_nothing_before_start(void **state) {
  fixture *f = *state;
  assert_false(tt_session_active(f->session));
  assert_false(publish(f, "api"));
  assert_false(publish(f, "system"));
  assert_int_equal(tt_stream_seq(f->stream), 0);
  tt_session_state s = state_of(f);
  assert_false(s.active);
  assert_string_equal(s.id, "");
  assert_int_equal(s.applied_at_us, 0);
  assert_int_equal(s.category_count, 1);
  assert_true(lists(&s, "system"));
}

static void no_categories_means_all(void **state) {
  fixture *f = *state;
  start(f, "s1", NULL);
  tt_session_state s = state_of(f);
  assert_true(s.active);
  assert_true(s.all);
  assert_string_equal(s.id, "s1");
  assert_true(s.applied_at_us > 0);
  assert_int_equal(s.category_count, 6);
  for (int i = 0; i < TELLTALE_ALL_CATEGORIES_COUNT; i++) {
    assert_true(lists(&s, tt_all_categories[i]));
    assert_true(publish(f, tt_all_categories[i]));
  }
  assert_true(publish(f, "billing"));
  assert_true(publish(f, NULL));
}

static void captures_what_is_chosen_and_system(void **state) {
  fixture *f = *state;
  static const char *const chosen[] = {"network", "billing"};
  tt_session_config config = {.categories = chosen, .category_count = 2};
  assert_int_equal(tt_session_start(f->session, "s1", &config), TT_OK);
  assert_true(publish(f, "network"));
  assert_true(publish(f, "billing"));
  assert_true(publish(f, "system"));
  for (int i = 0; i < TELLTALE_ALL_CATEGORIES_COUNT; i++)
    if (i != 1 && i != 5)
      assert_false(publish(f, tt_all_categories[i]));
  /* As long as one of the six is not that one. */
  assert_false(publish(f, "consul"));
  assert_false(publish(f, "neutral"));
  assert_false(publish(f, "abc"));
  assert_false(publish(f, ""));
  assert_int_equal(tt_session_seq(f->session), 3);
  tt_session_state s = state_of(f);
  assert_false(s.all);
  assert_int_equal(s.category_count, 3);
  assert_true(lists(&s, "network") && lists(&s, "billing") &&
              lists(&s, "system"));
}

/* The envelope that comes back is the one that readers get. */
static void answers_the_envelope(void **state) {
  fixture *f = *state;
  tt_metadata pair = {"k", "v"};
  tt_event event = {.source = "shop",
                    .type = "order.paid",
                    .category = "api",
                    .metadata = &pair,
                    .metadata_count = 1,
                    .data = "{\"n\":1}"};
  tt_published published;
  start(f, "s1", NULL);
  assert_true(tt_session_publish(f->session, &event, &published));
  tt_envelope *e = &published.envelope;
  assert_int_equal(e->seq, 1);
  assert_true(e->received_us > 0);
  assert_true(e->event.ts_us > 0);
  assert_string_equal(e->event.session_id, "s1");
  assert_string_equal(e->event.data, "{\"n\":1}");
  assert_int_equal(e->event.data_len, 7);
  assert_false(e->event.truncated);
  tt_reader *reader = NULL;
  tt_read_result result;
  assert_int_equal(tt_session_reader_new(f->session, 0, &reader), TT_OK);
  assert_true(tt_reader_try_read(reader, &result));
  assert_non_null(result.envelope);
  assert_int_equal(result.envelope->seq, e->seq);
  assert_int_equal(result.envelope->received_us, e->received_us);
  assert_int_equal(result.envelope->event.ts_us, e->event.ts_us);
  assert_string_equal(result.envelope->event.session_id, "s1");
  assert_string_equal(result.envelope->event.type, "order.paid");
  assert_int_equal(result.envelope->event.metadata_count, 1);
  assert_string_equal(result.envelope->event.metadata[0].key, "k");
  assert_string_equal(result.envelope->event.metadata[0].value, "v");
  tt_reader_free(reader);
}

static void answers_a_truncated_envelope(void **state) {
  fixture *f = *state;
  size_t len = TELLTALE_ENVELOPE_MAX_BYTES;
  char *data = malloc(len);
  assert_non_null(data);
  memset(data, 'x', len);
  data[0] = data[len - 1] = '"';
  tt_event event = {.type = "big", .data = data, .data_len = len};
  tt_published published;
  start(f, "s1", NULL);
  assert_true(tt_session_publish(f->session, &event, &published));
  assert_true(published.envelope.event.truncated);
  assert_string_equal(published.envelope.event.data, "null");
  assert_int_equal(published.envelope.event.data_len, 4);
  free(data);
}

/* A start while one is active replaces it; numbers go on. */
static void start_replaces(void **state) {
  fixture *f = *state;
  start(f, "s1", NULL);
  assert_int_equal(tt_session_start_seq(f->session), 0);
  assert_true(publish(f, "api"));
  start(f, "s2", "page");
  assert_int_equal(tt_session_start_seq(f->session), 1);
  assert_string_equal(state_of(f).id, "s2");
  assert_false(publish(f, "api"));
  assert_true(publish(f, "page"));
  assert_int_equal(tt_session_seq(f->session), 2);
  /* A reader from the start has all of the session and nothing before it. */
  tt_reader *reader = NULL;
  tt_read_result result;
  assert_int_equal(tt_session_reader_new(
                       f->session, tt_session_start_seq(f->session), &reader),
                   TT_OK);
  assert_true(tt_reader_try_read(reader, &result));
  assert_int_equal(result.envelope->seq, 2);
  assert_string_equal(result.envelope->event.session_id, "s2");
  assert_false(tt_reader_try_read(reader, &result));
  tt_reader_free(reader);
}

static void stop_ends_it_and_readers_drain(void **state) {
  fixture *f = *state;
  tt_reader *reader = NULL;
  tt_read_result result;
  start(f, "s1", NULL);
  assert_true(publish(f, "api"));
  assert_int_equal(tt_session_reader_new(f->session, 0, &reader), TT_OK);
  tt_session_stop(f->session);
  assert_false(tt_session_active(f->session));
  assert_false(publish(f, "system"));
  tt_session_state s = state_of(f);
  assert_string_equal(s.id, "");
  assert_int_equal(s.applied_at_us, 0);
  assert_int_equal(s.category_count, 1);
  assert_true(tt_reader_try_read(reader, &result));
  assert_int_equal(result.envelope->seq, 1);
  tt_reader_free(reader);
  tt_session_stop(f->session);
}

static void update_changes_the_choice_alone(void **state) {
  fixture *f = *state;
  const char *page = "page";
  tt_session_config config = {.categories = &page, .category_count = 1};
  start(f, "s1", "api");
  assert_true(publish(f, "api"));
  assert_int_equal(tt_session_update_config(f->session, &config), TT_OK);
  assert_false(publish(f, "api"));
  assert_true(publish(f, "page"));
  assert_string_equal(state_of(f).id, "s1");
  assert_int_equal(tt_session_start_seq(f->session), 0);
  assert_int_equal(tt_session_update_config(f->session, NULL), TT_OK);
  assert_true(state_of(f).all);
  tt_session_stop(f->session);
  assert_int_equal(tt_session_update_config(f->session, &config), TT_ESTATE);
  assert_false(tt_session_active(f->session));
  assert_false(publish(f, "page"));
}

/* What is refused changes nothing. */
static void refuses_bad_input(void **state) {
  fixture *f = *state;
  char long_text[TELLTALE_SESSION_ID_MAX + 2];
  memset(long_text, 'x', sizeof(long_text) - 1);
  long_text[sizeof(long_text) - 1] = '\0';
  const char *many[TELLTALE_SESSION_CATEGORIES_MAX + 1];
  for (size_t i = 0; i < TELLTALE_SESSION_CATEGORIES_MAX + 1; i++)
    many[i] = "api";
  const char *empty = "", *none = NULL, *too_long = long_text;
  start(f, "s1", "api");
  const struct {
    const char *id;
    tt_session_config config;
    tt_error error;
  } cases[] = {
      {NULL, {NULL, 0}, TT_EINVAL},
      {"", {NULL, 0}, TT_EINVAL},
      {long_text, {NULL, 0}, TT_ETOOBIG},
      {"s2", {NULL, 1}, TT_EINVAL},
      {"s2", {&empty, 1}, TT_EINVAL},
      {"s2", {&none, 1}, TT_EINVAL},
      {"s2", {&too_long, 1}, TT_ETOOBIG},
      {"s2", {many, TELLTALE_SESSION_CATEGORIES_MAX + 1}, TT_ETOOBIG},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    assert_int_equal(
        tt_session_start(f->session, cases[i].id, &cases[i].config),
        cases[i].error);
    if (cases[i].config.category_count)
      assert_int_equal(tt_session_update_config(f->session, &cases[i].config),
                       cases[i].error);
    assert_string_equal(state_of(f).id, "s1");
    assert_true(publish(f, "api"));
    assert_false(publish(f, "page"));
  }
}

/* As many categories of one's own as the limit allows, each as long as it. */
static void holds_as_many_as_it_says(void **state) {
  fixture *f = *state;
  static char text[TELLTALE_SESSION_CATEGORIES_MAX][TELLTALE_CATEGORY_MAX + 1];
  const char *chosen[TELLTALE_SESSION_CATEGORIES_MAX];
  for (size_t i = 0; i < TELLTALE_SESSION_CATEGORIES_MAX; i++) {
    memset(text[i], 'a' + (char)(i % 26), TELLTALE_CATEGORY_MAX);
    text[i][0] = i < 26 ? '0' : i < 52 ? '1' : '2';
    chosen[i] = text[i];
  }
  tt_session_config config = {chosen, TELLTALE_SESSION_CATEGORIES_MAX};
  assert_int_equal(tt_session_start(f->session, "s1", &config), TT_OK);
  tt_session_state s = state_of(f);
  assert_int_equal(s.category_count, TELLTALE_SESSION_CATEGORIES_MAX + 1);
  for (size_t i = 0; i < TELLTALE_SESSION_CATEGORIES_MAX; i++)
    assert_true(publish(f, chosen[i]));
  assert_false(publish(f, "other"));
}

static void null_is_harmless(void **state) {
  (void)state;
  tt_event event = {.type = "tick"};
  tt_session_state s;
  tt_reader *reader;
  assert_false(tt_session_publish(NULL, &event, NULL));
  assert_false(tt_session_active(NULL));
  assert_int_equal(tt_session_start(NULL, "s", NULL), TT_EINVAL);
  assert_int_equal(tt_session_update_config(NULL, NULL), TT_EINVAL);
  assert_int_equal(tt_session_reader_new(NULL, 0, &reader), TT_EINVAL);
  tt_session_stop(NULL);
  tt_session_state_get(NULL, &s);
  assert_false(s.active);
  assert_int_equal(tt_session_seq(NULL), 0);
  assert_int_equal(tt_session_start_seq(NULL), 0);
  tt_session_free(NULL);
}

static void a_closed_stream_accepts_nothing(void **state) {
  fixture *f = *state;
  start(f, "s1", NULL);
  tt_stream_close(f->stream);
  assert_false(publish(f, "api"));
}

/* ---- Threads ---- */

#define PUBLISHERS 4
#define EACH       5000

typedef struct publisher {
  pthread_t thread;
  fixture *f;
  uint64_t accepted;
  atomic_bool *stop;
} publisher;

static void *publish_all(void *arg) {
  publisher *p = arg;
  for (int i = 0; i < EACH; i++) {
    tt_published published;
    tt_event event = {.type = "tick", .category = i % 2 ? "api" : "page"};
    p->accepted += tt_session_publish(p->f->session, &event, &published);
  }
  return NULL;
}

static void *steer(void *arg) {
  publisher *p = arg;
  const char *choices[] = {"api", "page"};
  for (unsigned i = 0; !atomic_load(p->stop); i++) {
    tt_session_config config = {&choices[i % 2], 1};
    if (i % 7 == 6)
      tt_session_stop(p->f->session);
    else if (i % 3 == 0)
      tt_session_start(p->f->session, i % 2 ? "odd" : "even", &config);
    else
      tt_session_update_config(p->f->session, &config);
  }
  return NULL;
}

/* Whatever the order of events, what was answered as accepted is in the stream,
 * nothing else is, and each carries the id of a session that was. */
static void steered_while_others_publish(void **state) {
  fixture *f = *state;
  atomic_bool stop = false;
  publisher publishers[PUBLISHERS];
  publisher steerer = {.f = f, .stop = &stop};
  pthread_create(&steerer.thread, NULL, steer, &steerer);
  for (int i = 0; i < PUBLISHERS; i++) {
    publishers[i] = (publisher){.f = f};
    pthread_create(&publishers[i].thread, NULL, publish_all, &publishers[i]);
  }
  uint64_t accepted = 0;
  for (int i = 0; i < PUBLISHERS; i++) {
    pthread_join(publishers[i].thread, NULL);
    accepted += publishers[i].accepted;
  }
  atomic_store(&stop, true);
  pthread_join(steerer.thread, NULL);
  assert_int_equal(tt_stream_seq(f->stream), accepted);
  tt_reader *reader = NULL;
  tt_read_result result;
  assert_int_equal(tt_reader_new(f->stream, 0, &reader), TT_OK);
  while (tt_reader_try_read(reader, &result)) {
    assert_non_null(result.envelope);
    const char *id = result.envelope->event.session_id;
    assert_true(strcmp(id, "odd") == 0 || strcmp(id, "even") == 0);
  }
  tt_reader_free(reader);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(needs_a_stream),
      cmocka_unit_test(all_categories_are_the_six),
      cmocka_unit_test(null_is_harmless),
      TEST(captures_nothing_before_start),
      TEST(no_categories_means_all),
      TEST(captures_what_is_chosen_and_system),
      TEST(answers_the_envelope),
      TEST(answers_a_truncated_envelope),
      TEST(start_replaces),
      TEST(stop_ends_it_and_readers_drain),
      TEST(update_changes_the_choice_alone),
      TEST(refuses_bad_input),
      TEST(holds_as_many_as_it_says),
      TEST(a_closed_stream_accepts_nothing),
      TEST(steered_while_others_publish),
  };
#undef TEST
  return cmocka_run_group_tests(tests, NULL, NULL);
}
