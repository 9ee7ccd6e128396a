#ifndef RELAY_LEDGER_H
#define RELAY_LEDGER_H

#include "server/bus/bus.h"

/* Why an event that arrived was refused (gated: a log line, for its level). The
 * first ones never reached the bus; the others are the bus's verdicts. */
#define RELAY_REJECT_MAP(X)                                                    \
  X(RELAY_REJECT_INVALID, "invalid")                                           \
  X(RELAY_REJECT_TOO_LARGE, "too_large")                                       \
  X(RELAY_REJECT_GATED, "gated")                                               \
  X(RELAY_REJECT_IN_FLIGHT, "key_in_flight")                                   \
  X(RELAY_REJECT_FULL, "full")                                                 \
  X(RELAY_REJECT_UNAVAILABLE, "unavailable")                                   \
  X(RELAY_REJECT_REPLAYED, "replayed")

typedef enum relay_reject {
#define X(id, name) id,
  RELAY_REJECT_MAP(X)
#undef X
      RELAY_REJECT_COUNT
} relay_reject;

const char *relay_reject_name(relay_reject reason);

/* received = stored + rejected + in_flight + lost, in any snapshot. */
typedef struct relay_ledger {
  uint64_t received;
  uint64_t stored;
  uint64_t rejected[RELAY_REJECT_COUNT];
  uint64_t lost;
  uint64_t in_flight;
} relay_ledger;

/* From the bus's counts (read downstream first) and what was refused before the
 * bus, by reason. */
void relay_ledger_make(const bus_counts *counts,
                       const uint64_t refused[RELAY_REJECT_COUNT],
                       relay_ledger *out_ledger);

#endif
