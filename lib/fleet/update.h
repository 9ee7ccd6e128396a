#ifndef TTI_FLEET_UPDATE_H
#define TTI_FLEET_UPDATE_H

#include "lib/base/buf.h"
#include "lib/fleet/collect.h"

/* The body of an update: {"instance_id", "timestamp", "data"}, where data is
 * left out when nothing was collected. Counting sets are
 * [{"value": v, "count": n}, …]. What fails sticks in the buffer. */
void tti_update_render(tti_buf *out, const char *instance_id, int64_t unix_us,
                       const tti_snapshot *snapshot);

#endif
