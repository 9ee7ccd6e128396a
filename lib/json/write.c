#include "lib/json/write.h"

#include "lib/json/bytes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The letter of a two-byte escape, 0 for a character that has none. */
static char escape_letter(unsigned char c) {
  switch (c) {
  case '"':
  case '\\':
    return (char)c;
  case '\b':
    return 'b';
  case '\f':
    return 'f';
  case '\n':
    return 'n';
  case '\r':
    return 'r';
  case '\t':
    return 't';
  default:
    return 0;
  }
}

/* Bytes of ill-formed UTF-8 at p that one U+FFFD stands for: the longest
 * beginning of a well-formed character, at least one. */
static size_t broken_len(const char *p, const char *end) {
  static const char tail[] = "\x80\x80\x80";
  char probe[4];
  for (size_t len = 3; len > 1; len--) {
    if ((size_t)(end - p) < len)
      continue;
    /* It is such a beginning if some continuation makes it well-formed. 0x80
     * ends every one: only the second byte of a character has a range of its
     * own, and that one is among the `len` kept. */
    memcpy(probe, p, len);
    memcpy(probe + len, tail, 4 - len);
    if (tti_json_utf8(probe, probe + 4) > len)
      return len;
  }
  return 1;
}

#define REPLACEMENT "\xef\xbf\xbd"

/* Writes the form of what stands at p, which is special, to out (at most 6
 * bytes); sets *out_next behind it. Answers the bytes written. */
static size_t write_special(const char *p, const char *end, char *out,
                            const char **out_next) {
  static const char digits[] = "0123456789abcdef";
  unsigned char c = (unsigned char)*p;
  if (c >= 0x80) {
    size_t len = tti_json_utf8(p, end);
    if (len) {
      memcpy(out, p, len);
      *out_next = p + len;
      return len;
    }
    memcpy(out, REPLACEMENT, 3);
    *out_next = p + broken_len(p, end);
    return 3;
  }
  *out_next = p + 1;
  char letter = escape_letter(c);
  out[0] = '\\';
  if (letter) {
    out[1] = letter;
    return 2;
  }
  memcpy(out + 1, "u00", 3);
  out[4] = digits[c >> 4];
  out[5] = digits[c & 15];
  return 6;
}

/* A text without anything special, in one step: nearly all are. */
static void write_plain(tti_buf *out, tti_slice text) {
  char *at = tti_buf_reserve(out, text.len + 2);
  if (!at)
    return;
  *at++ = '"';
  if (text.ptr)
    memcpy(at, text.ptr, text.len);
  at[text.len] = '"';
  out->len += text.len + 2;
}

void tti_json_write_string(tti_buf *out, tti_slice text) {
  const char *p = text.ptr, *end = p ? p + text.len : p;
  if (tti_json_plain(p, end) == end) {
    write_plain(out, text);
    return;
  }
  tti_buf_append_char(out, '"');
  while (p < end) {
    const char *special = tti_json_plain(p, end);
    tti_buf_append(out, p, (size_t)(special - p));
    if (special == end)
      break;
    char *at = tti_buf_reserve(out, 6);
    if (!at)
      return;
    out->len += write_special(special, end, at, &p);
  }
  tti_buf_append_char(out, '"');
}

void tti_json_write_text(tti_buf *out, const char *text) {
  tti_json_write_string(out, tti_slice_of(text));
}

void tti_json_write_key(tti_buf *out, tti_slice key) {
  tti_json_write_string(out, key);
  tti_buf_append_char(out, ':');
}

size_t tti_json_string_size(tti_slice text) {
  const char *p = text.ptr, *end = p ? p + text.len : p;
  size_t size = 2;
  while (p < end) {
    const char *special = tti_json_plain(p, end);
    size += (size_t)(special - p);
    if (special == end)
      break;
    char scratch[6];
    size += write_special(special, end, scratch, &p);
  }
  return size;
}

/* 10^places for the places that a whole part of up to 15 digits leaves. */
static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7};

/* Values like 12, 0.25 or 1733.125. `digits` = value * 10^places is a whole
 * number below 10^15 and both it and the power are exact doubles, so the
 * correctly rounded quotient is what a reader makes of the text, and a text of
 * at most 15 digits is the only one of its length for that double. */
static bool write_short(tti_buf *out, double value) {
  double size = fabs(value);
  for (size_t places = 0; places < sizeof(powers) / sizeof(powers[0]);
       places++) {
    double digits = size * powers[places];
    if (!(digits < 1e15))
      return false;
    uint64_t whole = (uint64_t)digits;
    if ((double)whole != digits || digits / powers[places] != size)
      continue;
    uint64_t unit = (uint64_t)powers[places];
    if (signbit(value))
      tti_buf_append_char(out, '-');
    tti_buf_append_u64(out, whole / unit);
    if (places == 0)
      return true;
    char fraction[8] = ".";
    uint64_t rest = whole % unit;
    for (size_t i = places; i > 0; i--, rest /= 10)
      fraction[i] = (char)('0' + rest % 10);
    tti_buf_append(out, fraction, places + 1);
    return true;
  }
  return false;
}

/* printf writes the locale's decimal point, which may be several bytes. */
static void append_with_point(tti_buf *out, const char *text) {
  bool in_point = false;
  for (; *text; text++) {
    bool number = strchr("0123456789+-eE", *text) != NULL;
    if (number)
      tti_buf_append_char(out, *text);
    else if (!in_point)
      tti_buf_append_char(out, '.');
    in_point = !number;
  }
}

void tti_json_write_double(tti_buf *out, double value) {
  if (!isfinite(value)) {
    tti_buf_append_text(out, "null");
    return;
  }
  if (write_short(out, value))
    return;
  char text[48];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof(text), "%.*g", digits, value);
    if (strtod(text, NULL) == value)
      break;
  }
  append_with_point(out, text);
}

void tti_json_write_plain(tti_buf *out, double value) {
  if (fabs(value) < 0x1p53 && value == trunc(value))
    tti_buf_append_i64(out, (int64_t)value);
  else
    tti_json_write_double(out, value);
}

void tti_json_write_bool(tti_buf *out, bool value) {
  tti_buf_append_text(out, value ? "true" : "false");
}

void tti_json_write_one_line(tti_buf *out, tti_slice json) {
  size_t begin = out->len;
  tti_buf_append_slice(out, json);
  if (out->error || json.len == 0)
    return;
  static const char breaks[] = "\n\r";
  for (int i = 0; i < 2; i++) {
    char *p = out->data + begin, *end = out->data + out->len;
    while (p < end && (p = memchr(p, breaks[i], (size_t)(end - p))))
      *p++ = ' ';
  }
}
