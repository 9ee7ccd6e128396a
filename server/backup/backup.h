#ifndef BACKUP_BACKUP_H
#define BACKUP_BACKUP_H

#include "server/http/describe.h"
#include "server/http/http.h"
#include "server/store/store.h"

/* Backups that a running server makes, one at a time, for `telltale backup`.
 * They are written on this machine, to any file that the server may write, so
 * only the admin socket beside the store may ask for one. */
typedef struct backup backup;

/* The store is borrowed and outlives it. */
tt_error backup_new(store *s, backup **out_backup);

/* Gives up one that is running, and waits for its end, which is a few
 * milliseconds away. Once the loops have stopped. NULL is fine. */
void backup_free(backup *b);

/* http_handlers with a backup as their context; scope admin.
 * POST /api/v1/backup {"path": "/…", "force": false} -> 202, or 409 while one
 * is running; GET: {"state": "none" | "running" | "done" | "failed", "path",
 * "bytes", "total_bytes", "head_seq", "code", "message"}; DELETE gives it up ->
 * 202. */
void backup_serve_start(http_request *request, void *context);
void backup_serve_state(http_request *request, void *context);
void backup_serve_cancel(http_request *request, void *context);

extern const http_description backup_start_about, backup_state_about,
    backup_cancel_about;

#endif
