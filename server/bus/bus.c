#include "server/bus/bus.h"

tt_error bus_submit(bus *b, bus_publish *publish) {
  return b->ops->submit(b, publish);
}

uint64_t bus_head(bus *b) {
  return b->ops->head(b);
}

tt_stream *bus_stream(bus *b) {
  return b->stream;
}

void bus_counts_get(bus *b, bus_counts *out_counts) {
  b->ops->counts(b, out_counts);
}

void bus_close(bus *b, int timeout_ms) {
  if (b)
    b->ops->close(b, timeout_ms);
}
