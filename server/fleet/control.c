#include "server/fleet/control.h"

#include "lib/base/hash.h"
#include "server/config/value.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define NEXT_MIN_MS UINT64_C(1000)
#define NEXT_MAX_MS (UINT64_C(365) * 86400000)

typedef struct rule {
  char instance[FLEET_ID_TEXT]; /* "": any */
  tti_slice key;                /* ptr NULL: any */
  double share;                 /* 1: all */
  fleet_field where[FLEET_WHERE_MAX];
  size_t where_count;
  uint64_t next_update_us; /* 0: not said */
  bool says_stop, stop;
  int status; /* 0: not said */
  /* Of control->keys: those that are enabled, then those that are disabled. */
  size_t keys_begin, disabled_begin, keys_end;
} rule;

struct fleet_control {
  _Atomic size_t refs;
  json_t *root; /* the texts of the rules */
  char *text;
  size_t text_len;
  char etag[FLEET_ETAG_TEXT];
  rule rules[FLEET_RULES_MAX];
  size_t rule_count;
  tti_slice keys[FLEET_CONTROL_KEYS];
  size_t key_count;
};

/* ---- Reading ---- */

/* Where it is, for messages. */
typedef struct reader {
  fleet_control *control;
  fleet_refusal *refusal;
  char where[100]; /* "[3].match" */
} reader;

static bool refuse(reader *r, const char *code, const char *format, ...)
    TELLTALE_PRINTF(3, 4);
static bool refuse(reader *r, const char *code, const char *format, ...) {
  va_list args;
  int len = snprintf(r->refusal->message, sizeof r->refusal->message,
                     "%s: ", r->where);
  r->refusal->code = code;
  va_start(args, format);
  vsnprintf(r->refusal->message + len, sizeof r->refusal->message - (size_t)len,
            format, args);
  va_end(args);
  return false;
}

#define INVALID "invalid_control"

static bool unknown(reader *r, const char *name, const tti_slice *known,
                    size_t count) {
  tti_nearest nearest = tti_nearest_to(tti_slice_of(name));
  char all[200] = "";
  size_t len = 0;
  for (size_t i = 0; i < count; i++) {
    tti_nearest_try(&nearest, known[i]);
    len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", i ? ", " : "",
                            known[i].ptr);
  }
  if (nearest.name.ptr)
    return refuse(r, "unknown_field",
                  "unknown field \"%.60s\"; did you mean \"%s\"?", name,
                  nearest.name.ptr);
  return refuse(r, "unknown_field", "unknown field \"%.60s\"; there are %s",
                name, all);
}

static tti_slice text_of(const json_t *string) {
  return (tti_slice){json_string_value(string), json_string_length(string)};
}

static bool is_text(const json_t *value, size_t max) {
  return json_is_string(value) && json_string_length(value) >= 1 &&
         json_string_length(value) <= max;
}

/* A '*' may stand at the end only. */
static bool is_pattern(const json_t *value) {
  if (!is_text(value, FLEET_NAME_MAX))
    return false;
  const char *star = strchr(json_string_value(value), '*');
  return !star || !star[1];
}

static bool read_where(reader *r, rule *out, json_t *value) {
  const char *name;
  json_t *pattern;
  if (!json_is_object(value) || json_object_size(value) > FLEET_WHERE_MAX)
    return refuse(r, INVALID,
                  "where must be an object of at most %d fields and their "
                  "texts, such as {\"version\": \"1.*\"}",
                  FLEET_WHERE_MAX);
  json_object_foreach(value, name, pattern) {
    if (!is_pattern(pattern))
      return refuse(r, INVALID,
                    "where.%.60s must be a text, in which a '*' stands at the "
                    "end only",
                    name);
    out->where[out->where_count++] =
        (fleet_field){tti_slice_of(name), text_of(pattern)};
  }
  return true;
}

static bool read_match(reader *r, rule *out, json_t *match) {
  static const tti_slice known[] = {
      {"instance", 8}, {"key", 3}, {"where", 5}, {"share", 5}};
  const char *name;
  json_t *value;
  if (!json_is_object(match))
    return refuse(r, INVALID, "match must be an object");
  json_object_foreach(match, name, value) {
    if (strcmp(name, "instance") == 0) {
      if (!json_is_string(value) ||
          !fleet_id_parse(text_of(value), out->instance))
        return refuse(r, INVALID, "match.instance must be a UUID");
    } else if (strcmp(name, "key") == 0) {
      if (!is_pattern(value))
        return refuse(r, INVALID,
                      "match.key must be a key, or what keys begin with and a "
                      "'*'");
      out->key = text_of(value);
    } else if (strcmp(name, "where") == 0) {
      if (!read_where(r, out, value))
        return false;
    } else if (strcmp(name, "share") == 0) {
      out->share = json_number_value(value);
      if (!json_is_number(value) || out->share < 0 || out->share > 1)
        return refuse(r, INVALID, "match.share must be a number from 0 to 1");
    } else {
      return unknown(r, name, known, 4);
    }
  }
  return true;
}

static bool read_next(reader *r, rule *out, json_t *value) {
  uint64_t ms;
  if (!json_is_string(value) || !config_parse_duration(text_of(value), &ms) ||
      ms < NEXT_MIN_MS || ms > NEXT_MAX_MS)
    return refuse(r, INVALID,
                  "next_update must be a duration such as \"30m\", \"6h\" or "
                  "\"7d\", from 1s to 365d");
  out->next_update_us = ms * 1000;
  return true;
}

static bool read_keys(reader *r, json_t *list, const char *name) {
  fleet_control *c = r->control;
  size_t i;
  json_t *key;
  if (list && !json_is_array(list))
    return refuse(r, INVALID, "%s must be a list of keys", name);
  json_array_foreach(list, i, key) {
    if (!is_text(key, FLEET_NAME_MAX) || strchr(json_string_value(key), '*'))
      return refuse(r, INVALID,
                    "%s[%zu] must be a whole key: clients know no patterns",
                    name, i);
    if (c->key_count == FLEET_CONTROL_KEYS)
      return refuse(r, INVALID, "all rules together may name %d keys",
                    FLEET_CONTROL_KEYS);
    c->keys[c->key_count++] = text_of(key);
  }
  return true;
}

static bool read_rule(reader *r, rule *out, json_t *object) {
  static const tti_slice known[] = {{"match", 5},   {"next_update", 11},
                                    {"disable", 7}, {"enable", 6},
                                    {"stop", 4},    {"status", 6}};
  const char *name;
  json_t *value;
  if (!json_is_object(object))
    return refuse(r, INVALID, "a rule must be an object");
  out->share = 1;
  json_object_foreach(object, name, value) {
    bool good = true;
    if (strcmp(name, "match") == 0) {
      good = read_match(r, out, value);
    } else if (strcmp(name, "next_update") == 0) {
      good = read_next(r, out, value);
    } else if (strcmp(name, "stop") == 0) {
      out->says_stop = true;
      out->stop = json_is_true(value);
      if (!json_is_boolean(value))
        good = refuse(r, INVALID, "stop must be true or false");
    } else if (strcmp(name, "status") == 0) {
      json_int_t status = json_integer_value(value);
      out->status = (int)status;
      if (status != 410 && status != 451)
        good = refuse(r, INVALID,
                      "status must be 410 (gone: upgrade) or 451 (not for "
                      "legal reasons)");
    } else if (strcmp(name, "disable") != 0 && strcmp(name, "enable") != 0) {
      good = unknown(r, name, known, 6);
    }
    if (!good)
      return false;
  }
  out->keys_begin = r->control->key_count;
  if (!read_keys(r, json_object_get(object, "enable"), "enable"))
    return false;
  out->disabled_begin = r->control->key_count;
  if (!read_keys(r, json_object_get(object, "disable"), "disable"))
    return false;
  out->keys_end = r->control->key_count;
  return true;
}

static bool read_rules(reader *r) {
  fleet_control *c = r->control;
  size_t i;
  json_t *object;
  if (!json_is_array(c->root) || json_array_size(c->root) > FLEET_RULES_MAX)
    return refuse(r, INVALID,
                  "expected a list of at most %d rules such as [{\"match\": "
                  "{\"share\": 0.1}, \"next_update\": \"6h\"}]",
                  FLEET_RULES_MAX);
  json_array_foreach(c->root, i, object) {
    snprintf(r->where, sizeof r->where, "rule %zu", i);
    if (!read_rule(r, &c->rules[c->rule_count++], object))
      return false;
  }
  return true;
}

void fleet_etag_of(tti_slice text, char out_etag[FLEET_ETAG_TEXT]) {
  snprintf(out_etag, FLEET_ETAG_TEXT, "\"%016" PRIx64 "\"",
           tti_hash64(text.ptr, text.len));
}

tt_error fleet_control_parse(tti_slice text, fleet_control **out_control,
                             fleet_refusal *out_refusal) {
  reader r = {.refusal = out_refusal, .where = "control"};
  json_error_t where;
  fleet_control *c = calloc(1, sizeof *c);
  if (!c)
    return TT_ENOMEM;
  atomic_init(&c->refs, 1);
  r.control = c;
  tt_error error = TT_ENOMEM;
  c->text = malloc(text.len + 1);
  if (!c->text)
    goto out;
  memcpy(c->text, text.len ? text.ptr : "", text.len);
  c->text_len = text.len;
  fleet_etag_of(text, c->etag);
  error = TT_EINVAL;
  c->root = json_loadb(c->text, c->text_len, JSON_REJECT_DUPLICATES, &where);
  if (!c->root) {
    refuse(&r, "invalid_json", "%s (at byte %d)", where.text, where.position);
    goto out;
  }
  if (read_rules(&r))
    error = TT_OK;
out:
  if (error)
    fleet_control_unref(c);
  else
    *out_control = c;
  return error;
}

fleet_control *fleet_control_ref(fleet_control *control) {
  /* Relaxed: who takes one more has one already. */
  atomic_fetch_add_explicit(&control->refs, 1, memory_order_relaxed);
  return control;
}

void fleet_control_unref(fleet_control *control) {
  /* Acquire and release: what others did with it is over before it goes. */
  if (!control ||
      atomic_fetch_sub_explicit(&control->refs, 1, memory_order_acq_rel) != 1)
    return;
  json_decref(control->root);
  free(control->text);
  free(control);
}

tti_slice fleet_control_text(const fleet_control *control) {
  return (tti_slice){control->text, control->text_len};
}

const char *fleet_control_etag(const fleet_control *control) {
  return control->etag;
}

size_t fleet_control_rules(const fleet_control *control) {
  return control->rule_count;
}

/* ---- Deciding ---- */

double fleet_share_of(const char *id) {
  /* FNV spreads little into its upper bits: they are mixed once more. */
  uint64_t hash = tti_hash64(id, strlen(id));
  hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
  hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
  return (double)((hash ^ hash >> 33) >> 11) * 0x1p-53;
}

bool fleet_fits(tti_slice pattern, tti_slice text) {
  if (!pattern.len || pattern.ptr[pattern.len - 1] != '*')
    return tti_slice_eq(pattern, text);
  size_t len = pattern.len - 1;
  return text.len >= len && memcmp(text.ptr, pattern.ptr, len) == 0;
}

static bool sends(const fleet_payload *payload, tti_slice pattern) {
  for (size_t i = 0; payload && i < payload->item_count; i++)
    if (fleet_fits(pattern, payload->items[i].key))
      return true;
  return false;
}

static tt_error matches(const rule *r, const fleet_subject *s, double place,
                        store_tx *tx, bool *out_match) {
  *out_match = false;
  if ((r->instance[0] && strcmp(r->instance, s->id) != 0) ||
      (r->share < 1 && place >= r->share))
    return TT_OK;
  for (size_t i = 0; i < r->where_count; i++) {
    const tti_slice *value = fleet_fields_get(s->fields, r->where[i].name);
    if (!value || !fleet_fits(r->where[i].value, *value))
      return TT_OK;
  }
  if (r->key.ptr && !sends(s->payload, r->key))
    return fleet_keys_match(tx, r->key, s->keys, out_match);
  *out_match = true;
  return TT_OK;
}

/* Whether nothing was said about the key. */
static bool decide_key(fleet_orders *orders, tti_slice key, bool enabled) {
  for (size_t i = 0; i < orders->key_count; i++)
    if (tti_slice_eq(orders->keys[i].key, key))
      return false;
  orders->keys[orders->key_count].key = key;
  orders->keys[orders->key_count++].enabled = enabled;
  return true;
}

/* Whether the rule decides something. */
static bool apply(const fleet_control *c, const rule *r, fleet_orders *orders,
                  bool *stop_said) {
  bool applied = false;
  if (r->next_update_us && !orders->next_update_us) {
    orders->next_update_us = r->next_update_us;
    applied = true;
  }
  if (r->status && !orders->status) {
    orders->status = r->status;
    applied = true;
  }
  if (r->says_stop && !*stop_said) {
    orders->stop = r->stop;
    *stop_said = applied = true;
  }
  /* A key that the rule has in both lists is disabled. */
  for (size_t i = r->disabled_begin; i < r->keys_end; i++)
    applied |= decide_key(orders, c->keys[i], false);
  for (size_t i = r->keys_begin; i < r->disabled_begin; i++)
    applied |= decide_key(orders, c->keys[i], true);
  return applied;
}

tt_error fleet_control_decide(const fleet_control *control,
                              const fleet_subject *subject, store_tx *tx,
                              fleet_orders *out_orders) {
  double place = fleet_share_of(subject->id);
  bool stop_said = false, match;
  out_orders->next_update_us = 0;
  out_orders->stop = false;
  out_orders->status = 0;
  out_orders->matched = out_orders->applied = 0;
  out_orders->key_count = 0;
  for (size_t i = 0; i < control->rule_count; i++) {
    const rule *r = &control->rules[i];
    tt_error error = matches(r, subject, place, tx, &match);
    if (error)
      return error;
    if (!match)
      continue;
    out_orders->matched |= UINT64_C(1) << i;
    if (apply(control, r, out_orders, &stop_said))
      out_orders->applied |= UINT64_C(1) << i;
  }
  return TT_OK;
}
