#include "server/history/page.h"
#include "lib/base/hash.h"
#include "lib/base/time.h"
#include <inttypes.h>
#include <stdio.h>

#define LIMIT_DEFAULT  100
#define LIMIT_MAX      1000
#define RECENT_DEFAULT 100
#define RECENT_MAX     10000

static bool parse_seq(tti_slice text, uint64_t *out_seq) {
  unsigned long long value;
  if (!text.ptr || text.len == 0)
    return true;
  if (!tti_slice_to_u64(text, &value))
    return false;
  *out_seq = value;
  return true;
}

static bool parse_time(tti_slice text, int64_t *out_us) {
  if (!text.ptr || text.len == 0)
    return true;
  return tti_rfc3339_parse(text, out_us);
}

bool page_parse(const page_input *input, page *out_page, const char **out_bad,
                const char **out_hint) {
  page p = {0};
  const char *seq_hint = "a sequence number";
  const char *time_hint = "a time such as 2026-01-02T15:04:05Z (RFC 3339)";
  uint64_t limit = input->all ? SIZE_MAX : LIMIT_DEFAULT;
  uint64_t limit_max = input->all ? SIZE_MAX : LIMIT_MAX;
  *out_hint = seq_hint;
  *out_bad = "after";
  if (!parse_seq(input->after, &p.after_seq))
    return false;
  *out_bad = "before";
  if (!parse_seq(input->before, &p.before_seq))
    return false;
  *out_hint = time_hint;
  *out_bad = "since";
  if (!parse_time(input->since, &p.since_us))
    return false;
  *out_bad = "until";
  if (!parse_time(input->until, &p.until_us))
    return false;
  *out_hint = input->all ? "a number above 0" : "a number from 1 to 1000";
  *out_bad = "limit";
  if (!parse_seq(input->limit, &limit) || limit < 1 || limit > limit_max)
    return false;
  p.limit = (size_t)limit;
  p.forwards = input->all || (input->after.ptr && input->after.len > 0) ||
               (input->since.ptr && input->since.len > 0);
  *out_page = p;
  return true;
}

/* Everything that decides which rows the pages go over. */
static uint64_t page_hash(const page *p, const tti_filter *filter,
                          unsigned kinds) {
  uint64_t parts[] = {
      p->after_seq, p->before_seq, (uint64_t)p->since_us, (uint64_t)p->until_us,
      p->forwards,  kinds,         p->text_hash,          0};
  const char *text = tti_filter_text(filter);
  parts[7] = tti_hash64(text, strlen(text));
  return tti_hash64(parts, sizeof(parts));
}

void page_cursor(const page *p, const tti_filter *filter, unsigned kinds,
                 uint64_t seq, char out_text[PAGE_CURSOR_TEXT]) {
  snprintf(out_text, PAGE_CURSOR_TEXT, "1%016" PRIx64 "%016" PRIx64,
           page_hash(p, filter, kinds), seq);
}

static bool parse_hex(const char *text, uint64_t *out_value) {
  uint64_t value = 0;
  for (size_t i = 0; i < 16; i++) {
    static const char digits[] = "0123456789abcdef";
    const char *at = text[i] ? strchr(digits, text[i]) : NULL;
    if (!at)
      return false;
    value = value << 4 | (uint64_t)(at - digits);
  }
  *out_value = value;
  return true;
}

bool page_go_on(page *p, const tti_filter *filter, unsigned kinds,
                tti_slice cursor) {
  uint64_t hash, seq;
  if (cursor.len != 33 || cursor.ptr[0] != '1' ||
      !parse_hex(cursor.ptr + 1, &hash) || !parse_hex(cursor.ptr + 17, &seq) ||
      hash != page_hash(p, filter, kinds))
    return false;
  if (p->forwards)
    p->after_seq = seq;
  else
    p->before_seq = seq;
  return true;
}

size_t page_recent(tti_slice n) {
  unsigned long long value;
  if (!tti_slice_to_u64(n, &value) || value == 0)
    return RECENT_DEFAULT;
  return value < RECENT_MAX ? (size_t)value : RECENT_MAX;
}
