#include "lib/event/filter.h"

#include "tests/unit.h"

#include <stdio.h>

/* A filter of "key=value" texts. */
static tti_filter *filter_of(const char *const *adds, size_t count) {
  tti_filter *filter;
  assert_int_equal(tti_filter_new(&filter), TT_OK);
  for (size_t i = 0; i < count && adds[i]; i++) {
    const char *equals = strchr(adds[i], '=');
    tti_slice key = {adds[i], (size_t)(equals - adds[i])};
    assert_int_equal(tti_filter_add(filter, key, tti_slice_of(equals + 1)),
                     TT_OK);
  }
  return filter;
}

static tti_record record_of(const char *source, const char *channel,
                            const char *action, const char *level,
                            const char *agent) {
  tti_record r = {.source = tti_slice_of(source),
                  .category = tti_slice_of(channel),
                  .type = tti_slice_of(action),
                  .agent_id = tti_slice_of(agent)};
  tti_record_set_level(&r, tti_slice_of(level));
  return r;
}

#define ADDS 4

static void matches(void **state) {
  (void)state;
  static const struct {
    const char *adds[ADDS];
    bool want;
  } rows[] = {
      {{NULL}, true},
      {{"source="}, true},
      {{"source=,,"}, true},
      {{"source=shop"}, true},
      {{"source=Shop"}, false},
      {{"source=sho"}, false},
      {{"source=a,shop,b"}, true},
      {{"source=a", "source=shop"}, true},
      {{"source=a,b"}, false},
      {{"source=shop", "channel=orders", "action=paid", "agent_id=x"}, true},
      {{"source=shop", "channel=other"}, false},
      {{"source=other", "channel=orders"}, false},
      {{"agent_id=y"}, false},
      {{"level=warn"}, true},
      {{"level=WARN"}, true},
      {{"level=error"}, false},
      {{"level=error,warn"}, true},
      {{"level=>=warn"}, true},
      {{"level=>=Info"}, true},
      {{"level=>=error"}, false},
      {{"level=>=error,warn"}, true},
      {{"level=>=fatal", "level=>=debug"}, true},
  };
  tti_record r = record_of("shop", "orders", "paid", "warn", "x");
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    tti_filter *filter = filter_of(rows[i].adds, ADDS);
    if (tti_filter_match(filter, &r) != rows[i].want)
      print_error("row %zu: %s\n", i, tti_filter_text(filter));
    assert_int_equal(tti_filter_match(filter, &r), rows[i].want);
    tti_filter_free(filter);
  }
  assert_true(tti_filter_match(NULL, &r));
}

/* A level of the producer's own is matched as it is and ranks as info. */
static void own_levels(void **state) {
  (void)state;
  static const struct {
    const char *add;
    bool want;
  } rows[] = {
      {"level=Notice", true}, {"level=notice", false}, {"level=info", false},
      {"level=>=info", true}, {"level=>=warn", false},
  };
  tti_record r = record_of("s", "", "", "Notice", "");
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    tti_filter *filter = filter_of(&rows[i].add, 1);
    assert_int_equal(tti_filter_match(filter, &r), rows[i].want);
    tti_filter_free(filter);
  }
}

static void canonical_text(void **state) {
  (void)state;
  static const struct {
    const char *adds[ADDS];
    const char *want;
  } rows[] = {
      {{NULL}, ""},
      {{"source="}, ""},
      {{"source=b,a", "channel=c"}, "channel=c&source=a,b"},
      {{"channel=c", "source=a", "source=b", "source=a"},
       "channel=c&source=a,b"},
      {{"level=>=WARN,Debug"}, "level=debug,>=warn"},
      {{"level=>=fatal,>=error"}, "level=>=error"},
      {{"action=a b&c=d%\xc3\xa9"}, "action=a%20b%26c%3Dd%25%C3%A9"},
      {{"agent_id=ab,a,abc"}, "agent_id=a,ab,abc"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    tti_filter *filter = filter_of(rows[i].adds, ADDS);
    assert_string_equal(tti_filter_text(filter), rows[i].want);
    assert_int_equal(tti_filter_is_empty(filter), *rows[i].want == '\0');
    tti_filter_free(filter);
  }
  assert_string_equal(tti_filter_text(NULL), "");
  assert_true(tti_filter_is_empty(NULL));
}

/* One of the five levels alone stands for itself and what is above. */
static void from_level(void **state) {
  (void)state;
  static const struct {
    const char *adds[ADDS], *want;
  } rows[] = {
      {{NULL}, ""},
      {{"level=Warn"}, "level=>=warn"},
      {{"level=Notice"}, "level=Notice"},
      {{"level=warn,debug"}, "level=debug,warn"},
      {{"level=debug,>=error"}, "level=debug,>=error"},
      {{"level=info", "source=a"}, "level=>=info&source=a"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    tti_filter *filter = filter_of(rows[i].adds, ADDS);
    assert_int_equal(tti_filter_from_level(filter), TT_OK);
    assert_string_equal(tti_filter_text(filter), rows[i].want);
    tti_filter_free(filter);
  }
}

static void names_channels(void **state) {
  (void)state;
  const char *adds[] = {"channel=api,log"};
  tti_filter *filter = filter_of(adds, 1);
  assert_true(tti_filter_names_channel(filter, TTI_SLICE("log")));
  assert_false(tti_filter_names_channel(filter, TTI_SLICE("lo")));
  tti_filter_free(filter);
  filter = filter_of(NULL, 0);
  assert_false(tti_filter_names_channel(filter, TTI_SLICE("log")));
  assert_false(tti_filter_names_channel(filter, TTI_SLICE("")));
  assert_false(tti_filter_names_channel(NULL, TTI_SLICE("log")));
  tti_filter_free(filter);
}

static void refuses(void **state) {
  (void)state;
  tti_filter *filter;
  assert_int_equal(tti_filter_new(&filter), TT_OK);
  assert_int_equal(tti_filter_add(filter, TTI_SLICE("colour"), TTI_SLICE("a")),
                   TT_ENOTFOUND);
  assert_int_equal(
      tti_filter_add(filter, TTI_SLICE("source"), TTI_SLICE(">=a")), TT_EINVAL);
  assert_int_equal(
      tti_filter_add(filter, TTI_SLICE("level"), TTI_SLICE(">=loud")),
      TT_EINVAL);
  char item[16];
  for (int i = 0; i < 50; i++) {
    int len = snprintf(item, sizeof(item), "a%d", i);
    assert_int_equal(tti_filter_add(filter, TTI_SLICE("action"),
                                    (tti_slice){item, (size_t)len}),
                     TT_OK);
  }
  assert_int_equal(tti_filter_add(filter, TTI_SLICE("action"), TTI_SLICE("b")),
                   TT_EINVAL);
  static char big[4097];
  memset(big, '\x01', sizeof(big));
  assert_int_equal(
      tti_filter_add(filter, TTI_SLICE("source"), (tti_slice){big, 4097}),
      TT_EINVAL);
  assert_int_equal(
      tti_filter_add(filter, TTI_SLICE("source"), (tti_slice){big, 4096}),
      TT_OK);
  tti_filter_free(filter);
  tti_filter_free(NULL);
}

/* By the beginning of the session's id; such a filter is one of its own. */
static void of_one_session(void **state) {
  (void)state;
  static const char *const adds[] = {"source=shop"};
  tti_filter *filter = filter_of(adds, 1);
  assert_int_equal(tti_filter_session(filter, "abc"), TT_OK);
  assert_string_equal(tti_filter_text(filter), "source=shop&session=abc");
  static const struct {
    const char *source, *id;
    bool want;
  } rows[] = {{"shop", "abc", true}, {"shop", "abcdef", true},
              {"shop", "ab", false}, {"shop", "xabc", false},
              {"shop", "", false},   {"other", "abc", false}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    tti_record r = record_of(rows[i].source, "c", "a", "info", "");
    r.session_id = tti_slice_of(rows[i].id);
    assert_int_equal(tti_filter_match(filter, &r), rows[i].want);
  }
  tti_filter_free(filter);
  filter = filter_of(adds, 0);
  assert_int_equal(tti_filter_session(filter, "abc"), TT_OK);
  assert_false(tti_filter_is_empty(filter));
  tti_filter_free(filter);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(matches),        cmocka_unit_test(own_levels),
      cmocka_unit_test(canonical_text), cmocka_unit_test(names_channels),
      cmocka_unit_test(refuses),        cmocka_unit_test(from_level),
      cmocka_unit_test(of_one_session),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
