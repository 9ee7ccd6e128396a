#ifndef TTI_EVENT_VIEW_H
#define TTI_EVENT_VIEW_H

#include "lib/event/record.h"

/* The two JSON forms of the same record, each one line without a line end. */
typedef enum tti_view { TTI_VIEW_RELAY = 0, TTI_VIEW_ENVELOPE = 1 } tti_view;

void tti_view_render(tti_buf *out, tti_view view, uint64_t seq,
                     const tti_record *record);

/* The same of a caller's event, in the envelope view. `metadata` is scratch
 * space. What tti_record_from_event answers, or the buffer's error. */
tt_error tti_view_render_event(tti_buf *out, tti_buf *metadata, uint64_t seq,
                               const tt_event *event);

#endif
