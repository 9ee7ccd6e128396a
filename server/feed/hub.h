#ifndef FEED_HUB_H
#define FEED_HUB_H

#include "server/bus/bus.h"
#include "server/feed/cursor.h"
#include "server/feed/piece.h"

/* What one loop does for its subscribers, without sockets, threads or clocks of
 * its own: those come in through hub_env. Everything here runs on one thread,
 * but for store reads, which end on another and are carried over by the env. */
typedef struct hub hub;
typedef struct hub_sub hub_sub;
typedef struct hub_read hub_read;

typedef struct hub_env {
  uint64_t (*now_us)(void *context);
  /* Asks for hub_run after so many milliseconds; 0: soon, but not from within.
   * Asking again does no harm. */
  void (*run_in)(void *context, uint64_t ms);
  /* A read of the store begins, on the hub's thread. */
  void (*read_began)(void *context);
  /* It has ended: see to it that hub_read_finish is called for it on the hub's
   * thread. Called on a reading thread, must not block. With NULL, on the hub's
   * thread: it could not begin. */
  void (*read_ended)(void *context, hub_read *read);
  void *context;

  /* Hands a chunk to the subscriber's connection, with a reference. It may
   * call hub_writable and hub_unsubscribe from within. */
  void (*write)(hub_sub *sub, http_chunk *chunk);
  size_t (*pending)(const hub_sub *sub); /* bytes not with the kernel yet */
  /* Ends the connection's stream; hub_unsubscribe follows, now or later. */
  void (*end)(hub_sub *sub);
} hub_env;

typedef struct hub_options {
  hub_env env;
  bus *bus;
  store *store;
  uint64_t keepalive_ms;
  size_t max_pending;
  size_t cache_bytes;
} hub_options;

typedef enum hub_state {
  HUB_NEW,
  HUB_LIVE,    /* in its outlet's live or due */
  HUB_READY,   /* the next step can be taken */
  HUB_BLOCKED, /* its connection has not taken the last bytes */
  HUB_AHEAD,   /* at an id that the ring has not come to */
  HUB_READING, /* waits for a read of the store */
  HUB_RETRY,   /* the store had no room, or has not caught up */
  HUB_ENDED    /* its stream was ended; hub_unsubscribe is to come */
} hub_state;

/* One subscriber; embedded in its owner's struct, which stays until
 * hub_unsubscribe. Fields are the hub's. */
struct hub_sub {
  list_node link; /* in the list that `state` says */
  list_node all;
  hub *hub;
  topic *topic;
  uint64_t at;   /* has everything up to here; for HUB_LIVE see hub_sub_at */
  uint64_t told; /* the id that the client has seen last */
  uint64_t written_ms;
  unsigned char view;
  unsigned char state;
  bool slow; /* fell behind since it was last live */
};

/* A read of the store on its way. The task is the env's, to carry it over. */
struct hub_read {
  loop_task task;
  store_read read;
  list_node link;
  list_node waiters; /* hub_sub.link */
  hub *hub;
  piece_key key;      /* holds a reference of the topic */
  uint64_t committed; /* the store's head when it was asked */
};

tt_error hub_new(const hub_options *options, hub **out_hub);
/* No subscriber is left, and no read will end any more. */
void hub_free(hub *h);

/* False: too many different filters are subscribed to; this would be one more.
 */
bool hub_has_room(hub *h, const tti_filter *filter, unsigned kinds);

/* Begins a subscription with nothing handed over but retry, reset and the
 * starting position, which are written from within. The filter is taken over,
 * also on failure. TT_ENOMEM. */
tt_error hub_subscribe(hub *h, hub_sub *sub, tti_filter *filter, unsigned kinds,
                       tti_view view, const cursor_start *start);
/* The connection is gone. */
void hub_unsubscribe(hub_sub *sub);
/* All that was written is with the kernel. */
void hub_writable(hub_sub *sub);

/* The ring has more. */
void hub_wake(hub *h);
/* Does what is due, in a few milliseconds; asks env for more when there is. */
void hub_run(hub *h);
/* To be called every hub_tick_ms: keep-alive. */
void hub_tick(hub *h);
uint64_t hub_tick_ms(const hub *h);

/* Ends the streams of those for whom `gone` says so. */
void hub_end_where(hub *h, bool (*gone)(hub_sub *sub));
/* Tells everybody when to come back, and ends the streams. */
void hub_close(hub *h);

void hub_read_finish(hub *h, hub_read *read);

size_t hub_subscribers(const hub *h);

typedef struct hub_counts {
  uint64_t delivered; /* events, a subscriber */
  uint64_t dropped;   /* seqs told as dropped, a subscriber */
  uint64_t catchups;  /* times a subscriber began to read the past */
  uint64_t failures;  /* reads of the store that failed */
} hub_counts;
/* Any thread. */
void hub_counts_get(const hub *h, hub_counts *out_counts);

#endif
