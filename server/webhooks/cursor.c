#include "server/webhooks/cursor.h"

#include "lib/base/hash.h"
#include <inttypes.h>
#include <stdio.h>

enum { VERSION = '1', HEX = 16, HEAD = 1 + 2 * HEX };

uint64_t cursor_hash(const char *list, const tti_slice *filters, size_t count) {
  uint64_t parts[3] = {tti_hash64(list, strlen(list)), 0, 0};
  /* One after the other, so that no two texts can run together. */
  for (size_t i = 0; i < count; i++) {
    parts[1] = filters[i].len;
    parts[2] = tti_hash64(filters[i].ptr, filters[i].len);
    parts[0] = tti_hash64(parts, sizeof(parts));
  }
  return parts[0];
}

void cursor_write(uint64_t hash, cursor where, char out_text[CURSOR_TEXT]) {
  size_t len =
      where.last.len < CURSOR_LAST_MAX ? where.last.len : CURSOR_LAST_MAX;
  snprintf(out_text, CURSOR_TEXT, "%c%016" PRIx64 "%016" PRIx64 "%.*s", VERSION,
           hash, (uint64_t)where.at, (int)len, len ? where.last.ptr : "");
}

static bool parse_hex(const char *text, uint64_t *out_value) {
  uint64_t value = 0;
  for (size_t i = 0; i < HEX; i++) {
    static const char digits[] = "0123456789abcdef";
    const char *at = text[i] ? strchr(digits, text[i]) : NULL;
    if (!at)
      return false;
    value = value << 4 | (uint64_t)(at - digits);
  }
  *out_value = value;
  return true;
}

static bool is_id(tti_slice text) {
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
        !(c >= '0' && c <= '9') && c != '_' && c != '-')
      return false;
  }
  return text.len <= CURSOR_LAST_MAX;
}

bool cursor_read(tti_slice text, uint64_t hash, cursor *out_where) {
  uint64_t found, at;
  tti_slice last = {text.ptr + HEAD, text.len - HEAD};
  if (text.len < HEAD || text.ptr[0] != VERSION ||
      !parse_hex(text.ptr + 1, &found) || found != hash ||
      !parse_hex(text.ptr + 1 + HEX, &at) || at > INT64_MAX || !is_id(last))
    return false;
  *out_where = (cursor){(int64_t)at, last};
  return true;
}
