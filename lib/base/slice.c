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

int tti_slice_compare(tti_slice a, tti_slice b) {
  size_t len = a.len < b.len ? a.len : b.len;
  int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
  return order ? order : (a.len > b.len) - (a.len < b.len);
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

unsigned tti_slice_distance(tti_slice a, tti_slice b) {
  enum { MAX = 64 };
  unsigned row[MAX + 1];
  if (a.len > MAX)
    a.len = MAX;
  if (b.len > MAX)
    b.len = MAX;
  for (size_t j = 0; j <= b.len; j++)
    row[j] = (unsigned)j;
  for (size_t i = 1; i <= a.len; i++) {
    unsigned diagonal = row[0];
    row[0] = (unsigned)i;
    for (size_t j = 1; j <= b.len; j++) {
      unsigned change = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
      diagonal = row[j];
      unsigned shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
      row[j] = change < shorter ? change : shorter;
    }
  }
  return row[b.len];
}

/* Half the letters wrong is another word, not a slip. */
tti_nearest tti_nearest_to(tti_slice text) {
  return (tti_nearest){text, (unsigned)(text.len / 2) + 1, {NULL, 0}};
}

void tti_nearest_try(tti_nearest *near, tti_slice name) {
  unsigned distance = tti_slice_distance(near->text, name);
  if (distance < near->distance) {
    near->distance = distance;
    near->name = name;
  }
}
