#ifndef FEED_CURSOR_H
#define FEED_CURSOR_H

#include "lib/base/buf.h"

/* Where a subscriber starts, and where it gets what comes next. Pure. */

typedef enum cursor_from {
  CURSOR_TAIL,  /* nothing was asked for: live from now on */
  CURSOR_AFTER, /* after a seq; 0: from the oldest */
  CURSOR_BAD    /* not a sequence number */
} cursor_from;

typedef struct cursor_request {
  cursor_from from;
  uint64_t after;
  const char *bad; /* with CURSOR_BAD: which input, static */
} cursor_request;

/* What the client asked for. A Last-Event-ID wins over ?after=, which wins over
 * ?replay=all. A slice with ptr NULL was not given; an empty Last-Event-ID is
 * none (browsers send none for it). */
cursor_request cursor_parse(tti_slice last_event_id, tti_slice after,
                            tti_slice replay);

typedef struct cursor_start {
  uint64_t at;    /* deliver what comes after this */
  bool reset;     /* `requested` was beyond the head: say so first */
  bool told;      /* the client knows `at`: it sent it itself */
  uint64_t asked; /* with reset */
} cursor_start;

/* `committed` is the bus's head: an id beyond it was never issued. `published`
 * is the end of the ring, which may lag behind or (when the ring comes before
 * the disk) run ahead of it. */
cursor_start cursor_begin(const cursor_request *request, uint64_t committed,
                          uint64_t published);

/* The way of one subscriber:
 *
 *     STORE ──► RING ──► LIVE          each step only forward, except that
 *       ▲         │        │           one that falls behind starts again
 *       └─────────┴────────┘           in the store
 *     WAIT: at an id that the ring has not come to yet
 */
typedef enum cursor_source {
  CURSOR_LIVE,
  CURSOR_WAIT,
  CURSOR_RING,
  CURSOR_STORE
} cursor_source;

/* Where a subscriber that has everything up to `at` gets what follows.
 * `position`: all of the ring up to here was handed to the live subscribers.
 * `ring_first`: the oldest seq in the ring; 0: it is empty. */
static inline cursor_source cursor_next(uint64_t at, uint64_t position,
                                        uint64_t ring_first) {
  if (at == position)
    return CURSOR_LIVE;
  if (at > position)
    return CURSOR_WAIT;
  if (ring_first != 0 && at >= ring_first - 1)
    return CURSOR_RING;
  return CURSOR_STORE;
}

#endif
