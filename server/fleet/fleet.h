#ifndef FLEET_FLEET_H
#define FLEET_FLEET_H

#include "server/fleet/follow.h"
#include "server/relay/relay.h"

/* What fleet clients report to: takes their updates, keeps them, and tells each
 * instance when to come again, what to leave out, or to stop. */
typedef struct fleet fleet;

/* What may change while it runs. */
typedef struct fleet_settings {
  uint64_t next_update_ms;  /* where no rule says */
  uint64_t min_interval_ms; /* an update that comes sooner is refused */
  uint64_t retain_ms;       /* how long updates are kept as they came */
  uint64_t retain_bytes;    /* … and how many of them */
  uint64_t new_instances;   /* a minute, from those without a token */
  uint64_t max_instances;
} fleet_settings;

/* All borrowed; they outlive the fleet. */
typedef struct fleet_options {
  store *store;
  relay *relay;         /* gets the routes */
  fleet_follow *follow; /* is told of updates */
  loop *loop;           /* that runs; for upkeep */
  tt_metrics *metrics;
  fleet_settings settings;
} fleet_options;

/* Reads the rules that the store has, and waits for that. Before the relay's
 * routes are served. *out_error says what is wrong. */
tt_error fleet_new(const fleet_options *options, tti_buf *out_error,
                   fleet **out_fleet);

/* Other settings from now on. Any thread. */
void fleet_set(fleet *f, const fleet_settings *settings);

/* Ends the upkeep: before the loops are stopped. NULL is fine. */
void fleet_close(fleet *f);

/* Once the loops have stopped and the store is closed. NULL is fine. */
void fleet_free(fleet *f);

#endif
