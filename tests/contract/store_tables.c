/* What every store promises: tokens, settings and counts. */
#include "tests/contract/support/store.h"

#include "tests/contract/records.h"
#include <stdio.h>

/* ---- Tokens, counts ---- */

static store_verdict create_token(fixture *f, const char *id, char digest) {
  waited w = {.job = {.kind = STORE_JOB_TOKEN_CREATE}};
  snprintf(w.job.token.id, sizeof w.job.token.id, "%s", id);
  snprintf(w.job.token.name, sizeof w.job.token.name, "name of %s", id);
  w.job.token.scopes = 3;
  w.job.token.created_us = 42;
  memset(w.job.token.sha256, digest, sizeof w.job.token.sha256);
  assert_int_equal(run(f, &w), TT_OK);
  return w.job.verdict;
}

static void tokens_are_kept_and_revoked(void **state) {
  fixture *f = *state;
  store_token tokens[4];
  uint64_t before, after;
  assert_int_equal(store_tokens(f->store, tokens, 4, &before), 0);
  assert_int_equal(create_token(f, "one", '1'), STORE_OK);
  assert_int_equal(create_token(f, "one", '2'), STORE_EXISTS);
  assert_int_equal(create_token(f, "two", '2'), STORE_OK);
  assert_int_equal(store_tokens(f->store, tokens, 4, &after), 2);
  assert_true(after > before);
  waited w = {.job = {.kind = STORE_JOB_TOKEN_REVOKE,
                      .token = {.id = "one", .revoked_us = 99}}};
  assert_int_equal(run(f, &w), TT_OK);
  assert_int_equal(w.job.verdict, STORE_OK);
  assert_int_equal(run(f, &w), TT_OK);
  assert_int_equal(w.job.verdict, STORE_NOT_FOUND);
  if (f->impl->persists) {
    close_store(f);
    assert_int_equal(open_again(f), TT_OK);
  }
  assert_int_equal(store_tokens(f->store, tokens, 4, &after), 2);
  assert_string_equal(tokens[0].id, "one");
  assert_string_equal(tokens[0].name, "name of one");
  assert_int_equal(tokens[0].revoked_us, 99);
  assert_int_equal(tokens[0].scopes, 3);
  assert_int_equal(tokens[0].sha256[31], '1');
  assert_int_equal(tokens[1].revoked_us, 0);
}

static void a_setting_is_what_was_set_last(void **state) {
  fixture *f = *state;
  tti_buf value;
  tti_buf_init(&value, 1024);
  assert_int_equal(store_setting(f->store, "logins", &value), TT_ENOTFOUND);
  static const char *const texts[] = {"first", "a\0b"};
  for (size_t i = 0; i < 2; i++) {
    waited w = {.job = {.kind = STORE_JOB_SET, .name = "logins"}};
    w.job.value = (tti_slice){texts[i], i ? 3 : 5};
    assert_int_equal(run(f, &w), TT_OK);
    assert_int_equal(w.job.verdict, STORE_OK);
  }
  if (f->impl->persists) {
    assert_int_equal(store_setting(f->store, "logins", &value), TT_OK);
    assert_int_equal(value.len, 3);
    assert_memory_equal(value.data, texts[1], 3);
    close_store(f);
    assert_int_equal(open_again(f), TT_OK);
    tti_buf_clear(&value);
    assert_int_equal(store_setting(f->store, "logins", &value), TT_OK);
    assert_memory_equal(value.data, texts[1], 3);
  }
  assert_int_equal(store_setting(f->store, "other", &value), TT_ENOTFOUND);
  tti_buf_fini(&value);
}

static void events_are_counted_on_arrival(void **state) {
  fixture *f = *state;
  append(f, "often", 5);
  append(f, "seldom", 2);
  tti_batch batch;
  records_make(&batch, "x", "test", 0);
  records_add(&batch, TTI_KIND_LOG, "logger", "log");
  assert_int_equal(append_batch(f, &batch, NULL), STORE_OK);
  tti_batch_fini(&batch);
  if (f->impl->persists) {
    close_store(f);
    assert_int_equal(open_again(f), TT_OK);
  }
  store_count counts[8];
  assert_int_equal(store_counts(f->store, STORE_BY_SOURCE, counts, 8), 2);
  assert_string_equal(counts[0].name, "often");
  assert_int_equal(counts[0].count, 5);
  assert_string_equal(counts[1].name, "seldom");
  assert_int_equal(counts[1].count, 2);
  assert_int_equal(store_counts(f->store, STORE_BY_CHANNEL, counts, 8), 1);
  assert_int_equal(counts[0].count, 7);
  assert_int_equal(store_counts(f->store, STORE_BY_LEVEL, counts, 8), 1);
  assert_string_equal(counts[0].name, "info");
  assert_int_equal(store_counts(f->store, STORE_BY_LOGGER, counts, 8), 1);
  assert_string_equal(counts[0].name, "deploy");
  assert_int_equal(counts[0].count, 1);
  assert_int_equal(store_counts(f->store, STORE_BY_LOG_LEVEL, counts, 8), 1);
  assert_string_equal(counts[0].name, "info");
}

static void names_beyond_the_limit_are_other(void **state) {
  fixture *f = *state;
  tti_batch batch;
  char name[16];
  records_make(&batch, "x", "test", 0);
  for (int i = 0; i < 1200; i++) {
    snprintf(name, sizeof name, "s%d", i);
    records_add(&batch, TTI_KIND_RELAY, name, "test");
  }
  assert_int_equal(append_batch(f, &batch, NULL), STORE_OK);
  tti_batch_fini(&batch);
  static store_count counts[1300];
  assert_int_equal(store_counts(f->store, STORE_BY_SOURCE, counts, 1300), 1001);
  assert_string_equal(counts[0].name, "other");
  assert_int_equal(counts[0].count, 200);
}

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test(a_setting_is_what_was_set_last),
      cmocka_unit_test(tokens_are_kept_and_revoked),
      cmocka_unit_test(events_are_counted_on_arrival),
      cmocka_unit_test(names_beyond_the_limit_are_other),
  };
  return store_contract(cases, sizeof cases / sizeof *cases);
}
