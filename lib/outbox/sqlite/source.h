#ifndef TTI_OUTBOX_SQLITE_SOURCE_H
#define TTI_OUTBOX_SQLITE_SOURCE_H

#include "lib/outbox/outbox.h"

/* The other end of an outbox: who copies its events elsewhere. The file is the
 * application's, so everything here is short, and nothing is kept in it but
 * that an event was taken:
 *
 *   read what is pending behind a position; put it where it is durable,
 * ignoring ids that are there already; mark it taken.
 *
 * The position need not be kept: after a crash one begins at 0, where what was
 * copied but not marked is pending still. One thread at a time; calls block for
 * the disk, and up to half a second for another writer. */
typedef struct tti_outbox_source tti_outbox_source;

/* Opens a file that a program has called tt_outbox_migrate for. TT_ENOTFOUND:
 * there is no such file, or it has no outbox yet; TT_EVERSION: made by a newer
 * version; TT_EBUSY, TT_EIO, TT_ENOMEM, TT_ECORRUPT, TT_ESTATE. */
tt_error tti_outbox_source_open(const char *path,
                                tti_outbox_source **out_source);
/* NULL is fine. */
void tti_outbox_source_free(tti_outbox_source *source);

/* Whether another connection has committed anything since the last call; true
 * the first time. Costs no read of the tables. */
tt_error tti_outbox_source_changed(tti_outbox_source *source,
                                   bool *out_changed);

/* Takes one row, which is borrowed for the call; false: no more after it. */
typedef bool (*tti_outbox_visit)(void *context, const tti_outbox_row *row);

/* Hands over what is pending with n > `after`, at most `max` rows, in order.
 * The numbers are those of commits, so nothing can turn up behind a position
 * later.
 */
tt_error tti_outbox_source_read(tti_outbox_source *source, int64_t after,
                                size_t max, tti_outbox_visit visit,
                                void *context);

/* Marks what is pending with first <= n <= last as taken, in one transaction
 * that does not wait for the disk in WAL mode: a mark that the power takes is
 * made again. *out_marked (may be NULL) counts. TT_EBUSY: later. */
tt_error tti_outbox_source_mark(tti_outbox_source *source, int64_t first,
                                int64_t last, uint64_t *out_marked);

#endif
