#include "server/outbox/internal.h"

#include "server/auth/auth.h"

static const http_parameter idempotency[] = {
    {"Idempotency-Key",
     "Makes a retry safe: the same key and body are published once. Without an "
     "`id` in the body, the event's id follows from the key.",
     HTTP_IN_HEADER, HTTP_TEXT, .max = 255, .code = "invalid_idempotency_key"},
    {.name = NULL}};

#define EVENT .type = "application/json", .schema = "Publication"

static const http_description publish_about = {
    .summary = "Publish an event",
    .help = "It is in the outbox, and in history, in one transaction; webhooks "
            "that match get it at once. A repeat with the same `id` and body "
            "changes nothing.",
    .tag = "outbox",
    .parameters = {idempotency},
    .body = {{"application/json", "PublishRequest"}},
    .answers = {
        {200, "It was published before.", EVENT},
        {201, "It is durable, and about to be fanned out.", EVENT,
         .headers = "Idempotency-Replayed"},
        {400, "Something in it is malformed; nothing was stored.",
         .codes = "invalid_event"},
        {413, "What webhooks would get is over 1,000,000 bytes.",
         .codes = "event_too_large"},
        {422, "The id or the key came before with another body.",
         .codes = "event_exists,idempotency_mismatch"},
        {503, "Nothing was stored.",
         .codes = "store_unavailable,overloaded,shutting_down,out_of_memory"}}};

size_t outbox_routes(outbox *o, http_route *out_routes) {
  out_routes[0] = (http_route){.methods = HTTP_POST_,
                               .pattern = "/api/v1/events",
                               .name = "publish",
                               .handler = outbox_serve_publish,
                               .context = o,
                               .max_body_bytes = o->options.max_body,
                               .overlaps = true,
                               .scope = AUTH_INGEST,
                               .about = &publish_about};
  return OUTBOX_ROUTES;
}
