#ifndef TTI_EMIT_TESTING_H
#define TTI_EMIT_TESTING_H

/* What the tests of the emitters share. */
#include "tests/unit.h"

#include <telltale/emitter.h>

/* What a working delivery may take on a slow, busy machine. */
#define LONG_MS 100000

/* A child that deadlocks must end, and fail, the test. */
#define CHILD_SECONDS 60

/* Nothing is lost without being counted. */
static inline tt_emitter_stats stats_of(tt_emitter *emitter) {
  tt_emitter_stats s;
  uint64_t dropped = 0;
  tt_emitter_stats_get(emitter, &s);
  for (int i = 0; i < TT_DROP_REASON_COUNT; i++)
    dropped += s.dropped[i];
  assert_int_equal(s.emitted + s.adopted,
                   s.sent + s.queued + s.spooled + dropped);
  return s;
}

/* Emits events whose data.i counts from `first`. */
static inline void emit_run(tt_emitter *emitter, int first, int count) {
  for (int i = first; i < first + count; i++)
    tt_emit(emitter, "run", tt_int("i", i));
}

#endif
