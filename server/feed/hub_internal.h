#ifndef FEED_HUB_INTERNAL_H
#define FEED_HUB_INTERNAL_H

#include "server/feed/hub.h"
#include "server/io/log.h"
#include <stdatomic.h>

struct hub {
  hub_options options;
  list_node topics;
  list_node all; /* every subscriber */
  size_t subscribers;
  hub_sub *current; /* whose connection is being written to; NULL once it went
                       from within */

  /* The ring. */
  tt_reader *live;
  tt_reader *past;     /* for those who are behind but within the ring */
  uint64_t position;   /* the live reader has handed out up to here */
  uint64_t ring_first; /* as of this run; 0: empty */

  /* The turn: what the live reader found is given to one outlet after the
   * other, a slice at a time. Those not served yet stand at turn_from. */
  list_node giving; /* topic_outlet.giving */
  uint64_t turn_from;
  uint64_t turn_cost_us;
  uint64_t next_turn_us;
  bool woken;
  tti_buf scratch[TOPIC_VIEWS]; /* one event's frame */

  /* Those who are not live. */
  list_node ready;
  list_node blocked;
  list_node ahead;
  list_node retry;
  list_node ended; /* nothing may be written to them any more */
  uint64_t retry_us;
  list_node reads; /* hub_read in flight */
  size_t read_count;
  piece_cache cache;

  /* Damage in the store that was met last: told as dropped up to here, and how
   * far the next step over it goes. */
  uint64_t damage_to;
  uint64_t damage_step;
  tti_log_ration damage_ration;
  tti_log_ration failure_ration;

  atomic_uint_least64_t delivered;
  atomic_uint_least64_t dropped;
  atomic_uint_least64_t catchups;
  atomic_uint_least64_t failures;
};

/* ---- hub.c ---- */

/* Hands the chunk over; false when the subscriber went from within. */
bool hub_write(hub *h, hub_sub *sub, http_chunk *chunk);
void hub_move(hub_sub *sub, hub_state state, list_node *list);
void hub_count(atomic_uint_least64_t *counter, uint64_t by);
void hub_release_topic(hub *h, topic *t);

/* ---- turn.c ---- */

/* Takes what is new from the ring and gives it to the live subscribers. */
void turn_run(hub *h);
/* Goes on giving; true when everybody was served. */
bool turn_give(hub *h);

/* ---- catchup.c ---- */

/* Takes the next step for some of those who are ready. */
void catchup_run(hub *h);

#endif
