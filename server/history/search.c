#include "server/history/search.h"
#include <stdlib.h>

/* One row more than the page holds says whether another page follows. */
static void next_read(search *s, uint64_t from) {
  store_read *read = &s->read;
  tti_buf_clear(&read->rows);
  read->row_count = 0;
  read->more = false;
  read->error = TT_OK;
  if (s->page.forwards)
    read->after_seq = from;
  else
    read->before_seq = from;
  size_t wanted = s->page.limit - s->count + 1;
  read->max_rows = wanted < 256 ? wanted : 256;
}

static bool has_needle(void *context, uint64_t seq, int64_t received_us,
                       const tti_record *record) {
  (void)seq;
  (void)received_us;
  return needle_in_record(context, record);
}

tt_error search_init(search *s, tti_filter *filter, unsigned kinds,
                     const needle *looked_for, tti_view view, const page *from,
                     const page *bounds) {
  *s = (search){.page = *from,
                .bounds = *bounds,
                .kinds = kinds,
                .filter = filter,
                .view = view};
  tti_buf_init(&s->items, SEARCH_MAX_BYTES + ((size_t)8 << 20));
  tti_buf_init(&s->read.rows, SIZE_MAX);
  s->starts = malloc(from->limit * sizeof(*s->starts));
  if (!s->starts) {
    search_fini(s);
    return TT_ENOMEM;
  }
  s->read.order = from->forwards ? STORE_ASCENDING : STORE_DESCENDING;
  s->read.after_seq = from->after_seq;
  s->read.before_seq = from->before_seq;
  s->read.since_us = from->since_us;
  s->read.until_us = from->until_us;
  s->read.kinds = kinds;
  s->read.filter = filter;
  if (looked_for && looked_for->len > 0) {
    s->needle = *looked_for;
    s->read.accept = has_needle;
    s->read.accept_context = &s->needle;
    s->read.text = needle_text(&s->needle);
  }
  next_read(s, from->forwards ? from->after_seq : from->before_seq);
  return TT_OK;
}

void search_fini(search *s) {
  tti_buf_fini(&s->items);
  tti_buf_fini(&s->read.rows);
  free(s->starts);
  tti_filter_free(s->filter);
}

bool search_take(search *s, bool in_time) {
  size_t offset = 0;
  store_row row;
  tti_slice bytes;
  while (store_row_next(&s->read, &offset, &row, &bytes)) {
    tti_record record;
    if (s->count == s->page.limit) {
      s->more = true;
      return false;
    }
    if (s->items.len >= SEARCH_MAX_BYTES) {
      s->cut = true;
      return false;
    }
    if (tti_record_decode(bytes, &record) != TT_OK) {
      s->read.error = TT_ECORRUPT;
      return false;
    }
    s->starts[s->count++] = s->items.len;
    tti_view_render(&s->items, s->view, row.seq, &record);
    s->last_seq = row.seq;
  }
  if (!s->read.more)
    return false;
  if (!in_time) {
    s->cut = true;
    s->last_seq = s->read.next_seq;
    return false;
  }
  next_read(s, s->read.next_seq);
  return true;
}

static void append_item(const search *s, size_t i, tti_buf *out) {
  size_t end = i + 1 < s->count ? s->starts[i + 1] : s->items.len;
  tti_buf_append(out, s->items.data + s->starts[i], end - s->starts[i]);
}

void search_items(const search *s, tti_buf *out) {
  tti_buf_append_char(out, '[');
  for (size_t i = 0; i < s->count; i++) {
    if (i > 0)
      tti_buf_append_char(out, ',');
    append_item(s, s->page.forwards ? i : s->count - 1 - i, out);
  }
  tti_buf_append_char(out, ']');
  if (s->items.error != TT_OK && out->error == TT_OK)
    out->error = s->items.error;
}

void search_page(const search *s, tti_buf *out) {
  tti_buf_append_text(out, "{\"items\":");
  search_items(s, out);
  tti_buf_append_text(out, ",\"next_cursor\":");
  if (s->more || s->cut) {
    char cursor[PAGE_CURSOR_TEXT];
    page_cursor(&s->bounds, s->filter, s->kinds, s->last_seq, cursor);
    tti_buf_append_char(out, '"');
    tti_buf_append_text(out, cursor);
    tti_buf_append_char(out, '"');
  } else {
    tti_buf_append_text(out, "null");
  }
  tti_buf_append_char(out, '}');
}
