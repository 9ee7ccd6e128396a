#include "server/history/query.h"
#include "server/store/store.h"

/* As much of the client's own text as a message repeats. */
#define SHOWN_BYTES 64

static int shown(tti_slice text) {
  return (int)(text.len < SHOWN_BYTES ? text.len : SHOWN_BYTES);
}

static bool add_filters(http_request *request, tti_filter *filter) {
  tti_slice rest = http_request_query(request);
  tti_slice name, value;
  while (http_query_next(request, &rest, &name, &value)) {
    switch (tti_filter_add(filter, name, value)) {
    case TT_OK:
    case TT_ENOTFOUND: /* another parameter, or one that nobody knows */
      break;
    case TT_ENOMEM:
      http_reply_error(request, 503, "out_of_memory",
                       "the server is out of memory; try again later");
      return false;
    default:
      http_reply_error(request, 400, "invalid_filter",
                       "%.*s: \"%.*s\" cannot be used: give exact values "
                       "separated by commas (at most 50, 4096 bytes in all); "
                       "only level takes >= and debug, info, warn, error or "
                       "fatal after it",
                       shown(name), name.ptr, shown(value), value.ptr);
      return false;
    }
  }
  return true;
}

bool query_filter(http_request *request, unsigned kinds,
                  tti_filter **out_filter, unsigned *out_kinds) {
  tti_filter *filter;
  if (tti_filter_new(&filter) != TT_OK) {
    http_reply_error(request, 503, "out_of_memory",
                     "the server is out of memory; try again later");
    return false;
  }
  if (!add_filters(request, filter))
    goto fail;
  tti_slice include;
  if (http_query_get(request, "include", &include) && include.len > 0) {
    if (!tti_slice_eq(include, TTI_SLICE("log"))) {
      http_reply_error(request, 400, "invalid_include",
                       "include: \"%.*s\" is not known; the only value is log",
                       shown(include), include.ptr);
      goto fail;
    }
    kinds |= STORE_KIND_BIT(TTI_KIND_LOG);
  }
  if (tti_filter_names_channel(filter, TTI_SLICE("log")))
    kinds |= STORE_KIND_BIT(TTI_KIND_LOG);
  *out_filter = filter;
  *out_kinds = kinds;
  return true;
fail:
  tti_filter_free(filter);
  return false;
}

bool query_needle(http_request *request, needle *out_needle) {
  tti_slice text = {"", 0};
  http_query_get(request, "q", &text);
  if (needle_init(out_needle, text))
    return true;
  http_reply_error(request, 400, "invalid_q",
                   "q: what to look for has %zu bytes; give at most %d",
                   text.len, NEEDLE_MAX);
  return false;
}

bool query_view(http_request *request, tti_view fallback, tti_view *out_view) {
  tti_slice value;
  if (!http_query_get(request, "view", &value) || value.len == 0) {
    *out_view = fallback;
    return true;
  }
  if (tti_slice_eq(value, TTI_SLICE("relay"))) {
    *out_view = TTI_VIEW_RELAY;
    return true;
  }
  if (tti_slice_eq(value, TTI_SLICE("envelope"))) {
    *out_view = TTI_VIEW_ENVELOPE;
    return true;
  }
  http_reply_error(request, 400, "invalid_view",
                   "view: \"%.*s\" is not known; give relay or envelope",
                   shown(value), value.ptr);
  return false;
}

/* "0" to "1" with up to three digits after the point, in thousandths (RFC 9110,
 * 12.4.2). What is not a weight counts as 1. */
static unsigned weight_of(tti_slice params) {
  while (params.len > 0) {
    const char *end = memchr(params.ptr, ';', params.len);
    size_t len = end ? (size_t)(end - params.ptr) : params.len;
    tti_slice param = tti_slice_trim((tti_slice){params.ptr, len});
    if (param.len > 2 && (param.ptr[0] | 0x20) == 'q' && param.ptr[1] == '=') {
      unsigned weight = param.ptr[2] == '1' ? 1000 : 0, unit = 100;
      for (size_t i = 4; i < param.len && param.ptr[i] >= '0' &&
                         param.ptr[i] <= '9' && weight < 1000;
           i++, unit /= 10)
        weight += (unsigned)(param.ptr[i] - '0') * unit;
      return weight;
    }
    params.ptr += len + (end != NULL);
    params.len -= len + (end != NULL);
  }
  return 1000;
}

query_format query_accept(tti_slice accept) {
  unsigned best = 0, json = 0;
  query_format format = QUERY_JSON;
  while (accept.len > 0) {
    const char *end = memchr(accept.ptr, ',', accept.len);
    size_t len = end ? (size_t)(end - accept.ptr) : accept.len;
    tti_slice part = {accept.ptr, len};
    const char *semicolon = memchr(part.ptr, ';', part.len);
    tti_slice params = {"", 0};
    if (semicolon) {
      params.ptr = semicolon + 1;
      params.len = part.len - (size_t)(semicolon - part.ptr) - 1;
      part.len = (size_t)(semicolon - part.ptr);
    }
    part = tti_slice_trim(part);
    unsigned weight = weight_of(params);
    bool ndjson = tti_slice_eq_nocase(part, TTI_SLICE("application/x-ndjson"));
    bool csv = tti_slice_eq_nocase(part, TTI_SLICE("text/csv"));
    if ((ndjson || csv) && weight > best) {
      best = weight;
      format = csv ? QUERY_CSV : QUERY_NDJSON;
    }
    if (tti_slice_eq_nocase(part, TTI_SLICE("application/json")))
      json = weight;
    accept.ptr += len + (end != NULL);
    accept.len -= len + (end != NULL);
  }
  return best >= json ? format : QUERY_JSON;
}
