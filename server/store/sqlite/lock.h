#ifndef STORE_SQLITE_LOCK_H
#define STORE_SQLITE_LOCK_H

#include "lib/base/buf.h"

/* PATH.lock, locked for as long as a process has the store. The process id
 * inside is for people; the lock is what counts, and the kernel lets go of it
 * with the process. *out_fd is closed by the caller. TT_EBUSY: another has it.
 * TT_EIO. *out_error has a sentence. */
tt_error lock_take(const char *path, int *out_fd, tti_buf *out_error);

#endif
