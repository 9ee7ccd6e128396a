#ifndef FLEET_FIELDS_H
#define FLEET_FIELDS_H

#include "server/fleet/payload.h"

/* The texts and truths among the items are what an instance is known by:
 * `fields`, a JSON object, is what it told before, and is brought up to date.
 * *out_fields are those of both; what they borrow from is kept in the payload's
 * arena. A text that is too long for a field, and one more than there is room
 * for, is counted in *out_dropped. TT_ENOMEM. */
tt_error fleet_fields_merge(fleet_payload *payload, char *fields, size_t *len,
                            size_t room, fleet_fields *out_fields,
                            uint64_t *out_dropped);

/* Reads such an object; the texts are copied into the arena. */
tt_error fleet_fields_read(tti_slice json, tti_arena *arena,
                           fleet_fields *out_fields);

/* NULL: there is none of that name. */
const tti_slice *fleet_fields_get(const fleet_fields *fields, tti_slice name);

#endif
