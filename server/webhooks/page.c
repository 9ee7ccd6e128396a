#include "server/webhooks/internal.h"

#include <stdio.h>

enum { PAGE_BYTES = 4 << 20, PATIENCE_US = 1000000 };

const http_parameter webhook_page_parameters[] = {
    {"limit", "How many items at most.", HTTP_IN_QUERY, HTTP_NUMBER, .min = 1,
     .max = 100, .fallback = "100", .code = "invalid_limit"},
    {"cursor", "`next_cursor` of the page before, with the same filters.",
     HTTP_IN_QUERY, .max = CURSOR_TEXT - 1, .code = "invalid_cursor"},
    {.name = NULL}};

static void keep_last(api_page *page, tti_slice last) {
  size_t len = last.len < CURSOR_LAST_MAX ? last.len : CURSOR_LAST_MAX;
  if (len)
    memcpy(page->last, last.ptr, len);
  page->last[len] = '\0';
  page->from.last = (tti_slice){page->last, len};
}

static void finish(api_page *page) {
  tti_buf *out = &page->call.body;
  if (page->ended) {
    tti_buf_append_text(out, "],\"next_cursor\":null}");
  } else {
    char text[CURSOR_TEXT];
    cursor_write(page->hash, page->from, text);
    tti_buf_printf(out, "],\"next_cursor\":\"%s\"}", text);
  }
  api_call_reply(&page->call, 200);
}

static bool is_full(const api_page *page) {
  return page->count >= page->limit || page->call.body.len >= PAGE_BYTES;
}

/* On the loop: a piece was read. */
static void answer(api_call *call) {
  api_page *page = (api_page *)call;
  if (page->expired)
    webhook_api_expired(call);
  else if (call->read.error == TT_ENOTFOUND)
    webhook_api_missing(call, page->missing, "id");
  else if (page->ended || is_full(page) ||
           server_monotonic_us() >= page->until_us)
    finish(page);
  else
    api_call_read(call, page->api->options.store);
}

static tt_error run(store_read *read, store_tx *tx) {
  api_page *page = read->owner;
  page->ended = true;
  return page->read(page, tx);
}

void *api_page_new(http_request *request, webhook_api *api, size_t size,
                   tt_error (*read)(api_page *page, store_tx *tx),
                   const char *list, const tti_slice *filters, size_t count) {
  unsigned long long limit = 0;
  cursor from = {0};
  if (!http_parameter_number(request, &webhook_page_parameters[0], &limit))
    return NULL;
  tti_slice text = http_parameter_get(request, &webhook_page_parameters[1]);
  uint64_t hash = cursor_hash(list, filters, count);
  if (text.len && !cursor_read(text, hash, &from)) {
    http_reply_error(request, 400, "invalid_cursor",
                     "cursor: it is not a next_cursor of this list with these "
                     "filters; begin without one");
    return NULL;
  }
  api_page *page = api_call_new(request, size, answer);
  if (!page)
    return NULL;
  page->api = api;
  page->read = read;
  page->missing = "webhook";
  page->hash = hash;
  page->limit = limit;
  page->from.at = from.at;
  keep_last(page, from.last);
  page->call.read.run = run;
  page->until_us = server_monotonic_us() + PATIENCE_US;
  return page;
}

void api_page_run(api_page *page) {
  tti_buf_append_text(&page->call.body, "{\"items\":[");
  api_call_read(&page->call, page->api->options.store);
}

bool api_page_next(api_page *page, int64_t at, tti_slice last) {
  if (is_full(page)) {
    page->ended = false;
    return false;
  }
  if (page->count++)
    tti_buf_append_char(&page->call.body, ',');
  page->from.at = at;
  keep_last(page, last);
  return true;
}

void api_page_pass(api_page *page, int64_t at, tti_slice last) {
  page->from.at = at;
  keep_last(page, last);
  page->ended = false;
}
