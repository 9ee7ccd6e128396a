#include "server/subscriptions/matcher.h"

#include "tests/unit.h"

static webhook hook(const char *events, const char *filters) {
  return (webhook){.id = TTI_SLICE("wh_1"),
                   .events = tti_slice_of(events),
                   .filters = tti_slice_of(filters),
                   .enabled = true};
}

static match_event event_of(const char *type) {
  return (match_event){.type = tti_slice_of(type)};
}

static match_verdict verdict(const char *events, const char *filters,
                             const match_event *event,
                             webhook_filter *out_filter) {
  webhook row = hook(events, filters);
  subscription *s;
  assert_int_equal(subscription_new(&row, &s), TT_OK);
  match_verdict result = subscription_match(s, event, out_filter);
  subscription_free(s);
  return result;
}

static void types_match_exactly_by_prefix_or_all(void **state) {
  (void)state;
  static const struct {
    const char *events, *type;
    match_verdict expected;
  } cases[] = {
      {"[\"order.paid\"]", "order.paid", MATCH_YES},
      {"[\"order.paid\"]", "order.paid.late", MATCH_TYPE},
      {"[\"order.*\"]", "order.paid", MATCH_YES},
      {"[\"order.*\"]", "order.paid.late", MATCH_YES},
      {"[\"order.*\"]", "order", MATCH_TYPE},
      {"[\"order.*\"]", "orders.paid", MATCH_TYPE},
      {"[\"*\"]", "anything", MATCH_YES},
      {"[\"a\",\"b.*\"]", "b.c", MATCH_YES},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    match_event event = event_of(cases[i].type);
    assert_int_equal(verdict(cases[i].events, "", &event, NULL),
                     cases[i].expected);
  }
}

static void all_filters_must_match_one_of_their_values(void **state) {
  (void)state;
  match_event event = event_of("a");
  webhook_filter filter = WEBHOOK_FILTERS_COUNT;
  event.values[WEBHOOK_SOURCES] = TTI_SLICE("shop");
  event.values[WEBHOOK_SUBJECTS] = TTI_SLICE("say \"hi\"");
  event.level = TT_LEVEL_ERROR;
  event.labels[0] = TTI_SLICE("vip");
  event.labels[1] = TTI_SLICE("eu:de");
  event.label_count = 2;
  static const struct {
    const char *filters;
    match_verdict expected;
    webhook_filter filter;
  } cases[] = {
      {"{}", MATCH_YES, 0},
      {"{\"sources\":[]}", MATCH_YES, 0},
      {"{\"sources\":[\"x\",\"shop\"]}", MATCH_YES, 0},
      {"{\"sources\":[\"x\"]}", MATCH_FILTER, WEBHOOK_SOURCES},
      {"{\"sources\":[\"shop\"],\"labels\":[\"eu:de\"]}", MATCH_YES, 0},
      {"{\"sources\":[\"shop\"],\"labels\":[\"x\"]}", MATCH_FILTER,
       WEBHOOK_LABELS},
      {"{\"subjects\":[\"say \\\"hi\\\"\"]}", MATCH_YES, 0},
      {"{\"agent_ids\":[\"a\"]}", MATCH_FILTER, WEBHOOK_AGENT_IDS},
      {"{\"levels\":[\">=warn\"]}", MATCH_YES, 0},
      {"{\"levels\":[\"ERROR\"]}", MATCH_YES, 0},
      {"{\"levels\":[\">=fatal\",\"debug\"]}", MATCH_FILTER, WEBHOOK_LEVELS},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    match_verdict got = verdict("[\"*\"]", cases[i].filters, &event, &filter);
    assert_int_equal(got, cases[i].expected);
    if (got == MATCH_FILTER)
      assert_int_equal(filter, cases[i].filter);
  }
  match_event bare = event_of("a");
  assert_int_equal(
      verdict("[\"*\"]", "{\"levels\":[\">=debug\"]}", &bare, &filter),
      MATCH_FILTER);
}

static void what_cannot_be_read_is_no_subscription(void **state) {
  (void)state;
  subscription *s;
  webhook rows[] = {hook("[", "{}"), hook("[1]", "{}"), hook("[\"*\"]", "[]"),
                    hook("[\"*\"]", "{\"colour\":[]}")};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_int_equal(subscription_new(&rows[i], &s), TT_ECORRUPT);
  webhook off = hook("[\"*\"]", "");
  off.enabled = false;
  match_event event = event_of("a");
  assert_int_equal(subscription_new(&off, &s), TT_OK);
  assert_int_equal(subscription_match(s, &event, NULL), MATCH_DISABLED);
  subscription_free(s);
}

/* ---- Many ---- */

enum { HOOKS = 300, EVENTS = 3000 };

static unsigned seed;
static unsigned below(unsigned bound) {
  seed = seed * 1103515245 + 12345;
  return (seed >> 16) % bound;
}

/* A list of up to 3 of the words, or of patterns of types. */
static void write_list(tti_buf *out, bool types) {
  static const char *const words[] = {"a", "b", "c", "d"};
  static const char *const patterns[] = {"a",     "a.b",   "a.*", "a.b.*",
                                         "b.*",   "*",     "c",   "b.c.d",
                                         "a.b.c", "b.c.*", "d",   "c.*"};
  unsigned count = types ? 1 + below(3) : below(4);
  tti_buf_append_char(out, '[');
  for (unsigned i = 0; i < count; i++)
    tti_buf_printf(out, "%s\"%s\"", i ? "," : "",
                   types ? patterns[below(12)] : words[below(4)]);
  tti_buf_append_char(out, ']');
}

static void write_filters(tti_buf *out) {
  static const char *const levels[] = {"[\">=warn\"]", "[\"info\",\"debug\"]"};
  const char *comma = "";
  tti_buf_append_char(out, '{');
  for (int n = 0; n < WEBHOOK_FILTERS_COUNT; n++) {
    if (below(3))
      continue;
    tti_buf_printf(out, "%s\"%s\":", comma, webhook_filter_names[n].ptr);
    if (n == WEBHOOK_LEVELS)
      tti_buf_append_text(out, levels[below(2)]);
    else
      write_list(out, false);
    comma = ",";
  }
  tti_buf_append_char(out, '}');
}

static match_event random_event(void) {
  static const char *const types[] = {"a", "a.b", "a.b.c", "b.c.d", "b.x",
                                      "c", "d",   "e",     "c.d",   "a."};
  static const char *const words[] = {"a", "b", "c", "d", "e"};
  match_event event = event_of(types[below(10)]);
  for (int n = 0; n < WEBHOOK_LABELS; n++)
    if (n != WEBHOOK_LEVELS && below(4))
      event.values[n] = tti_slice_of(words[below(5)]);
  if (below(4))
    event.level = (tt_level)(TT_LEVEL_DEBUG + below(5));
  for (event.label_count = 0; event.label_count < below(4);)
    event.labels[event.label_count++] = tti_slice_of(words[below(5)]);
  return event;
}

static void the_index_finds_what_a_look_at_each_finds(void **state) {
  (void)state;
  subscription *all[HOOKS];
  matcher *m;
  tti_buf events, filters, found;
  size_t matched = 0;
  seed = 1;
  tti_buf_init(&events, 4096);
  tti_buf_init(&filters, 4096);
  tti_buf_init(&found, 1 << 20);
  assert_int_equal(matcher_new(&m), TT_OK);
  for (size_t i = 0; i < HOOKS; i++) {
    tti_buf_clear(&events);
    tti_buf_clear(&filters);
    write_list(&events, true);
    write_filters(&filters);
    webhook row = {.id = TTI_SLICE("wh"),
                   .events = tti_buf_slice(&events),
                   .filters = tti_buf_slice(&filters),
                   .enabled = true};
    assert_int_equal(matcher_add(m, &row), TT_OK);
    assert_int_equal(subscription_new(&row, &all[i]), TT_OK);
  }
  assert_int_equal(matcher_seal(m), TT_OK);
  for (size_t n = 0; n < EVENTS; n++) {
    match_event event = random_event();
    matcher_find(m, &event, &found);
    size_t at = 0;
    for (uint32_t i = 0; i < HOOKS; i++) {
      if (subscription_match(all[i], &event, NULL) != MATCH_YES)
        continue;
      uint32_t place;
      assert_true(at + sizeof place <= found.len);
      memcpy(&place, found.data + at, sizeof place);
      assert_int_equal(place, i);
      at += sizeof place;
      matched++;
    }
    assert_int_equal(at, found.len);
  }
  assert_true(matched > EVENTS); /* it was not all about nothing */
  for (size_t i = 0; i < HOOKS; i++)
    subscription_free(all[i]);
  matcher_free(m);
  tti_buf_fini(&events);
  tti_buf_fini(&filters);
  tti_buf_fini(&found);
}

/* All want the same type of the same source, each for a subject of its own;
 * `others` are for another type. */
static void only_those_that_may_match_are_looked_at(void **state) {
  (void)state;
  matcher *m;
  tti_buf found;
  char filters[100];
  tti_buf_init(&found, 1 << 20);
  assert_int_equal(matcher_new(&m), TT_OK);
  for (int i = 0; i < 10000; i++) {
    snprintf(filters, sizeof filters,
             "{\"sources\":[\"shop\"],\"subjects\":[\"c-%d\"]}", i);
    webhook row = hook("[\"order.*\"]", filters);
    assert_int_equal(matcher_add(m, &row), TT_OK);
  }
  webhook all = hook("[\"*\"]", ""), off = hook("[\"*\"]", "");
  webhook other = hook("[\"refund.*\"]", "");
  off.enabled = false;
  assert_int_equal(matcher_add(m, &all), TT_OK);
  assert_int_equal(matcher_add(m, &off), TT_OK);
  for (int i = 0; i < 1000; i++)
    assert_int_equal(matcher_add(m, &other), TT_OK);
  assert_int_equal(matcher_seal(m), TT_OK);
  assert_int_equal(matcher_count(m), 11001);
  match_event event = event_of("order.paid");
  event.values[WEBHOOK_SOURCES] = TTI_SLICE("shop");
  event.values[WEBHOOK_SUBJECTS] = TTI_SLICE("c-77");
  assert_int_equal(matcher_find(m, &event, &found), 2);
  uint32_t places[2];
  assert_int_equal(found.len, sizeof places);
  memcpy(places, found.data, sizeof places);
  assert_int_equal(places[0], 77);
  assert_int_equal(places[1], 10000);
  assert_true(tti_slice_eq(matcher_id(m, 77), TTI_SLICE("wh_1")));
  matcher_free(m);
  tti_buf_fini(&found);
}

static void an_event_is_matched_by_what_its_row_says(void **state) {
  (void)state;
  tti_outbox_row row = {.type = TTI_SLICE("a"),
                        .source = TTI_SLICE("s"),
                        .category = TTI_SLICE("c"),
                        .agent_id = TTI_SLICE("g"),
                        .subject = TTI_SLICE("u"),
                        .level = TTI_SLICE("warn"),
                        .labels = TTI_SLICE("[\"x\",\"y:z\"]")};
  match_event event;
  match_event_of(&row, &event);
  assert_int_equal(event.label_count, 2);
  assert_int_equal(
      verdict(
          "[\"a\"]",
          "{\"sources\":[\"s\"],\"channels\":[\"c\"],\"agent_ids\":[\"g\"],"
          "\"levels\":[\"warn\"],\"subjects\":[\"u\"],\"labels\":[\"y:z\"]}",
          &event, NULL),
      MATCH_YES);
}

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test(types_match_exactly_by_prefix_or_all),
      cmocka_unit_test(all_filters_must_match_one_of_their_values),
      cmocka_unit_test(what_cannot_be_read_is_no_subscription),
      cmocka_unit_test(the_index_finds_what_a_look_at_each_finds),
      cmocka_unit_test(only_those_that_may_match_are_looked_at),
      cmocka_unit_test(an_event_is_matched_by_what_its_row_says),
  };
  return cmocka_run_group_tests(cases, NULL, NULL);
}
