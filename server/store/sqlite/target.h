#ifndef STORE_SQLITE_TARGET_H
#define STORE_SQLITE_TARGET_H

#include "lib/base/buf.h"

#define TARGET_PARTIAL ".partial"

/* A file that appears under its name whole or not at all. Until then it is
 * PATH.partial, which one process at a time writes; what a dead one left there
 * is taken over. */
typedef struct target {
  char *path;
  char *partial;
  int fd; /* of the partial file, locked; -1: none */
} target;

/* Makes the partial file, empty and the owner's alone (0600). TT_ECONFLICT:
 * PATH is there and `force` is false, or it is a database in use, or
 * PATH.partial is not a dead one's. TT_EBUSY: another process is writing it.
 * TT_ENOSPACE: the device has not `needed_bytes` left. TT_EINVAL, TT_EIO,
 * TT_ENOMEM. *out_error has a sentence with what to do; target_close is due in
 * any case. */
tt_error target_open(target *t, const char *path, bool force,
                     uint64_t needed_bytes, tti_buf *out_error);

/* Brings it to the disk and gives it its name. Blocks. */
tt_error target_publish(target *t, bool force, tti_buf *out_error);

/* Removes what was not published. */
void target_close(target *t);

#endif
