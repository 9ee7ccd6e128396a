#ifndef STORE_SQLITE_LOCK_H
#define STORE_SQLITE_LOCK_H

#include "lib/base/buf.h"

/* What the lock file remembers of the database beside it. */
typedef struct lock_memory {
  char boot[40]; /* the kernel's life in which it was written; "": unknown */
  char log[40];  /* the UUID of the log; "": none yet */
  /* next_seq as it reached the disk: a database of that log which has less is
   * an older copy of it. */
  uint64_t stored_seq;
  /* No number above this was ever given out before it was committed. */
  uint64_t issued_seq;
} lock_memory;

/* PATH.lock, locked for as long as a process has the store. The process id
 * inside is for people; the lock is what counts, and the kernel lets go of it
 * with the process. */
typedef struct store_lock {
  int fd; /* -1: not held */
  lock_memory memory;
} store_lock;

/* Leaves in `memory` what the last process wrote. TT_EBUSY: another has it.
 * TT_EIO. *out_error has a sentence. */
tt_error lock_take(store_lock *lock, const char *path, tti_buf *out_error);

/* Writes `memory`; it is there after a kill, but perhaps not after the power
 * went. False: it could not be written. One thread at a time. */
bool lock_write(store_lock *lock);

void lock_release(store_lock *lock);

/* The running kernel's life; "" when it cannot be told. */
void lock_boot(char out_boot[40]);

#endif
