#ifndef FLEET_CONTROL_H
#define FLEET_CONTROL_H

#include "server/fleet/fields.h"
#include "server/store/tables/fleet_keys.h"

/* What instances are told: an ordered list of rules,
 *
 *   [{"match": {"instance": "…", "key": "prefix*",
 *               "where": {"version": "1.*"}, "share": 0.1},
 *     "next_update": "6h", "disable": […], "enable": […], "stop": true,
 *     "status": 410}, …]
 *
 * of which every member may be left out. All that `match` names has to be so;
 * no `match` is true of everyone. Of each effect the first rule that matches
 * decides: how long until the next update, whether to stop, the status, and
 * of every key whether it is enabled or disabled. */

enum {
  FLEET_RULES_MAX = 64,
  FLEET_CONTROL_BYTES = 65536,
  FLEET_CONTROL_KEYS = 256, /* keys that all rules name */
  FLEET_WHERE_MAX = 8,
  FLEET_ETAG_TEXT = 24
};

/* Before any were set. */
#define FLEET_NO_RULES "[]"

/* Immutable once made; any thread. */
typedef struct fleet_control fleet_control;

/* Copies the text. TT_EINVAL: *out_refusal says what is wrong; TT_ENOMEM. */
tt_error fleet_control_parse(tti_slice text, fleet_control **out_control,
                             fleet_refusal *out_refusal);
fleet_control *fleet_control_ref(fleet_control *control);
void fleet_control_unref(fleet_control *control); /* NULL is fine */

/* As it was parsed, and a strong validator of it, in quotes. */
tti_slice fleet_control_text(const fleet_control *control);
const char *fleet_control_etag(const fleet_control *control);
void fleet_etag_of(tti_slice text, char out_etag[FLEET_ETAG_TEXT]);
size_t fleet_control_rules(const fleet_control *control);

/* An instance as rules see it. */
typedef struct fleet_subject {
  const char *id;
  const fleet_fields *fields;
  const fleet_key_set *keys;    /* that it ever sent */
  const fleet_payload *payload; /* what it sends now; may be NULL */
} fleet_subject;

/* What it is told. */
typedef struct fleet_orders {
  uint64_t next_update_us; /* 0: no rule says */
  bool stop;
  int status;       /* 0, 410 or 451 */
  uint64_t matched; /* a bit for each rule that matches */
  uint64_t applied; /* … and decides something */
  size_t key_count;
  struct {
    tti_slice key; /* the control's */
    bool enabled;
  } keys[FLEET_CONTROL_KEYS];
} fleet_orders;

/* In a transaction, since the numbers of keys are looked up. */
tt_error fleet_control_decide(const fleet_control *control,
                              const fleet_subject *subject, store_tx *tx,
                              fleet_orders *out_orders);

/* Whether a text is the pattern; one that ends in '*' says how it begins. */
bool fleet_fits(tti_slice pattern, tti_slice text);

/* Where in [0, 1) an id is for `share`: always at the same place. */
double fleet_share_of(const char *id);

#endif
