#ifndef FLEET_SKETCH_H
#define FLEET_SKETCH_H

#include "lib/base/buf.h"

/* How numbers are spread: counts in classes whose bounds grow by 4 %, for
 * either sign, so that a quantile is off by at most 2 % of itself. (DDSketch:
 * Masson, Rim and Lee, 2019.) Between 1e-9 and 1e15 in size; smaller ones count
 * as 0, larger ones as 1e15. A size of at most some 2,800 classes follows. */
typedef struct fleet_sketch_class {
  int32_t id; /* ascends with the numbers in it; 0: zero */
  uint64_t count;
} fleet_sketch_class;

typedef struct fleet_sketch {
  fleet_sketch_class *classes; /* sorted; zero: empty */
  size_t count, capacity;
} fleet_sketch;

void fleet_sketch_fini(fleet_sketch *s);

/* False: no memory; nothing was added. */
bool fleet_sketch_add(fleet_sketch *s, double number);
bool fleet_sketch_merge(fleet_sketch *s, const fleet_sketch *from);

/* The number that so much of all (0 to 1) are not above; 0 when it is empty. */
double fleet_sketch_quantile(const fleet_sketch *s, double share);

/* TT_ECORRUPT, TT_ENOMEM: what was read stays. Adds to what is there. */
void fleet_sketch_write(const fleet_sketch *s, tti_buf *out);
tt_error fleet_sketch_read(fleet_sketch *s, tti_slice bytes);

#endif
