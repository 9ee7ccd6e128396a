#include "lib/fleet/items.h"

#include "lib/fleet/hash.h"
#include "lib/json/write.h"
#include <stdlib.h>

#define FIRST_SLOTS 16
/* {"value":…,"count":…}, with all the digits, is the longest. */
#define AROUND_BYTES 40

tti_item *tti_item_new(uint64_t seed, tti_slice key, tti_shape shape) {
  tti_item *item = calloc(1, sizeof(*item) + key.len);
  if (!item)
    return NULL;
  item->shape = shape;
  item->key_len = key.len;
  if (key.len)
    memcpy(item->key, key.ptr, key.len);
  item->hash = tti_fleet_hash(seed, item->key, key.len);
  return item;
}

void tti_item_free(tti_item *item) {
  if (!item)
    return;
  tti_items_fini(&item->inner);
  free(item->value);
  free(item);
}

bool tti_item_set_value(tti_item *item, tti_slice json) {
  char *copy = malloc(json.len);
  if (!copy)
    return false;
  memcpy(copy, json.ptr, json.len);
  free(item->value);
  item->value = copy;
  item->value_len = json.len;
  return true;
}

tti_item *tti_items_find(const tti_items *items, uint64_t seed, tti_slice key) {
  if (!items->slots)
    return NULL;
  uint64_t hash = tti_fleet_hash(seed, key.ptr, key.len);
  tti_item *at = items->slots[hash & (items->slot_count - 1)];
  while (at && (at->hash != hash || !tti_slice_eq(tti_item_key(at), key)))
    at = at->chain;
  return at;
}

static tti_item **slot_of(tti_items *items, const tti_item *item) {
  return &items->slots[item->hash & (items->slot_count - 1)];
}

static void chain(tti_items *items, tti_item *item) {
  tti_item **slot = slot_of(items, item);
  item->chain = *slot;
  *slot = item;
}

static bool make_room(tti_items *items) {
  if (items->count < items->slot_count)
    return true;
  size_t slot_count = items->slot_count ? items->slot_count * 2 : FIRST_SLOTS;
  tti_item **slots = calloc(slot_count, sizeof(tti_item *));
  if (!slots)
    return false;
  free(items->slots);
  items->slots = slots;
  items->slot_count = slot_count;
  for (tti_item *at = items->first; at; at = at->after)
    chain(items, at);
  return true;
}

/* Between two that are neighbours; NULL: there is none on that side. */
static bool insert(tti_items *items, tti_item *item, tti_item *before,
                   tti_item *after, bool keyed) {
  if (keyed && !make_room(items))
    return false;
  item->before = before;
  item->after = after;
  *(before ? &before->after : &items->first) = item;
  *(after ? &after->before : &items->last) = item;
  if (keyed)
    chain(items, item);
  items->count++;
  return true;
}

bool tti_items_append(tti_items *items, tti_item *item, bool keyed) {
  return insert(items, item, items->last, NULL, keyed);
}

bool tti_items_prepend(tti_items *items, tti_item *item, bool keyed) {
  return insert(items, item, NULL, items->first, keyed);
}

void tti_items_remove(tti_items *items, tti_item *item) {
  *(item->before ? &item->before->after : &items->first) = item->after;
  *(item->after ? &item->after->before : &items->last) = item->before;
  items->count--;
  if (!items->slots)
    return;
  tti_item **slot = slot_of(items, item);
  while (*slot != item)
    slot = &(*slot)->chain;
  *slot = item->chain;
}

void tti_items_fini(tti_items *items) {
  for (tti_item *at = items->first, *after; at; at = after) {
    after = at->after;
    tti_item_free(at);
  }
  free(items->slots);
  *items = (tti_items){0};
}

size_t tti_item_bytes(const tti_item *item) {
  size_t bytes = item->value_len + AROUND_BYTES;
  if (item->key_len)
    bytes += tti_json_string_size(tti_item_key(item));
  for (const tti_item *at = item->inner.first; at; at = at->after)
    bytes += tti_item_bytes(at);
  return bytes;
}
