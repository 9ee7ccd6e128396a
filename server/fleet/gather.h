#ifndef FLEET_GATHER_H
#define FLEET_GATHER_H

#include "server/fleet/aggregate.h"
#include "server/fleet/fields.h"

/* What some updates say, added up in memory before it is added to the tables:
 * by key, by key and dimension, and by hour. One thread at a time. */

enum {
  FLEET_DIMENSIONS_MAX = 8,
  FLEET_GATHER_MAX = 2048, /* entries; one update more may go beyond */
  FLEET_GATHER_SLOTS = 4096
};

typedef struct fleet_dimensions {
  tti_slice names[FLEET_DIMENSIONS_MAX];
  size_t count;
} fleet_dimensions;

/* A series in one hour. */
typedef struct fleet_entry {
  struct fleet_entry *next_in_slot, *next_in_shard;
  uint64_t hash;
  int64_t hour;
  fleet_series series; /* n is 0 */
  fleet_aggregate sum;
  int64_t last_n; /* of the update that it counts already */
} fleet_entry;

typedef struct fleet_gather {
  const fleet_dimensions *dimensions;
  fleet_entry *slots[FLEET_GATHER_SLOTS];
  fleet_entry *shards[FLEET_SHARDS];
  size_t in_shard[FLEET_SHARDS];
  size_t count;
  tti_arena arena; /* of entries and their texts; its failure is ours */
} fleet_gather;

/* Zeroed memory is an empty one, once it has its dimensions. */
void fleet_gather_clear(fleet_gather *g);

/* Adds an update, but for shards that are as far as it: see FLEET_SHARDS. What
 * cannot be read in it is left out. False: no memory; all that was gathered
 * must be forgotten. */
bool fleet_gather_add(fleet_gather *g, const int64_t positions[FLEET_SHARDS],
                      const fleet_told *update);

#endif
