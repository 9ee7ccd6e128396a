#include "lib/json/bytes.h"
#include "lib/json/scan.h"

static unsigned hex_digit(char c) {
  if (c <= '9')
    return (unsigned)(c - '0');
  return (unsigned)((c | 0x20) - 'a' + 10);
}

/* The four digits of a \u escape; the scanner has seen that they are. */
static uint32_t hex4(const char *p) {
  return hex_digit(p[0]) << 12 | hex_digit(p[1]) << 8 | hex_digit(p[2]) << 4 |
         hex_digit(p[3]);
}

static size_t put_utf8(char *out, uint32_t c) {
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  if (c < 0x800) {
    out[0] = (char)(0xc0 | c >> 6);
    out[1] = (char)(0x80 | (c & 0x3f));
    return 2;
  }
  if (c < 0x10000) {
    out[0] = (char)(0xe0 | c >> 12);
    out[1] = (char)(0x80 | (c >> 6 & 0x3f));
    out[2] = (char)(0x80 | (c & 0x3f));
    return 3;
  }
  out[0] = (char)(0xf0 | c >> 18);
  out[1] = (char)(0x80 | (c >> 12 & 0x3f));
  out[2] = (char)(0x80 | (c >> 6 & 0x3f));
  out[3] = (char)(0x80 | (c & 0x3f));
  return 4;
}

/* A \u escape, or the pair of them that makes one character. p is after the
 * backslash, *out_next after what was taken. 0: not text. */
static uint32_t read_unicode(const char *p, const char *end,
                             const char **out_next) {
  uint32_t c = hex4(p + 1);
  p += 5;
  *out_next = p;
  if (c < 0xd800 || c > 0xdfff)
    return c;
  if (c > 0xdbff || end - p < 6 || p[0] != '\\' || p[1] != 'u')
    return 0;
  uint32_t low = hex4(p + 2);
  if (low < 0xdc00 || low > 0xdfff)
    return 0;
  *out_next = p + 6;
  return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

static char simple_escape(char c) {
  switch (c) {
  case 'b':
    return '\b';
  case 'f':
    return '\f';
  case 'n':
    return '\n';
  case 'r':
    return '\r';
  case 't':
    return '\t';
  default:
    return c; /* a quote, a backslash, a slash */
  }
}

tt_error tti_json_decode(tti_slice quoted, char *out_text, size_t *out_len,
                         tti_json_error *out_error) {
  const char *p = quoted.ptr + 1, *end = quoted.ptr + quoted.len - 1;
  char *out = out_text;
  while (p < end) {
    const char *slash = memchr(p, '\\', (size_t)(end - p));
    size_t run = (size_t)((slash ? slash : end) - p);
    memcpy(out, p, run);
    out += run;
    if (!slash)
      break;
    p = slash + 1;
    if (*p != 'u') {
      *out++ = simple_escape(*p++);
      continue;
    }
    uint32_t c = read_unicode(p, end, &p);
    if (c == 0) {
      if (out_error)
        *out_error = (tti_json_error){
            (size_t)(slash - quoted.ptr),
            "an escape that is no character (\\u0000 or half a surrogate pair)",
            -1};
      return TT_EPARSE;
    }
    out += put_utf8(out, c);
  }
  *out_len = (size_t)(out - out_text);
  return TT_OK;
}

/* value * 10 + digit for digits that arrive one by one, where zeros wait until
 * something follows them. */
typedef struct mantissa {
  uint64_t value;
  uint64_t zeros; /* that follow value and are not yet in it */
  bool overflow;
} mantissa;

static bool times_ten(uint64_t *value, uint64_t plus) {
  return !__builtin_mul_overflow(*value, (uint64_t)10, value) &&
         !__builtin_add_overflow(*value, plus, value);
}

static void add_digit(mantissa *m, unsigned digit) {
  if (digit == 0) {
    m->zeros += m->value != 0;
    return;
  }
  for (; m->zeros && !m->overflow; m->zeros--)
    m->overflow = !times_ten(&m->value, 0);
  if (!m->overflow)
    m->overflow = !times_ten(&m->value, digit);
}

/* An exponent, cut where it no longer matters. */
static int64_t read_exponent(const char *p, const char *end) {
  int64_t exponent = 0;
  bool negative = false;
  if (p < end && (*p == '+' || *p == '-'))
    negative = *p++ == '-';
  for (; p < end; p++)
    if (exponent < INT64_C(1) << 50)
      exponent = exponent * 10 + (*p - '0');
  return negative ? -exponent : exponent;
}

bool tti_json_to_i64(tti_slice number, int64_t *out_value) {
  const char *p = number.ptr, *end = p + number.len;
  bool negative = p < end && *p == '-', fraction = false;
  mantissa m = {0};
  int64_t scale = 0; /* the number is value * 10^scale */
  for (p += negative; p < end && *p != 'e' && *p != 'E'; p++) {
    if (*p == '.') {
      fraction = true;
      continue;
    }
    add_digit(&m, (unsigned)(*p - '0'));
    scale -= fraction;
  }
  if (m.overflow)
    return false;
  if (p < end)
    scale += read_exponent(p + 1, end);
  scale += (int64_t)m.zeros;
  if (m.value == 0)
    scale = 0;
  if (scale < 0)
    return false; /* value's last digit is not 0: a fraction is left */
  for (; scale > 0; scale--)
    if (!times_ten(&m.value, 0))
      return false;
  uint64_t limit = (uint64_t)INT64_MAX + negative;
  if (m.value > limit)
    return false;
  *out_value = (int64_t)(negative ? 0 - m.value : m.value);
  return true;
}
