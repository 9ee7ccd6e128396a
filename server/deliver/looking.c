#include "server/deliver/internal.h"

#define LOOK_AGAIN_US  ((int64_t)1000000)  /* after the store failed */
#define COUNT_EVERY_US ((int64_t)10000000) /* what is pending */

static void on_looked(store_read *read) {
  deliver *d = read->owner;
  deliver_rouse_from_store(d, &d->looked);
}

void deliver_look(deliver *d, int64_t now_us) {
  look *k = &d->look;
  bool counts = now_us >= d->count_us;
  if (d->looking || now_us < d->look_after_us ||
      (!d->made && !d->walk && !d->wanted.first && !counts))
    return;
  k->now_us = now_us;
  k->made = d->made;
  k->made_after = d->made_n;
  k->walk = !k->made && d->walk;
  memcpy(k->walk_after, d->walk_after, sizeof k->walk_after);
  lane *l;
  while (k->lane_count < LOOK_LANES && (l = deliver_pop_wanted(d, now_us)))
    look_add(k, l, now_us);
  k->count = counts;
  if (!k->made && !k->walk && !k->lane_count && !counts)
    return;
  if (counts)
    d->count_us = now_us + COUNT_EVERY_US;
  d->made = d->made && !k->made;
  k->read = (store_read){.run = look_run, .done = on_looked, .owner = d};
  d->looking = true;
  if (store_read_submit(d->options.store, &k->read) != TT_OK) {
    k->read.error = TT_EFULL;
    deliver_rouse(d, &d->looked);
  }
}

static void take_found(deliver *d, int64_t now_us) {
  look *k = &d->look;
  if (k->made) {
    d->made_n = k->made_n;
    d->made = d->made || k->made_more;
  } else if (k->walk) {
    d->walk = k->walk_more;
    memcpy(d->walk_after, k->walk_after, sizeof d->walk_after);
  }
  for (size_t i = 0; i < k->found_count; i++) {
    lane *l = deliver_lane(d, &k->found[i]);
    if (!l) { /* out of memory: later, all of them */
      d->walk = true;
      d->walk_after[0] = '\0';
      d->look_after_us = now_us + LOOK_AGAIN_US;
      break;
    }
    l->next_us = 0;
    /* So that the table says when it will be tried. */
    if (now_us < l->hold_until_us && (l->off || l->breaker.trips))
      settle_defer(d->settle, l, now_us);
    deliver_consider(d, l, now_us);
  }
}

static void take_deliveries(lane *l, look_lane *from) {
  bool all = true;
  for (size_t i = 0; i < from->count; i++) {
    all = lane_add(l, from->deliveries[i]) == TT_OK && all;
    from->deliveries[i] = NULL;
  }
  if (!all)
    l->next_us = 0;
  else if (from->next_us < l->next_us)
    l->next_us = from->next_us;
}

static void take_lane(deliver *d, look_lane *from, int64_t now_us) {
  lane *l = from->lane;
  lane_looked(l);
  if (from->deleted || from->webhook) {
    lane_set_webhook(l, from->webhook);
    from->webhook = NULL;
  }
  if (from->deleted) {
    lane_drop_queued(l);
    l->next_us = LANE_NEVER;
  } else if (l->webhook && !l->webhook->enabled) {
    deliver_turn_off(d, l, now_us);
  } else if (from->skipped || now_us < l->hold_until_us) {
    l->next_us = 0;
  } else if (from->max) {
    take_deliveries(l, from);
  }
  deliver_consider(d, l, now_us);
}

void deliver_take_look(deliver *d, int64_t now_us) {
  look *k = &d->look;
  if (!deliver_take_flag(&d->looked))
    return;
  d->looking = false;
  if (k->read.error != TT_OK) {
    d->look_after_us = now_us + LOOK_AGAIN_US;
    d->made = d->made || k->made;
    for (size_t i = 0; i < k->lane_count; i++) {
      lane *l = k->lanes[i].lane;
      lane_looked(l);
      l->next_us = 0;
      deliver_consider(d, l, now_us);
    }
  } else {
    take_found(d, now_us);
    if (k->count)
      tt_metrics_set(d->options.metrics, TT_METRIC_DELIVERIES_PENDING,
                     (double)k->pending, NULL, NULL);
    for (size_t i = 0; i < k->lane_count; i++)
      take_lane(d, &k->lanes[i], now_us);
  }
  look_clear(k);
}
