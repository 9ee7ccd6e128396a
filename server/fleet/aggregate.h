#ifndef FLEET_AGGREGATE_H
#define FLEET_AGGREGATE_H

#include "server/fleet/distinct.h"
#include "server/fleet/sketch.h"
#include "server/fleet/values.h"
#include "server/store/tables/fleet_buckets.h"

/* What is known of one key over some time, whoever and how many told it. Two of
 * them merge into what one would be over both. Zero: empty. */
typedef struct fleet_aggregate {
  uint64_t updates; /* that had the key */
  uint64_t numbers;
  double sum, min, max; /* of the numbers, when there are any */
  fleet_sketch sketch;  /* of the numbers */
  fleet_distinct instances;
  fleet_values values; /* texts, truths, members of counting sets */
} fleet_aggregate;

void fleet_aggregate_fini(fleet_aggregate *a);

/* False: no memory, and half of it may be there. */
bool fleet_aggregate_number(fleet_aggregate *a, double number);
bool fleet_aggregate_merge(fleet_aggregate *a, const fleet_aggregate *from);

/* Adds what a row holds. TT_ECORRUPT, TT_ENOMEM. */
tt_error fleet_aggregate_read(fleet_aggregate *a, const fleet_bucket *row);

/* As a row, whose blobs are in `bytes`, cleared before. TT_ENOMEM. */
tt_error fleet_aggregate_write(const fleet_aggregate *a, tti_buf *bytes,
                               fleet_bucket *out_row);

#endif
