#ifndef TTI_OTLP_LOGS_H
#define TTI_OTLP_LOGS_H

#include "lib/otlp/resource.h"
#include <telltale/event.h>

/* Envelopes as log records of OTLP.
 *
 * time: the event's; observed time: of receipt; event name: the type; body: the
 * data with its structure. The severity is the event's level; an event at info
 * whose type says that something broke is an error or a warning (`*_failed`).
 * Attributes are `telltale.event.*`, `telltale.source.*`, `telltale.truncated`,
 * the level's neighbours (`telltale.agent_id`, `telltale.duration_ms`,
 * `telltale.telemetry_session_id`), `telltale.<key>` for each of the metadata,
 * and, from the data of network, page and console events, the names that the
 * semantic conventions give them. */

/* Appends an ExportLogsServiceRequest of these envelopes. The arena is cleared
 * first. TT_ENOMEM, or the buffer's error. */
tt_error tti_otlp_logs(tti_arena *arena, const tti_otlp_resource *resource,
                       const tt_envelope *const *envelopes, size_t count,
                       tti_buf *out);

/* What a server answered. The message is cut to fit. */
typedef struct tti_otlp_answer {
  int64_t rejected;
  char message[200];
} tti_otlp_answer;

/* Reads an ExportLogsServiceResponse; false when it is none. */
bool tti_otlp_parse_response(tti_slice body, tti_otlp_answer *out_answer);

/* Reads the google.rpc.Status of an answer other than 200 into the message. */
bool tti_otlp_parse_status(tti_slice body, tti_otlp_answer *out_answer);

#endif
