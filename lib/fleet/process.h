#ifndef TTI_FLEET_PROCESS_H
#define TTI_FLEET_PROCESS_H

#include "lib/fleet/collect.h"

/* The map `process` of what this process uses now: resident_bytes, threads,
 * open_files, cpu_seconds. What the system does not tell is left out. */
void tti_process_collect(tti_collector *collector);

#endif
