#include "lib/base/time.h"
#include "lib/emit/emitter.h"
#include <stdlib.h>

/* Never changes after its birth, so every thread, and a child of fork, just
 * reads it. */
typedef struct tee {
  size_t count;
  tt_emitter *parts[];
} tee;

static void tee_emit(void *self, const tt_event *event,
                     const tt_field *fields) {
  tee *t = self;
  for (size_t i = 0; i < t->count; i++)
    tti_emitter_emit(t->parts[i], event, fields);
}

static int64_t now_us(void) {
  return tti_monotonic_us(&tti_clock_system);
}

static int left_ms(int64_t deadline_us) {
  int64_t left_us = deadline_us - now_us();
  return left_us > 0 ? (int)((left_us + 999) / 1000) : 0;
}

/* Begins to flush all parts, so that the later ones do not lose the time which
 * the earlier ones take. */
static void nudge(tee *t) {
  for (size_t i = 0; i < t->count; i++)
    tt_emitter_flush(t->parts[i], 0);
}

static tt_error tee_flush(void *self, int timeout_ms) {
  tee *t = self;
  tt_error result = TT_OK;
  int64_t deadline_us = now_us() + (int64_t)timeout_ms * 1000;
  nudge(t);
  for (size_t i = 0; i < t->count; i++) {
    int left = timeout_ms < 0 ? TELLTALE_FOREVER : left_ms(deadline_us);
    tt_error error = tt_emitter_flush(t->parts[i], left);
    if (!result)
      result = error;
  }
  return result;
}

static void tee_stats(void *self, tt_emitter_stats *out_stats) {
  tee *t = self;
  *out_stats = (tt_emitter_stats){0};
  for (size_t i = 0; i < t->count; i++) {
    tt_emitter_stats part;
    tt_emitter_stats_get(t->parts[i], &part);
    out_stats->emitted += part.emitted;
    out_stats->sent += part.sent;
    out_stats->queued += part.queued;
    out_stats->spooled += part.spooled;
    out_stats->adopted += part.adopted;
    out_stats->spool_damaged += part.spool_damaged;
    for (int reason = 0; reason < TT_DROP_REASON_COUNT; reason++)
      out_stats->dropped[reason] += part.dropped[reason];
  }
}

static void tee_free(void *self, int timeout_ms) {
  tee *t = self;
  int64_t deadline_us = now_us() + (int64_t)timeout_ms * 1000;
  nudge(t);
  for (size_t i = 0; i < t->count; i++)
    tti_emitter_free_within(t->parts[i], left_ms(deadline_us));
  free(t);
}

static bool are_distinct(tt_emitter *const *emitters, size_t count) {
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; emitters[i] && k < i; k++) {
      if (emitters[k] == emitters[i])
        return false;
    }
  }
  return true;
}

tt_error tt_emitter_tee_new(tt_emitter *const *emitters, size_t count,
                            tt_emitter **out_emitter) {
  tt_emitter_ops ops = {.version = 1,
                        .emit = tee_emit,
                        .flush = tee_flush,
                        .stats = tee_stats,
                        .free = tee_free};
  if ((!emitters && count) || !out_emitter || !are_distinct(emitters, count))
    return TT_EINVAL;
  if (count > (SIZE_MAX - sizeof(tee)) / sizeof(*emitters))
    return TT_ENOMEM;
  tee *t = malloc(sizeof(*t) + count * sizeof(*emitters));
  if (!t)
    return TT_ENOMEM;
  t->count = 0;
  for (size_t i = 0; i < count; i++) {
    if (!emitters[i])
      continue;
    t->parts[t->count++] = emitters[i];
    int part_ms = tti_emitter_free_timeout_ms(emitters[i]);
    if (part_ms > ops.free_timeout_ms)
      ops.free_timeout_ms = part_ms;
  }
  tt_error error = tt_emitter_from_ops(&ops, t, NULL, out_emitter);
  if (error)
    free(t);
  return error;
}
