#include "server/deliver/lane.h"

#include "server/deliver/request.h"
#include <stdlib.h>

lane *lane_new(const due_lane *id, size_t *bytes) {
  lane *l = calloc(1, sizeof *l);
  if (!l)
    return NULL;
  l->id = *id;
  l->bytes = bytes;
  l->window = 1;
  l->next_us = LANE_NEVER;
  return l;
}

static size_t bytes_of(const due_delivery *due) {
  return sizeof(item) + sizeof *due + due->body.len;
}

/* Takes it out of the list and forgets it. */
static void discard(item *i) {
  lane *l = i->lane;
  item **at = &l->items;
  while (*at != i)
    at = &(*at)->next;
  *at = i->next;
  l->held--;
  *l->bytes -= bytes_of(i->delivery);
  free(i->delivery);
  free(i);
}

void lane_free(lane *l) {
  if (!l)
    return;
  while (l->items)
    discard(l->items);
  free(l->webhook);
  curl_slist_free_all(l->extra);
  free(l);
}

void lane_set_webhook(lane *l, due_webhook *webhook) {
  free(l->webhook);
  curl_slist_free_all(l->extra);
  l->webhook = webhook;
  l->extra = webhook ? request_extra(webhook->headers) : NULL;
  l->stale = l->stale_again;
  l->stale_again = false;
}

void lane_doubt(lane *l) {
  l->stale = true;
  l->stale_again = l->looking;
}

bool lane_is_ordered(const lane *l) {
  return l->webhook && l->webhook->ordered && !l->id.express;
}

/* Of two that wait: by time, or by number. */
static bool is_before(const lane *l, const due_delivery *a,
                      const due_delivery *b) {
  if (!lane_is_ordered(l) && a->due_us != b->due_us)
    return a->due_us < b->due_us;
  return a->n < b->n;
}

tt_error lane_add(lane *l, due_delivery *due) {
  item **at = &l->items;
  for (item *i = l->items; i; i = i->next)
    if (i->delivery->n == due->n) {
      free(due);
      return TT_OK;
    }
  item *made = malloc(sizeof *made);
  if (!made) {
    free(due);
    return TT_ENOMEM;
  }
  while (*at && !is_before(l, due, (*at)->delivery))
    at = &(*at)->next;
  *made = (item){*at, l, due, ITEM_QUEUED};
  *at = made;
  l->held++;
  l->queued++;
  *l->bytes += bytes_of(due);
  return TT_OK;
}

item *lane_next(const lane *l, int64_t now_us) {
  unsigned most = lane_is_ordered(l) ? 1 : l->window;
  if (!l->queued || !l->webhook || l->stale || now_us < l->hold_until_us ||
      l->in_flight >= most ||
      !breaker_lets(&l->breaker, (unsigned)l->in_flight, now_us))
    return NULL;
  for (item *i = l->items; i; i = i->next)
    if (i->state == ITEM_QUEUED)
      return i;
  return NULL;
}

size_t lane_room(const lane *l, int64_t now_us) {
  /* While it is half-open there is one to be tried. */
  size_t most = l->breaker.trips ? 1 : (size_t)l->window * LANE_AHEAD_PER_PLACE;
  size_t ahead = l->queued + l->in_flight;
  if (l->next_us > now_us || now_us < l->hold_until_us || ahead > most / 2 ||
      l->held >= LANE_HELD_MAX - LANE_AHEAD_MAX)
    return 0;
  return most - ahead;
}

int64_t lane_wakes_us(const lane *l) {
  int64_t next_us = l->queued ? 0 : l->next_us;
  return next_us > l->hold_until_us ? next_us : l->hold_until_us;
}

void item_begin(item *i) {
  i->state = ITEM_IN_FLIGHT;
  i->lane->queued--;
  i->lane->in_flight++;
}

bool item_end(item *i, bool ill, int64_t now_us) {
  lane *l = i->lane;
  i->state = ITEM_SETTLING;
  l->in_flight--;
  if (ill)
    l->window = 1;
  else if (l->window < LANE_WINDOW_MAX)
    l->window++;
  if (!breaker_report(&l->breaker, ill, now_us))
    return false;
  l->hold_until_us = l->breaker.open_until_us;
  return true;
}

void item_skip(item *i) {
  i->state = ITEM_SETTLING;
  i->lane->queued--;
}

void item_settled(item *i) {
  if (i->lane->looking)
    i->state = ITEM_DONE;
  else
    discard(i);
}

/* Forgets all items of a state. */
static void discard_all(lane *l, item_state state) {
  item *next;
  for (item *i = l->items; i; i = next) {
    next = i->next;
    if (i->state == state)
      discard(i);
  }
}

void lane_drop_queued(lane *l) {
  discard_all(l, ITEM_QUEUED);
  l->queued = 0;
}

void lane_looked(lane *l) {
  l->looking = false;
  discard_all(l, ITEM_DONE);
}

bool lane_is_idle(const lane *l) {
  return !l->held && !l->looking && l->next_us == LANE_NEVER &&
         !l->breaker.trips && !l->is_ready && !l->is_wanted;
}
