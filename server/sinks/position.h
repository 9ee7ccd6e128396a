#ifndef SINKS_POSITION_H
#define SINKS_POSITION_H

#include "server/store/store.h"
#include <telltale/storage.h>

/* How far a sink came, and what it missed, as a row of the store's settings.
 * What is saved while a change is on its way to disk is written when that has
 * ended, the last one only. */
typedef struct sink_position sink_position;

typedef struct sink_missed {
  uint64_t count; /* of events that retention took before the sink had them */
  uint64_t from_seq, to_seq; /* the last such range; 0: none */
  int64_t at_us;             /* when that was seen */
} sink_missed;

/* Reads the row of `name`, or begins it at `seq` where there is none; that is
 * in the store when this returns. Waits for the disk. TT_EIO, TT_ENOMEM,
 * TT_EFULL: the store cannot take it now. */
tt_error sink_position_open(store *s, const char *name, uint64_t seq,
                            sink_position **out_position);

/* Begins the row at `seq`, whatever is in it. Does not wait: it is in the store
 * before what is given to the store later. TT_ENOMEM, TT_EFULL. */
tt_error sink_position_begin(store *s, const char *name, uint64_t seq,
                             sink_position **out_position);

/* For a storage writer, with the position as its `self`. */
extern const tt_position_ops sink_position_ops;

/* Notes what was missed; it is written with the next position. */
void sink_position_missed(sink_position *p, uint64_t count, uint64_t from_seq,
                          uint64_t to_seq);
void sink_position_missed_get(sink_position *p, sink_missed *out_missed);

/* Waits until what was saved is in the store; false: not within the time. */
bool sink_position_settle(sink_position *p, int timeout_ms);

/* A change that is on its way still ends well. NULL is fine. */
void sink_position_free(sink_position *p);

#endif
