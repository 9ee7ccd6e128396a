#ifndef FLEET_INTERNAL_H
#define FLEET_INTERNAL_H

#include "server/fleet/control.h"
#include "server/fleet/fleet.h"
#include "server/http/describe.h"

#include <pthread.h>
#include <stdatomic.h>

/* Shared by the files of this folder. */

struct fleet {
  store *store;
  loop *loop;
  fleet_follow *follow;
  tt_metrics *metrics;
  pthread_mutex_t mutex; /* of the next two; held for a look */
  fleet_settings settings;
  fleet_control *control; /* in force; never NULL */
  _Atomic uint64_t instances;
  /* The store's writing thread's alone: ids that were new to us in this minute,
   * and came without a token. A group that is run again counts twice, which
   * errs on the safe side. */
  int64_t minute;
  uint64_t minute_count;
  /* upkeep.c */
  loop_timer timer;
  loop_task open_task, close_task;
  store_job upkeep;
  uint64_t upkeep_deleted;
  fleet_settings upkeep_settings;
  atomic_bool upkeep_runs;
  _Atomic int64_t upkeep_at_us; /* wall: not before */
};

void fleet_settings_get(fleet *f, fleet_settings *out_settings);

/* The rules that are in force; with a reference. */
fleet_control *fleet_control_get(fleet *f);
/* Takes the reference over. */
void fleet_control_put(fleet *f, fleet_control *control);

/* ---- update.c, rules.c ---- */
void fleet_serve_update(http_request *request, void *context);
void fleet_serve_control_get(http_request *request, void *context);
void fleet_serve_control_put(http_request *request, void *context);
void fleet_serve_preview(http_request *request, void *context);

/* ---- upkeep.c ---- */
void fleet_upkeep_start(fleet *f);
/* Deletes what is kept too long, when it is time to look. Any thread. */
void fleet_upkeep_due(fleet *f);

/* ---- about.c ---- */
extern const http_description fleet_update_about, fleet_control_get_about,
    fleet_control_put_about, fleet_preview_about;

#endif
