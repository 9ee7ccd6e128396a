#include "server/fleet/payload.h"

#include "lib/base/time.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  SET_VALUES_MAX = 500, /* of one set, so that it leaves room for others */
  SHOWN_MAX = 60,       /* bytes of a key in a message */
  ID_LEN = FLEET_ID_TEXT - 1
};

/* What the clients that are written in Go send for no time: year 1. */
#define NO_TIME_US (INT64_C(-62135596800) * 1000000)

enum { INSTANCE_ID, TIMESTAMP, DATA, MEMBERS };
enum { VALUE, COUNT, PAIR };

/* Where the walk through `data` is. */
typedef struct walk {
  fleet_payload *payload;
  fleet_refusal *refusal;
  size_t cap; /* of payload->items */
} walk;

const char *const fleet_dropped_names[FLEET_DROPPED_COUNT] = {
#define X(id, name) name,
    FLEET_DROPPED_MAP(X)
#undef X
};

const char *fleet_shape_name(fleet_shape shape) {
  static const char *const names[FLEET_SHAPES] = {
      [FLEET_NUMBER] = "number", [FLEET_STRING] = "string",
      [FLEET_BOOL] = "bool",     [FLEET_SET] = "set",
      [FLEET_LIST] = "list",     [FLEET_OTHER] = "other"};
  return names[shape];
}

bool fleet_id_parse(tti_slice text, char out_id[FLEET_ID_TEXT]) {
  char id[FLEET_ID_TEXT];
  bool zero = true;
  if (text.len != ID_LEN)
    return false;
  for (int i = 0; i < ID_LEN; i++) {
    char c = text.ptr[i];
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (c != '-')
        return false;
    } else if (!(c >= '0' && c <= '9')) {
      c |= 0x20;
      if (c < 'a' || c > 'f')
        return false;
    }
    zero = zero && (c == '0' || c == '-');
    id[i] = c;
  }
  if (zero)
    return false;
  id[ID_LEN] = '\0';
  memcpy(out_id, id, sizeof id);
  return true;
}

/* ---- Texts ---- */

static tt_error refuse(fleet_refusal *out, const char *code, const char *format,
                       ...) TELLTALE_PRINTF(3, 4);
static tt_error refuse(fleet_refusal *out, const char *code, const char *format,
                       ...) {
  va_list args;
  out->code = code;
  va_start(args, format);
  vsnprintf(out->message, sizeof out->message, format, args);
  va_end(args);
  return TT_EINVAL;
}

static tt_error refuse_key(walk *w, tti_slice key, const char *why) {
  return refuse(w->refusal, "invalid_update", "data.%.*s: %s",
                key.len > SHOWN_MAX ? SHOWN_MAX : (int)key.len, key.ptr, why);
}

/* The text of a string value. What cannot be decoded (half a surrogate pair,
 * \u0000) stays as it was sent. */
static tti_slice text_of(walk *w, const tti_json_value *value) {
  tti_slice inside = tti_json_inside(value->text);
  if (!value->escaped)
    return inside;
  char *text = tti_arena_new(&w->payload->arena, value->text.len);
  size_t len;
  if (!text || tti_json_decode(value->text, text, &len, NULL))
    return inside;
  return (tti_slice){text, len};
}

/* At most FLEET_TEXT_MAX bytes, whole characters. */
static tti_slice shortened(tti_slice text) {
  if (text.len <= FLEET_TEXT_MAX)
    return text;
  text.len = FLEET_TEXT_MAX;
  while (text.len && ((unsigned char)text.ptr[text.len] & 0xc0) == 0x80)
    text.len--;
  return text;
}

/* ---- Items ---- */

/* NULL: there is no room, or no memory, which the arena tells. */
static fleet_item *new_item(walk *w, fleet_item item) {
  fleet_payload *p = w->payload;
  if (p->item_count == FLEET_ITEMS_MAX)
    return NULL;
  if (p->item_count == w->cap) {
    size_t cap = w->cap ? w->cap * 2 : 32;
    fleet_item *grown = realloc(p->items, cap * sizeof *grown);
    if (!grown) {
      p->arena.failed = true;
      return NULL;
    }
    p->items = grown;
    w->cap = cap;
  }
  p->items[p->item_count] = item;
  return &p->items[p->item_count++];
}

static bool is_too_much(const walk *w) {
  return w->payload->counted > FLEET_COUNTED_MAX;
}

static tt_error add(walk *w, fleet_item item) {
  if (!new_item(w, item))
    w->payload->dropped[FLEET_DROPPED_ITEM]++;
  return TT_OK;
}

static tt_error add_scalar(walk *w, tti_slice key,
                           const tti_json_value *value) {
  fleet_item item = {.key = key, .shape = FLEET_OTHER, .count = 1};
  w->payload->counted++;
  switch (value->type) {
  case TTI_JSON_NUMBER:
    item.shape = FLEET_NUMBER;
    /* Ends where the number does: `data` goes on behind it. */
    item.number = strtod(value->text.ptr, NULL);
    if (!isfinite(item.number))
      return refuse_key(w, key, "the number is too large for a double");
    break;
  case TTI_JSON_TRUE:
  case TTI_JSON_FALSE:
    item.shape = FLEET_BOOL;
    item.number = value->type == TTI_JSON_TRUE;
    break;
  case TTI_JSON_STRING:
    item.shape = FLEET_STRING;
    item.text = shortened(text_of(w, value));
    break;
  default:
    break;
  }
  return add(w, item);
}

/* ---- Counting sets and lists ---- */

/* A counting set that is being read. */
typedef struct set {
  tti_slice key;
  size_t begin;  /* of its items */
  uint64_t rest; /* how often those came that there is no room for */
  uint64_t lost; /* how many they are */
} set;

/* {"value": …, "count": n} and nothing else. */
static bool is_pair(tti_slice text, tti_json_value out_pair[PAIR]) {
  static const tti_slice names[PAIR] = {{"value", 5}, {"count", 5}};
  tti_json_scan scan;
  tti_json_value key;
  size_t members = 0;
  tti_json_names table;
  tti_json_names_init(&table, names, PAIR);
  if (tti_json_check_fields(text, &table, out_pair, NULL) ||
      out_pair[VALUE].type == TTI_JSON_NONE ||
      out_pair[COUNT].type == TTI_JSON_NONE)
    return false;
  tti_json_scan_init(&scan, text);
  tti_json_scan_open_object(&scan);
  while (tti_json_scan_member(&scan, &key) && tti_json_scan_value(&scan, &key))
    members++;
  return members == PAIR;
}

static tt_error add_to_set(walk *w, set *s, const tti_json_value *pair) {
  int64_t count;
  if (pair[COUNT].type != TTI_JSON_NUMBER ||
      !tti_json_to_i64(pair[COUNT].text, &count) || count < 0)
    return refuse_key(w, s->key,
                      "the count of a counting set's value must be a whole "
                      "number, 0 or more");
  if (w->payload->item_count - s->begin < SET_VALUES_MAX) {
    fleet_item item = {.key = s->key,
                       .shape = FLEET_SET,
                       .count = (uint64_t)count,
                       .text = shortened(pair[VALUE].type == TTI_JSON_STRING
                                             ? text_of(w, &pair[VALUE])
                                             : pair[VALUE].text)};
    if (new_item(w, item))
      return TT_OK;
  }
  s->rest += (uint64_t)count;
  s->lost++;
  return TT_OK;
}

static void end_set(walk *w, const set *s) {
  if (!s->lost)
    return;
  w->payload->dropped[FLEET_DROPPED_SET_VALUE] += s->lost;
  new_item(w,
           (fleet_item){.key = s->key, .shape = FLEET_SET, .count = s->rest});
}

static tt_error add_array(walk *w, tti_slice key, tti_slice text) {
  set s = {.key = key, .begin = w->payload->item_count};
  bool is_set = true;
  uint64_t length = 0;
  tti_json_scan scan;
  tti_json_value value, pair[PAIR];
  tt_error error = TT_OK;
  tti_json_scan_init(&scan, text);
  tti_json_scan_open_array(&scan);
  while (!error && tti_json_scan_item(&scan) &&
         tti_json_scan_value(&scan, &value)) {
    length++;
    is_set =
        is_set && value.type == TTI_JSON_OBJECT && is_pair(value.text, pair);
    if (is_set)
      error = add_to_set(w, &s, pair);
  }
  if (error)
    return error;
  if (is_set && length) {
    w->payload->counted++;
    end_set(w, &s);
    return TT_OK;
  }
  w->payload->item_count = s.begin;
  w->payload->counted += length;
  return add(w, (fleet_item){.key = key, .shape = FLEET_LIST, .count = length});
}

/* ---- The object ---- */

static bool is_long(walk *w, size_t len) {
  if (len <= FLEET_NAME_MAX)
    return false;
  w->payload->dropped[FLEET_DROPPED_LONG_KEY]++;
  return true;
}

static tt_error add_map(walk *w, tti_slice key, tti_slice text) {
  tti_json_scan scan;
  tti_json_value member, value;
  tt_error error = TT_OK;
  tti_json_scan_init(&scan, text);
  tti_json_scan_open_object(&scan);
  while (!error && !is_too_much(w) && tti_json_scan_member(&scan, &member) &&
         tti_json_scan_value(&scan, &value)) {
    tti_slice sub = text_of(w, &member);
    char *name = NULL;
    size_t len = key.len + 1 + sub.len;
    /* No name for what will have no place: they are as long as the map's. */
    bool full = w->payload->item_count == FLEET_ITEMS_MAX;
    w->payload->dropped[FLEET_DROPPED_ITEM] += full;
    if (!full && !is_long(w, len))
      name = tti_arena_new(&w->payload->arena, len);
    if (!name) {
      w->payload->counted++;
      continue;
    }
    memcpy(name, key.ptr, key.len);
    name[key.len] = '.';
    memcpy(name + key.len + 1, sub.ptr, sub.len);
    error = add_scalar(w, (tti_slice){name, len}, &value);
  }
  return error;
}

static tt_error add_member(walk *w, const tti_json_value *member,
                           const tti_json_value *value) {
  tti_slice key = text_of(w, member);
  if (is_long(w, key.len)) {
    w->payload->counted++;
    return TT_OK;
  }
  if (value->type == TTI_JSON_OBJECT)
    return add_map(w, key, value->text);
  if (value->type == TTI_JSON_ARRAY)
    return add_array(w, key, value->text);
  return add_scalar(w, key, value);
}

static tt_error add_data(walk *w, tti_slice text) {
  tti_json_scan scan;
  tti_json_value member, value;
  tt_error error = TT_OK;
  tti_json_scan_init(&scan, text);
  tti_json_scan_open_object(&scan);
  while (!error && tti_json_scan_member(&scan, &member) &&
         tti_json_scan_value(&scan, &value)) {
    error = add_member(w, &member, &value);
    if (!error && is_too_much(w))
      return refuse(w->refusal, "too_many_items",
                    "data has more than %d items; send less at a time",
                    FLEET_COUNTED_MAX);
  }
  return error;
}

static tt_error read_head(fleet_payload *p, tti_slice instance,
                          const tti_json_value *members,
                          fleet_refusal *refusal) {
  char id[FLEET_ID_TEXT];
  const tti_json_value *given = &members[INSTANCE_ID];
  if (!fleet_id_parse(instance, p->instance))
    return refuse(refusal, "invalid_instance",
                  "the instance id in the path must be a UUID such as "
                  "7d8f9a52-6c1e-4d57-9d0e-3f1c7a2b4c5d, and not all zero");
  if (given->type != TTI_JSON_STRING ||
      !fleet_id_parse(tti_json_inside(given->text), id))
    return refuse(refusal, "invalid_instance",
                  "instance_id must be a UUID, and not all zero");
  if (strcmp(id, p->instance) != 0)
    return refuse(refusal, "instance_mismatch",
                  "instance_id is %s, and the path says %s: they must be the "
                  "same",
                  id, p->instance);
  given = &members[TIMESTAMP];
  if (given->type != TTI_JSON_STRING ||
      !tti_rfc3339_parse(tti_json_inside(given->text), &p->timestamp_us))
    return refuse(refusal, "invalid_update",
                  "timestamp must be a time of RFC 3339, such as "
                  "2026-01-02T03:04:05Z");
  if (p->timestamp_us == NO_TIME_US)
    p->timestamp_us = INT64_MIN;
  given = &members[DATA];
  if (given->type > TTI_JSON_NULL && given->type != TTI_JSON_OBJECT)
    return refuse(refusal, "invalid_update", "data must be an object");
  return TT_OK;
}

tt_error fleet_payload_parse(fleet_payload *payload, tti_slice instance,
                             tti_slice body, fleet_refusal *out_refusal) {
  static const tti_slice names[MEMBERS] = {
      {"instance_id", 11}, {"timestamp", 9}, {"data", 4}};
  tti_json_names table;
  tti_json_value members[MEMBERS];
  tti_json_error where;
  walk w = {.payload = payload, .refusal = out_refusal};
  *payload = (fleet_payload){0};
  tti_json_names_init(&table, names, MEMBERS);
  if (tti_json_check_fields(body, &table, members, &where)) {
    refuse(out_refusal, "invalid_json",
           "%s (at byte %zu); an update is {\"instance_id\": \"…\", "
           "\"timestamp\": \"…\", \"data\": {…}}",
           where.reason, where.offset);
    return TT_EPARSE;
  }
  tt_error error = read_head(payload, instance, members, out_refusal);
  if (!error && members[DATA].type == TTI_JSON_OBJECT) {
    payload->data = members[DATA].text;
    error = add_data(&w, payload->data);
  }
  return !error && payload->arena.failed ? TT_ENOMEM : error;
}

tt_error fleet_payload_data(fleet_payload *payload, tti_slice data) {
  fleet_refusal refusal;
  walk w = {.payload = payload, .refusal = &refusal};
  *payload = (fleet_payload){.data = data};
  tt_error error = data.ptr ? add_data(&w, data) : TT_OK;
  return !error && payload->arena.failed ? TT_ENOMEM : error;
}

void fleet_payload_free(fleet_payload *payload) {
  free(payload->items);
  tti_arena_fini(&payload->arena);
}
