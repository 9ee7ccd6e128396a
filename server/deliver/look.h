#ifndef DELIVER_LOOK_H
#define DELIVER_LOOK_H

#include "server/deliver/lane.h"

/* A look into the store, on one of its reading threads: which lanes have got
 * something, and what some lanes want to know. One at a time. */

#define LOOK_LANES   16
#define LOOK_MADE    256    /* new deliveries that one look passes over */
#define LOOK_PENDING 100000 /* the most that is counted */
#define LOOK_BYTES   ((size_t)1 << 20) /* of bodies, a lane */

/* One lane that is asked about. */
typedef struct look_lane {
  lane *lane; /* not touched by the reading thread */
  due_lane id;
  bool wants_webhook;
  bool ordered; /* as far as is known */
  size_t max;   /* deliveries; 0: none */
  int64_t held[LANE_HELD_MAX];
  size_t held_count;

  bool skipped; /* out: there was no time for it */
  bool deleted; /* out: the webhook is */
  due_webhook *webhook;
  due_delivery *deliveries[LANE_AHEAD_MAX];
  size_t count;
  int64_t next_us;
} look_lane;

typedef struct look {
  store_read read; /* owner: whoever looks */
  /* In: what is wanted. */
  bool made;          /* which lanes have new deliveries, after … */
  int64_t made_after; /* -1: go to the end, which is only told in made_n */
  bool walk;          /* which webhooks have pending ones at all, after … */
  char walk_after[TABLES_ID_SIZE];
  bool count; /* what is pending */
  int64_t now_us;
  look_lane lanes[LOOK_LANES];
  size_t lane_count;
  /* Out. */
  int64_t made_n;
  bool made_more;
  bool walk_more;
  uint64_t pending;
  due_lane found[LOOK_MADE]; /* by either */
  size_t found_count;
} look;

/* store_read.run. */
tt_error look_run(store_read *read, store_tx *tx);

/* Asks about a lane; the look has room for it. */
void look_add(look *k, lane *l, int64_t now_us);

/* Forgets what was asked and answered, and frees what nobody took. */
void look_clear(look *k);

#endif
