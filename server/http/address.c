#include "server/http/address.h"

#include <arpa/inet.h>

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

bool http_address_parse(tti_slice text, http_address *out_address) {
  char copy[HTTP_ADDRESS_TEXT];
  http_address address;
  if (text.len == 0 || text.len >= sizeof(copy) ||
      memchr(text.ptr, '\0', text.len))
    return false;
  memcpy(copy, text.ptr, text.len);
  copy[text.len] = '\0';
  memcpy(address.bytes, mapped, sizeof(mapped));
  if (inet_pton(AF_INET, copy, address.bytes + 12) != 1 &&
      inet_pton(AF_INET6, copy, address.bytes) != 1)
    return false;
  *out_address = address;
  return true;
}

static bool is_port(tti_slice text) {
  unsigned long long port;
  return text.len <= 5 && tti_slice_to_u64(text, &port) && port <= 65535;
}

bool http_address_parse_hop(tti_slice text, http_address *out_address) {
  if (text.len && text.ptr[0] == '[') {
    const char *end = memchr(text.ptr, ']', text.len);
    if (!end)
      return false;
    size_t len = (size_t)(end - text.ptr);
    tti_slice rest = {end + 1, text.len - len - 1};
    if (rest.len && (rest.ptr[0] != ':' ||
                     !is_port((tti_slice){rest.ptr + 1, rest.len - 1})))
      return false;
    http_address address;
    if (!http_address_parse((tti_slice){text.ptr + 1, len - 1}, &address) ||
        !memchr(text.ptr, ':', len))
      return false;
    *out_address = address;
    return true;
  }
  const char *colon = memchr(text.len ? text.ptr : "", ':', text.len);
  if (colon && memchr(text.ptr, '.', (size_t)(colon - text.ptr))) {
    size_t len = (size_t)(colon - text.ptr);
    return is_port((tti_slice){colon + 1, text.len - len - 1}) &&
           http_address_parse((tti_slice){text.ptr, len}, out_address);
  }
  return http_address_parse(text, out_address);
}

bool http_address_is_v4(const http_address *a) {
  return memcmp(a->bytes, mapped, sizeof(mapped)) == 0;
}

void http_address_format(const http_address *a,
                         char out_text[HTTP_ADDRESS_TEXT]) {
  bool v4 = http_address_is_v4(a);
  inet_ntop(v4 ? AF_INET : AF_INET6, a->bytes + (v4 ? 12 : 0), out_text,
            HTTP_ADDRESS_TEXT);
}

bool http_address_is_loopback(const http_address *a) {
  static const unsigned char one[16] = {[15] = 1};
  return http_address_is_v4(a) ? a->bytes[12] == 127
                               : memcmp(a->bytes, one, sizeof(one)) == 0;
}

http_address http_address_subscriber(const http_address *a) {
  http_address subscriber = *a;
  if (!http_address_is_v4(a))
    memset(subscriber.bytes + 8, 0, 8);
  return subscriber;
}

bool http_network_has(const http_network *n, const http_address *a) {
  size_t whole = n->bits / 8;
  unsigned rest = n->bits % 8;
  if (memcmp(n->address.bytes, a->bytes, whole) != 0)
    return false;
  unsigned differing =
      rest ? (unsigned)n->address.bytes[whole] ^ a->bytes[whole] : 0;
  return differing >> (8 - rest) == 0;
}

/* Whether nothing follows the prefix: 10.0.0.1/8 is more likely a slip than
 * meant. */
static bool is_clean(const http_network *n) {
  for (unsigned bit = n->bits; bit < 128; bit++)
    if (n->address.bytes[bit / 8] & (0x80 >> bit % 8))
      return false;
  return true;
}

bool http_network_parse(tti_slice text, http_network *out_network) {
  const char *slash = memchr(text.len ? text.ptr : "", '/', text.len);
  tti_slice address = text;
  unsigned long long bits;
  http_network n;
  if (slash)
    address.len = (size_t)(slash - text.ptr);
  if (!http_address_parse(address, &n.address))
    return false;
  /* As written, not as kept: ::ffff:10.0.0.0/104 is a network of IPv6. */
  unsigned most = memchr(address.ptr, ':', address.len) ? 128 : 32;
  bits = most;
  if (slash &&
      (!tti_slice_to_u64((tti_slice){slash + 1, text.len - address.len - 1},
                         &bits) ||
       bits > most))
    return false;
  n.bits = (unsigned)bits + (128 - most);
  if (!is_clean(&n))
    return false;
  *out_network = n;
  return true;
}
