#include "tests/unit.h"

#include "server/feed/piece.h"
#include <stdio.h>
#include <stdlib.h>

/* Rows as a read of the store gives them, and what a piece makes of them. */
typedef struct fixture {
  list_node topics;
  topic *topic;
  store_read read;
  piece_key key;
} fixture;

static int setup(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  tti_filter *filter;
  if (!f || tti_filter_new(&filter) != TT_OK)
    return -1;
  list_init(&f->topics);
  f->topic = topic_ref(&f->topics, filter, 1);
  tti_buf_init(&f->read.rows, SIZE_MAX);
  f->key = (piece_key){.topic = f->topic};
  *state = f;
  return f->topic ? 0 : -1;
}

static int teardown(void **state) {
  fixture *f = *state;
  topic_unref(f->topic);
  tti_buf_fini(&f->read.rows);
  free(f);
  return 0;
}

static void add_row(fixture *f, uint64_t seq, size_t text_len) {
  char *text = calloc(1, text_len + 1);
  assert_non_null(text);
  memset(text, 'x', text_len);
  tti_record record = {.level = TT_LEVEL_INFO,
                       .source = TTI_SLICE("s"),
                       .type = {text, text_len}};
  store_row row = {.seq = seq, .len = tti_record_size(&record)};
  tti_buf_append(&f->read.rows, &row, sizeof(row));
  char *at = tti_buf_reserve(&f->read.rows, row.len);
  assert_non_null(at);
  tti_record_encode(&record, at);
  f->read.rows.len += row.len;
  f->read.row_count++;
  free(text);
}

static store_range range(uint64_t from, uint64_t to, const char *reason) {
  store_range r = {.from_seq = from, .to_seq = to};
  snprintf(r.reason, sizeof(r.reason), "%s", reason);
  return r;
}

/* "1 2 d3-5:crash 6 |6": events, drops, and the end of each piece. */
static void describe(fixture *f, const store_range *ranges, size_t count,
                     uint64_t end, tti_buf *out) {
  list_node pieces;
  assert_int_equal(
      piece_from_read(&f->key, &f->read, ranges, count, end, &pieces), TT_OK);
  uint64_t after = f->key.after;
  while (!list_is_empty(&pieces)) {
    piece *p = LIST_ENTRY(pieces.next, piece, age);
    list_remove(&p->age);
    assert_int_equal(p->key.after, after);
    after = p->to_seq;
    char *text = p->chunk ? strndup(p->chunk->data, p->chunk->len) : strdup("");
    assert_non_null(text);
    for (char *at = text; (at = strstr(at, "id: ")); at++) {
      unsigned long long id, from, to;
      char reason[16];
      if (sscanf(at,
                 "id: %llu\ndata: {\"dropped\":%*u,\"from_seq\":%llu,"
                 "\"to_seq\":%llu,\"reason\":\"%15[a-z]",
                 &id, &from, &to, reason) == 4)
        tti_buf_printf(out, "d%llu-%llu:%s ", from, to, reason);
      else if (sscanf(at, "id: %llu", &id) == 1)
        tti_buf_printf(out, "%llu ", id);
    }
    free(text);
    tti_buf_printf(out, "|%llu ", (unsigned long long)p->to_seq);
    piece_free(p);
  }
  tti_buf_append_char(out, '\0');
}

static void check(fixture *f, const store_range *ranges, size_t count,
                  uint64_t end, const char *want) {
  tti_buf out;
  tti_buf_init(&out, 1 << 20);
  describe(f, ranges, count, end, &out);
  assert_string_equal(out.data, want);
  tti_buf_fini(&out);
}

static void holes_in_the_numbers_are_no_loss(void **state) {
  fixture *f = *state;
  add_row(f, 2, 1);
  add_row(f, 5, 1);
  check(f, NULL, 0, 9, "2 5 |9 ");
}

static void recorded_ranges_are_told_in_order(void **state) {
  fixture *f = *state;
  add_row(f, 4, 1);
  add_row(f, 8, 1);
  store_range ranges[] = {range(1, 3, "retention"), range(5, 6, "crash"),
                          range(9, 20, "restored")};
  check(f, ranges, 3, 25, "d1-3:retention 4 d5-6:crash 8 d9-20:restored |25 ");
}

static void a_range_counts_only_from_where_one_stands(void **state) {
  fixture *f = *state;
  f->key.after = 10;
  add_row(f, 14, 1);
  store_range ranges[] = {range(1, 12, "retention")};
  check(f, ranges, 1, 14, "d11-12:retention 14 |14 ");
}

/* Retention moved on while the rows were read: they are there, so what the
 * range says about them and the holes between them is not so. */
static void a_range_over_rows_that_were_read_is_not_told(void **state) {
  fixture *f = *state;
  f->key.after = 10;
  add_row(f, 11, 1);
  add_row(f, 13, 1);
  store_range ranges[] = {range(1, 40, "retention")};
  check(f, ranges, 1, 13, "11 13 |13 ");
}

static void nothing_left_is_told_up_to_the_end(void **state) {
  fixture *f = *state;
  store_range ranges[] = {range(1, 100, "retention")};
  check(f, ranges, 1, 60, "d1-60:retention |60 ");
}

static void who_fell_behind_is_told_that_it_was_slow(void **state) {
  fixture *f = *state;
  f->key.slow = true;
  store_range ranges[] = {range(1, 3, "retention"), range(5, 6, "crash")};
  check(f, ranges, 2, 7, "d1-3:slow d5-6:crash |7 ");
}

static void nothing_new_makes_no_piece(void **state) {
  fixture *f = *state;
  f->key.after = 10;
  check(f, NULL, 0, 10, "");
  check(f, NULL, 0, 4, "");
}

static void pieces_end_where_all_can_share_them(void **state) {
  fixture *f = *state;
  f->key.after = 254;
  for (uint64_t seq = 255; seq <= 258; seq++)
    add_row(f, seq, 1);
  check(f, NULL, 0, 258, "255 256 |256 257 258 |258 ");
}

static void pieces_are_bounded_in_bytes(void **state) {
  fixture *f = *state;
  for (uint64_t seq = 1; seq <= 4; seq++)
    add_row(f, seq, 40000);
  check(f, NULL, 0, 4, "1 2 |2 3 4 |4 ");
}

static void rows_beyond_the_end_wait(void **state) {
  fixture *f = *state;
  for (uint64_t seq = 1; seq <= 4; seq++)
    add_row(f, seq, 1);
  check(f, NULL, 0, 2, "1 2 |2 ");
}

static void damaged_rows_are_dropped(void **state) {
  fixture *f = *state;
  add_row(f, 1, 1);
  f->read.rows.data[sizeof(store_row)] = 77; /* the record's version */
  add_row(f, 2, 1);
  check(f, NULL, 0, 2, "d1-1:damaged 2 |2 ");
}

static piece *piece_of(fixture *f, uint64_t after, size_t bytes) {
  f->key.after = after;
  piece_builder b;
  piece_begin(&b, &f->key);
  char *text = calloc(1, bytes + 1);
  assert_non_null(text);
  memset(text, 'x', bytes);
  tti_record record = {.source = {text, bytes}, .level = TT_LEVEL_INFO};
  assert_true(piece_add(&b, after + 1, &record));
  free(text);
  piece *p = piece_end(&b, after + 1);
  assert_non_null(p);
  return p;
}

static bool cached(fixture *f, piece_cache *cache, uint64_t after) {
  f->key.after = after;
  return cache_find(cache, &f->key) != NULL;
}

static void the_cache_keeps_what_was_used_last_within_its_bytes(void **state) {
  fixture *f = *state;
  piece_cache *cache = calloc(1, sizeof(*cache));
  assert_non_null(cache);
  cache_init(cache, 3500);
  for (uint64_t after = 0; after < 3; after++)
    cache_put(cache, piece_of(f, after, 700));
  assert_true(cached(f, cache, 0));
  cache_put(cache, piece_of(f, 3, 700)); /* 1 was used longest ago */
  assert_true(cached(f, cache, 0));
  assert_false(cached(f, cache, 1));
  assert_true(cached(f, cache, 3));
  assert_true(cache->bytes <= 3500);
  cache_put(cache, piece_of(f, 9, 9000));
  assert_true(cached(f, cache, 9)); /* the newest stays, however large */
  assert_false(cached(f, cache, 3));
  cache_forget(cache, f->topic);
  assert_false(cached(f, cache, 9));
  assert_int_equal(cache->bytes, 0);
  cache_fini(cache);
  free(cache);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(holes_in_the_numbers_are_no_loss),
      TEST(recorded_ranges_are_told_in_order),
      TEST(a_range_counts_only_from_where_one_stands),
      TEST(a_range_over_rows_that_were_read_is_not_told),
      TEST(nothing_left_is_told_up_to_the_end),
      TEST(who_fell_behind_is_told_that_it_was_slow),
      TEST(nothing_new_makes_no_piece),
      TEST(pieces_end_where_all_can_share_them),
      TEST(pieces_are_bounded_in_bytes),
      TEST(rows_beyond_the_end_wait),
      TEST(damaged_rows_are_dropped),
      TEST(the_cache_keeps_what_was_used_last_within_its_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
