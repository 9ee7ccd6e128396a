#ifndef FLEET_READ_INTERNAL_H
#define FLEET_READ_INTERNAL_H

#include "server/api/list.h"
#include "server/fleet/read.h"

struct fleet_read {
  store *store;
  const fleet_follow *follow;
};

/* http_handlers, with a fleet_read as their context. */
#define FLEET_READ_ROUTES(X)                                                   \
  X("instances", fleet_instances_list)                                         \
  X("instances/{instance}", fleet_instance_show)                               \
  X("instances/{instance}/updates", fleet_updates_list)                        \
  X("keys", fleet_keys_list)                                                   \
  X("aggregate", fleet_aggregate_show)

#define X(path, name)                                                          \
  void name##_serve(http_request *request, void *context);                     \
  extern const http_description name##_about;
FLEET_READ_ROUTES(X)
#undef X

extern const http_parameter fleet_bounds[];    /* since, until */
extern const http_parameter fleet_selection[]; /* where, key, late */
extern const http_parameter fleet_question[];  /* of an aggregate */

/* since and until, where they are given. False: answered. */
bool fleet_bounds_get(http_request *request, int64_t *out_since_us,
                      int64_t *out_until_us);

#endif
