#ifndef FLEET_READ_H
#define FLEET_READ_H

#include "server/fleet/follow.h"
#include "server/relay/relay.h"

/* What installed programs reported, for whoever may read: instances, their
 * updates, keys, and what was added up. */
typedef struct fleet_read fleet_read;

/* Adds its routes to the relay. All borrowed; they outlive it. TT_ENOMEM. */
tt_error fleet_read_new(store *s, relay *r, const fleet_follow *follow,
                        fleet_read **out_read);
/* Once no request can be open. NULL is fine. */
void fleet_read_free(fleet_read *r);

#endif
