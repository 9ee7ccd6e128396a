#include "lib/emit/timer.h"

#include "lib/base/time.h"
#include "lib/emit/emitter.h"

tt_timer tt_timer_start(tt_emitter *emitter, const char *type) {
  return (tt_timer){.emitter = emitter,
                    .type = type,
                    .started_us = tti_monotonic_us(&tti_clock_system)};
}

int64_t tti_timer_ms(const tt_timer *timer, int64_t now_us) {
  return (now_us - timer->started_us + 500) / 1000;
}

void tt_timer_emit_fields(const tt_timer *timer, tt_level level,
                          const tt_field *fields) {
  if (!timer)
    return;
  tt_event event = {
      .type = timer->type,
      .level = level,
      .has_duration = true,
      .duration_ms = tti_timer_ms(timer, tti_monotonic_us(&tti_clock_system))};
  tti_emitter_emit(timer->emitter, &event, fields);
}
