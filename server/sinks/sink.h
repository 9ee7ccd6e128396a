#ifndef SINKS_SINK_H
#define SINKS_SINK_H

#include "server/sinks/position.h"
#include "server/sinks/sinks.h"

/* ---- make.c: what an entry says ---- */

/* TT_EINVAL with a sentence in *out_error; TT_ENOMEM. */
tt_error sink_storage_new(const sink_spec *spec, tti_buf *out_error,
                          tt_storage **out_storage);
tt_error sink_filter_new(const sink_spec *spec, tti_buf *out_error,
                         tti_filter **out_filter, unsigned *out_kinds);

/* ---- sink.c: one sink and its thread ---- */

typedef struct sink sink;

typedef struct sink_requeue {
  enum { SINK_REQUEUE_NONE, SINK_REQUEUE_RUNNING, SINK_REQUEUE_DONE } state;
  tt_error error; /* of one that is done */
  uint64_t sent, left;
} sink_requeue;

/* What is to be told of one. */
typedef struct sink_state {
  const char *name, *type; /* the sink's */
  const char *destination;
  tt_storage_writer_stats stats;
  sink_missed missed;
  unsigned reach_percent;
  sink_requeue requeue;
} sink_state;

/* What one is to be. */
typedef struct sink_plan {
  const sink_spec *spec;
  const char *session;     /* only what was published to it; NULL: all */
  const char *session_id;  /* what the ids of its records begin with */
  sink_position *position; /* where it begins, the sink's from then on; NULL: as
                              the store has it, else as the spec says */
} sink_plan;

enum { SINK_NAME_MAX = 136 };

/* "archive", or "otlp.default" of a session. */
void sink_name_of(const sink_spec *spec, const char *session,
                  char out_name[SINK_NAME_MAX]);

/* Makes and starts it. Waits for the disk. TT_EINVAL with a sentence;
 * TT_ENOMEM; TT_EIO, TT_EFULL: its position cannot be kept now. */
tt_error sink_start(const sinks_options *options, const sink_plan *plan,
                    tti_buf *out_error, sink **out_sink);

const char *sink_name(const sink *s);
/* Whether it has that name, and whether all of it is as the spec says. */
bool sink_is_named(const sink *s, const sink_spec *spec, const char *session);
bool sink_is_of(const sink *s, const sink_spec *spec, const char *session);
void sink_state_get(sink *s, sink_state *out_state);
/* Adds to the metrics what came since the last time. One thread at a time. */
void sink_scrape(sink *s, tt_metrics *metrics);

/* Sends the dead letters again, on a thread of its own. TT_EBUSY: it does;
 * TT_ESTATE: there is no file for them; TT_ENOMEM. */
tt_error sink_requeue_start(sink *s);

/* Ending: asks, without waiting, for an end by then (monotonic); waits; and
 * frees one that ended. */
void sink_ask_stop(sink *s, int64_t by_us);
bool sink_wait(sink *s, int64_t until_us);
void sink_interrupt(sink *s);
void sink_free(sink *s);

#endif
