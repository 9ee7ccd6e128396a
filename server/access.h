#ifndef ACCESS_H
#define ACCESS_H

#include "server/http/http.h"
#include <telltale/metrics.h>

/* The access log: a line for each request that is over, for a stream when it
 * ends. Loops put lines into a bounded buffer, which a thread writes out; a
 * line for which there is no room is dropped and counted, and nobody waits. */
typedef struct access_log access_log;

/* Where and how it is written. */
typedef struct access_target {
  enum { ACCESS_OFF, ACCESS_LOGFMT, ACCESS_JSON } format;
  int fd;         /* -1: none */
  char name[256]; /* for messages */
} access_target;

/* Off, and without a thread, until something is to be written. `metrics` is
 * borrowed and may be NULL. TT_ENOMEM. */
tt_error access_log_new(tt_metrics *metrics, access_log **out_log);

/* Writes what is there, within a second, and ends. NULL is fine. No request may
 * end any more. */
void access_log_free(access_log *log);

/* What may fail of a change, so that nothing has changed then: opens the file
 * ("": standard error), starts the thread. `format` is off, logfmt or json.
 * Main thread. On failure *out_error has a sentence. */
tt_error access_log_prepare(access_log *log, const char *format,
                            const char *path, tti_buf *out_error,
                            access_target *out_target);
/* From now on it is written there; takes the descriptor. Lines that are in the
 * buffer still go where they were meant to. Main thread. */
void access_log_use(access_log *log, const access_target *target);
/* Gives up a target that was prepared. */
void access_target_drop(access_target *target);

/* For http_options.finished, with the log as its context. */
void access_log_finished(http_request *request, void *context);

#endif
