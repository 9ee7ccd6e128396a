#include "server/fleet/aggregate.h"

void fleet_aggregate_fini(fleet_aggregate *a) {
  fleet_sketch_fini(&a->sketch);
  fleet_distinct_fini(&a->instances);
  fleet_values_fini(&a->values);
  *a = (fleet_aggregate){0};
}

static void spread(fleet_aggregate *a, uint64_t numbers, double sum, double min,
                   double max) {
  if (!numbers)
    return;
  a->min = a->numbers && a->min < min ? a->min : min;
  a->max = a->numbers && a->max > max ? a->max : max;
  a->numbers += numbers;
  a->sum += sum;
}

bool fleet_aggregate_number(fleet_aggregate *a, double number) {
  spread(a, 1, number, number, number);
  return fleet_sketch_add(&a->sketch, number);
}

bool fleet_aggregate_merge(fleet_aggregate *a, const fleet_aggregate *from) {
  a->updates += from->updates;
  spread(a, from->numbers, from->sum, from->min, from->max);
  return fleet_sketch_merge(&a->sketch, &from->sketch) &&
         fleet_distinct_merge(&a->instances, &from->instances) &&
         fleet_values_merge(&a->values, &from->values);
}

tt_error fleet_aggregate_read(fleet_aggregate *a, const fleet_bucket *row) {
  tt_error error = fleet_sketch_read(&a->sketch, row->sketch);
  a->updates += row->updates;
  spread(a, row->numbers, row->sum, row->min, row->max);
  if (!error)
    error = fleet_distinct_read(&a->instances, row->instances);
  return error ? error : fleet_values_read(&a->values, row->tally);
}

tt_error fleet_aggregate_write(const fleet_aggregate *a, tti_buf *bytes,
                               fleet_bucket *out_row) {
  tti_buf_clear(bytes);
  fleet_sketch_write(&a->sketch, bytes);
  size_t instances = bytes->len;
  fleet_distinct_write(&a->instances, bytes);
  size_t tally = bytes->len;
  fleet_values_write(&a->values, bytes);
  if (bytes->error)
    return bytes->error;
  *out_row = (fleet_bucket){
      .updates = a->updates,
      .numbers = a->numbers,
      .sum = a->sum,
      .min = a->min,
      .max = a->max,
      .sketch = {bytes->data, instances},
      .instances = {bytes->data + instances, tally - instances},
      .tally = {bytes->data + tally, bytes->len - tally},
  };
  return TT_OK;
}
