#include "server/api/list.h"

#include "lib/base/hash.h"
#include "lib/json/write.h"
#include <inttypes.h>
#include <stdio.h>

enum { LIMIT_MAX = 1000, PIECE_US = 4000, PATIENCE_US = 1000000 };
#define PAGE_BYTES ((size_t)4 << 20)

/* "1", the hash, at, n: hex digits, 16 each but for the first. */
enum { CURSOR_LEN = 1 + 3 * 16 };

const http_parameter api_list_parameters[] = {
    {"limit", "How many items at most.", HTTP_IN_QUERY, HTTP_NUMBER, .min = 1,
     .max = LIMIT_MAX, .fallback = "100", .code = "invalid_limit"},
    {"cursor",
     "`next_cursor` of the page before, with the same parameters. A page may "
     "be short and not be the last: looking ends after a second.",
     HTTP_IN_QUERY, .code = "invalid_cursor"},
    {.name = NULL}};

/* ---- Cursors ---- */

static uint64_t mixed(uint64_t hash, tti_slice text) {
  uint64_t parts[] = {hash, text.len, tti_hash64(text.ptr, text.len)};
  return tti_hash64(parts, sizeof parts);
}

static uint64_t hash_of(http_request *request) {
  tti_slice rest = http_request_query(request), name, value;
  uint64_t hash = mixed(0, http_request_path(request));
  while (http_query_next(request, &rest, &name, &value))
    if (!tti_slice_eq(name, TTI_SLICE("limit")) &&
        !tti_slice_eq(name, TTI_SLICE("cursor")))
      hash = mixed(mixed(hash, name), value);
  return hash;
}

static bool parse_cursor(tti_slice text, uint64_t hash, api_place *out_from) {
  char copy[CURSOR_LEN + 1];
  uint64_t found, at, n;
  int used = 0;
  if (text.len != CURSOR_LEN || strspn(text.ptr, "0123456789abcdef") < text.len)
    return false;
  memcpy(copy, text.ptr, CURSOR_LEN);
  copy[CURSOR_LEN] = '\0';
  if (sscanf(copy, "1%16" SCNx64 "%16" SCNx64 "%16" SCNx64 "%n", &found, &at,
             &n, &used) != 3 ||
      used != CURSOR_LEN || found != hash || at > INT64_MAX || n > INT64_MAX)
    return false;
  *out_from = (api_place){(int64_t)at, (int64_t)n};
  return true;
}

/* ---- Pages ---- */

static bool is_full(const api_list *list) {
  return list->count >= list->limit || list->call.body.len >= PAGE_BYTES;
}

static void answer(api_call *call) {
  api_list *list = (api_list *)call;
  if (call->read.error == TT_ENOTFOUND && list->missing) {
    list->missing(list);
    return;
  }
  if (list->over && !is_full(list) &&
      tti_monotonic_us(&tti_clock_system) < list->patience_us) {
    api_call_read(call, list->store);
    return;
  }
  if (list->over)
    tti_buf_printf(&call->body,
                   "],\"next_cursor\":\"1%016" PRIx64 "%016" PRIx64
                   "%016" PRIx64 "\"}",
                   list->hash, (uint64_t)list->from.at, (uint64_t)list->from.n);
  else
    tti_buf_append_text(&call->body, "],\"next_cursor\":null}");
  api_call_reply(call, 200);
}

static tt_error run(store_read *read, store_tx *tx) {
  api_list *list = read->owner;
  list->over = false;
  list->piece_us = tti_monotonic_us(&tti_clock_system) + PIECE_US;
  return list->read(list, tx);
}

void *api_list_new(http_request *request, store *s, size_t size,
                   tt_error (*read)(api_list *list, store_tx *tx)) {
  unsigned long long limit = 0;
  api_place from = {INT64_MAX, INT64_MAX};
  if (!http_parameter_number(request, &api_list_parameters[0], &limit))
    return NULL;
  tti_slice cursor = http_parameter_get(request, &api_list_parameters[1]);
  uint64_t hash = hash_of(request);
  if (cursor.len && !parse_cursor(cursor, hash, &from)) {
    http_reply_error(request, 400, "invalid_cursor",
                     "cursor: it is not a next_cursor of this list with these "
                     "parameters; begin without one");
    return NULL;
  }
  api_list *list = api_call_new(request, size, answer);
  if (!list)
    return NULL;
  list->read = read;
  list->store = s;
  list->from = from;
  list->hash = hash;
  list->limit = limit;
  list->call.read.run = run;
  list->patience_us = tti_monotonic_us(&tti_clock_system) + PATIENCE_US;
  return list;
}

void api_list_run(api_list *list) {
  tti_buf_append_text(&list->call.body, "{\"items\":[");
  api_call_read(&list->call, list->store);
}

static void move(api_list *list, api_place at) {
  list->from = at;
  list->over = tti_monotonic_us(&tti_clock_system) >= list->piece_us;
}

bool api_list_next(api_list *list, api_place at) {
  if (is_full(list)) {
    list->over = true;
    return false;
  }
  if (list->count++)
    tti_buf_append_char(&list->call.body, ',');
  move(list, at);
  return true;
}

void api_list_pass(api_list *list, api_place at) {
  move(list, at);
}

/* ---- Members ---- */

void api_put_time(tti_buf *out, const char *name, int64_t us) {
  char text[TTI_RFC3339_MAX];
  tti_rfc3339_format(us, text);
  tti_buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

void api_put_text(tti_buf *out, const char *name, tti_slice text) {
  tti_buf_printf(out, ",\"%s\":", name);
  tti_json_write_string(out, text);
}
