#include "server/relay/ledger.h"

const char *relay_reject_name(relay_reject reason) {
  static const char *const names[] = {
#define X(id, name) [id] = name,
      RELAY_REJECT_MAP(X)
#undef X
  };
  return names[reason];
}

void relay_ledger_make(const bus_counts *counts,
                       const uint64_t refused[RELAY_REJECT_COUNT],
                       relay_ledger *out_ledger) {
  relay_ledger l = {.received = counts->received,
                    .stored = counts->stored,
                    .lost = counts->lost};
  uint64_t gone = counts->stored + counts->lost;
  for (size_t i = 0; i < RELAY_REJECT_COUNT; i++) {
    l.rejected[i] = refused[i];
    l.received += refused[i];
    gone += refused[i];
  }
  l.rejected[RELAY_REJECT_FULL] += counts->rejected_full;
  l.rejected[RELAY_REJECT_UNAVAILABLE] += counts->rejected_failed;
  l.rejected[RELAY_REJECT_REPLAYED] += counts->replayed;
  gone += counts->rejected_full + counts->rejected_failed + counts->replayed;
  l.in_flight = l.received > gone ? l.received - gone : 0;
  *out_ledger = l;
}
