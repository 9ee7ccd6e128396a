#include "server/http/forwarded.h"

bool http_proxies_trust(const http_proxies *p, const http_address *address) {
  for (size_t i = 0; i < p->count; i++)
    if (http_network_has(&p->networks[i], address))
      return true;
  return false;
}

/* Whether the quote there is text of a quoted string. */
static bool is_escaped(tti_slice value, size_t at) {
  size_t first = at;
  while (first > 0 && value.ptr[first - 1] == '\\')
    first--;
  return (at - first) % 2 == 1;
}

/* Takes the last element of a comma list off *rest; false: there is none left.
 * Commas inside quotes do not part elements. Read from the right, where the
 * proxy wrote: a quote that the client began and did not end does not reach
 * it, and each byte is looked at once. */
static bool last_element(tti_slice *rest, tti_slice *out_element) {
  bool quoted = false;
  size_t start;
  if (!rest->ptr)
    return false;
  for (start = rest->len; start > 0; start--) {
    char c = rest->ptr[start - 1];
    if (c == '"' && !is_escaped(*rest, start - 1))
      quoted = !quoted;
    else if (c == ',' && !quoted)
      break;
  }
  *out_element =
      tti_slice_trim((tti_slice){rest->ptr + start, rest->len - start});
  if (start)
    rest->len = start - 1;
  else
    *rest = (tti_slice){NULL, 0};
  return true;
}

/* One hop; false: the search ends with what *client is now. */
static bool step(const http_proxies *proxies, tti_slice hop,
                 http_address *client) {
  http_address address;
  if (!http_address_parse_hop(hop, &address))
    return false;
  *client = address;
  return http_proxies_trust(proxies, &address);
}

bool http_forwarded_for(const http_proxies *proxies, tti_slice value,
                        http_address *client) {
  tti_slice hop;
  while (last_element(&value, &hop))
    if (hop.len && !step(proxies, hop, client))
      return false;
  return true;
}

/* The value of a parameter of one element ("for=1.2.3.4;proto=https"), without
 * quotes; ptr NULL: it is not there. RFC 7239, 4. Neither an address nor a
 * scheme has anything to escape. */
static tti_slice parameter(tti_slice element, tti_slice name) {
  while (element.len) {
    const char *end = memchr(element.ptr, ';', element.len);
    size_t len = end ? (size_t)(end - element.ptr) : element.len;
    tti_slice pair = tti_slice_trim((tti_slice){element.ptr, len});
    if (pair.len > name.len && pair.ptr[name.len] == '=' &&
        tti_slice_eq_nocase((tti_slice){pair.ptr, name.len}, name)) {
      tti_slice value = {pair.ptr + name.len + 1, pair.len - name.len - 1};
      if (value.len > 1 && value.ptr[0] == '"' &&
          value.ptr[value.len - 1] == '"')
        value = (tti_slice){value.ptr + 1, value.len - 2};
      return value;
    }
    len += end != NULL;
    element = (tti_slice){element.ptr + len, element.len - len};
  }
  return (tti_slice){NULL, 0};
}

bool http_forwarded(const http_proxies *proxies, tti_slice value,
                    http_address *client) {
  tti_slice element;
  while (last_element(&value, &element)) {
    tti_slice hop = parameter(element, TTI_SLICE("for"));
    if (element.len && !step(proxies, hop, client))
      return false;
  }
  return true;
}

bool http_forwarded_proto_is_https(tti_slice value) {
  tti_slice scheme;
  return last_element(&value, &scheme) &&
         tti_slice_eq_nocase(scheme, TTI_SLICE("https"));
}

bool http_forwarded_is_https(tti_slice value) {
  tti_slice element;
  return last_element(&value, &element) &&
         tti_slice_eq_nocase(parameter(element, TTI_SLICE("proto")),
                             TTI_SLICE("https"));
}
