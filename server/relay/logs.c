#include "server/relay/relay_state.h"

#include "lib/json/write.h"
#include "server/io/clock.h"

#include <stdlib.h>

/* What tells how many log lines there were. */

static void write_u64(tti_buf *out, const char *key, uint64_t value) {
  tti_buf_printf(out, "\"%s\":%llu,", key, (unsigned long long)value);
}

void relay_serve_log_stats(http_request *request, void *context) {
  relay *r = context;
  store_count *counts = calloc(RELAY_COUNTS_MAX, sizeof(*counts));
  uint64_t refused[RELAY_REJECT_COUNT], accepted = 0, lately;
  feed_counts feeds;
  tti_buf body, parts;
  tti_buf_init(&body, 4 << 20);
  tti_buf_init(&parts, 4 << 20);
  if (counts) {
    uint64_t total =
        relay_write_counts(&parts, r, "by_level", STORE_BY_LOG_LEVEL, counts);
    relay_write_counts(&parts, r, "by_logger", STORE_BY_LOGGER, counts);
    for (size_t l = 0; l < r->options.loop_count; l++)
      accepted +=
          atomic_load_explicit(&r->lanes[l].log_lines, memory_order_relaxed);
    relay_refused_sum(r, refused);
    feed_counts_get(r->options.feed, &feeds);
    relay_rate_buckets(&r->log_rate, server_monotonic_us(), RELAY_RECENT_S, 1,
                       &lately);
    tti_buf_append_char(&body, '{');
    write_u64(&body, "total_logs", total);
    write_u64(&body, "accepted", accepted);
    write_u64(&body, "gated", refused[RELAY_REJECT_GATED]);
    write_u64(&body, "client_count", feeds.log_subscribers);
    tti_buf_append_text(&body, "\"min_level\":");
    tti_json_write_text(&body, tt_level_name(atomic_load_explicit(
                                   &r->log_min_level, memory_order_relaxed)));
    tti_buf_append(&body, parts.data, parts.len);
    tti_buf_append_text(&body, ",\"logs_per_second\":");
    tti_json_write_double(&body, (double)lately / RELAY_RECENT_S);
    tti_buf_append_char(&body, '}');
  }
  if (!counts || parts.error)
    body.error = TT_ENOMEM;
  http_reply_json(request, 200, &body);
  tti_buf_fini(&parts);
  tti_buf_fini(&body);
  free(counts);
}

void relay_serve_log_rate(http_request *request, void *context) {
  relay_reply_rate(request, &((relay *)context)->log_rate);
}
