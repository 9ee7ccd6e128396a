#include "server/store/scan.h"

#include "server/io/clock.h"

#define CLOCK_EVERY 64

void scan_begin(store_scan *scan, store_read *read) {
  read->error = TT_OK;
  read->row_count = 0;
  read->more = false;
  if (!read->max_rows || read->max_rows > SCAN_ROWS)
    read->max_rows = SCAN_ROWS;
  *scan = (store_scan){.read = read};
  scan->stop_us = server_monotonic_us() + SCAN_US;
  scan->filtered = read->filter && !tti_filter_is_empty(read->filter);
  scan->hides_log = read->show_log_channel &&
                    !(scan->filtered &&
                      tti_filter_names_channel(read->filter, TTI_SLICE("log")));
}

void scan_set_bounds(store_scan *scan, uint64_t head) {
  const store_read *read = scan->read;
  scan->low = read->after_seq + 1;
  scan->high = head;
  if (read->before_seq && read->before_seq - 1 < scan->high)
    scan->high = read->before_seq - 1;
}

void scan_start(store_scan *scan) {
  scan->examined =
      scan->read->order == STORE_DESCENDING ? scan->high + 1 : scan->low - 1;
}

bool scan_wants(const store_scan *scan, const tti_record *record) {
  const store_read *read = scan->read;
  if (read->kinds && !(read->kinds & STORE_KIND_BIT(record->kind)))
    return false;
  if (record->kind == TTI_KIND_LOG && scan->hides_log)
    return false;
  return !scan->filtered || tti_filter_match(read->filter, record);
}

static bool passes(const store_scan *scan, uint64_t seq, int64_t received_us,
                   tti_slice bytes) {
  const store_read *read = scan->read;
  if (!read->kinds && !scan->filtered && !scan->hides_log && !read->accept)
    return true;
  tti_record record;
  if (tti_record_decode(bytes, &record) != TT_OK)
    return read->show_damaged;
  if (!scan_wants(scan, &record))
    return false;
  return !read->accept ||
         read->accept(read->accept_context, seq, received_us, &record);
}

static tt_error keep(store_read *read, uint64_t seq, int64_t received_us,
                     tti_slice bytes) {
  store_row row = {.seq = seq, .received_us = received_us, .len = bytes.len};
  /* Header and record, or neither. */
  char *at = tti_buf_reserve(&read->rows, sizeof row + bytes.len);
  if (!at)
    return read->rows.error;
  memcpy(at, &row, sizeof row);
  memcpy(at + sizeof row, bytes.ptr, bytes.len);
  read->rows.len += sizeof row + bytes.len;
  read->row_count++;
  return TT_OK;
}

/* `work` in rows: asking for the time costs as much as reading some. */
static void look_at_clock(store_scan *scan, size_t work) {
  scan->since_clock += work;
  if (scan->since_clock < CLOCK_EVERY)
    return;
  scan->since_clock = 0;
  if (server_monotonic_us() >= scan->stop_us)
    scan->full = true;
}

tt_error scan_row(store_scan *scan, uint64_t seq, int64_t received_us,
                  tti_slice record) {
  store_read *read = scan->read;
  if (passes(scan, seq, received_us, record)) {
    tt_error error = keep(read, seq, received_us, record);
    if (error == TT_ETOOBIG && read->row_count > 0) {
      /* The caller's buffer is full; the next read begins with this row. */
      read->rows.error = TT_OK;
      scan->full = true;
      return TT_OK;
    }
    if (error) {
      read->error = error;
      return error;
    }
  }
  scan->examined = seq;
  if (read->row_count >= read->max_rows || read->rows.len >= SCAN_BYTES)
    scan->full = true;
  look_at_clock(scan, 1);
  return TT_OK;
}

void scan_brief(store_scan *scan, uint64_t seq, int64_t received_us,
                const tti_record *record) {
  store_read *read = scan->read;
  if (scan_wants(scan, record))
    read->accept(read->accept_context, seq, received_us, record);
  scan->examined = seq;
  look_at_clock(scan, 1);
}

void scan_skip(store_scan *scan, uint64_t seq) {
  scan->examined = seq;
  look_at_clock(scan, CLOCK_EVERY / 8);
}

void scan_finish(store_scan *scan) {
  store_read *read = scan->read;
  bool down = read->order == STORE_DESCENDING;
  bool any = scan->low <= scan->high;
  read->more =
      any && scan->full &&
      (down ? scan->examined > scan->low : scan->examined < scan->high);
  if (read->more)
    read->next_seq = scan->examined;
  else if (down)
    read->next_seq = scan->low;
  else
    read->next_seq =
        scan->high > read->after_seq ? scan->high : read->after_seq;
}
