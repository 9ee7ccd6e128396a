#ifndef TTI_OTLP_RESOURCE_H
#define TTI_OTLP_RESOURCE_H

#include "lib/base/buf.h"
#include "lib/otlp/any.h"

/* Who says it: the resource of a request. Built once, used by many requests;
 * borrowed texts must outlive it. */
typedef struct tti_otlp_resource {
  tti_arena arena;
  tti_otlp_pairs attributes;
} tti_otlp_resource;

/* Its message, which points into it. */
Tti__Otlp__Resource tti_otlp_resource_message(const tti_otlp_resource *r);

/* The scope of all requests: this library. */
Tti__Otlp__Scope tti_otlp_scope(tti_arena *arena);

/* Appends a message. TT_ENOMEM, or the buffer's error. */
tt_error tti_otlp_pack(const ProtobufCMessage *message, tti_buf *out);

#endif
