#include "lib/base/slice.h"

#include <limits.h>

static unsigned char lower(unsigned char c) {
  return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

bool tti_slice_eq_nocase(tti_slice a, tti_slice b) {
  if (a.len != b.len)
    return false;
  for (size_t i = 0; i < a.len; i++)
    if (lower((unsigned char)a.ptr[i]) != lower((unsigned char)b.ptr[i]))
      return false;
  return true;
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

tti_slice tti_slice_trim(tti_slice s) {
  while (s.len && is_blank(s.ptr[0])) {
    s.ptr++;
    s.len--;
  }
  while (s.len && is_blank(s.ptr[s.len - 1]))
    s.len--;
  return s;
}

bool tti_slice_to_u64(tti_slice s, unsigned long long *out_value) {
  unsigned long long value = 0;
  if (s.len == 0)
    return false;
  for (size_t i = 0; i < s.len; i++) {
    unsigned digit = (unsigned)(s.ptr[i] - '0');
    if (digit > 9 || value > (ULLONG_MAX - digit) / 10)
      return false;
    value = value * 10 + digit;
  }
  *out_value = value;
  return true;
}
