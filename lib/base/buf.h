#ifndef TTI_BASE_BUF_H
#define TTI_BASE_BUF_H

#include "lib/base/slice.h"
#include <stdint.h>
#include <telltale/error.h>

/* A growing byte buffer with a ceiling. The first failure sticks: later appends
 * do nothing, so a writer checks `error` once at its end. Not thread-safe. */
typedef struct tti_buf {
  char *data; /* owned; NULL while empty */
  size_t len;
  size_t cap;
  size_t max;     /* ceiling in bytes */
  tt_error error; /* TT_OK, TT_ENOMEM or TT_ETOOBIG */
} tti_buf;

/* An empty buffer that holds at most `max_bytes`. Allocates nothing. */
void tti_buf_init(tti_buf *buf, size_t max_bytes);
void tti_buf_fini(tti_buf *buf);

/* Forgets content and error, keeps the memory. */
void tti_buf_clear(tti_buf *buf);

/* Room for `more` bytes after len; the place to write them, or NULL. The caller
 * adds what it wrote to len. */
char *tti_buf_reserve(tti_buf *buf, size_t more);

void tti_buf_append(tti_buf *buf, const void *bytes, size_t len);
void tti_buf_append_slice(tti_buf *buf, tti_slice s);
void tti_buf_append_text(tti_buf *buf, const char *text);
void tti_buf_append_char(tti_buf *buf, char c);
void tti_buf_append_u64(tti_buf *buf, uint64_t value);
void tti_buf_append_i64(tti_buf *buf, int64_t value);
void tti_buf_printf(tti_buf *buf, const char *format, ...)
    TELLTALE_PRINTF(2, 3);

/* NUL-terminates and hands the memory to the caller, who frees it with free();
 * NULL when the buffer failed. The buffer is empty afterwards. */
char *tti_buf_take(tti_buf *buf, size_t *out_len);

static inline tti_slice tti_buf_slice(const tti_buf *buf) {
  return (tti_slice){buf->data, buf->len};
}

#endif
