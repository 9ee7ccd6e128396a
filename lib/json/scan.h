#ifndef TTI_JSON_SCAN_H
#define TTI_JSON_SCAN_H

#include "lib/base/slice.h"
#include <stdint.h>
#include <telltale/error.h>

/* A single-pass, validating JSON scanner (RFC 8259) over bytes with a length.
 * It never allocates, never recurses, never trusts a NUL and never reads past
 * the end. It finds where values begin and end; it builds no tree.
 *
 * Strict: UTF-8 without overlong forms, encoded surrogates or anything above
 * U+10FFFF; no control characters in strings; no byte order mark, comments or
 * trailing commas. Lone \u surrogates and \u0000 are grammar, so the scanner
 * accepts them; tti_json_decode does not. */

#define TTI_JSON_MAX_DEPTH 128

typedef enum tti_json_type {
  TTI_JSON_NONE = 0, /* not there */
  TTI_JSON_NULL,
  TTI_JSON_FALSE,
  TTI_JSON_TRUE,
  TTI_JSON_NUMBER,
  TTI_JSON_STRING,
  TTI_JSON_ARRAY,
  TTI_JSON_OBJECT
} tti_json_type;

/* One value as it stands in the text; borrows from it. */
typedef struct tti_json_value {
  tti_json_type type;
  bool escaped;     /* a backslash in it, or in a string inside it */
  bool line_breaks; /* raw CR or LF between the tokens inside it */
  tti_slice text;   /* the value's bytes; a string's quotes included */
} tti_json_value;

/* Where and why. `reason` is static, one clause without a full stop. */
typedef struct tti_json_error {
  size_t offset; /* byte in the scanned text */
  const char *reason;
  int name; /* for a name given twice: its place in the names; else -1 */
} tti_json_error;

/* A position in a text. After the first false that is a failure the scanner
 * stays failed. Plain memory: nothing to free. */
typedef struct tti_json_scan {
  const char *begin;
  const char *at;
  const char *end;
  unsigned depth;     /* of the containers opened by the calls below */
  unsigned max_depth; /* TTI_JSON_MAX_DEPTH, or raised by 1 for a batch */
  bool fresh;         /* a container was opened, none of its items read */
  bool escaped;
  bool line_breaks;
  tti_json_error error; /* reason is NULL until something fails */
} tti_json_scan;

void tti_json_scan_init(tti_json_scan *scan, tti_slice text);

static inline bool tti_json_scan_failed(const tti_json_scan *scan) {
  return scan->error.reason != NULL;
}

/* Reads one value of any type, and the whitespace before it. */
bool tti_json_scan_value(tti_json_scan *scan, tti_json_value *out_value);

/* Nothing but whitespace is left. */
bool tti_json_scan_end(tti_json_scan *scan);

/* Walks an array: open it, then while tti_json_scan_item is true read exactly
 * one value (tti_json_scan_value, _fields or another container). False from
 * _item means the array is closed or, when tti_json_scan_failed, malformed. */
bool tti_json_scan_open_array(tti_json_scan *scan);
bool tti_json_scan_item(tti_json_scan *scan);

/* Walks an object likewise: each true from _member has read a key. */
bool tti_json_scan_open_object(tti_json_scan *scan);
bool tti_json_scan_member(tti_json_scan *scan, tti_json_value *out_key);

#define TTI_JSON_NAMES_MAX    32
#define TTI_JSON_NAME_LEN_MAX 31

/* A table of the keys that are wanted from an object. */
typedef struct tti_json_names {
  const tti_slice *names; /* borrowed */
  size_t count;
  uint32_t of_length[TTI_JSON_NAME_LEN_MAX + 1]; /* a bit for each name */
} tti_json_names;

/* At most TTI_JSON_NAMES_MAX different names of 1 to TTI_JSON_NAME_LEN_MAX
 * bytes each, borrowed for the life of the table. */
void tti_json_names_init(tti_json_names *table, const tti_slice *names,
                         size_t count);

/* Reads one object and keeps its members of these names in out_values, which
 * has a place for each name (type TTI_JSON_NONE: the object has none). Other
 * members are validated and skipped. A key may be written with escapes. A name
 * that comes twice fails. out_values is undefined on failure. */
bool tti_json_scan_fields(tti_json_scan *scan, const tti_json_names *names,
                          tti_json_value *out_values);

/* Whether the whole text is one valid value. TT_EPARSE; out_value and out_error
 * may be NULL. */
tt_error tti_json_check(tti_slice text, tti_json_value *out_value,
                        tti_json_error *out_error);

/* The same for an object of which some members are wanted. */
tt_error tti_json_check_fields(tti_slice text, const tti_json_names *names,
                               tti_json_value *out_values,
                               tti_json_error *out_error);

/* A string value's bytes without the quotes, for one that is not `escaped`. */
static inline tti_slice tti_json_inside(tti_slice quoted) {
  return (tti_slice){quoted.ptr + 1, quoted.len - 2};
}

/* Decodes a valid string value (quotes included) to UTF-8 into out_text, which
 * has room for quoted.len bytes. TT_EPARSE for a lone surrogate and for U+0000,
 * neither of which can be handed on as text; out_error's offset counts from the
 * opening quote. Not NUL-terminated. */
tt_error tti_json_decode(tti_slice quoted, char *out_text, size_t *out_len,
                         tti_json_error *out_error);

/* A number value that is integral and fits: 12, 12.0, 1e3, -0. */
bool tti_json_to_i64(tti_slice number, int64_t *out_value);

#endif
