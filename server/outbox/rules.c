#include "server/outbox/rules.h"

#include "lib/event/filter.h"
#include "lib/event/view.h"
#include "server/io/clock.h"
#include "server/io/log.h"
#include "server/store/tables/outbox.h"
#include "server/testing/fault.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct rule {
  tti_filter *filter;  /* owned */
  const char *publish; /* borrowed, as the next */
  const char *subject;
} rule;

struct outbox_rules {
  char log_uuid[40];
  tt_metrics *metrics;
  size_t count;
  rule rules[];
};

/* ---- Templates ---- */

static const char *const places[] = {"source", "channel", "action", "level",
                                     "agent_id"};
enum { PLACES = sizeof(places) / sizeof(places[0]) };

static tti_slice value_at(const tti_record *record, size_t place) {
  const tti_slice values[PLACES] = {
      record->source, record->category, record->type,
      record->level_name.len ? record->level_name
                             : tti_slice_of(tt_level_name(record->level)),
      record->agent_id};
  return values[place];
}

/* The place that "{name}" at the beginning of the text stands for; PLACES:
 * none. */
static size_t place_of(const char *text, size_t *out_len) {
  const char *end = *text == '{' ? strchr(text, '}') : NULL;
  *out_len = end ? (size_t)(end - text) + 1 : 1;
  for (size_t i = 0; end && i < PLACES; i++)
    if (strlen(places[i]) == *out_len - 2 &&
        memcmp(text + 1, places[i], *out_len - 2) == 0)
      return i;
  return PLACES;
}

/* As much of the text as there is room for, whole characters. */
static void fill(const char *text, const tti_record *record, char *out,
                 size_t room) {
  size_t len = 0, step;
  for (; *text; text += step) {
    size_t place = place_of(text, &step);
    tti_slice part = {text, 1};
    if (place < PLACES)
      part = value_at(record, place);
    else
      step = 1;
    size_t fits = part.len < room - 1 - len ? part.len : room - 1 - len;
    while (fits < part.len && fits > 0 && (part.ptr[fits] & 0xc0) == 0x80)
      fits--;
    memcpy(out + len, part.ptr, fits);
    len += fits;
  }
  out[len] = '\0';
}

/* A type has few characters; what an event brings may have any. */
static void make_type(char *text) {
  for (; *text; text++) {
    if (*text >= 'A' && *text <= 'Z')
      *text = (char)(*text - 'A' + 'a');
    else if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789_.-", *text))
      *text = '_';
  }
}

/* ---- Specs ---- */

static tt_error make_filter(const outbox_rule_spec *spec,
                            tti_filter **out_filter, const char **out_key) {
  const char *const values[PLACES] = {spec->source, spec->channel, spec->action,
                                      spec->level, spec->agent_id};
  tti_filter *filter;
  *out_key = "";
  tt_error error = tti_filter_new(&filter);
  if (error)
    return error;
  for (size_t i = 0; i < PLACES && !error; i++) {
    *out_key = places[i];
    error = tti_filter_add(filter, tti_slice_of(places[i]),
                           tti_slice_of(values[i]));
  }
  if (error)
    tti_filter_free(filter);
  else
    *out_filter = filter;
  return error;
}

static tt_error check_template(const outbox_rule_spec *spec, const char *field,
                               const char *text, tti_buf *out_error) {
  size_t len;
  for (const char *at = text; (at = strchr(at, '{')); at += len)
    if (place_of(at, &len) == PLACES) {
      tti_buf_printf(out_error,
                     "%s: %s: after \"{\" comes one of source}, channel}, "
                     "action}, level} and agent_id}, not \"%.40s\"",
                     spec->origin, field, at + 1);
      return TT_EINVAL;
    }
  return TT_OK;
}

static tt_error check_type(const outbox_rule_spec *spec, tti_buf *out_error) {
  size_t len;
  for (const char *at = spec->publish; *at; at += len)
    if (place_of(at, &len) == PLACES) {
      char one[2] = {*at};
      make_type(one);
      if (one[0] == *at)
        continue;
      tti_buf_printf(out_error,
                     "%s: publish: a type consists of a-z, 0-9, \"_\", \".\" "
                     "and \"-\", so \"%s\" is none",
                     spec->origin, spec->publish);
      return TT_EINVAL;
    }
  return TT_OK;
}

tt_error outbox_rule_check(const outbox_rule_spec *spec, tti_buf *out_error) {
  tti_filter *filter;
  const char *key;
  if (!*spec->publish) {
    tti_buf_printf(out_error,
                   "%s: a route needs publish: the type that its events are "
                   "published as",
                   spec->origin);
    return TT_EINVAL;
  }
  tt_error error = check_template(spec, "publish", spec->publish, out_error);
  if (!error)
    error = check_template(spec, "subject", spec->subject, out_error);
  if (!error)
    error = check_type(spec, out_error);
  if (error)
    return error;
  error = make_filter(spec, &filter, &key);
  if (!error)
    tti_filter_free(filter);
  else if (error == TT_EINVAL)
    tti_buf_printf(out_error,
                   "%s: %s takes a comma list of at most 50 values, and "
                   "\">=\" only level, before one of its five",
                   spec->origin, key);
  return error;
}

/* ---- Rules ---- */

tt_error outbox_rules_new(const outbox_rule_spec *specs, size_t count,
                          const char *log_uuid, tt_metrics *metrics,
                          outbox_rules **out_rules) {
  const char *key;
  outbox_rules *rules = calloc(1, sizeof(*rules) + count * sizeof(rule));
  if (!rules)
    return TT_ENOMEM;
  snprintf(rules->log_uuid, sizeof(rules->log_uuid), "%s", log_uuid);
  rules->metrics = metrics;
  for (; rules->count < count; rules->count++) {
    rule *r = &rules->rules[rules->count];
    const outbox_rule_spec *spec = &specs[rules->count];
    tt_error error = make_filter(spec, &r->filter, &key);
    if (error) {
      outbox_rules_free(rules);
      return error;
    }
    r->publish = spec->publish;
    r->subject = spec->subject;
  }
  *out_rules = rules;
  return TT_OK;
}

void outbox_rules_free(outbox_rules *rules) {
  for (size_t i = 0; rules && i < rules->count; i++)
    tti_filter_free(rules->rules[i].filter);
  free(rules);
}

static bool may_be_published(const tti_record *record) {
  return record->kind == TTI_KIND_RELAY || record->kind == TTI_KIND_SESSION;
}

bool outbox_rules_want(const outbox_rules *rules, const tti_batch *batch) {
  const char *at = batch->bytes.data;
  tti_record record;
  for (size_t i = 0; i < batch->count; at += batch->lengths[i++]) {
    if (tti_record_decode((tti_slice){at, batch->lengths[i]}, &record) ||
        !may_be_published(&record))
      continue;
    for (size_t n = 0; n < rules->count; n++)
      if (tti_filter_match(rules->rules[n].filter, &record))
        return true;
  }
  return false;
}

/* What an outbox has no room for is left out: the data has all of it. */
static const char *short_text(tti_slice text) {
  return text.len <= TELLTALE_OUTBOX_TEXT_MAX ? text.ptr : NULL;
}

static tt_error refuse(const outbox_rules *rules, uint64_t seq,
                       const char *problem) {
  tt_metrics_add(rules->metrics, TT_METRIC_OUTBOX_FAILURES, 1, "publish", NULL);
  server_log(TT_LEVEL_WARN, "outbox",
             "event %llu matches a route and is not published: %s",
             (unsigned long long)seq, problem);
  return TT_OK;
}

static tt_error publish(const outbox_rules *rules, const rule *r, uint64_t seq,
                        const tti_record *record, tti_slice data,
                        store_tx *tx) {
  char type[TTI_OUTBOX_TYPE_MAX + 1], number[24];
  char subject[TELLTALE_OUTBOX_TEXT_MAX + 1], id[TELLTALE_OUTBOX_ID_SIZE];
  const char *problem = "";
  bool inserted = false;
  fill(r->publish, record, type, sizeof(type));
  make_type(type);
  fill(r->subject, record, subject, sizeof(subject));
  snprintf(number, sizeof(number), "%llu", (unsigned long long)seq);
  tt_error error = tt_outbox_id(id, rules->log_uuid, number, type);
  if (error)
    return error;
  tt_outbox_event event = {.id = id,
                           .type = type,
                           .subject = subject,
                           .source = short_text(record->source),
                           .category = short_text(record->category),
                           .agent_id = short_text(record->agent_id),
                           .level = record->level,
                           .data = data.ptr,
                           .data_len = data.len,
                           .ts_us = record->ts_us};
  tti_outbox_draft draft;
  error = tti_outbox_draft_init(&draft, &event, server_wall_us(), &problem);
  if (!error && FAULT_POINT("outbox.publish"))
    error = TT_ENOMEM;
  if (!error) {
    outbox_row row = {.event = draft.row, .seq = seq};
    error = outbox_insert(tx, &row, &inserted);
  } else if (error != TT_ENOMEM) {
    error = refuse(rules, seq, problem);
  }
  if (!error && inserted)
    tt_metrics_add(rules->metrics, TT_METRIC_OUTBOX_PUBLISHED, 1, type, NULL);
  tti_outbox_draft_fini(&draft);
  return error;
}

tt_error outbox_rules_write(const outbox_rules *rules, const store_job *job,
                            store_tx *tx) {
  const tti_batch *batch = job->batch;
  const char *at = batch->bytes.data;
  tt_error error = TT_OK;
  tti_buf view;
  tti_record record;
  tti_buf_init(&view, 4u << 20);
  for (size_t i = 0; i < batch->count && !error; at += batch->lengths[i++]) {
    uint64_t seq = job->first_seq + i;
    if (tti_record_decode((tti_slice){at, batch->lengths[i]}, &record) ||
        !may_be_published(&record))
      continue;
    tti_buf_clear(&view);
    for (size_t n = 0; n < rules->count && !error; n++) {
      if (!tti_filter_match(rules->rules[n].filter, &record))
        continue;
      if (view.len == 0)
        tti_view_render(&view, TTI_VIEW_RELAY, seq, &record);
      error = view.error ? view.error
                         : publish(rules, &rules->rules[n], seq, &record,
                                   tti_buf_slice(&view), tx);
    }
  }
  tti_buf_fini(&view);
  return error;
}
