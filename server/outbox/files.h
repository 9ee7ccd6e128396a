#ifndef OUTBOX_FILES_H
#define OUTBOX_FILES_H

#include "server/outbox/outbox.h"

/* The outboxes in databases of applications: each has a thread that copies
 * pending events into the server's own store, and then marks them as taken.
 *
 *   inotify, or the poll ─► data_version ─► read ─► store: COMMIT ─► mark
 *
 * In her file nothing is kept but the mark, in one short transaction at most
 * every 50 ms. A crash before it copies again, and the ids keep an event from
 * being there twice. A file that cannot be read is tried again each second. */
typedef struct outbox_files outbox_files;

typedef struct outbox_files_options {
  store *store;
  outbox *outbox;
  tt_metrics *metrics;
  char *const *paths; /* NULL-terminated, "sqlite:PATH", checked; borrowed */
} outbox_files_options;

/* Starts their threads; what is wrong with a file is logged. TT_ENOMEM, TT_EIO.
 */
tt_error outbox_files_new(const outbox_files_options *options,
                          outbox_files **out_files);

/* Appends `,"outboxes":[…]` for /api/v1/status, or nothing where there are
 * none. Any thread. */
void outbox_files_write(outbox_files *all, tti_buf *out);

/* For the watchdog, one of each. */
size_t outbox_files_count(const outbox_files *all);
watchdog_worker outbox_files_watch(outbox_files *all, size_t n);

/* Ends the threads, while the store still runs: each when its job has been
 * answered. NULL is fine. */
void outbox_files_free(outbox_files *all);

#endif
