#ifndef STORE_SQLITE_BACKUP_H
#define STORE_SQLITE_BACKUP_H

#include "server/store/store.h"

typedef struct sqlite_store sqlite_store;

/* A database being copied, in bites. */
typedef struct copy copy;

/* The writing thread's part. A bite is at most BACKGROUND_US. */
void copy_bite(sqlite_store *s, copy *c);

/* Lets go of the writer's connection before that is closed: the copy fails. */
void copy_abandon(sqlite_store *s);

/* store_ops.back_up */
tt_error sqlite_back_up(store *base, store_backup *backup, tti_buf *out_error);

#endif
