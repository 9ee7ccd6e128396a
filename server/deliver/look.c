#include "server/deliver/look.h"

#include "lib/base/time.h"
#include <stdlib.h>

#define LOOK_US 3000 /* then it goes on another time */

static void found(void *context, const due_lane *id) {
  look *k = context;
  k->found[k->found_count++] = *id;
}

static tt_error look_made(look *k, store_tx *tx) {
  if (k->made_after < 0)
    return due_last(tx, &k->made_n);
  return due_made(tx, k->made_after, LOOK_MADE, found, k, &k->made_n,
                  &k->made_more);
}

/* Both lanes of each: the one that has nothing will show that. */
static tt_error look_walk(look *k, store_tx *tx) {
  tt_error error = TT_OK;
  while (!error && k->found_count + 2 <= LOOK_MADE) {
    due_lane id = {.express = false};
    error = due_next_webhook(tx, k->walk_after);
    if (error)
      break;
    memcpy(id.webhook, k->walk_after, sizeof id.webhook);
    found(k, &id);
    id.express = true;
    found(k, &id);
  }
  k->walk_more = error == TT_OK;
  return error == TT_ENOTFOUND ? TT_OK : error;
}

static void take(void *context, due_delivery *due) {
  look_lane *l = context;
  l->deliveries[l->count++] = due;
}

static tt_error look_lane_run(look_lane *l, int64_t now_us, store_tx *tx) {
  if (l->wants_webhook) {
    tt_error error = due_webhook_read(tx, l->id.webhook, &l->webhook);
    l->deleted = error == TT_ENOTFOUND;
    if (error)
      return l->deleted ? TT_OK : error;
    l->ordered = l->webhook->ordered && !l->id.express;
  }
  if (!l->max || (l->webhook && !l->webhook->enabled))
    return TT_OK;
  due_query query = {.lane = l->id,
                     .ordered = l->ordered,
                     .now_us = now_us,
                     .held = l->held,
                     .held_count = l->held_count,
                     .max = l->max,
                     .max_bytes = LOOK_BYTES};
  return due_read(tx, &query, take, l, &l->next_us);
}

tt_error look_run(store_read *read, store_tx *tx) {
  look *k = (look *)read; /* its first member */
  int64_t until_us = tti_monotonic_us(&tti_clock_system) + LOOK_US;
  tt_error error = TT_OK;
  if (k->made)
    error = look_made(k, tx);
  else if (k->walk)
    error = look_walk(k, tx);
  if (!error && k->count)
    error = due_pending(tx, LOOK_PENDING, &k->pending);
  for (size_t i = 0; i < k->lane_count && !error; i++) {
    k->lanes[i].skipped = tti_monotonic_us(&tti_clock_system) > until_us;
    if (!k->lanes[i].skipped)
      error = look_lane_run(&k->lanes[i], k->now_us, tx);
  }
  return error;
}

void look_add(look *k, lane *l, int64_t now_us) {
  look_lane *to = &k->lanes[k->lane_count++];
  *to = (look_lane){.lane = l,
                    .id = l->id,
                    .wants_webhook = l->stale || !l->webhook,
                    .ordered = lane_is_ordered(l),
                    .max = lane_room(l, now_us),
                    .next_us = LANE_NEVER};
  for (item *i = l->items; i; i = i->next)
    to->held[to->held_count++] = i->delivery->n;
  l->looking = true;
  if (to->max) /* what comes meanwhile is told by who makes it */
    l->next_us = LANE_NEVER;
}

void look_clear(look *k) {
  for (size_t i = 0; i < k->lane_count; i++) {
    look_lane *l = &k->lanes[i];
    free(l->webhook);
    for (size_t j = 0; j < l->count; j++)
      free(l->deliveries[j]);
  }
  k->lane_count = k->found_count = 0;
  k->made = k->walk = k->count = k->made_more = k->walk_more = false;
}
