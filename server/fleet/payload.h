#ifndef FLEET_PAYLOAD_H
#define FLEET_PAYLOAD_H

#include "lib/json/scan.h"
#include "lib/otlp/arena.h"
#include "server/store/store.h"

/* An update of a fleet client, taken apart: {"instance_id", "timestamp",
 * "expect_next", "data": {…}}, as <telltale/fleet.h> and the clients that it
 * follows send it. Other members are ignored, expect_next too. */

enum {
  FLEET_ID_TEXT = 37,         /* of an instance id, with the NUL */
  FLEET_NAME_MAX = 1024,      /* bytes of a key, its map's included */
  FLEET_TEXT_MAX = 256,       /* bytes of a text; the rest is cut off */
  FLEET_COUNTED_MAX = 100000, /* items that an update may have */
  FLEET_ITEMS_MAX = 1000,     /* … that are looked at one by one */
  FLEET_FIELDS_MAX = 32
};

typedef enum fleet_shape {
  FLEET_NUMBER,
  FLEET_STRING,
  FLEET_BOOL,
  FLEET_SET, /* one value of a counting set */
  FLEET_LIST,
  FLEET_OTHER, /* null, or what is nested deeper */
  FLEET_SHAPES
} fleet_shape;

/* "number", …; static. */
const char *fleet_shape_name(fleet_shape shape);

/* One value. A counting set has an item for each of its values, one after the
 * other, and so has a map: its member b is the item "a.b". */
typedef struct fleet_item {
  tti_slice key;
  fleet_shape shape;
  double number;  /* NUMBER, finite; BOOL: 0 or 1 */
  tti_slice text; /* STRING; SET: the value, as JSON when it is no string; ptr
                     NULL: all those that there was no room for */
  uint64_t count; /* SET: how often it came; LIST: its items; else 1 */
  int64_t key_n;  /* its row of fleet_keys, once that was looked for; 0: there
                     are too many keys, it is one of "other" */
} fleet_item;

/* What is in the update and in none of the items. */
#define FLEET_DROPPED_MAP(X)                                                   \
  X(FLEET_DROPPED_LONG_KEY, "long_key")   /* the key is too long */            \
  X(FLEET_DROPPED_ITEM, "item")           /* there are too many */             \
  X(FLEET_DROPPED_SET_VALUE, "set_value") /* likewise: counted as other */     \
  X(FLEET_DROPPED_KEY, "key")             /* one more key than are kept */     \
  X(FLEET_DROPPED_FIELD, "field")         /* a text that is no field */

typedef enum fleet_dropped {
#define X(id, name) id,
  FLEET_DROPPED_MAP(X)
#undef X
      FLEET_DROPPED_COUNT
} fleet_dropped;

extern const char *const fleet_dropped_names[FLEET_DROPPED_COUNT];

typedef struct fleet_payload {
  char instance[FLEET_ID_TEXT]; /* lower case */
  int64_t timestamp_us;         /* the client's clock; INT64_MIN: none */
  tti_slice data;               /* the object, as sent; ptr NULL: none */
  fleet_item *items;
  size_t item_count;
  uint64_t counted; /* items as a client counts them */
  uint64_t dropped[FLEET_DROPPED_COUNT];
  tti_arena arena; /* of items and their texts */
} fleet_payload;

/* Why an update is refused. */
typedef struct fleet_refusal {
  const char *code;
  char message[400];
} fleet_refusal;

/* Takes the body apart; what is found borrows from it. `instance` is the one in
 * the path. TT_EINVAL, TT_EPARSE: *out_refusal says why; TT_ENOMEM. Free it
 * either way. Any thread. */
tt_error fleet_payload_parse(fleet_payload *payload, tti_slice instance,
                             tti_slice body, fleet_refusal *out_refusal);
/* The same for an object `data` that was found good before; ptr NULL: none. */
tt_error fleet_payload_data(fleet_payload *payload, tti_slice data);
void fleet_payload_free(fleet_payload *payload);

/* A UUID in its usual form, not all zero, in lower case. False: it is none. */
bool fleet_id_parse(tti_slice text, char out_id[FLEET_ID_TEXT]);

/* The texts and truths that an instance told last, this update's included: a
 * program may set its version once, in its first update. */
typedef struct fleet_field {
  tti_slice name; /* of the key: "version", "cpu.brand_name" */
  tti_slice value;
} fleet_field;

typedef struct fleet_fields {
  fleet_field items[FLEET_FIELDS_MAX];
  size_t count;
} fleet_fields;

/* What the tables are told of an update that is accepted, in its transaction.
 */
typedef struct fleet_update {
  const fleet_payload *payload; /* with the key_n of all items */
  const fleet_fields *fields;
  int64_t instance_n; /* row of fleet_instances */
  bool is_new;        /* its first update */
  int64_t received_us;
  int64_t expect_next_us; /* 0: no more are expected */
} fleet_update;

#endif
