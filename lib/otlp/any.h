#ifndef TTI_OTLP_ANY_H
#define TTI_OTLP_ANY_H

#include "lib/otlp/arena.h"
#include <otlp.pb-c.h>

/* Values and attributes of OTLP. All that they point to belongs to the arena or
 * is borrowed from what was handed in; NULL only when the arena has failed. */

/* Text as the protocol wants it: bytes that are no UTF-8 become U+FFFD. */
ProtobufCBinaryData tti_otlp_text(tti_arena *arena, tti_slice text);

Tti__Otlp__AnyValue *tti_otlp_string(tti_arena *arena, tti_slice text);
Tti__Otlp__AnyValue *tti_otlp_int(tti_arena *arena, int64_t value);
Tti__Otlp__AnyValue *tti_otlp_bool(tti_arena *arena, bool value);

/* A JSON value with its structure: objects become lists of pairs, integral
 * numbers that fit integers, null an empty value. What is no JSON becomes a
 * string. */
Tti__Otlp__AnyValue *tti_otlp_json(tti_arena *arena, tti_slice json);

/* A list that grows. */
typedef struct tti_otlp_pairs {
  Tti__Otlp__KeyValue **items;
  size_t count;
  size_t cap;
} tti_otlp_pairs;

/* Adds a pair; one whose value is NULL is not added. */
void tti_otlp_pair(tti_arena *arena, tti_otlp_pairs *pairs, tti_slice key,
                   Tti__Otlp__AnyValue *value);

#endif
