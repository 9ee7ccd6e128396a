#ifndef TTI_EMIT_SPOOL_SPOOL_H
#define TTI_EMIT_SPOOL_SPOOL_H

#include "lib/emit/spool/record.h"

/* A first in, first out queue of requests in files, for when the server is
 * away. One thread uses it.
 *
 * A directory may be shared by any number of processes. Each file, a segment,
 * belongs to the one that holds its flock; the kernel lets go of it when that
 * one ends, however it does, and then another adopts the segment. Only segments
 * to the same destination are adopted.
 *
 *   <destination>-<time made>-<random>.spool
 *   <the same>.bad       set aside: it had a part that could not be read
 *
 * Every segment gives its records keys of a producer of its own, counting up,
 * and is sent in order by its owner. So a server that keeps the latest keys of
 * each producer knows what it has taken, whoever sends it and whenever. */
typedef struct tti_spool tti_spool;

/* How a call ended: 0, an errno, or this: the ceiling is reached. */
#define TTI_SPOOL_FULL (-1)

/* `directory` is made at need (its parent is not) and borrowed. Does nothing
 * yet. NULL: no memory. */
tti_spool *tti_spool_new(const char *directory, size_t max_bytes,
                         uint64_t destination);

/* Lets go of its segments, which stay. NULL is fine. */
void tti_spool_free(tti_spool *spool);

/* Whether it has nothing to send. Others may have. */
bool tti_spool_is_empty(const tti_spool *spool);

/* Looks for a segment that nobody owns, takes the oldest and answers how many
 * events are in it; 0: there is none. */
int tti_spool_adopt(tti_spool *spool, uint64_t *out_events);

/* Adds a request with this body. `record` has the number of its events, and its
 * key if it has been tried already (else an empty producer). What was tried
 * under a key has to be the last of its producer's. */
int tti_spool_put(tti_spool *spool, const tti_record_head *record,
                  tti_slice body);

/* The oldest request; the body is the spool's until the next call. TT_ENOTFOUND
 * when there is none; TT_ENOMEM; TT_ECORRUPT when the rest of its segment
 * cannot be read and has been set aside: *out_lost events were in it. */
tt_error tti_spool_head(tti_spool *spool, tti_record_head *out_record,
                        tti_slice *out_body, uint64_t *out_lost);

/* The oldest so many events of the oldest request need not be sent again. */
void tti_spool_settle(tti_spool *spool, uint32_t events);

/* How many segments it has set aside. */
uint64_t tti_spool_set_aside(const tti_spool *spool);

/* What to tell a person. Static, or of strerror. */
const char *tti_spool_error(int error);

#endif
