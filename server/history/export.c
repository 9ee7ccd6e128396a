#include "server/history/export.h"

#include "server/history/csv.h"
#include <stdlib.h>

typedef struct export {
  chain chain;
  store_read read;
  export_ask ask;
  http_request *request;
  http_stream *stream; /* NULL before the first rows are there */
  uint64_t from;       /* the read began after it */
  size_t left;         /* of the limit */
  bool reading;
  bool opening; /* closed must not free it yet */
  bool gone;    /* closed */
  bool over;    /* all is written, or it was given up */
  tti_buf text;
  tti_buf scratch;
}
export;

static void export_free(chain *c) {
  export *e = (export *)c;
  tti_buf_fini(&e->read.rows);
  tti_buf_fini(&e->text);
  tti_buf_fini(&e->scratch);
  tti_filter_free(e->ask.filter);
  free(e);
}

static bool has_needle(void *context, uint64_t seq, int64_t received_us,
                       const tti_record *record) {
  (void)seq;
  (void)received_us;
  return needle_in_record(context, record);
}

static void next_read(export *e, uint64_t from) {
  store_read *read = &e->read;
  tti_buf_clear(&read->rows);
  read->row_count = 0;
  read->more = false;
  read->error = TT_OK;
  read->max_rows = e->left < 256 ? e->left : 256;
  read->after_seq = e->from = from;
  e->reading = true;
  chain_submit(&e->chain);
}

/* ---- The stream ---- */

static void on_writable(http_stream *stream, void *context) {
  export *e = context;
  if (!e->reading && !e->over && http_stream_pending(stream) == 0)
    next_read(e, e->read.next_seq);
}

static void on_closed(http_stream *stream, void *context) {
  (void)stream;
  export *e = context;
  e->gone = true;
  if (!e->reading && !e->opening)
    chain_end(&e->chain);
}

static const http_stream_events stream_events = {.writable = on_writable,
                                                 .closed = on_closed};

/* False: there is nobody to write to. */
static bool open_stream(export *e) {
  e->opening = true;
  e->stream = http_stream_open(e->request, 200,
                               e->ask.csv ? "text/csv; charset=utf-8"
                                          : "application/x-ndjson",
                               &stream_events, e);
  e->opening = false;
  if (!e->stream || e->gone)
    return false;
  if (e->ask.csv)
    csv_header(&e->text);
  return true;
}

/* ---- Rows ---- */

/* Whether retention took events that this read had yet to find. What is gone
 * before the answer began is no part of it. */
static bool was_overtaken(const export *e) {
  store_status status;
  store_status_get(e->chain.set->store, &status);
  return e->from < e->ask.head && status.oldest_seq > e->from + 1;
}

static tt_error render(export *e) {
  size_t offset = 0;
  store_row row;
  tti_slice bytes;
  while (e->left > 0 && store_row_next(&e->read, &offset, &row, &bytes)) {
    tti_record record;
    if (tti_record_decode(bytes, &record) != TT_OK)
      return TT_ECORRUPT;
    if (e->ask.csv) {
      csv_row(&e->text, row.seq, &record, &e->scratch);
    } else {
      tti_view_render(&e->text, e->ask.view, row.seq, &record);
      tti_buf_append_char(&e->text, '\n');
    }
    e->left--;
  }
  return e->text.error;
}

/* With the head sent, the only way to say that it is not whole is to cut it
 * off. */
static void give_up(export *e, tt_error error) {
  if (e->stream) {
    e->over = true;
    http_stream_abort(e->stream);
    return;
  }
  chain_reply_failed(e->request, error);
  chain_end(&e->chain);
}

static void go_on(chain *c) {
  export *e = (export *)c;
  e->reading = false;
  if (e->gone) {
    chain_end(c);
    return;
  }
  tt_error error = e->read.error;
  if (error == TT_OK && e->stream && was_overtaken(e))
    error = TT_ENOTFOUND;
  if (error == TT_OK && !e->stream && !open_stream(e)) {
    chain_end(c);
    return;
  }
  if (error == TT_OK)
    error = render(e);
  if (error != TT_OK) {
    give_up(e, error);
    return;
  }
  if (e->text.len > 0)
    http_stream_write_copy(e->stream, e->text.data, e->text.len);
  tti_buf_clear(&e->text);
  e->over = !e->read.more || e->left == 0;
  if (e->over)
    http_stream_end(e->stream);
  else
    on_writable(e->stream, e);
}

void export_start(chains *set, http_request *request, const export_ask *ask) {
  export *e = calloc(1, sizeof(*e));
  if (!e) {
    tti_filter_free(ask->filter);
    chain_reply_memory(request);
    return;
  }
  e->ask = *ask;
  e->request = request;
  e->left = ask->page.limit;
  tti_buf_init(&e->text, SIZE_MAX);
  tti_buf_init(&e->scratch, SIZE_MAX);
  tti_buf_init(&e->read.rows, SIZE_MAX);
  e->read.order = STORE_ASCENDING;
  e->read.before_seq = ask->page.before_seq;
  e->read.since_us = ask->page.since_us;
  e->read.until_us = ask->page.until_us;
  e->read.kinds = ask->kinds;
  e->read.filter = ask->filter;
  if (ask->needle.len > 0) {
    e->read.accept = has_needle;
    e->read.accept_context = &e->ask.needle;
    e->read.text = needle_text(&e->ask.needle);
  }
  e->chain = (chain){.read = &e->read, .step = go_on, .free_fn = export_free};
  if (!chain_begin(&e->chain, set, request, true)) {
    chain_reply_failed(request, TT_EFULL);
    export_free(&e->chain);
    return;
  }
  uint64_t from = ask->page.after_seq;
  if (from + 1 < ask->first)
    from = ask->first - 1;
  next_read(e, from);
}
