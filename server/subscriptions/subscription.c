#include "server/subscriptions/subscription.h"

#include "lib/event/record.h"
#include "lib/json/scan.h"

#include <stdlib.h>

void match_event_of(const tti_outbox_row *row, match_event *out_event) {
  tti_json_scan scan;
  tti_json_value label;
  *out_event = (match_event){
      .type = row->type,
      .values = {[WEBHOOK_SOURCES] = row->source,
                 [WEBHOOK_CHANNELS] = row->category,
                 [WEBHOOK_AGENT_IDS] = row->agent_id,
                 [WEBHOOK_SUBJECTS] = row->subject},
      .level = tti_level_parse(row->level),
  };
  if (!row->labels.len)
    return;
  tti_json_scan_init(&scan, row->labels);
  if (!tti_json_scan_open_array(&scan))
    return;
  while (out_event->label_count < TELLTALE_OUTBOX_LABELS_MAX &&
         tti_json_scan_item(&scan) && tti_json_scan_value(&scan, &label))
    if (label.type == TTI_JSON_STRING) /* of [a-z0-9:_-], so never escaped */
      out_event->labels[out_event->label_count++] = tti_json_inside(label.text);
}

/* ---- Reading a webhook ---- */

/* Where the next text and the next slice go. */
typedef struct room {
  tti_slice *slices;
  char *texts;
} room;

static tti_slice keep(room *r, tti_slice quoted) {
  size_t len = 0;
  char *at = r->texts;
  if (tti_json_decode(quoted, at, &len, NULL))
    return (tti_slice){NULL, 0};
  r->texts += len;
  return (tti_slice){at, len};
}

static bool read_list(tti_json_scan *scan, room *r, subscription_list *out) {
  tti_json_value value;
  *out = (subscription_list){.items = r->slices};
  if (!tti_json_scan_open_array(scan))
    return false;
  while (tti_json_scan_item(scan)) {
    if (!tti_json_scan_value(scan, &value) || value.type != TTI_JSON_STRING)
      return false;
    *r->slices = keep(r, value.text);
    if (!r->slices->ptr)
      return false;
    r->slices++;
    out->count++;
  }
  return !tti_json_scan_failed(scan);
}

/* A bit for each level that a list of "warn" and ">=warn" names. */
static unsigned levels_of(const subscription_list *list) {
  unsigned bits = 0;
  for (size_t i = 0; i < list->count; i++) {
    tti_slice text = list->items[i];
    bool from = text.len > 2 && memcmp(text.ptr, ">=", 2) == 0;
    if (from)
      text = (tti_slice){text.ptr + 2, text.len - 2};
    tt_level level = tti_level_parse(text);
    for (int n = level; n <= (from ? TT_LEVEL_FATAL : (int)level); n++)
      bits |= 1u << n;
  }
  return bits;
}

static bool read_filters(tti_slice filters, room *r, subscription *s) {
  tti_json_scan scan;
  tti_json_value key;
  if (!filters.len)
    return true;
  tti_json_scan_init(&scan, filters);
  if (!tti_json_scan_open_object(&scan))
    return false;
  while (tti_json_scan_member(&scan, &key)) {
    size_t n = 0;
    while (n < WEBHOOK_FILTERS_COUNT &&
           !tti_slice_eq(tti_json_inside(key.text), webhook_filter_names[n]))
      n++;
    if (n == WEBHOOK_FILTERS_COUNT || !read_list(&scan, r, &s->filters[n]))
      return false;
  }
  s->levels = levels_of(&s->filters[WEBHOOK_LEVELS]);
  return !tti_json_scan_failed(&scan);
}

static size_t quotes(tti_slice text) {
  size_t count = 0;
  for (size_t i = 0; i < text.len; i++)
    count += text.ptr[i] == '"';
  return count;
}

tt_error subscription_new(const webhook *row, subscription **out_subscription) {
  size_t slices = (quotes(row->events) + quotes(row->filters)) / 2;
  subscription *s =
      calloc(1, sizeof *s + slices * sizeof(tti_slice) + row->id.len +
                    row->events.len + row->filters.len);
  tti_json_scan scan;
  if (!s)
    return TT_ENOMEM;
  room r = {.slices = (tti_slice *)(s + 1)};
  r.texts = (char *)(r.slices + slices);
  s->enabled = row->enabled;
  s->id = (tti_slice){r.texts, row->id.len};
  memcpy(r.texts, row->id.ptr, row->id.len);
  r.texts += row->id.len;
  tti_json_scan_init(&scan, row->events);
  if (!read_list(&scan, &r, &s->events) || !read_filters(row->filters, &r, s)) {
    free(s);
    return TT_ECORRUPT;
  }
  *out_subscription = s;
  return TT_OK;
}

void subscription_free(subscription *s) {
  free(s);
}

/* ---- Matching ---- */

static bool pattern_matches(tti_slice pattern, tti_slice type) {
  if (pattern.len && pattern.ptr[pattern.len - 1] == '*') {
    pattern.len--; /* "order." of "order.*", nothing of "*" */
    return type.len >= pattern.len &&
           memcmp(type.ptr, pattern.ptr, pattern.len) == 0;
  }
  return tti_slice_eq(pattern, type);
}

static bool type_matches(const subscription *s, tti_slice type) {
  for (size_t i = 0; i < s->events.count; i++)
    if (pattern_matches(s->events.items[i], type))
      return true;
  return false;
}

static bool has(const subscription_list *list, tti_slice value) {
  for (size_t i = 0; i < list->count; i++)
    if (tti_slice_eq(list->items[i], value))
      return true;
  return false;
}

static bool filter_matches(const subscription *s, webhook_filter filter,
                           const match_event *event) {
  const subscription_list *list = &s->filters[filter];
  if (list->count == 0)
    return true;
  if (filter == WEBHOOK_LEVELS)
    return event->level != TT_LEVEL_UNSET && (s->levels >> event->level & 1);
  if (filter != WEBHOOK_LABELS)
    return event->values[filter].len && has(list, event->values[filter]);
  for (size_t i = 0; i < event->label_count; i++)
    if (has(list, event->labels[i]))
      return true;
  return false;
}

match_verdict subscription_match(const subscription *s,
                                 const match_event *event,
                                 webhook_filter *out_filter) {
  if (!s->enabled)
    return MATCH_DISABLED;
  if (!type_matches(s, event->type))
    return MATCH_TYPE;
  for (int n = 0; n < WEBHOOK_FILTERS_COUNT; n++)
    if (!filter_matches(s, (webhook_filter)n, event)) {
      if (out_filter)
        *out_filter = (webhook_filter)n;
      return MATCH_FILTER;
    }
  return MATCH_YES;
}
