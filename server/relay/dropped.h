#ifndef RELAY_DROPPED_H
#define RELAY_DROPPED_H

#include "lib/base/slice.h"
#include <stdint.h>
#include <telltale/emitter.h>

/* The reasons of emitters, and one for those that we do not know. */
enum { RELAY_DROPPED_OTHER = TT_DROP_REASON_COUNT, RELAY_DROPPED_COUNT };

const char *relay_dropped_name(unsigned reason);

/* Reads a Telltale-Dropped header, "queue_full=12,retries=3", adding to
 * `counts`. What is not a reason and a number below 2^40 is passed over: a
 * header that nobody can be told about must not fail the events beside it. At
 * most 32 pairs are read. */
void relay_dropped_parse(tti_slice header,
                         uint64_t counts[RELAY_DROPPED_COUNT]);

#endif
