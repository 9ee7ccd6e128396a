#ifndef TTI_JSON_BYTES_H
#define TTI_JSON_BYTES_H

/* The inner loops over bytes: 16 at a time with SSE2, 8 at a time without. Both
 * ways are compiled where they can be, so that a test holds one to the other.
 * TELLTALE_JSON_PORTABLE chooses the second everywhere. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Whether a byte of a string needs a closer look: a quote, a backslash, a
 * control character or the beginning of a character outside ASCII. */
static inline int tti_json_is_special(unsigned char c) {
  return c == '"' || c == '\\' || c < 0x20 || c >= 0x80;
}

static inline const char *tti_json_plain_portable(const char *p,
                                                  const char *end) {
  const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
  while (end - p >= 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
    /* A high bit is set for each byte that is zero (or, after one that is,
     * perhaps for a later one: the loop below decides which). */
    uint64_t hit = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
                   ((word - ones * 0x20) & ~word) | word;
    if (hit & highs)
      break;
    p += 8;
  }
  while (p < end && !tti_json_is_special((unsigned char)*p))
    p++;
  return p;
}

#if defined(__SSE2__)
/* A bit for each special byte of the 16 at p. Bytes from 0x80 are negative, so
 * one signed comparison finds them and the control characters. */
static inline unsigned tti_json_special_mask(const char *p) {
  __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
  __m128i hit =
      _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))),
                   _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)));
  return (unsigned)_mm_movemask_epi8(hit);
}

static inline const char *tti_json_plain_sse2(const char *p, const char *end) {
  while (end - p >= 16) {
    unsigned mask = tti_json_special_mask(p);
    if (mask)
      return p + __builtin_ctz(mask);
    p += 16;
  }
  return tti_json_plain_portable(p, end);
}
#endif

/* The first special byte from p on, or end. */
static inline const char *tti_json_plain(const char *p, const char *end) {
#if defined(__SSE2__) && !defined(TELLTALE_JSON_PORTABLE)
  return tti_json_plain_sse2(p, end);
#else
  return tti_json_plain_portable(p, end);
#endif
}

/* The first byte from p on that is not a space, or end. */
static inline const char *tti_json_spaces(const char *p, const char *end) {
#if defined(__SSE2__) && !defined(TELLTALE_JSON_PORTABLE)
  while (end - p >= 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    unsigned mask =
        (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(' ')));
    if (mask != 0xffff)
      return p + __builtin_ctz(~mask);
    p += 16;
  }
#endif
  while (p < end && *p == ' ')
    p++;
  return p;
}

/* The first byte from p on that is not a digit, or end. */
static inline const char *tti_json_digits(const char *p, const char *end) {
#if defined(__SSE2__) && !defined(TELLTALE_JSON_PORTABLE)
  /* In one step, as the length of a number is hard to foretell. */
  while (end - p >= 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i other = _mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8('0')),
                                 _mm_cmpgt_epi8(bytes, _mm_set1_epi8('9')));
    unsigned mask = (unsigned)_mm_movemask_epi8(other);
    if (mask)
      return p + __builtin_ctz(mask);
    p += 16;
  }
#endif
  while (p < end && (unsigned char)(*p - '0') <= 9)
    p++;
  return p;
}

/* The length of the well-formed UTF-8 character at p (p < end), 0 when it is
 * not one: the table of Unicode 3.9 (D92). */
static inline size_t tti_json_utf8(const char *p, const char *end) {
  const unsigned char *c = (const unsigned char *)p;
  size_t left = (size_t)(end - p);
  if (c[0] < 0x80)
    return 1;
  if (c[0] < 0xc2)
    return 0;
  if (c[0] < 0xe0)
    return left >= 2 && (c[1] & 0xc0) == 0x80 ? 2 : 0;
  if (left < 3 || (c[1] & 0xc0) != 0x80 || (c[2] & 0xc0) != 0x80)
    return 0;
  if (c[0] < 0xf0) {
    if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f))
      return 0;
    return 3;
  }
  if (left < 4 || (c[3] & 0xc0) != 0x80 || c[0] > 0xf4 ||
      (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f))
    return 0;
  return 4;
}

#endif
