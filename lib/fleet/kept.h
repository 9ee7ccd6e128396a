#ifndef TTI_FLEET_KEPT_H
#define TTI_FLEET_KEPT_H

#include "lib/base/buf.h"
#include "lib/fleet/collect.h"

/* The last update of a process, kept in a file for the next one. */

/* Takes the file away and answers what it held, freed with free(); NULL: none,
 * or nothing that can be read. */
char *tti_kept_take(const char *path, size_t *out_len);

/* Replaces the file as a whole. 0 or errno. */
int tti_kept_write(const char *path, tti_slice body);

/* The body as it may be sent: what is disabled now is left out. False: it is no
 * update of this instance. */
bool tti_kept_render(tti_buf *out, tti_slice body, const char *instance_id,
                     tti_collector *collector);

#endif
