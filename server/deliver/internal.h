#ifndef DELIVER_INTERNAL_H
#define DELIVER_INTERNAL_H

#include "server/deliver/deliver.h"
#include "server/deliver/look.h"
#include "server/deliver/request.h"
#include "server/deliver/settle.h"
#include "server/deliver/sweep.h"
#include "server/deliver/transfer.h"
#include <pthread.h>
#include <stdatomic.h>

/* The deliverer's parts: lanes.c (which lane is to do what), flights.c
 * (requests, and what came of them), looking.c (the store). Everything is the
 * deliverer's thread's, but for what says otherwise. */

#define DELIVER_BUCKETS 4096
/* Of deliveries in memory; one look more may go beyond. What there is no room
 * for stays in the store. */
#define DELIVER_BYTES ((size_t)64 << 20)

/* The allow-list, as it is in force on the thread. */
struct deliver_rules {
  guard guard;
  http_network networks[];
};

/* A request under way. */
typedef struct flight {
  struct flight *next; /* of those that are free */
  transfer *transfer;
  item *item;
  request request;
  bool flying;
  bool unproven; /* its lane had not shown that it answers */
} flight;

/* Lanes that wait for something, first come first served. */
typedef struct lane_queue {
  lane *first, *last;
  size_t count;
} lane_queue;

struct deliver {
  deliver_options options;
  CURLM *multi;
  pthread_t thread;
  bool started;

  /* Orders the store's threads before deliver_free, and guards `rules`. */
  pthread_mutex_t mutex;
  deliver_rules *rules;  /* the newest */
  deliver_rules *in_use; /* the thread's; may be the same */
  guard guard;           /* what that says; the transfers look at it */
  atomic_bool woken, changed, looked;
  atomic_bool stopping;
  _Atomic int64_t leave_by_us; /* of the real monotonic clock */
  /* For the watchdog; relaxed, it looks at them again and again. */
  _Atomic uint64_t beats;
  atomic_bool has_work;

  lane *buckets[DELIVER_BUCKETS];
  lane_queue ready;  /* something may begin */
  lane_queue wanted; /* something is to be looked at */
  int64_t scan_us;   /* a lane that sleeps wakes */
  size_t bytes;      /* that the deliveries of all lanes take */
  bool starved;      /* a lane found no room for more of them */
  flight flights[DELIVER_IN_FLIGHT];
  flight *free_flights;
  size_t in_flight, unproven;
  look look;
  bool looking, made, walk;
  int64_t made_n; /* -1: not known yet */
  char walk_after[TABLES_ID_SIZE];
  int64_t look_after_us, count_us;
  settle *settle;
  sweep sweep;
};

/* Sets the flag and wakes the thread. Any thread. */
void deliver_rouse(deliver *d, atomic_bool *flag);
/* The same for the store's threads. */
void deliver_rouse_from_store(void *d, atomic_bool *flag);

static inline bool deliver_take_flag(atomic_bool *flag) {
  return atomic_exchange_explicit(flag, false, memory_order_acquire);
}

/* ---- lanes.c ---- */

/* Puts a lane where it belongs after anything about it has changed. */
void deliver_consider(deliver *d, lane *l, int64_t now_us);
/* The lane, made when it is new. NULL: out of memory. */
lane *deliver_lane(deliver *d, const due_lane *id);
void deliver_push_ready(deliver *d, lane *l);
lane *deliver_pop_ready(deliver *d);
/* Goes on with those that found no room, once there is some. */
void deliver_feed(deliver *d, int64_t now_us);
/* One that still is to be looked at. */
lane *deliver_pop_wanted(deliver *d, int64_t now_us);
/* Wakes those whose time has come, and forgets those that have nothing. */
void deliver_scan(deliver *d, int64_t now_us);
/* Every webhook is to be read again before something goes to it. */
void deliver_forget_webhooks(deliver *d, int64_t now_us);
/* Nothing begins until then; what was queued is read again when it goes on. */
void deliver_hold(deliver *d, lane *l, int64_t until_us, int64_t now_us);
/* Its webhook is disabled. */
void deliver_turn_off(deliver *d, lane *l, int64_t now_us);

/* ---- flights.c ---- */

/* settle_options.settled. */
void deliver_settled(void *context, item *i, const due_attempt *result);
/* Takes the answers that are there. */
void deliver_collect(deliver *d);
/* Begins what may begin, one of each lane in turn. */
void deliver_begin(deliver *d, int64_t now_us);
/* Ends the requests that are under way, which are sent again after the next
 * start. */
void deliver_abandon(deliver *d);

/* ---- looking.c ---- */

/* Looks into the store, if that is due and none is under way. */
void deliver_look(deliver *d, int64_t now_us);
/* Takes what a look has found. */
void deliver_take_look(deliver *d, int64_t now_us);

#endif
