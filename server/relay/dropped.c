#include "server/relay/dropped.h"

enum { PAIRS_MAX = 32 };
#define COUNT_MAX (UINT64_C(1) << 40)

static const char *const names[RELAY_DROPPED_COUNT] = {
#define X(id, name) [id] = name,
    TELLTALE_DROP_REASON_MAP(X)
#undef X
        [RELAY_DROPPED_OTHER] = "other",
};

const char *relay_dropped_name(unsigned reason) {
  return reason < RELAY_DROPPED_COUNT ? names[reason] : "other";
}

static unsigned reason_of(tti_slice name) {
  for (unsigned i = 0; i < RELAY_DROPPED_COUNT; i++)
    if (tti_slice_eq(name, tti_slice_of(names[i])))
      return i;
  return RELAY_DROPPED_OTHER;
}

static void read_pair(tti_slice pair, uint64_t *counts) {
  const char *equals = pair.len ? memchr(pair.ptr, '=', pair.len) : NULL;
  unsigned long long count;
  if (!equals)
    return;
  size_t name_len = (size_t)(equals - pair.ptr);
  tti_slice name = tti_slice_trim((tti_slice){pair.ptr, name_len});
  tti_slice value =
      tti_slice_trim((tti_slice){equals + 1, pair.len - name_len - 1});
  if (name.len && tti_slice_to_u64(value, &count) && count < COUNT_MAX)
    counts[reason_of(name)] += count;
}

void relay_dropped_parse(tti_slice header,
                         uint64_t counts[RELAY_DROPPED_COUNT]) {
  for (unsigned i = 0; header.len && i < PAIRS_MAX; i++) {
    const char *comma = memchr(header.ptr, ',', header.len);
    size_t len = comma ? (size_t)(comma - header.ptr) : header.len;
    read_pair((tti_slice){header.ptr, len}, counts);
    len += comma != NULL;
    header = (tti_slice){header.ptr + len, header.len - len};
  }
}
