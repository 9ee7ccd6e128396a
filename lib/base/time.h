#ifndef TTI_BASE_TIME_H
#define TTI_BASE_TIME_H

#include "lib/base/slice.h"
#include <stdint.h>

/* Where time comes from. Instants of the two clocks never mix: wall time (unix
 * microseconds) at the edges, monotonic microseconds inside. A test brings its
 * own. */
typedef struct tti_clock {
  int64_t (*wall_us)(void *context);
  int64_t (*monotonic_us)(void *context);
  void *context;
} tti_clock;

/* The system's clocks. Static. */
extern const tti_clock tti_clock_system;

static inline int64_t tti_wall_us(const tti_clock *clock) {
  return clock->wall_us(clock->context);
}
static inline int64_t tti_monotonic_us(const tti_clock *clock) {
  return clock->monotonic_us(clock->context);
}

#define TTI_RFC3339_MAX 32

/* "2026-01-02T03:04:05.000006Z": UTC, microseconds, NUL-terminated. Years 1 to
 * 9999; others are clamped. Returns the length. RFC 3339. */
size_t tti_rfc3339_format(int64_t unix_us, char out_text[TTI_RFC3339_MAX]);

/* Any offset, any number of fraction digits (beyond microseconds cut off), a
 * leap second counts as the second before. False when it is not RFC 3339. */
bool tti_rfc3339_parse(tti_slice text, int64_t *out_unix_us);

#endif
