#include "server/store/store.h"

void store_close(store *s, int timeout_ms) {
  if (s)
    s->ops->close(s, timeout_ms);
}

void store_retain(store *s, int64_t us, uint64_t bytes) {
  atomic_store_explicit(&s->retain_us, us, memory_order_relaxed);
  atomic_store_explicit(&s->retain_bytes, bytes, memory_order_relaxed);
}

int64_t store_retain_us(const store *s) {
  return atomic_load_explicit(&s->retain_us, memory_order_relaxed);
}

uint64_t store_retain_bytes(const store *s) {
  return atomic_load_explicit(&s->retain_bytes, memory_order_relaxed);
}

tt_error store_submit(store *s, store_job *job) {
  return s->ops->submit(s, job);
}

tt_error store_read_submit(store *s, store_read *read) {
  return s->ops->read(s, read);
}

void store_status_get(store *s, store_status *out_status) {
  s->ops->status(s, out_status);
}

size_t store_ranges(store *s, uint64_t after_seq, uint64_t to_seq,
                    store_range *out_ranges, size_t max) {
  return s->ops->ranges(s, after_seq, to_seq, out_ranges, max);
}

size_t store_counts(store *s, store_dimension dimension,
                    store_count *out_counts, size_t max) {
  return s->ops->counts(s, dimension, out_counts, max);
}

size_t store_tokens(store *s, store_token *out_tokens, size_t max,
                    uint64_t *out_generation) {
  return s->ops->tokens(s, out_tokens, max, out_generation);
}

tt_error store_back_up(store *s, store_backup *backup, tti_buf *out_error) {
  if (s->ops->back_up)
    return s->ops->back_up(s, backup, out_error);
  tti_buf_append_text(out_error, "a memory store has nothing to back up: keep "
                                 "events with --store sqlite:FILE");
  return TT_ESTATE;
}

size_t store_watches(store *s, watchdog_worker *out_watches, size_t max) {
  return s->ops->watches ? s->ops->watches(s, out_watches, max) : 0;
}

tt_error store_setting(store *s, const char *name, tti_buf *out_value) {
  return s->ops->setting(s, name, out_value);
}

bool store_row_next(const store_read *read, size_t *offset, store_row *out_row,
                    tti_slice *out_record) {
  if (read->rows.len - *offset < sizeof *out_row)
    return false;
  /* Rows are packed, so the header may lie unaligned. */
  memcpy(out_row, read->rows.data + *offset, sizeof *out_row);
  *offset += sizeof *out_row;
  *out_record = (tti_slice){read->rows.data + *offset, out_row->len};
  *offset += out_row->len;
  return true;
}
