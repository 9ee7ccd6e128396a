#include "server/feed/topic.h"
#include "tests/unit.h"

#include <stdio.h>

static tti_filter *filter_of(unsigned number) {
  tti_filter *filter;
  char source[16];
  int len = snprintf(source, sizeof(source), "s%u", number);
  assert_int_equal(tti_filter_new(&filter), TT_OK);
  assert_int_equal(tti_filter_add(filter, TTI_SLICE("source"),
                                  (tti_slice){source, (size_t)len}),
                   TT_OK);
  return filter;
}

static void new_filters_find_no_room_beyond_the_ceiling(void **state) {
  (void)state;
  list_node topics;
  list_init(&topics);
  tti_filter *known = filter_of(0), *new_one = filter_of(TOPICS_MAX);
  topic *first = NULL;
  for (unsigned i = 0; i < TOPICS_MAX; i++) {
    assert_true(topic_has_room(&topics, new_one, 1));
    topic *t = topic_ref(&topics, filter_of(i), 1);
    assert_non_null(t);
    first = first ? first : t;
  }
  assert_false(topic_has_room(&topics, new_one, 1));
  assert_true(topic_has_room(&topics, known, 1));
  assert_false(topic_has_room(&topics, known, 2)); /* other kinds: another */
  topic_unref(first);
  assert_true(topic_has_room(&topics, new_one, 1));
  while (!list_is_empty(&topics))
    topic_unref(LIST_ENTRY(topics.next, topic, link));
  tti_filter_free(known);
  tti_filter_free(new_one);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(new_filters_find_no_room_beyond_the_ceiling),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
