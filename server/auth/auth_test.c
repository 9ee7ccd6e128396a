#include "server/auth/table.h"
#include "tests/unit.h"

#include <stdlib.h>

static void tokens_are_256_random_bits_behind_a_prefix(void **state) {
  (void)state;
  char a[AUTH_TOKEN_TEXT], b[AUTH_TOKEN_TEXT];
  unsigned char digest[32], again[32];
  auth_token_generate(a, digest);
  auth_token_generate(b, again);
  assert_int_equal(strlen(a), 3 + 43);
  assert_memory_equal(a, "tt_", 3);
  assert_int_equal(strspn(a, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
                             "uvwxyz0123456789-_"),
                   strlen(a));
  assert_string_not_equal(a, b);
  auth_digest(tti_slice_of(a), again);
  assert_memory_equal(digest, again, sizeof(digest));
}

static void scopes_are_words(void **state) {
  (void)state;
  char text[AUTH_SCOPES_TEXT];
  assert_int_equal(auth_scopes_parse(TTI_SLICE("ingest, read")),
                   AUTH_INGEST | AUTH_READ);
  assert_int_equal(auth_scopes_parse(TTI_SLICE("admin")), AUTH_ADMIN);
  assert_int_equal(auth_scopes_parse(TTI_SLICE("ingest,write")), 0);
  assert_int_equal(auth_scopes_parse(TTI_SLICE("ingest,")), 0);
  assert_int_equal(auth_scopes_parse(TTI_SLICE("")), 0);
  auth_scopes_text(AUTH_READ | AUTH_ADMIN | AUTH_INGEST, text);
  assert_string_equal(text, "ingest,read,admin");
}

static void a_token_needs_a_name_and_a_scope(void **state) {
  (void)state;
  char text[AUTH_TOKEN_TEXT];
  store_token token;
  tti_slice name = TTI_SLICE("ci");
  assert_int_equal(auth_token_make(name, AUTH_READ, text, &token), TT_OK);
  assert_string_equal(token.name, "ci");
  assert_int_equal(token.scopes, AUTH_READ);
  assert_int_equal(strlen(token.id), 4 + 16);
  assert_true(token.created_us > 0);
  assert_int_equal(auth_token_make(name, 0, text, &token), TT_EINVAL);
  assert_int_equal(auth_token_make(name, 64, text, &token), TT_EINVAL);
  assert_int_equal(auth_token_make(TTI_SLICE(" "), AUTH_READ, text, &token),
                   TT_EINVAL);
  assert_int_equal(auth_token_make(TTI_SLICE("a\nb"), AUTH_READ, text, &token),
                   TT_EINVAL);
}

static void the_environments_tokens_are_found_by_digest(void **state) {
  (void)state;
  auth *a;
  auth_entry entry;
  auth_options options = {.tokens.ingest = "tt_one", .tokens.admin = "tt_two"};
  assert_int_equal(auth_new(&options, &a), TT_OK);
  assert_true(auth_has_tokens(a));
  assert_true(auth_lookup(a, TTI_SLICE("tt_one"), &entry));
  assert_int_equal(entry.scopes, AUTH_INGEST);
  assert_true(auth_lookup(a, TTI_SLICE("tt_two"), &entry));
  assert_int_equal(entry.scopes, AUTH_ADMIN);
  assert_true(auth_lookup_id(a, "environment-admin", &entry));
  assert_false(auth_lookup_id(a, "environment-read", &entry));
  assert_false(auth_lookup(a, TTI_SLICE("tt_on"), &entry));
  assert_false(auth_lookup(a, TTI_SLICE(""), &entry));
  auth_free(a);
}

/* ---- A store of tokens alone ---- */

typedef struct fake {
  store base;
  store_token tokens[4];
  size_t count;
  uint64_t generation;
} fake;

static tt_error fake_submit(store *s, store_job *job) {
  fake *f = (fake *)s;
  job->verdict = STORE_NOT_FOUND;
  if (job->kind == STORE_JOB_TOKEN_CREATE) {
    f->tokens[f->count++] = job->token;
    job->verdict = STORE_OK;
  }
  for (size_t i = 0; job->kind == STORE_JOB_TOKEN_REVOKE && i < f->count; i++) {
    if (strcmp(f->tokens[i].id, job->token.id) == 0) {
      f->tokens[i].revoked_us = 1;
      job->verdict = STORE_OK;
    }
  }
  f->generation++;
  job->done(job);
  return TT_OK;
}

static size_t fake_tokens(store *s, store_token *out_tokens, size_t max,
                          uint64_t *out_generation) {
  fake *f = (fake *)s;
  assert_true(max >= f->count);
  memcpy(out_tokens, f->tokens, f->count * sizeof(f->tokens[0]));
  *out_generation = f->generation;
  return f->count;
}

static tt_error fake_setting(store *s, const char *name, tti_buf *out_value) {
  (void)s;
  (void)name;
  (void)out_value;
  return TT_ENOTFOUND;
}

static const store_ops fake_ops = {.name = "fake",
                                   .submit = fake_submit,
                                   .tokens = fake_tokens,
                                   .setting = fake_setting};

static void a_token_is_in_force_until_it_is_revoked(void **state) {
  (void)state;
  fake f = {.base = {.ops = &fake_ops}};
  auth *a;
  auth_entry entry;
  char text[AUTH_TOKEN_TEXT];
  store_token token;
  tti_buf error;
  tti_buf_init(&error, 1024);
  auth_options options = {.store = &f.base};
  assert_int_equal(auth_new(&options, &a), TT_OK);
  assert_false(auth_has_tokens(a));
  uint64_t before = auth_generation(a);

  assert_int_equal(auth_token_create_offline(&f.base, TTI_SLICE("ci"),
                                             AUTH_READ, &error, text, &token),
                   TT_OK);
  assert_int_equal(auth_refresh(a), TT_OK);
  assert_true(auth_generation(a) > before);
  assert_true(auth_has_tokens(a));
  assert_true(auth_lookup(a, tti_slice_of(text), &entry));
  assert_string_equal(entry.id, token.id);

  assert_int_equal(auth_token_revoke_offline(&f.base, token.id, &error), TT_OK);
  assert_int_equal(auth_refresh(a), TT_OK);
  assert_false(auth_lookup(a, tti_slice_of(text), &entry));
  assert_false(auth_has_tokens(a));
  assert_int_equal(auth_token_revoke_offline(&f.base, "tok_0", &error),
                   TT_ENOTFOUND);
  auth_free(a);
  tti_buf_fini(&error);
}

static void loopback_is_this_machine_alone(void **state) {
  (void)state;
  assert_true(auth_is_loopback("127.0.0.1"));
  assert_true(auth_is_loopback("127.8.8.8"));
  assert_true(auth_is_loopback("::1"));
  assert_false(auth_is_loopback("0.0.0.0"));
  assert_false(auth_is_loopback("::"));
  assert_false(auth_is_loopback("10.0.0.1"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tokens_are_256_random_bits_behind_a_prefix),
      cmocka_unit_test(scopes_are_words),
      cmocka_unit_test(a_token_needs_a_name_and_a_scope),
      cmocka_unit_test(the_environments_tokens_are_found_by_digest),
      cmocka_unit_test(a_token_is_in_force_until_it_is_revoked),
      cmocka_unit_test(loopback_is_this_machine_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
