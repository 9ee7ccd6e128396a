#include "server/http/describe.h"
#include "server/http/request.h"
#include <assert.h>

static int hex_value(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes percent-encoding; the text itself where there is none. Malformed
 * escapes stay. ptr NULL: out of memory. */
static tti_slice decode(http_request *request, tti_slice text, bool plus) {
  if (!memchr(text.ptr, '%', text.len) &&
      !(plus && memchr(text.ptr, '+', text.len)))
    return text;
  char *out = http_request_alloc(request, text.len);
  if (!out)
    return (tti_slice){NULL, 0};
  size_t len = 0;
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (c == '+' && plus) {
      c = ' ';
    } else if (c == '%' && text.len - i >= 3) {
      int high = hex_value(text.ptr[i + 1]), low = hex_value(text.ptr[i + 2]);
      if (high >= 0 && low >= 0) {
        c = (char)(high * 16 + low);
        i += 2;
      }
    }
    out[len++] = c;
  }
  return (tti_slice){out, len};
}

tti_slice http_request_param(const http_request *request, const char *name) {
  int index = http_pattern_param(request->route->pattern, tti_slice_of(name));
  if (index < 0)
    return (tti_slice){NULL, 0};
  /* Decoding needs memory of the request, nothing that can be seen changes. */
  return decode((http_request *)(uintptr_t)request, request->params[index],
                false);
}

bool http_query_next(http_request *request, tti_slice *rest,
                     tti_slice *out_name, tti_slice *out_value) {
  while (rest->len) {
    const char *amp = memchr(rest->ptr, '&', rest->len);
    size_t len = amp ? (size_t)(amp - rest->ptr) : rest->len;
    tti_slice pair = {rest->ptr, len};
    size_t taken = len + (amp ? 1 : 0);
    *rest = (tti_slice){rest->ptr + taken, rest->len - taken};
    if (len == 0)
      continue;
    const char *equals = memchr(pair.ptr, '=', pair.len);
    size_t name_len = equals ? (size_t)(equals - pair.ptr) : pair.len;
    tti_slice value =
        equals ? (tti_slice){equals + 1, len - name_len - 1} : TTI_SLICE("");
    tti_slice name = decode(request, (tti_slice){pair.ptr, name_len}, true);
    value = decode(request, value, true);
    if (!name.ptr || !value.ptr)
      return false;
    *out_name = name;
    *out_value = value;
    return true;
  }
  return false;
}

#ifndef NDEBUG
/* Whether the route's description, where it has one, names the parameter. */
static bool is_described(const http_route *route, const char *name) {
  if (!route->about)
    return true;
  for (size_t i = 0; i < HTTP_GROUPS_MAX && route->about->parameters[i]; i++)
    for (const http_parameter *p = route->about->parameters[i]; p->name; p++)
      if (p->in == HTTP_IN_QUERY && strcmp(p->name, name) == 0)
        return true;
  return false;
}
#endif

bool http_query_get(http_request *request, const char *name,
                    tti_slice *out_value) {
  assert(is_described(request->route, name));
  tti_slice rest = http_request_query(request);
  tti_slice key, value;
  while (http_query_next(request, &rest, &key, &value)) {
    if (tti_slice_eq(key, tti_slice_of(name))) {
      *out_value = value;
      return true;
    }
  }
  return false;
}
