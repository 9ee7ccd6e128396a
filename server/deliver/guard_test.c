#include "server/deliver/guard.h"
#include "tests/unit.h"

#include <arpa/inet.h>

/* Every refusal names the rule; NULL: the address is public. */
static const struct {
  const char *address, *rule;
} addresses[] = {
    {"8.8.8.8", NULL},
    {"1.1.1.1", NULL},
    {"0.0.0.0", "unspecified"},
    {"0.1.2.3", "unspecified"},
    {"9.255.255.255", NULL},
    {"10.0.0.0", "private"},
    {"10.255.255.255", "private"},
    {"11.0.0.0", NULL},
    {"100.63.255.255", NULL},
    {"100.64.0.0", "carrier-grade NAT"},
    {"100.127.255.255", "carrier-grade NAT"},
    {"100.128.0.0", NULL},
    {"127.0.0.1", "loopback"},
    {"127.255.255.255", "loopback"},
    {"169.254.169.254", "link-local"},
    {"169.255.0.0", NULL},
    {"172.15.255.255", NULL},
    {"172.16.0.0", "private"},
    {"172.31.255.255", "private"},
    {"172.32.0.0", NULL},
    {"192.0.0.1", "protocol assignments"},
    {"192.0.2.1", "documentation"},
    {"192.88.99.1", "6to4 relay"},
    {"192.168.0.1", "private"},
    {"192.169.0.0", NULL},
    {"198.17.255.255", NULL},
    {"198.18.0.1", "benchmarking"},
    {"198.19.255.255", "benchmarking"},
    {"198.51.100.1", "documentation"},
    {"203.0.113.1", "documentation"},
    {"223.255.255.255", NULL},
    {"224.0.0.1", "multicast"},
    {"239.255.255.255", "multicast"},
    {"240.0.0.1", "reserved"},
    {"255.255.255.255", "broadcast"},
    {"::", "unspecified"},
    {"::1", "loopback"},
    {"::2", "not global"},
    {"::127.0.0.1", "not global"}, /* IPv4-compatible, long given up */
    {"::ffff:127.0.0.1", "loopback"},
    {"::ffff:10.1.2.3", "private"},
    {"::ffff:8.8.8.8", NULL},
    {"::ffff:0:127.0.0.1", "not global"},
    {"64:ff9b::127.0.0.1", "loopback"},
    {"64:ff9b::169.254.169.254", "link-local"},
    {"64:ff9b::8.8.8.8", NULL},
    {"64:ff9b::1:808:808", "not global"},
    {"64:ff9b:1::808:808", "not global"},
    {"100::1", "not global"},
    {"2001:0:808:808::80fe:fffe", "loopback"}, /* of Teredo: the client … */
    {"2001:0:7f00:1::f7f7:f7f7", "loopback"},  /* … its server */
    {"2001:0:808:808::f7f7:f7f7", NULL},       /* … both public */
    {"2001:2::1", "protocol assignments"},
    {"2001:db8::1", "documentation"},
    {"2002:7f00:1::", "loopback"},
    {"2002:c0a8:101::1", "private"},
    {"2002:808:808::1", NULL},
    {"2606:4700:4700::1111", NULL},
    {"3fff::1", "documentation"},
    {"5f00::1", "not global"},
    {"fbff::1", "not global"},
    {"fc00::1", "unique local"},
    {"fdff::1", "unique local"},
    {"fe80::1", "link-local"},
    {"febf::1", "link-local"},
    {"fec0::1", "site-local"},
    {"ff02::1", "multicast"},
};

static http_address parse(const char *text) {
  http_address address;
  if (!http_address_parse(tti_slice_of(text), &address))
    fail_msg("\"%s\" is no address", text);
  return address;
}

static void every_rule_holds_at_its_bounds(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
    http_address address = parse(addresses[i].address);
    const char *rule = guard_rule(&address);
    const char *wanted = addresses[i].rule;
    if (!rule != !wanted || (rule && !strstr(rule, wanted)))
      fail_msg("%s: %s, not %s", addresses[i].address, rule ? rule : "public",
               wanted ? wanted : "public");
  }
}

static void a_refusal_names_rule_address_and_setting(void **state) {
  (void)state;
  const guard none = {0};
  char problem[GUARD_PROBLEM_MAX];
  http_address address = parse("169.254.169.254");
  assert_false(guard_check(&none, &address, true, problem));
  assert_non_null(strstr(problem, "169.254.169.254"));
  assert_non_null(strstr(problem, "link-local (169.254.0.0/16)"));
  assert_non_null(strstr(problem, "webhooks.allow_cidrs"));
}

static void plain_text_goes_only_where_it_is_allowed(void **state) {
  (void)state;
  http_network networks[1];
  assert_true(http_network_parse(TTI_SLICE("127.0.0.0/8"), networks));
  const guard none = {0}, some = {networks, 1};
  char problem[GUARD_PROBLEM_MAX];
  http_address away = parse("8.8.8.8"), here = parse("127.0.0.1"),
               other = parse("10.0.0.1");
  assert_true(guard_check(&none, &away, true, problem));
  assert_false(guard_check(&none, &away, false, problem));
  assert_non_null(strstr(problem, "8.8.8.8"));
  assert_non_null(strstr(problem, "webhooks.allow_cidrs"));
  assert_true(guard_check(&some, &here, false, problem));
  assert_true(guard_check(&some, &here, true, problem));
  assert_false(guard_check(&some, &away, false, problem));
  assert_false(guard_check(&some, &other, true, problem));
}

/* What a network of IPv4 allows is not reached around it. */
static void an_allowed_network_allows_no_stand_ins(void **state) {
  (void)state;
  http_network networks[1];
  assert_true(http_network_parse(TTI_SLICE("127.0.0.0/8"), networks));
  const guard some = {networks, 1};
  char problem[GUARD_PROBLEM_MAX];
  http_address mapped = parse("::ffff:127.0.0.1"),
               nat64 = parse("64:ff9b::127.0.0.1"), v6 = parse("::1");
  assert_true(guard_check(&some, &mapped, true, problem));
  assert_false(guard_check(&some, &nat64, true, problem));
  assert_false(guard_check(&some, &v6, true, problem));
}

static void a_socket_is_judged_by_its_family(void **state) {
  (void)state;
  const guard none = {0};
  char problem[GUARD_PROBLEM_MAX];
  struct sockaddr_in v4 = {.sin_family = AF_INET};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
  struct sockaddr local = {.sa_family = AF_UNIX};
  inet_pton(AF_INET, "8.8.8.8", &v4.sin_addr);
  inet_pton(AF_INET6, "::ffff:127.0.0.1", &v6.sin6_addr);
  assert_true(guard_check_socket(&none, (struct sockaddr *)&v4, true, problem));
  assert_false(
      guard_check_socket(&none, (struct sockaddr *)&v6, true, problem));
  assert_non_null(strstr(problem, "127.0.0.1"));
  assert_false(guard_check_socket(&none, &local, true, problem));
}

static void a_url_is_judged_before_its_name_is_resolved(void **state) {
  (void)state;
  static const struct {
    const char *url, *problem;
  } urls[] = {
      {"https://example.com/hook", NULL},
      {"https://8.8.8.8:8443/", NULL},
      {"https://[2606:4700::1]/", NULL},
      {"http://example.com/", "has none; use https://"},
      {"http://8.8.8.8/", "use https://"},
      {"https://127.0.0.1/", "loopback"},
      {"https://2130706433/", "loopback"},
      {"https://0x7f000001/", "loopback"},
      {"https://0177.0.0.1/", "loopback"},
      {"https://127.1/", "loopback"},
      {"https://0xa9.0xfe.43518/", "link-local"},
      {"https://[::1]/", "loopback"},
      {"https://[::ffff:7f00:1]/", "loopback"},
      {"https://[fe80::1%25eth0]/", "link-local"},
      {"https://user:password@10.0.0.1/", "private"},
      {"ftp://example.com/", "not https://"},
      {"file:///etc/passwd", "not https://"},
      {"example.com", "not https://"},
      {"", "not https://"},
  };
  const guard none = {0};
  for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
    char problem[GUARD_PROBLEM_MAX] = "";
    bool good = guard_check_url(&none, urls[i].url, problem);
    if (good != !urls[i].problem ||
        (!good && !strstr(problem, urls[i].problem)))
      fail_msg("%s: \"%s\"", urls[i].url, good ? "good" : problem);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_rule_holds_at_its_bounds),
      cmocka_unit_test(a_refusal_names_rule_address_and_setting),
      cmocka_unit_test(plain_text_goes_only_where_it_is_allowed),
      cmocka_unit_test(an_allowed_network_allows_no_stand_ins),
      cmocka_unit_test(a_socket_is_judged_by_its_family),
      cmocka_unit_test(a_url_is_judged_before_its_name_is_resolved),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
