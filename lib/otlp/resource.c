#include "lib/otlp/resource.h"

Tti__Otlp__Resource tti_otlp_resource_message(const tti_otlp_resource *r) {
  Tti__Otlp__Resource message = TTI__OTLP__RESOURCE__INIT;
  message.attributes = r->attributes.items;
  message.n_attributes = r->attributes.count;
  return message;
}

Tti__Otlp__Scope tti_otlp_scope(tti_arena *arena) {
  Tti__Otlp__Scope scope = TTI__OTLP__SCOPE__INIT;
  scope.name = tti_otlp_text(arena, TTI_SLICE("telltale"));
  scope.version = tti_otlp_text(arena, TTI_SLICE(TELLTALE_VERSION));
  return scope;
}

tt_error tti_otlp_pack(const ProtobufCMessage *message, tti_buf *out) {
  size_t size = protobuf_c_message_get_packed_size(message);
  char *at = tti_buf_reserve(out, size);
  if (!at)
    return out->error;
  out->len += protobuf_c_message_pack(message, (uint8_t *)at);
  return TT_OK;
}
