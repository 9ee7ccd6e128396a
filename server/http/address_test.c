#include "server/http/address.h"
#include "server/http/forwarded.h"
#include "tests/unit.h"

static tti_slice S(const char *text) {
  return tti_slice_of(text);
}

static void assert_address(const char *text, bool hop, const char *wanted) {
  http_address address;
  char shown[HTTP_ADDRESS_TEXT];
  bool good = hop ? http_address_parse_hop(S(text), &address)
                  : http_address_parse(S(text), &address);
  if (good != (wanted != NULL))
    fail_msg("\"%s\" is %san address", text, good ? "" : "not ");
  if (!good)
    return;
  http_address_format(&address, shown);
  assert_string_equal(shown, wanted);
}

static void an_address_is_an_address_alone(void **state) {
  (void)state;
  assert_address("10.0.0.1", false, "10.0.0.1");
  assert_address("::ffff:10.0.0.1", false, "10.0.0.1");
  assert_address("2001:DB8::1", false, "2001:db8::1");
  assert_address("::", false, "::");
  static const char *const bad[] = {
      "",
      "10.0.0",
      "10.0.0.256",
      "10.0.0.1:80",
      "[::1]",
      "::1%lo",
      "host",
      "1.2.3.4 ",
      "2001:db8::1::2",
      "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    assert_address(bad[i], false, NULL);
  http_address address;
  assert_false(http_address_parse((tti_slice){"::1\0", 4}, &address));
}

static void a_proxy_may_write_a_port(void **state) {
  (void)state;
  assert_address("10.0.0.1:80", true, "10.0.0.1");
  assert_address("10.0.0.1", true, "10.0.0.1");
  assert_address("[2001:db8::1]:4711", true, "2001:db8::1");
  assert_address("[2001:db8::1]", true, "2001:db8::1");
  assert_address("2001:db8::1", true, "2001:db8::1");
  assert_address("::ffff:1.2.3.4", true, "1.2.3.4");
  static const char *const bad[] = {
      "10.0.0.1:", "10.0.0.1:65536", "10.0.0.1:8a", "[10.0.0.1]:80", "[::1",
      "[::1]80",   "[::1]:",         "unknown",     "_hidden",       "-"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    assert_address(bad[i], true, NULL);
}

static bool has(const char *network, const char *address) {
  http_network n;
  http_address a;
  assert_true(http_network_parse(S(network), &n));
  assert_true(http_address_parse(S(address), &a));
  return http_network_has(&n, &a);
}

static void a_network_has_what_its_prefix_has(void **state) {
  (void)state;
  assert_true(has("10.0.0.0/8", "10.255.0.1"));
  assert_false(has("10.0.0.0/8", "11.0.0.1"));
  assert_true(has("10.1.2.3", "10.1.2.3"));
  assert_false(has("10.1.2.3", "10.1.2.2"));
  assert_true(has("192.168.4.0/22", "192.168.7.255"));
  assert_false(has("192.168.4.0/22", "192.168.8.0"));
  assert_true(has("0.0.0.0/0", "203.0.113.9"));
  assert_false(has("0.0.0.0/0", "2001:db8::1"));
  assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
  assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
  assert_true(has("::/0", "10.0.0.1"));
  assert_true(has("::1", "::1"));
  assert_true(has("10.0.0.0/8", "::ffff:10.0.0.1"));
  static const char *const bad[] = {
      "10.0.0.0/33",    "10.0.0.1/8", "10.0.0.0/",     "/8", "10.0.0.0/a", "",
      "2001:db8::/129", "host/8",     "2001:db8::1/64"};
  http_network n;
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    if (http_network_parse(S(bad[i]), &n))
      fail_msg("\"%s\" was taken for a network", bad[i]);
}

static void a_subscriber_is_an_address_or_a_64(void **state) {
  (void)state;
  http_address a, b;
  http_address_parse(S("2001:db8:1:2:3::4"), &a);
  http_address_parse(S("2001:db8:1:2:ffff::1"), &b);
  a = http_address_subscriber(&a);
  b = http_address_subscriber(&b);
  assert_memory_equal(&a, &b, sizeof(a));
  http_address_parse(S("10.0.0.1"), &a);
  http_address_parse(S("10.0.0.2"), &b);
  a = http_address_subscriber(&a);
  b = http_address_subscriber(&b);
  assert_memory_not_equal(&a, &b, sizeof(a));
}

static void loopback_is_loopback_in_both(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool loopback;
  } rows[] = {{"127.0.0.1", true},        {"127.9.9.9", true},  {"::1", true},
              {"::ffff:127.0.0.1", true}, {"128.0.0.1", false}, {"::", false},
              {"7f00::1", false}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    http_address a;
    assert_true(http_address_parse(S(rows[i].text), &a));
    assert_int_equal(http_address_is_loopback(&a), rows[i].loopback);
  }
}

/* ---- Whom a proxy speaks for ---- */

static const char *const trusted[] = {"10.0.0.0/8", "::1", "127.0.0.1"};

static void assert_client(bool rfc7239, const char *value, const char *wanted) {
  http_network networks[3];
  for (size_t i = 0; i < 3; i++)
    assert_true(http_network_parse(S(trusted[i]), &networks[i]));
  http_proxies proxies = {networks, 3};
  http_address client;
  char shown[HTTP_ADDRESS_TEXT];
  assert_true(http_address_parse(S("127.0.0.1"), &client));
  if (rfc7239)
    http_forwarded(&proxies, S(value), &client);
  else
    http_forwarded_for(&proxies, S(value), &client);
  http_address_format(&client, shown);
  if (strcmp(shown, wanted) != 0)
    fail_msg("\"%s\" is from %s, not %s", value, shown, wanted);
}

static void the_rightmost_untrusted_hop_is_the_client(void **state) {
  (void)state;
  assert_client(false, "203.0.113.9", "203.0.113.9");
  assert_client(false, "1.1.1.1, 203.0.113.9", "203.0.113.9");
  assert_client(false, "1.1.1.1,203.0.113.9 , 10.1.1.1,10.2.2.2",
                "203.0.113.9");
  assert_client(false, "10.9.9.9, 10.1.1.1", "10.9.9.9");
  assert_client(false, "[2001:db8::7]:99, 10.1.1.1", "2001:db8::7");
  assert_client(false, "203.0.113.9:1234", "203.0.113.9");
  assert_client(false, ", 203.0.113.9, ,", "203.0.113.9");
}

static void behind_what_cannot_be_read_nothing_counts(void **state) {
  (void)state;
  assert_client(false, "", "127.0.0.1");
  assert_client(false, "nonsense", "127.0.0.1");
  assert_client(false, "1.1.1.1, unknown, 10.1.1.1", "10.1.1.1");
  assert_client(false, "\"1.1.1.1", "127.0.0.1");
  assert_client(false, "1.1.1.1;203.0.113.9", "127.0.0.1");
  assert_client(true, "for=_hidden", "127.0.0.1");
  assert_client(true, "for=unknown, for=10.0.0.3", "10.0.0.3");
  assert_client(true, "proto=https", "127.0.0.1");
  assert_client(true, "for=1.1.1.1, by=10.0.0.1", "127.0.0.1");
  assert_client(true, "for=\"[::1\", for=", "127.0.0.1");
}

static void forwarded_is_read_as_rfc_7239_has_it(void **state) {
  (void)state;
  assert_client(true, "for=192.0.2.60;proto=http;by=203.0.113.43",
                "192.0.2.60");
  assert_client(true, "For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17");
  assert_client(true, "for=1.1.1.1, for=192.0.2.43, for=10.0.0.9",
                "192.0.2.43");
  assert_client(true, "by=x ; for = 1.1.1.1", "127.0.0.1");
  assert_client(true, "host=\"a,b\";for=192.0.2.43", "192.0.2.43");
}

/* A client may send a quote that never ends; the proxy's own word, behind it,
 * still counts. */
static void nobody_can_hide_what_the_proxy_says(void **state) {
  (void)state;
  assert_client(false, "\"x, 203.0.113.9", "203.0.113.9");
  assert_client(false, "\", 203.0.113.9, 10.1.1.1", "203.0.113.9");
  assert_client(true, "a=\"x;for=1.1.1.1;b=, for=203.0.113.9", "203.0.113.9");
  assert_client(true, "for=\"x, for=\"[2001:db8::7]\"", "2001:db8::7");
  assert_client(true, "for=\"x\\\", for=\"[2001:db8::7]\"", "2001:db8::7");
  assert_client(true, "a=\"\\\",\\\\\";for=203.0.113.9", "203.0.113.9");
  assert_false(http_forwarded_is_https(S("a=\"x;proto=https;b=, for=1.1.1.1")));
}

static void the_last_proxy_says_what_the_scheme_was(void **state) {
  (void)state;
  assert_true(http_forwarded_proto_is_https(S("https")));
  assert_true(http_forwarded_proto_is_https(S("http, HTTPS")));
  assert_false(http_forwarded_proto_is_https(S("https, http")));
  assert_false(http_forwarded_proto_is_https(S("httpsx")));
  assert_false(http_forwarded_proto_is_https(S(NULL)));
  assert_true(http_forwarded_is_https(S("for=1.1.1.1;proto=https")));
  assert_false(http_forwarded_is_https(S("proto=https, for=1.1.1.1")));
  assert_false(http_forwarded_is_https(S("for=1.1.1.1")));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_address_is_an_address_alone),
      cmocka_unit_test(a_proxy_may_write_a_port),
      cmocka_unit_test(a_network_has_what_its_prefix_has),
      cmocka_unit_test(a_subscriber_is_an_address_or_a_64),
      cmocka_unit_test(loopback_is_loopback_in_both),
      cmocka_unit_test(the_rightmost_untrusted_hop_is_the_client),
      cmocka_unit_test(behind_what_cannot_be_read_nothing_counts),
      cmocka_unit_test(forwarded_is_read_as_rfc_7239_has_it),
      cmocka_unit_test(nobody_can_hide_what_the_proxy_says),
      cmocka_unit_test(the_last_proxy_says_what_the_scheme_was),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
