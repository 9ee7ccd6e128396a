#ifndef FLEET_VALUES_H
#define FLEET_VALUES_H

#include "lib/base/buf.h"

/* How often each text came. The first 200 different ones have a count each, all
 * others are counted together. */
enum { FLEET_VALUES_MAX = 200 };

typedef struct fleet_value {
  tti_slice text; /* owned */
  uint64_t count;
} fleet_value;

typedef struct fleet_values {
  fleet_value *items; /* sorted by text */
  size_t count, capacity;
  uint64_t other;
} fleet_values;

void fleet_values_fini(fleet_values *v);

/* A text without a pointer is one of the others. False: no memory; nothing was
 * added. */
bool fleet_values_add(fleet_values *v, tti_slice text, uint64_t count);
bool fleet_values_merge(fleet_values *v, const fleet_values *from);

/* The most frequent first. */
void fleet_values_rank(fleet_values *v);

/* Reading adds to what is there: TT_ECORRUPT, TT_ENOMEM. */
void fleet_values_write(const fleet_values *v, tti_buf *out);
tt_error fleet_values_read(fleet_values *v, tti_slice bytes);

#endif
