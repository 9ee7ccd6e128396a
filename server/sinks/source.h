#ifndef SINKS_SOURCE_H
#define SINKS_SOURCE_H

#include "lib/storage/source.h"
#include "server/bus/bus.h"
#include "server/sinks/position.h"

/* Where a sink's writer gets the server's records: from the ring while that
 * reaches back, else from the store, by bounded reads, under one position.
 * Records that are not wanted are passed over; that they were is told now and
 * then by a drop of none, so that the position moves on. What retention took is
 * a drop of so many, and noted in the position. */

typedef struct sink_source_options {
  const char *name; /* of the sink, for the log */
  bus *bus;
  store *store;
  sink_position *position;
  unsigned kinds;         /* STORE_KIND_BIT */
  const char *session_id; /* what the session's id begins with; NULL: any */
  /* How much of what retention leaves is used, by age or bytes, in percent; any
   * thread may look. Relaxed: it is for people. */
  _Atomic unsigned *reach_percent;
} sink_source_options;

/* All of the options is borrowed and outlives the source; the filter, which may
 * be NULL, is the source's, also when this fails. TT_ENOMEM. */
tt_error sink_source_new(const sink_source_options *options, tti_filter *filter,
                         tti_source *out_source);

#endif
