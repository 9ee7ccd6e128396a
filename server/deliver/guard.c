#include "server/deliver/guard.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>

/* Bytes of an address, the first `bits` of which are compared. `v4_at` says
 * where in an IPv6 address one of IPv4 stands that is judged in its place;
 * `inverted`: with all of its bits flipped. */
typedef struct guard_row {
  const char *name;
  unsigned char bytes[8];
  unsigned char bits;
  unsigned char v4_at;
  bool inverted;
} guard_row;

/* The registries of special addresses: RFC 6890 and what has come since. */
static const guard_row rows_v4[] = {
    {"unspecified (0.0.0.0/8)", {0}, 8, 0, false},
    {"private (10.0.0.0/8)", {10}, 8, 0, false},
    {"carrier-grade NAT (100.64.0.0/10)", {100, 64}, 10, 0, false},
    {"loopback (127.0.0.0/8)", {127}, 8, 0, false},
    {"link-local (169.254.0.0/16)", {169, 254}, 16, 0, false},
    {"private (172.16.0.0/12)", {172, 16}, 12, 0, false},
    {"protocol assignments (192.0.0.0/24)", {192, 0, 0}, 24, 0, false},
    {"documentation (192.0.2.0/24)", {192, 0, 2}, 24, 0, false},
    {"6to4 relay (192.88.99.0/24)", {192, 88, 99}, 24, 0, false},
    {"private (192.168.0.0/16)", {192, 168}, 16, 0, false},
    {"benchmarking (198.18.0.0/15)", {198, 18}, 15, 0, false},
    {"documentation (198.51.100.0/24)", {198, 51, 100}, 24, 0, false},
    {"documentation (203.0.113.0/24)", {203, 0, 113}, 24, 0, false},
    {"multicast (224.0.0.0/4)", {224}, 4, 0, false},
    {"reserved or broadcast (240.0.0.0/4)", {240}, 4, 0, false},
};

static const guard_row rows_v6[] = {
    {NULL, {0, 0x64, 0xff, 0x9b}, 64, 12, false}, /* NAT64; up to /96 below */
    {NULL, {0x20, 0x01, 0, 0}, 32, 12, true},     /* Teredo: the client … */
    {NULL, {0x20, 0x01, 0, 0}, 32, 4, false},     /* … and its server */
    {NULL, {0x20, 0x02}, 16, 2, false},           /* 6to4 */
    {"protocol assignments (2001::/23)", {0x20, 0x01}, 23, 0, false},
    {"documentation (2001:db8::/32)", {0x20, 1, 0x0d, 0xb8}, 32, 0, false},
    {"documentation (3fff::/20)", {0x3f, 0xff}, 20, 0, false},
    {"unique local (fc00::/7)", {0xfc}, 7, 0, false},
    {"link-local (fe80::/10)", {0xfe, 0x80}, 10, 0, false},
    {"site-local (fec0::/10)", {0xfe, 0xc0}, 10, 0, false},
    {"multicast (ff00::/8)", {0xff}, 8, 0, false},
};

static bool row_has(const guard_row *row, const unsigned char *bytes) {
  for (unsigned bit = 0; bit < row->bits; bit++)
    if ((row->bytes[bit / 8] ^ bytes[bit / 8]) & (0x80 >> bit % 8))
      return false;
  return true;
}

static const char *rule_v4(const unsigned char bytes[4], bool inverted) {
  unsigned char mask = inverted ? 0xff : 0;
  unsigned char v4[4];
  for (size_t i = 0; i < 4; i++)
    v4[i] = bytes[i] ^ mask;
  for (size_t i = 0; i < sizeof(rows_v4) / sizeof(rows_v4[0]); i++)
    if (row_has(&rows_v4[i], v4))
      return rows_v4[i].name;
  return NULL;
}

/* 64:ff9b::/96 only: what is between its 64 and 96 bits is another network. */
static bool is_nat64(const unsigned char *bytes) {
  static const unsigned char zero[4];
  return memcmp(bytes + 8, zero, sizeof(zero)) == 0;
}

const char *guard_rule(const http_address *address) {
  static const unsigned char zero[15];
  const unsigned char *bytes = address->bytes;
  bool embeds = false;
  if (http_address_is_v4(address))
    return rule_v4(bytes + 12, false);
  if (memcmp(bytes, zero, sizeof(zero)) == 0 && bytes[15] <= 1)
    return bytes[15] ? "loopback (::1)" : "unspecified (::)";
  for (size_t i = 0; i < sizeof(rows_v6) / sizeof(rows_v6[0]); i++) {
    const guard_row *row = &rows_v6[i];
    if (!row_has(row, bytes))
      continue;
    if (row->name)
      return embeds ? NULL : row->name;
    if (row->bits == 64 && !is_nat64(bytes))
      continue;
    const char *rule = rule_v4(bytes + row->v4_at, row->inverted);
    if (rule)
      return rule;
    embeds = true;
  }
  bool global = embeds || (bytes[0] & 0xe0) == 0x20;
  return global ? NULL : "not global unicast (2000::/3)";
}

static bool is_allowed(const guard *g, const http_address *address) {
  for (size_t i = 0; i < g->allowed_count; i++)
    if (http_network_has(&g->allowed[i], address))
      return true;
  return false;
}

bool guard_check(const guard *g, const http_address *address, bool encrypted,
                 char out_problem[GUARD_PROBLEM_MAX]) {
  char text[HTTP_ADDRESS_TEXT];
  const char *rule = guard_rule(address);
  if ((!rule && encrypted) || is_allowed(g, address))
    return true;
  http_address_format(address, text);
  if (rule)
    snprintf(out_problem, GUARD_PROBLEM_MAX,
             "refused: %s is an address that webhooks are kept from: %s; to "
             "allow it, add its network to webhooks.allow_cidrs in the "
             "server's configuration",
             text, rule);
  else
    snprintf(out_problem, GUARD_PROBLEM_MAX,
             "refused: http:// to %s, and webhooks in plain text go only to "
             "networks in webhooks.allow_cidrs of the server's configuration; "
             "use https://",
             text);
  return false;
}

bool guard_check_socket(const guard *g, const struct sockaddr *address,
                        bool encrypted, char out_problem[GUARD_PROBLEM_MAX]) {
  http_address a = {.bytes = {[10] = 0xff, [11] = 0xff}}; /* mapped IPv4 */
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  if (address->sa_family == AF_INET) {
    memcpy(&v4, address, sizeof(v4));
    memcpy(a.bytes + 12, &v4.sin_addr, 4);
  } else if (address->sa_family == AF_INET6) {
    memcpy(&v6, address, sizeof(v6));
    memcpy(a.bytes, &v6.sin6_addr, 16);
  } else {
    snprintf(out_problem, GUARD_PROBLEM_MAX,
             "refused: the address is neither IPv4 nor IPv6");
    return false;
  }
  return guard_check(g, &a, encrypted, out_problem);
}

/* The host without brackets and zone; false: no address. */
static bool literal_of(const char *host, http_address *out_address) {
  tti_slice text = tti_slice_of(host);
  if (text.len > 1 && text.ptr[0] == '[')
    text = (tti_slice){text.ptr + 1, text.len - 2};
  const char *zone = memchr(text.ptr, '%', text.len);
  if (zone)
    text.len = (size_t)(zone - text.ptr);
  return http_address_parse(text, out_address);
}

static bool check_parts(const guard *g, CURLU *parts, const char *url,
                        char out_problem[GUARD_PROBLEM_MAX]) {
  char *host = NULL, *scheme = NULL;
  http_address address;
  bool good = false;
  /* curl gives a host such as 0x7f.1 back as the address that it is. */
  if (curl_url_set(parts, CURLUPART_URL, url, 0) ||
      curl_url_get(parts, CURLUPART_HOST, &host, 0) ||
      curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) ||
      (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)) {
    snprintf(out_problem, GUARD_PROBLEM_MAX,
             "the URL is not https://HOST/… (or http://)");
    goto out;
  }
  bool encrypted = strcmp(scheme, "https") == 0;
  if (literal_of(host, &address)) {
    good = guard_check(g, &address, encrypted, out_problem);
  } else {
    good = encrypted || g->allowed_count;
    if (!good)
      snprintf(out_problem, GUARD_PROBLEM_MAX,
               "refused: webhooks in plain text (http://) go only to networks "
               "in webhooks.allow_cidrs of the server's configuration, which "
               "has none; use https://");
  }

out:
  curl_free(host);
  curl_free(scheme);
  return good;
}

bool guard_check_url(const guard *g, const char *url,
                     char out_problem[GUARD_PROBLEM_MAX]) {
  CURLU *parts = curl_url();
  if (!parts) {
    snprintf(out_problem, GUARD_PROBLEM_MAX, "out of memory");
    return false;
  }
  bool good = check_parts(g, parts, url, out_problem);
  curl_url_cleanup(parts);
  return good;
}
