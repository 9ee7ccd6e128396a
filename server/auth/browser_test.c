#include "server/auth/browser.h"
#include "tests/unit.h"

static const char *const hosts[] = {"telltale.example", NULL};
static const auth_policy local = {.loopback = true, .hosts = hosts};

static auth_head head(const char *host) {
  return (auth_head){.host = tti_slice_of(host)};
}

static auth_head post(const char *host, const char *origin, const char *site) {
  return (auth_head){.changes_state = true,
                     .host = tti_slice_of(host),
                     .origin = tti_slice_of(origin),
                     .fetch_site = tti_slice_of(site)};
}

static auth_finding check(const auth_policy *policy, auth_head h) {
  return auth_browser_check(policy, &h, true);
}

static void loopback_answers_to_its_own_names(void **state) {
  (void)state;
  static const char *const good[] = {"localhost",      "LocalHost:6060",
                                     "127.0.0.1:6060", "[::1]:6060",
                                     "[::1]",          " 127.0.0.1"};
  for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
    assert_int_equal(check(&local, head(good[i])), AUTH_FINE);
}

static void loopback_refuses_names_that_were_rebound(void **state) {
  (void)state;
  static const char *const bad[] = {"evil.example",
                                    "localhost.evil.example",
                                    "127.0.0.1.evil.example",
                                    "127.0.0.2",
                                    "[::1",
                                    "[::2]:80",
                                    "localhost@evil:80",
                                    "xlocalhost",
                                    "0.0.0.0:6060"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    assert_int_equal(check(&local, head(bad[i])), AUTH_FOREIGN_HOST);
}

static void beyond_loopback_any_host_is_fine(void **state) {
  (void)state;
  auth_policy policy = {.has_tokens = true};
  assert_int_equal(check(&policy, head("anything.example")), AUTH_FINE);
}

static void a_foreign_page_may_not_change_anything(void **state) {
  (void)state;
  const char *self = "localhost:6060";
  assert_int_equal(check(&local, post(self, NULL, NULL)), AUTH_FINE);
  assert_int_equal(check(&local, post(self, "http://localhost:6060", NULL)),
                   AUTH_FINE);
  static const char *const bad[] = {"http://evil.example",
                                    "http://localhost:8080",
                                    "http://localhost",
                                    "null",
                                    "",
                                    "http://",
                                    "ftp://localhost:6060"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    assert_int_equal(check(&local, post(self, bad[i], NULL)),
                     AUTH_FOREIGN_ORIGIN);
  assert_int_equal(check(&local, post(self, NULL, "cross-site")),
                   AUTH_FOREIGN_ORIGIN);
  assert_int_equal(check(&local, post(self, NULL, "same-origin")), AUTH_FINE);
  auth_head twice = post(self, "http://localhost:6060", NULL);
  twice.many_origins = true;
  assert_int_equal(check(&local, twice), AUTH_FOREIGN_ORIGIN);
}

static void reading_from_a_foreign_page_is_left_to_cors(void **state) {
  (void)state;
  auth_head h = post("localhost", "http://evil.example", "cross-site");
  h.changes_state = false;
  assert_int_equal(check(&local, h), AUTH_FINE);
}

static void without_tokens_a_proxy_is_refused(void **state) {
  (void)state;
  auth_head h = head("localhost");
  h.proxy_header = "X-Forwarded-For";
  assert_int_equal(check(&local, h), AUTH_BEHIND_PROXY);
  assert_int_equal(check(&local, head("telltale.example")), AUTH_BEHIND_PROXY);
  assert_int_equal(auth_browser_check(&local, &h, false), AUTH_FINE);
  auth_policy policy = local;
  policy.has_tokens = true;
  assert_int_equal(check(&policy, h), AUTH_FINE);
  assert_int_equal(check(&policy, head("Telltale.example:80")), AUTH_FINE);
  policy = local;
  policy.insecure = true;
  assert_int_equal(check(&policy, h), AUTH_FINE);
}

static void a_named_origin_may_change_things(void **state) {
  (void)state;
  static const char *const origins[] = {"https://app.example", NULL};
  auth_policy policy = local;
  policy.cors_origins = origins;
  const char *self = "localhost:6060";
  assert_int_equal(
      check(&policy, post(self, "https://app.example", "cross-site")),
      AUTH_FINE);
  assert_int_equal(
      check(&policy, post(self, "https://app.example.evil", "cross-site")),
      AUTH_FOREIGN_ORIGIN);
  assert_int_equal(check(&policy, post(self, NULL, "cross-site")),
                   AUTH_FOREIGN_ORIGIN);
  auth_head twice = post(self, "https://app.example", NULL);
  twice.many_origins = true;
  assert_int_equal(check(&policy, twice), AUTH_FOREIGN_ORIGIN);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(loopback_answers_to_its_own_names),
      cmocka_unit_test(loopback_refuses_names_that_were_rebound),
      cmocka_unit_test(beyond_loopback_any_host_is_fine),
      cmocka_unit_test(a_foreign_page_may_not_change_anything),
      cmocka_unit_test(reading_from_a_foreign_page_is_left_to_cors),
      cmocka_unit_test(without_tokens_a_proxy_is_refused),
      cmocka_unit_test(a_named_origin_may_change_things),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
