#ifndef FEED_FRAME_H
#define FEED_FRAME_H

#include "lib/event/view.h"

/* The pieces that an event stream is made of, each ended by its blank line.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html */

/* "id: 7\ndata: {…}\n\n" */
void frame_event(tti_buf *out, tti_view view, uint64_t seq,
                 const tti_record *record);

/* "event: dropped": seqs from_seq to to_seq (inclusive) that held or may have
 * held events are not there any more. Its id is to_seq. */
void frame_dropped(tti_buf *out, uint64_t from_seq, uint64_t to_seq,
                   const char *reason);

/* "event: reset": the client asked for what comes after `requested`, and the
 * log ends at `head`. Its id is head. */
void frame_reset(tti_buf *out, uint64_t requested, uint64_t head);

/* "event: position": the client has everything up to here. With data, since
 * most clients forget an id that comes without; under a name of its own, so
 * that those who only wait for messages see nothing. */
void frame_position(tti_buf *out, uint64_t seq);

/* How long the client waits before it comes back. */
void frame_retry(tti_buf *out, uint64_t ms);

/* Keeps proxies and the client from thinking that nobody is there. */
#define FRAME_COMMENT ":\n\n"

#endif
