#ifndef TTI_EMIT_RENDER_H
#define TTI_EMIT_RENDER_H

#include "lib/base/buf.h"
#include "lib/emit/pack.h"

/* The fields (ended by TT_FIELD_END) as a JSON object. A tt_json field that is
 * not one valid value becomes null. */
void tti_render_fields(tti_buf *out, const tt_field *fields);

/* A packed event as one relay event object, as `POST /events` takes it: one
 * line, empty members left out. There `data` has to be an object, so another
 * value is wrapped, {"value": …}, and text that is no JSON at all is left out:
 * then the answer is false. */
bool tti_render_event(tti_buf *out, const tti_packed *packed);

/* A packed log line as `POST /log` takes it, with its data's message, fields
 * and caller; data that is no JSON object is left out, and the answer is false.
 */
bool tti_render_log(tti_buf *out, const tti_packed *packed);

#endif
