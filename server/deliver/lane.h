#ifndef DELIVER_LANE_H
#define DELIVER_LANE_H

#include "server/deliver/schedule.h"
#include "server/store/tables/due.h"
#include <curl/curl.h>

/* The queue of one webhook's deliveries (see due_lane), with what decides when
 * the next may go: its breaker, a window, its order. What is due waits in the
 * store; a lane holds a few. Knows no store and no network; the deliverer's
 * thread. */

/* Requests to one webhook that may be under way at once. It begins with one,
 * grows by one with each that succeeds, and falls back to one with each that
 * fails: a receiver that does not answer is waited for once, not all at once.
 */
#define LANE_WINDOW_MAX 16

/* Deliveries that a lane takes from the store ahead of time, for each place in
 * its window, and that it holds in all, those included whose results are on
 * their way to the store. */
#define LANE_AHEAD_PER_PLACE 4
#define LANE_AHEAD_MAX       (LANE_WINDOW_MAX * LANE_AHEAD_PER_PLACE)
#define LANE_HELD_MAX        256

#define LANE_NEVER INT64_MAX

typedef enum item_state {
  ITEM_QUEUED,
  ITEM_IN_FLIGHT,
  ITEM_SETTLING, /* its result is on its way to the store */
  ITEM_DONE      /* settled, while a look that may show it is under way */
} item_state;

typedef struct lane lane;

typedef struct item {
  struct item *next; /* in the lane */
  lane *lane;
  due_delivery *delivery; /* owned */
  item_state state;
} item;

struct lane {
  due_lane id;
  lane *next;               /* of all lanes */
  lane *next_ready;         /* the deliverer's queues */
  lane *next_wanted;        /* … */
  bool is_ready, is_wanted; /* it is in them */

  due_webhook *webhook;     /* NULL: not read yet */
  struct curl_slist *extra; /* its headers */
  bool stale;               /* the webhook may have changed … */
  bool stale_again;         /* … since the look that is under way began */
  bool looking;             /* a look at it is under way */
  bool off;                 /* held back since the webhook is disabled */

  size_t *bytes; /* that the deliveries of all lanes take; the deliverer's */
  item *items;
  size_t held, queued, in_flight;
  unsigned window;
  breaker breaker;
  int64_t hold_until_us; /* nothing begins before */
  int64_t next_us;       /* something in the store is due; LANE_NEVER */
};

/* What it holds is added to *bytes. NULL: out of memory. */
lane *lane_new(const due_lane *id, size_t *bytes);
/* With all that it holds. NULL is fine. */
void lane_free(lane *l);

/* Takes the webhook as a look found it; NULL: it was deleted. */
void lane_set_webhook(lane *l, due_webhook *webhook);
/* It may have changed. */
void lane_doubt(lane *l);

/* One in flight, in the order in which they were made, and none overtakes one
 * that waits to be tried again. */
bool lane_is_ordered(const lane *l);

/* Takes a delivery into the queue, unless it is there already. TT_ENOMEM. */
tt_error lane_add(lane *l, due_delivery *due);

/* Whether a request may begin, and the delivery that is next: the one that is
 * due longest, or, when it is ordered, that was made first. NULL: none. */
item *lane_next(const lane *l, int64_t now_us);

/* How many deliveries there is room for; 0 also when it need not look yet. */
size_t lane_room(const lane *l, int64_t now_us);

/* When it has to be looked at again, at the earliest. */
int64_t lane_wakes_us(const lane *l);

void item_begin(item *i);
/* The answer is there; the breaker and the window learn from it. True: the
 * breaker opened, until hold_until_us. */
bool item_end(item *i, bool ill, int64_t now_us);
/* It is not to be sent, but has a result all the same. */
void item_skip(item *i);
/* Its result is in the store. Forgets it, or, while a look is under way that
 * may have begun before, keeps its number until lane_looked. */
void item_settled(item *i);

/* Forgets what is queued: it is in the store. */
void lane_drop_queued(lane *l);

/* A look at the lane has ended. */
void lane_looked(lane *l);

/* Nothing is held, wanted or remembered. */
bool lane_is_idle(const lane *l);

#endif
