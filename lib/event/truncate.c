#include "lib/event/record.h"
#include "lib/json/write.h"

#include <stdio.h>
#include <telltale/stream.h>

/* A text as a member of the envelope: `key` as it is written, with its comma,
 * quotes and colon. */
static size_t member(const char *key, tti_slice text) {
  return text.len ? strlen(key) + tti_json_string_size(text) : 0;
}

static size_t digits(int64_t value) {
  return (size_t)snprintf(NULL, 0, "%lld", (long long)value);
}

static size_t metadata_size(const tti_record *r) {
  size_t size = 0;
  if (r->level != TT_LEVEL_INFO || r->level_name.len)
    size += member(",\"level\":", tti_record_level_text(r));
  size += member(",\"agent_id\":", r->agent_id);
  if (r->has_duration)
    size += strlen(",\"duration_ms\":\"\"") + digits(r->duration_ms);
  size += member(",\"telemetry_session_id\":", r->session_id);
  tti_slice rest = r->metadata, key, value;
  while (tti_metadata_next(&rest, &key, &value)) {
    size +=
        strlen(",:") + tti_json_string_size(key) + tti_json_string_size(value);
    if (tti_metadata_is_own_key(key))
      size += strlen("metadata.");
  }
  /* The first comma becomes the brace. */
  return size ? size + strlen(",\"metadata\":}") : 0;
}

size_t tti_record_envelope_size(const tti_record *r) {
  size_t size = strlen("{\"seq\":18446744073709551615,\"event\":{\"ts\":"
                       ",\"type\":,\"category\":,\"source\":{\"kind\":}}}");
  size += digits(r->ts_us);
  size += tti_json_string_size(r->type) + tti_json_string_size(r->category) +
          tti_json_string_size(r->source);
  size += member(",\"event\":", r->source_event) + metadata_size(r);
  if (r->data.len)
    size += strlen(",\"data\":") + r->data.len;
  if (r->truncated)
    size += strlen(",\"truncated\":true");
  return size;
}

bool tti_record_truncate(tti_record *r) {
  /* No text grows to more than six times its length (\u0001), so that all but
   * the largest are let through without a look at them. */
  size_t texts = tti_record_size(r) - r->data.len;
  if (texts < TELLTALE_ENVELOPE_MAX_BYTES / 16 &&
      texts * 6 + 1024 + r->data.len <= TELLTALE_ENVELOPE_MAX_BYTES)
    return false;
  if (tti_record_envelope_size(r) <= TELLTALE_ENVELOPE_MAX_BYTES)
    return false;
  r->data = TTI_SLICE("null");
  r->truncated = true;
  return true;
}
