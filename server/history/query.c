#include "server/history/query.h"

/* As much of the client's own text as a message repeats. */
#define SHOWN_BYTES 64

static int shown(tti_slice text) {
  return (int)(text.len < SHOWN_BYTES ? text.len : SHOWN_BYTES);
}

#define FILTER(name, help)                                                     \
  { name, help, HTTP_IN_QUERY, .code = "invalid_filter" }
#define LISTED "One value, or a comma list of which any may match."

static const char *const includes[] = {"log", NULL};

const http_parameter query_filters[] = {
    FILTER("source", LISTED),
    FILTER("channel", LISTED " `log` shows log lines."),
    FILTER("action", LISTED),
    FILTER("level", LISTED " `>=warn` means that level and those above."),
    FILTER("agent_id", LISTED),
    {.name = NULL}};

const http_parameter query_include[] = {
    {"include", "`log`: log lines too.", HTTP_IN_QUERY, HTTP_WORD,
     .words = includes, .code = "invalid_include"},
    {.name = NULL}};

const http_parameter query_text[] = {
    {"q", "Keeps events whose action or data contains this text.",
     HTTP_IN_QUERY, HTTP_TEXT, .max = NEEDLE_MAX, .code = "invalid_q"},
    {.name = NULL}};

static const char *const views[] = {"relay", "envelope", NULL};

const http_parameter query_views[] = {
    {"view", "The form in which events are shown.", HTTP_IN_QUERY, HTTP_WORD,
     .words = views, .code = "invalid_view"},
    {.name = NULL}};

static void reply_memory(http_request *request) {
  http_reply_error(request, 503, "out_of_memory",
                   "the server is out of memory; try again later");
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
      reply_memory(request);
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
    reply_memory(request);
    return false;
  }
  if (!add_filters(request, filter))
    goto fail;
  if (kinds == QUERY_LOGS && tti_filter_from_level(filter) != TT_OK) {
    reply_memory(request);
    goto fail;
  }
  enum { LOG, NONE };
  size_t include = NONE;
  /* A session's stream never has log lines. */
  if (kinds != STORE_KIND_BIT(TTI_KIND_SESSION) &&
      !http_parameter_word(request, query_include, &include))
    goto fail;
  if (include == LOG)
    kinds |= STORE_KIND_BIT(TTI_KIND_LOG);
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
  tti_slice text = http_parameter_get(request, query_text);
  if (needle_init(out_needle, text))
    return true;
  http_reply_error(request, 400, "invalid_q",
                   "q: what to look for has %zu bytes; give at most %d",
                   text.len, NEEDLE_MAX);
  return false;
}

bool query_view(http_request *request, tti_view fallback, tti_view *out_view) {
  size_t index = fallback == TTI_VIEW_ENVELOPE;
  if (!http_parameter_word(request, query_views, &index))
    return false;
  *out_view = index ? TTI_VIEW_ENVELOPE : TTI_VIEW_RELAY;
  return true;
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
