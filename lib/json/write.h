#ifndef TTI_JSON_WRITE_H
#define TTI_JSON_WRITE_H

#include "lib/base/buf.h"

/* JSON text onto the end of a buffer. What fails sticks in the buffer, so the
 * caller looks at buf->error once. Commas and brackets are the caller's:
 *
 *   tti_buf_append_text(out, "{\"id\":");
 *   tti_json_write_string(out, id);
 *   tti_buf_append_char(out, '}');
 *
 * Whole numbers: tti_buf_append_i64 and _u64. Output does not depend on the
 * locale and holds no raw line break. */

/* The text in quotes. Quotes, backslashes and control characters are escaped;
 * other text stays as it is, and bytes that are not UTF-8 become U+FFFD (one
 * for each maximal subpart, as Unicode 3.9 recommends). */
void tti_json_write_string(tti_buf *out, tti_slice text);

/* The same for a C string; NULL is written as "". */
void tti_json_write_text(tti_buf *out, const char *text);

/* The string and a colon. */
void tti_json_write_key(tti_buf *out, tti_slice key);

/* Bytes that tti_json_write_string would write, quotes included. */
size_t tti_json_string_size(tti_slice text);

/* Few digits that read back as the same double; NaN and the infinities have no
 * JSON form and become null. */
void tti_json_write_double(tti_buf *out, double value);

/* The same for a finite one, but a whole number as digits, for the eye:
 * 1234000, not 1.234e+06. */
void tti_json_write_plain(tti_buf *out, double value);

void tti_json_write_bool(tti_buf *out, bool value);

/* JSON as it is, but for each raw CR and LF a space: in valid JSON they stand
 * only between tokens, so length and value stay. */
void tti_json_write_one_line(tti_buf *out, tti_slice json);

#endif
