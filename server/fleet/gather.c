#include "server/fleet/gather.h"

#include "lib/base/hash.h"
#include <stdlib.h>

/* An update while it is added. */
typedef struct source {
  fleet_gather *gather;
  const int64_t *positions;
  const fleet_told *update;
  int64_t hour;
  /* The instance's values; the first is no dimension, for all instances. */
  struct {
    tti_slice dimension, value;
    uint64_t hash;
  } groups[FLEET_DIMENSIONS_MAX + 1];
  size_t group_count;
} source;

void fleet_gather_clear(fleet_gather *g) {
  const fleet_dimensions *dimensions = g->dimensions;
  for (size_t shard = 0; shard < FLEET_SHARDS; shard++)
    for (fleet_entry *e = g->shards[shard]; e; e = e->next_in_shard)
      fleet_aggregate_fini(&e->sum);
  tti_arena_fini(&g->arena);
  *g = (fleet_gather){.dimensions = dimensions};
}

/* ---- Entries ---- */

static tti_slice kept(fleet_gather *g, tti_slice text) {
  char *copy = text.len ? tti_arena_new(&g->arena, text.len) : NULL;
  if (!copy)
    return TTI_SLICE("");
  memcpy(copy, text.ptr, text.len);
  return (tti_slice){copy, text.len};
}

/* Shards outlive the process, so this must stay as it is. */
static uint64_t hash_of(uint64_t key, uint64_t group) {
  uint64_t hash = key ^ (group << 32 | group >> 32);
  hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
  return hash ^ hash >> 33;
}

static fleet_entry *entry_of(source *s, tti_slice key, uint64_t hash,
                             size_t group) {
  fleet_gather *g = s->gather;
  fleet_entry **slot =
      &g->slots[(hash >> 8 ^ (uint64_t)s->hour) % FLEET_GATHER_SLOTS];
  for (fleet_entry *e = *slot; e; e = e->next_in_slot)
    if (e->hash == hash && e->hour == s->hour &&
        tti_slice_eq(e->series.key, key) &&
        tti_slice_eq(e->series.dimension, s->groups[group].dimension) &&
        tti_slice_eq(e->series.value, s->groups[group].value))
      return e;
  fleet_entry *made = tti_arena_new(&g->arena, sizeof *made);
  if (!made)
    return NULL;
  size_t shard = hash % FLEET_SHARDS;
  *made =
      (fleet_entry){.next_in_slot = *slot,
                    .next_in_shard = g->shards[shard],
                    .hash = hash,
                    .hour = s->hour,
                    .series = {.key = kept(g, key),
                               .dimension = kept(g, s->groups[group].dimension),
                               .value = kept(g, s->groups[group].value),
                               .first_us = s->update->received_us}};
  *slot = g->shards[shard] = made;
  g->in_shard[shard]++;
  g->count++;
  return made;
}

static bool add_item(fleet_entry *e, const fleet_item *item) {
  switch (item->shape) {
  case FLEET_NUMBER:
    return fleet_aggregate_number(&e->sum, item->number);
  case FLEET_LIST:
    return fleet_aggregate_number(&e->sum, (double)item->count);
  case FLEET_STRING:
  case FLEET_SET:
    return fleet_values_add(&e->sum.values, item->text, item->count);
  case FLEET_BOOL:
    return fleet_values_add(
        &e->sum.values, item->number ? TTI_SLICE("true") : TTI_SLICE("false"),
        1);
  default:
    return true;
  }
}

/* `item` NULL: the update itself. */
static bool add_to_groups(source *s, tti_slice key, const fleet_item *item) {
  uint64_t of_key = tti_hash64(key.ptr, key.len);
  for (size_t i = 0; i < s->group_count; i++) {
    uint64_t hash = hash_of(of_key, s->groups[i].hash);
    if (s->update->n <= s->positions[hash % FLEET_SHARDS])
      continue;
    fleet_entry *e = entry_of(s, key, hash, i);
    if (!e || s->gather->arena.failed)
      return false;
    if (e->last_n != s->update->n) {
      e->last_n = s->update->n;
      e->sum.updates++;
      if (s->update->received_us > e->series.last_us)
        e->series.last_us = s->update->received_us;
      if (!fleet_distinct_add(&e->sum.instances,
                              (uint64_t)s->update->instance_n))
        return false;
    }
    if (item && !add_item(e, item))
      return false;
  }
  return true;
}

/* ---- Updates ---- */

/* What the update says of itself, or else what its instance said before. */
static const tti_slice *value_of(const fleet_payload *payload,
                                 const fleet_fields *fields, tti_slice name) {
  static const tti_slice truths[] = {{"false", 5}, {"true", 4}};
  for (size_t i = 0; i < payload->item_count; i++) {
    const fleet_item *item = &payload->items[i];
    if (!tti_slice_eq(item->key, name))
      continue;
    if (item->shape == FLEET_STRING)
      return &item->text;
    if (item->shape == FLEET_BOOL)
      return &truths[item->number != 0];
  }
  return fleet_fields_get(fields, name);
}

/* Those of the dimensions for which there is a value. */
static tt_error take_groups(source *s, fleet_payload *payload) {
  const fleet_dimensions *d = s->gather->dimensions;
  fleet_fields fields = {.count = 0};
  tt_error error = TT_OK;
  if (s->update->fields.ptr)
    error = fleet_fields_read(s->update->fields, &payload->arena, &fields);
  s->groups[0].dimension = s->groups[0].value = TTI_SLICE("");
  s->group_count = 1;
  for (size_t i = 0; !error && i < d->count; i++) {
    const tti_slice *value = value_of(payload, &fields, d->names[i]);
    if (!value)
      continue;
    s->groups[s->group_count].dimension = d->names[i];
    s->groups[s->group_count].value = *value;
    s->groups[s->group_count++].hash =
        tti_hash64(d->names[i].ptr, d->names[i].len) * 31 +
        tti_hash64(value->ptr, value->len);
  }
  return error;
}

bool fleet_gather_add(fleet_gather *g, const int64_t positions[FLEET_SHARDS],
                      const fleet_told *update) {
  fleet_payload payload;
  source s = {.gather = g,
              .positions = positions,
              .update = update,
              .hour = fleet_bucket_of(FLEET_HOURS, update->received_us)};
  tt_error error = fleet_payload_data(&payload, update->data);
  bool good = error != TT_ENOMEM && !take_groups(&s, &payload) &&
              add_to_groups(&s, TTI_SLICE(""), NULL);
  for (size_t i = 0; good && i < payload.item_count; i++)
    if (payload.items[i].key.len)
      good = add_to_groups(&s, payload.items[i].key, &payload.items[i]);
  fleet_payload_free(&payload);
  return good;
}
