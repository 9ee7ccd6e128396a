#include "server/history/query.h"
#include "server/sessions/internal.h"

static const http_parameter session_name[] = {
    {"name", "Lower-case letters, digits and hyphens, at most 64.",
     .in = HTTP_IN_PATH, .code = "invalid_session_name"},
    {.name = NULL}};

static const http_parameter idempotency[] = {
    {"Idempotency-Key",
     "Makes a retry safe: the same key and body are stored once.",
     HTTP_IN_HEADER, HTTP_TEXT, .max = 255, .code = "invalid_idempotency_key"},
    {.name = NULL}};

#define STATE(status, help)                                                    \
  { status, help, .type = "application/json", .schema = "Telemetry" }
#define NOT_CONFIGURED                                                         \
  { 404, "Nothing is captured.", .codes = "not_configured" }
#define CHANGE_ERRORS                                                          \
  {400, "The body makes no sense; nothing has changed.",                       \
   .codes = "invalid_json,unknown_field,invalid_telemetry"},                   \
  {                                                                            \
    503, "Nothing has changed.", .codes = "store_unavailable,out_of_memory"    \
  }

#define GET .summary = "What is captured", .tag = "sessions"
#define PUT                                                                    \
  .summary = "Configure what is captured",                                     \
  .help =                                                                      \
      "Replaces what was there: a category that is left out is captured, "     \
      "and so is everything with an empty body; `export` that is left "        \
      "out is off. With every category but `system` off the session ends.",    \
  .tag = "sessions", .body = {{"application/json", "TelemetryConfig"}}
#define PUT_ANSWERS                                                            \
  STATE(200, "The session goes on so, or has ended."),                         \
      STATE(201, "A session has begun."), CHANGE_ERRORS, {                     \
    409, "As many as there may be are configured.",                            \
        .codes = "too_many_sessions"                                           \
  }
#define PATCH                                                                  \
  .summary = "Change what is captured",                                        \
  .help = "What is left out stays as it is.", .tag = "sessions",               \
  .body = {{"application/json", "TelemetryConfig"}}
#define PATCH_ANSWERS                                                          \
  STATE(200, "The session goes on so, or has ended."), NOT_CONFIGURED,         \
      CHANGE_ERRORS
#define PUBLISH                                                                \
  .summary = "Publish an event to a session",                                  \
  .help = "200 means captured, and kept as the durability promises.",          \
  .tag = "sessions", .body = {{"application/json", "SessionEvent"}}
#define PUBLISH_ANSWERS                                                        \
  {200, "Captured: the envelope as it was stored.",                            \
   .type = "application/json", .schema = "Envelope",                           \
   .headers = "Telltale-Log,Idempotency-Replayed"},                            \
      {204,                                                                    \
       "There is no such session, or it does not capture the category: "       \
       "nothing was stored.",                                                  \
       .headers = "Telltale-Log"},                                             \
      {400, "Something in it is malformed; nothing was stored.",               \
       .codes = "invalid_event"},                                              \
      {409, "The first request with this key is not answered yet.",            \
       .codes = "idempotency_in_flight"},                                      \
      {422, "The key came before with another body; nothing was stored.",      \
       .codes = "idempotency_mismatch"},                                       \
  {                                                                            \
    503, "Nothing was stored.", .codes = "store_unavailable,shutting_down"     \
  }
#define STREAM                                                                 \
  .summary = "A session's events as they come, as server-sent events",         \
  .help = "From the session's start, unless a position is given. `id` is the " \
          "seq and `data` the envelope; otherwise as /events/stream.",         \
  .tag = "sessions"
#define STREAM_ANSWERS                                                         \
  {200, "The stream; it does not end.", .type = "text/event-stream",           \
   .schema = "{\"type\":\"string\"}",                                          \
   .headers = "Telltale-Log,X-SSE-Content-Type"},                              \
  {                                                                            \
    503, "Not now.", .codes = "shutting_down,too_many_filters"                 \
  }

const http_description sessions_get_about = {
    GET, .answers = {STATE(200, "The session."), NOT_CONFIGURED}};
const http_description sessions_put_about = {PUT, .answers = {PUT_ANSWERS}};
const http_description sessions_patch_about = {PATCH,
                                               .answers = {PATCH_ANSWERS}};
const http_description sessions_publish_about = {
    PUBLISH, .parameters = {idempotency}, .answers = {PUBLISH_ANSWERS}};
const http_description sessions_stream_about = {
    STREAM, .parameters = {feed_position, query_filters, query_views},
    .answers = {STREAM_ANSWERS}};

const http_description sessions_named_get_about = {
    GET, .parameters = {session_name},
    .answers = {STATE(200, "The session."), NOT_CONFIGURED}};
const http_description sessions_named_put_about = {
    PUT, .parameters = {session_name}, .answers = {PUT_ANSWERS}};
const http_description sessions_named_patch_about = {
    PATCH, .parameters = {session_name}, .answers = {PATCH_ANSWERS}};
const http_description sessions_named_publish_about = {
    PUBLISH, .parameters = {session_name, idempotency},
    .answers = {PUBLISH_ANSWERS}};
const http_description sessions_named_stream_about = {
    STREAM,
    .parameters = {session_name, feed_position, query_filters, query_views},
    .answers = {STREAM_ANSWERS}};

const http_description sessions_list_about = {
    .summary = "The sessions that are configured",
    .tag = "sessions",
    .answers = {{200, "Newest first.", .type = "application/json",
                 .schema = "SessionPage"}}};
