#ifndef TTI_FLEET_ITEMS_H
#define TTI_FLEET_ITEMS_H

#include "lib/base/slice.h"
#include <stdint.h>

/* What is kept under the collector's lock: an ordered map of keys to values,
 * lists, maps and counting sets. Values are JSON text. */
typedef enum tti_shape {
  TTI_SHAPE_VALUE,
  TTI_SHAPE_INT, /* where the table of counters has no more room: `count` */
  TTI_SHAPE_LIST,
  TTI_SHAPE_NESTED,
  TTI_SHAPE_UNIQUE
} tti_shape;

typedef struct tti_item tti_item;

/* All zero is empty. */
typedef struct tti_items {
  tti_item *first, *last;
  tti_item **slots; /* NULL for a list, and while there are none */
  size_t slot_count;
  size_t count;
} tti_items;

/* A value, or what has values of its own: the items of a list have no key, and
 * of a counting set the key is the value. */
struct tti_item {
  tti_item *before, *after; /* in their order */
  tti_item *chain;          /* in their slot */
  uint64_t hash;
  tti_shape shape;
  bool set;        /* an int: by tt_fleet_set */
  int64_t count;   /* an int, or how often a value of a counting set came */
  tti_items inner; /* of a list, a map, a counting set */
  char *value;     /* JSON, owned; NULL: it has none of its own */
  size_t value_len;
  size_t key_len;
  char key[];
};

/* A new item, in no map; key.ptr NULL: without a key. NULL: no memory. */
tti_item *tti_item_new(uint64_t seed, tti_slice key, tti_shape shape);
/* With what it holds. */
void tti_item_free(tti_item *item);

/* Copies the JSON; false: no memory, and the value is what it was. */
bool tti_item_set_value(tti_item *item, tti_slice json);

static inline tti_slice tti_item_key(const tti_item *item) {
  return (tti_slice){item->key, item->key_len};
}
static inline tti_slice tti_item_value(const tti_item *item) {
  return (tti_slice){item->value, item->value_len};
}

tti_item *tti_items_find(const tti_items *items, uint64_t seed, tti_slice key);

/* A list's items have no slots: `keyed` false. Take the item; false: no memory,
 * and it stays the caller's. */
bool tti_items_append(tti_items *items, tti_item *item, bool keyed);
bool tti_items_prepend(tti_items *items, tti_item *item, bool keyed);

/* Takes the item out; it becomes the caller's. */
void tti_items_remove(tti_items *items, tti_item *item);

void tti_items_fini(tti_items *items);

/* Values in an item: 1, or those inside. */
static inline size_t tti_item_leaves(const tti_item *item) {
  return item->shape <= TTI_SHAPE_INT ? 1 : item->inner.count;
}

/* Bytes of it in an update, those inside included. */
size_t tti_item_bytes(const tti_item *item);

#endif
