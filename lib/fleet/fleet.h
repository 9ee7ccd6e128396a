#ifndef TTI_FLEET_FLEET_H
#define TTI_FLEET_FLEET_H

#include "lib/fleet/collect.h"
#include "lib/fleet/cycle.h"
#include <telltale/fleet.h>

/* tt_fleet_new with a time of its own, which outlives the fleet. */
tt_error tti_fleet_new(const tt_fleet_options *options,
                       const tti_cycle_time *time, tt_fleet **out_fleet);

/* For the tests: what this process has; NULL: no memory. */
tti_collector *tti_fleet_collector(tt_fleet *fleet);
tti_cycle *tti_fleet_cycle(tt_fleet *fleet);

#endif
