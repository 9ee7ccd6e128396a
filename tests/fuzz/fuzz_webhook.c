/* The first line is an event: its type, source, channel, agent id, level,
 * subject and labels, with a tab between; each further line the body that makes
 * a webhook. A body is refused with a code and a sentence, or the webhook is
 * shown as JSON, and the index finds those of them that match the event one by
 * one. */
#include "lib/json/scan.h"
#include "server/subscriptions/matcher.h"

#include <stdlib.h>

#define WEBHOOKS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise) {
  if (!promise)
    abort();
}

/* What stands before the next `end`, which is taken too. */
static tti_slice take(tti_slice *rest, char end) {
  const char *at = memchr(rest->ptr, end, rest->len);
  size_t len = at ? (size_t)(at - rest->ptr) : rest->len;
  tti_slice taken = {rest->ptr, len};
  len += at != NULL;
  *rest = (tti_slice){rest->ptr + len, rest->len - len};
  return taken;
}

static void read_event(tti_slice line, match_event *event) {
  static const webhook_filter texts[] = {WEBHOOK_SOURCES, WEBHOOK_CHANNELS,
                                         WEBHOOK_AGENT_IDS};
  event->type = take(&line, '\t');
  for (size_t i = 0; i < 3; i++)
    event->values[texts[i]] = take(&line, '\t');
  tti_slice level = take(&line, '\t');
  event->level = TT_LEVEL_UNSET;
  for (tt_level at = TT_LEVEL_DEBUG; at <= TT_LEVEL_FATAL; at++)
    if (tti_slice_eq(level, tti_slice_of(tt_level_name(at))))
      event->level = at;
  event->values[WEBHOOK_SUBJECTS] = take(&line, '\t');
  while (line.len && event->label_count < TELLTALE_OUTBOX_LABELS_MAX)
    event->labels[event->label_count++] = take(&line, '\t');
}

/* What is shown is JSON. */
static void show(const webhook *row) {
  tti_buf text;
  tti_buf_init(&text, 1 << 22);
  webhook_write(&text, row);
  must(text.error == TT_OK &&
       tti_json_check(tti_buf_slice(&text), NULL, NULL) == TT_OK);
  tti_buf_fini(&text);
}

/* Whether the webhook is one, and gets the event. */
static bool add(matcher *m, const webhook_change *change,
                const match_event *event) {
  webhook row = webhook_default(1);
  subscription *alone = NULL;
  row.id = TTI_SLICE("wh_1");
  webhook_change_apply(change, &row);
  show(&row);
  must(subscription_new(&row, &alone) == TT_OK);
  must(matcher_add(m, &row) == TT_OK);
  bool matches = subscription_match(alone, event, NULL) == MATCH_YES;
  subscription_free(alone);
  return matches;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tti_slice rest = {(const char *)data, size};
  match_event event = {.level = TT_LEVEL_UNSET};
  matcher *m = NULL;
  size_t expected = 0;
  read_event(take(&rest, '\n'), &event);
  must(matcher_new(&m) == TT_OK);
  for (int i = 0; rest.len && i < WEBHOOKS_MAX; i++) {
    webhook_refusal refusal = {0};
    webhook_change change;
    tti_slice body = take(&rest, '\n');
    if (webhook_change_parse(body, true, &change, &refusal)) {
      expected += add(m, &change, &event);
      webhook_change_fini(&change);
    } else {
      must(refusal.code && *refusal.code && *refusal.message);
    }
    if (webhook_change_parse(body, false, &change, &refusal))
      webhook_change_fini(&change);
  }
  must(matcher_seal(m) == TT_OK);
  tti_buf found;
  tti_buf_init(&found, 1 << 16);
  matcher_find(m, &event, &found);
  must(found.error == TT_OK && found.len == expected * sizeof(uint32_t));
  tti_buf_fini(&found);
  matcher_free(m);
  return 0;
}
