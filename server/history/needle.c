#include "server/history/needle.h"

#include "lib/base/hash.h"

static unsigned char lower(unsigned char c) {
  return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

bool needle_init(needle *n, tti_slice text) {
  if (text.len > NEEDLE_MAX)
    return false;
  n->len = text.len;
  memset(n->skip, (int)text.len, sizeof(n->skip));
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = lower((unsigned char)text.ptr[i]);
    n->text[i] = c;
    if (i + 1 == text.len)
      break;
    n->skip[c] = (unsigned char)(text.len - 1 - i);
    if (c >= 'a' && c <= 'z')
      n->skip[c - ('a' - 'A')] = n->skip[c];
  }
  return true;
}

static bool is_at(const needle *n, const unsigned char *at) {
  for (size_t i = n->len; i > 0; i--)
    if (lower(at[i - 1]) != n->text[i - 1])
      return false;
  return true;
}

/* Horspool: the text's byte under the needle's last one says how far the needle
 * can move. */
bool needle_in(const needle *n, tti_slice text) {
  if (n->len == 0)
    return true;
  const unsigned char *bytes = (const unsigned char *)text.ptr;
  for (size_t end = n->len; end <= text.len; end += n->skip[bytes[end - 1]])
    if (is_at(n, bytes + end - n->len))
      return true;
  return false;
}

bool needle_in_record(const needle *n, const tti_record *record) {
  return needle_in(n, record->type) || needle_in(n, record->data);
}

uint64_t needle_hash(const needle *n) {
  return n->len ? tti_hash64(n->text, n->len) : 0;
}
