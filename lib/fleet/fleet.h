#ifndef TTI_FLEET_FLEET_H
#define TTI_FLEET_FLEET_H

#include "lib/fleet/collect.h"
#include <telltale/fleet.h>

/* For the tests: what this process has collected; NULL: no memory. */
tti_collector *tti_fleet_collector(tt_fleet *fleet);

#endif
