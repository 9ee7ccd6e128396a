#include "server/sessions/table.h"

#include "lib/event/category.h"
#include "tests/unit.h"

#include <stdio.h>

static tti_buf text_buf(void) {
  tti_buf buf;
  tti_buf_init(&buf, 1 << 20);
  return buf;
}

/* The six, what is configured, each once; types in order, for finding them. */
static void vocabulary_is_made(void **state) {
  (void)state;
  char shop[] = "shop", page[] = "page", b[] = "zoom=shop",
       a[] = "boom=console";
  char *categories[] = {shop, page, shop, NULL}, *types[] = {b, a, NULL};
  tti_buf error = text_buf();
  session_vocabulary v;
  assert_int_equal(session_vocabulary_init(&v, categories, types, &error),
                   TT_OK);
  assert_int_equal(v.v.category_count, TTI_CATEGORIES + 1);
  assert_int_equal(tti_vocabulary_find(&v.v, TTI_SLICE("shop")), 6);
  assert_int_equal(tti_vocabulary_find(&v.v, TTI_SLICE("api")), 4);
  assert_int_equal(tti_vocabulary_find(&v.v, TTI_SLICE("sho")), -1);
  assert_int_equal(v.v.types[0].category, 0);
  assert_int_equal(v.v.types[1].category, 6);
  assert_int_equal(session_user_facing(&v.v), 0x5f); /* all but system */
  session_vocabulary_fini(&v);

  char bad[] = "boom=nowhere";
  char *bad_types[] = {bad, NULL};
  assert_int_equal(session_vocabulary_init(&v, NULL, bad_types, &error),
                   TT_EINVAL);
  tti_buf_append_char(&error, '\0');
  assert_non_null(strstr(error.data, "boom=nowhere"));
  session_vocabulary_fini(&v);
  tti_buf_fini(&error);
}

static void vocabulary_has_a_ceiling(void **state) {
  (void)state;
  char texts[TTI_VOCABULARY_MAX][8], last[] = "more";
  char *categories[TTI_VOCABULARY_MAX + 1] = {NULL};
  size_t room = TTI_VOCABULARY_MAX - TTI_CATEGORIES;
  for (size_t i = 0; i < room; i++) {
    snprintf(texts[i], sizeof(texts[i]), "c%zu", i);
    categories[i] = texts[i];
  }
  tti_buf error = text_buf();
  session_vocabulary v;
  assert_int_equal(session_vocabulary_init(&v, categories, NULL, &error),
                   TT_OK);
  assert_int_equal(session_user_facing(&v.v),
                   ~(UINT64_C(1) << TTI_CATEGORY_SYSTEM));
  session_vocabulary_fini(&v);
  categories[room] = last;
  assert_int_equal(session_vocabulary_init(&v, categories, NULL, &error),
                   TT_EINVAL);
  session_vocabulary_fini(&v);
  tti_buf_fini(&error);
}

/* Ids of one name begin alike, those of two names do not; no two are equal. */
static void ids_tell_the_name(void **state) {
  (void)state;
  char a[SESSION_ID + 1], again[SESSION_ID + 1], b[SESSION_ID + 1];
  char prefix[SESSION_ID_OF_NAME + 1];
  session_id_make("default", a);
  session_id_make("default", again);
  session_id_make("other", b);
  session_id_of_name("default", prefix);
  assert_int_equal(strlen(a), SESSION_ID);
  assert_memory_equal(a, prefix, SESSION_ID_OF_NAME);
  assert_memory_equal(again, prefix, SESSION_ID_OF_NAME);
  assert_string_not_equal(a, again);
  assert_int_not_equal(memcmp(b, prefix, SESSION_ID_OF_NAME), 0);
  assert_true(a[0] >= 'a' && a[0] <= 'z');
  assert_int_equal(strspn(a, "abcdefghijklmnopqrstuvwxyz0123456789"),
                   SESSION_ID);
}

static void names_are_checked(void **state) {
  (void)state;
  char longest[SESSION_NAME_MAX + 2];
  memset(longest, 'a', sizeof(longest));
  assert_true(session_name_ok(TTI_SLICE("a-0")));
  assert_true(session_name_ok((tti_slice){longest, SESSION_NAME_MAX}));
  assert_false(session_name_ok((tti_slice){longest, SESSION_NAME_MAX + 1}));
  assert_false(session_name_ok(TTI_SLICE("")));
  assert_false(session_name_ok(TTI_SLICE("A")));
  assert_false(session_name_ok(TTI_SLICE("a_b")));
  assert_false(session_name_ok(TTI_SLICE("a/b")));
}

static session named(const char *name) {
  session one = {
      .captured = 0x2f, .start_seq = 7, .started_us = 8, .applied_us = 9};
  snprintf(one.name, sizeof(one.name), "%s", name);
  session_id_make(name, one.id);
  return one;
}

/* What the store keeps gives the same sessions back; a category that was added
 * to the configuration since is on, one that has gone is forgotten. */
static void the_store_gets_all_of_it(void **state) {
  (void)state;
  char shop[] = "shop";
  char *categories[] = {shop, NULL};
  tti_buf text = text_buf();
  session_vocabulary six, seven;
  assert_int_equal(session_vocabulary_init(&six, NULL, NULL, &text), TT_OK);
  assert_int_equal(session_vocabulary_init(&seven, categories, NULL, &text),
                   TT_OK);
  session_table t = {0}, back;
  session b = named("b"), a = named("a");
  a.otlp = true;
  assert_int_equal(session_put(&t, &b), TT_OK);
  assert_int_equal(session_put(&t, &a), TT_OK);
  session_table_write(&t, &six.v, &text);
  assert_int_equal(session_table_read(tti_buf_slice(&text), &seven.v, &back),
                   TT_OK);
  assert_int_equal(back.count, 2);
  const session *got = session_find(&back, TTI_SLICE("a"));
  assert_string_equal(got->id, a.id);
  assert_true(got->otlp);
  assert_int_equal(got->start_seq, 7);
  assert_int_equal(got->started_us, 8);
  assert_int_equal(got->applied_us, 9);
  assert_int_equal(got->captured, 0x2f | 64);
  session_table_fini(&back);

  t.items[0].captured &= ~UINT64_C(64);
  tti_buf_clear(&text);
  session_table_write(&t, &seven.v, &text);
  assert_int_equal(session_table_read(tti_buf_slice(&text), &six.v, &back),
                   TT_OK);
  assert_int_equal(session_find(&back, TTI_SLICE("a"))->captured, 0x2f);
  session_table_fini(&back);

  const char *bad[] = {"", "{}", "[1]", "[{\"name\":\"A\"}]"};
  for (size_t i = 0; i < 4; i++)
    assert_int_equal(session_table_read(tti_slice_of(bad[i]), &six.v, &back),
                     TT_EPARSE);
  session_table_fini(&t);
  session_vocabulary_fini(&six);
  session_vocabulary_fini(&seven);
  tti_buf_fini(&text);
}

static void the_table_has_a_ceiling(void **state) {
  (void)state;
  session_table t = {0};
  char name[16];
  for (int i = 0; i < SESSIONS_MAX; i++) {
    snprintf(name, sizeof(name), "s%d", i);
    session one = named(name);
    assert_int_equal(session_put(&t, &one), TT_OK);
  }
  session one = named("one-more"), known = named("s77");
  assert_int_equal(session_put(&t, &one), TT_EFULL);
  assert_int_equal(session_put(&t, &known), TT_OK);
  assert_string_equal(session_find(&t, TTI_SLICE("s77"))->id, known.id);
  session_remove(&t, TTI_SLICE("s77"));
  session_remove(&t, TTI_SLICE("s77"));
  assert_null(session_find(&t, TTI_SLICE("s77")));
  assert_non_null(session_find(&t, TTI_SLICE("s78")));
  assert_int_equal(session_put(&t, &one), TT_OK);
  session_table_fini(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(vocabulary_is_made),
      cmocka_unit_test(vocabulary_has_a_ceiling),
      cmocka_unit_test(ids_tell_the_name),
      cmocka_unit_test(names_are_checked),
      cmocka_unit_test(the_store_gets_all_of_it),
      cmocka_unit_test(the_table_has_a_ceiling),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
