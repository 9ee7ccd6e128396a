#include "lib/otlp/any.h"

#include "lib/json/bytes.h"
#include "lib/json/scan.h"
#include <locale.h>
#include <stdlib.h>

#define REPLACEMENT "\xef\xbf\xbd"

static bool is_utf8(tti_slice text) {
  const char *p = text.ptr, *end = p + text.len;
  while (p < end) {
    size_t len = tti_json_utf8(p, end);
    if (!len)
      return false;
    p += len;
  }
  return true;
}

static ProtobufCBinaryData binary(const char *bytes, size_t len) {
  return (ProtobufCBinaryData){.len = len, .data = (uint8_t *)bytes};
}

ProtobufCBinaryData tti_otlp_text(tti_arena *arena, tti_slice text) {
  if (is_utf8(text))
    return binary(text.ptr, text.len);
  char *copy = tti_arena_new(arena, text.len * (sizeof(REPLACEMENT) - 1));
  size_t len = 0;
  const char *p = text.ptr, *end = p + text.len;
  if (!copy)
    return binary(NULL, 0);
  while (p < end) {
    size_t one = tti_json_utf8(p, end);
    memcpy(copy + len, one ? p : REPLACEMENT,
           one ? one : sizeof(REPLACEMENT) - 1);
    len += one ? one : sizeof(REPLACEMENT) - 1;
    p += one ? one : 1;
  }
  return binary(copy, len);
}

static Tti__Otlp__AnyValue *any(tti_arena *arena,
                                Tti__Otlp__AnyValue__ValueCase which) {
  Tti__Otlp__AnyValue *value = tti_arena_new(arena, sizeof(*value));
  if (value) {
    tti__otlp__any_value__init(value);
    value->value_case = which;
  }
  return value;
}

Tti__Otlp__AnyValue *tti_otlp_string(tti_arena *arena, tti_slice text) {
  Tti__Otlp__AnyValue *value = any(arena, TTI__OTLP__ANY_VALUE__VALUE_STRING);
  if (value)
    value->string = tti_otlp_text(arena, text);
  return value;
}

Tti__Otlp__AnyValue *tti_otlp_int(tti_arena *arena, int64_t number) {
  Tti__Otlp__AnyValue *value = any(arena, TTI__OTLP__ANY_VALUE__VALUE_INT);
  if (value)
    value->int_ = number;
  return value;
}

Tti__Otlp__AnyValue *tti_otlp_bool(tti_arena *arena, bool truth) {
  Tti__Otlp__AnyValue *value = any(arena, TTI__OTLP__ANY_VALUE__VALUE_BOOL);
  if (value)
    value->bool_ = truth;
  return value;
}

/* A list of pointers with room for one more, in the arena; NULL: no memory. */
static void *grow(tti_arena *arena, void *items, size_t count, size_t *cap) {
  if (count < *cap)
    return items;
  size_t larger = *cap ? *cap * 2 : 8;
  void *moved = tti_arena_new(arena, larger * sizeof(void *));
  if (!moved)
    return NULL;
  if (count)
    memcpy(moved, items, count * sizeof(void *));
  *cap = larger;
  return moved;
}

static Tti__Otlp__KeyValue *new_pair(tti_arena *arena, tti_otlp_pairs *pairs) {
  Tti__Otlp__KeyValue *pair = tti_arena_new(arena, sizeof(*pair));
  void *items = grow(arena, pairs->items, pairs->count, &pairs->cap);
  if (!pair || !items)
    return NULL;
  tti__otlp__key_value__init(pair);
  pairs->items = items;
  pairs->items[pairs->count++] = pair;
  return pair;
}

void tti_otlp_pair(tti_arena *arena, tti_otlp_pairs *pairs, tti_slice key,
                   Tti__Otlp__AnyValue *value) {
  Tti__Otlp__KeyValue *pair = value ? new_pair(arena, pairs) : NULL;
  if (!pair)
    return;
  pair->key = tti_otlp_text(arena, key);
  pair->value = value;
}

/* ---- JSON ---- */

/* The text of a string without quotes and escapes. One that stands for no text
 * (a lone surrogate, U+0000) stays as it is written. */
static ProtobufCBinaryData decode(tti_arena *arena,
                                  const tti_json_value *string) {
  tti_slice inside = tti_json_inside(string->text);
  size_t len;
  if (!string->escaped)
    return binary(inside.ptr, inside.len);
  char *text = tti_arena_new(arena, string->text.len);
  if (!text)
    return binary(NULL, 0);
  if (tti_json_decode(string->text, text, &len, NULL))
    return binary(inside.ptr, inside.len);
  return binary(text, len);
}

static Tti__Otlp__AnyValue *number(tti_arena *arena, tti_slice text) {
  char copy[64];
  int64_t integer;
  if (tti_json_to_i64(text, &integer))
    return tti_otlp_int(arena, integer);
  /* More digits than a double has are of no consequence but for their number,
   * which the text of an absurd length would lose: it stays a string. */
  if (text.len >= sizeof(copy))
    return tti_otlp_string(arena, text);
  memcpy(copy, text.ptr, text.len);
  copy[text.len] = '\0';
  Tti__Otlp__AnyValue *value = any(arena, TTI__OTLP__ANY_VALUE__VALUE_DOUBLE);
  /* strtod goes by the program's locale, whose point may be a comma. */
  locale_t c = value ? newlocale(LC_ALL_MASK, "C", (locale_t)0) : (locale_t)0;
  if (!c) {
    arena->failed = true;
    return NULL;
  }
  value->double_ = strtod_l(copy, NULL, c);
  freelocale(c);
  return value;
}

static Tti__Otlp__AnyValue *tree(tti_arena *arena, const tti_json_value *json);

/* The scanner that found `json` has validated what is inside, and its depth is
 * bounded, so that the walk below neither fails nor goes too deep. */
static Tti__Otlp__AnyValue *array(tti_arena *arena, tti_slice text) {
  Tti__Otlp__AnyValue *value = any(arena, TTI__OTLP__ANY_VALUE__VALUE_ARRAY);
  Tti__Otlp__ArrayValue *list = tti_arena_new(arena, sizeof(*list));
  tti_json_scan scan;
  tti_json_value item;
  size_t cap = 0;
  if (!value || !list)
    return NULL;
  tti__otlp__array_value__init(list);
  value->array = list;
  tti_json_scan_init(&scan, text);
  tti_json_scan_open_array(&scan);
  while (tti_json_scan_item(&scan) && tti_json_scan_value(&scan, &item)) {
    Tti__Otlp__AnyValue *child = tree(arena, &item);
    void *items = grow(arena, list->values, list->n_values, &cap);
    if (!child || !items)
      return NULL;
    list->values = items;
    list->values[list->n_values++] = child;
  }
  return value;
}

static Tti__Otlp__AnyValue *object(tti_arena *arena, tti_slice text) {
  Tti__Otlp__AnyValue *value = any(arena, TTI__OTLP__ANY_VALUE__VALUE_LIST);
  Tti__Otlp__KeyValueList *list = tti_arena_new(arena, sizeof(*list));
  tti_otlp_pairs pairs = {0};
  tti_json_scan scan;
  tti_json_value key, item;
  if (!value || !list)
    return NULL;
  tti__otlp__key_value_list__init(list);
  value->list = list;
  tti_json_scan_init(&scan, text);
  tti_json_scan_open_object(&scan);
  while (tti_json_scan_member(&scan, &key) &&
         tti_json_scan_value(&scan, &item)) {
    Tti__Otlp__AnyValue *child = tree(arena, &item);
    Tti__Otlp__KeyValue *pair = child ? new_pair(arena, &pairs) : NULL;
    if (!pair)
      return NULL;
    pair->key = decode(arena, &key);
    pair->value = child;
  }
  list->values = pairs.items;
  list->n_values = pairs.count;
  return value;
}

static Tti__Otlp__AnyValue *tree(tti_arena *arena, const tti_json_value *json) {
  Tti__Otlp__AnyValue *value;
  switch (json->type) {
  case TTI_JSON_FALSE:
  case TTI_JSON_TRUE:
    return tti_otlp_bool(arena, json->type == TTI_JSON_TRUE);
  case TTI_JSON_NUMBER:
    return number(arena, json->text);
  case TTI_JSON_STRING:
    value = any(arena, TTI__OTLP__ANY_VALUE__VALUE_STRING);
    if (value)
      value->string = decode(arena, json);
    return value;
  case TTI_JSON_ARRAY:
    return array(arena, json->text);
  case TTI_JSON_OBJECT:
    return object(arena, json->text);
  case TTI_JSON_NULL:
  case TTI_JSON_NONE:
    break;
  }
  return any(arena, TTI__OTLP__ANY_VALUE__VALUE__NOT_SET);
}

Tti__Otlp__AnyValue *tti_otlp_json(tti_arena *arena, tti_slice json) {
  tti_json_value value;
  if (tti_json_check(json, &value, NULL))
    return tti_otlp_string(arena, json);
  return tree(arena, &value);
}
