#ifndef TESTS_CONTRACT_RECORDS_H
#define TESTS_CONTRACT_RECORDS_H

#include "lib/event/parse.h"

/* Records for the suites of the store and the bus. */

static inline void records_add(tti_batch *batch, tti_kind kind,
                               const char *source, const char *category) {
  tti_record record = {
      .kind = kind,
      .level = TT_LEVEL_INFO,
      .ts_us = 1700000000000000,
      .source = tti_slice_of(source),
      .type = TTI_SLICE("deploy"),
      .category = tti_slice_of(category),
      .data =
          TTI_SLICE("{\"env\":\"prod\",\"rows\":42,\"text\":\"one line\"}")};
  assert_int_equal(tti_batch_add(batch, &record), TT_OK);
}

/* A new batch of `count` relay records; the caller finishes it. */
static inline void records_make(tti_batch *batch, const char *source,
                                const char *category, size_t count) {
  tti_batch_init(batch, 10000, 16u << 20);
  for (size_t i = 0; i < count; i++)
    records_add(batch, TTI_KIND_RELAY, source, category);
}

#endif
