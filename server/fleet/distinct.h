#ifndef FLEET_DISTINCT_H
#define FLEET_DISTINCT_H

#include "lib/base/buf.h"

/* How many different ones there were. Exact up to 256 (but for two whose 32-bit
 * hashes are the same: once in 130,000 such sets); beyond that an estimate with
 * a standard error of 2.3 %. (HyperLogLog with 2,048 registers, and the
 * estimator of Ertl, 2017, which needs no tables of corrections.) */
enum { FLEET_DISTINCT_EXACT = 256, FLEET_DISTINCT_REGISTERS = 2048 };

typedef struct fleet_distinct {
  uint32_t *hashes; /* sorted, none twice */
  size_t count, capacity;
  unsigned char *registers; /* NULL: the hashes are all there were */
} fleet_distinct;

void fleet_distinct_fini(fleet_distinct *d);

/* False: no memory; nothing was added. */
bool fleet_distinct_add(fleet_distinct *d, uint64_t id);
bool fleet_distinct_merge(fleet_distinct *d, const fleet_distinct *from);

uint64_t fleet_distinct_count(const fleet_distinct *d);

/* At most 1,281 bytes. Reading adds to what is there: TT_ECORRUPT, TT_ENOMEM.
 */
void fleet_distinct_write(const fleet_distinct *d, tti_buf *out);
tt_error fleet_distinct_read(fleet_distinct *d, tti_slice bytes);

#endif
