#ifndef TTI_BACKENDS_JSONL_CLOSED_H
#define TTI_BACKENDS_JSONL_CLOSED_H

#include <pthread.h>
#include <stdatomic.h>
#include <telltale/storage.h>

/* The files that a jsonl storage has closed: PATH.<time>, and what has been
 * made of them. A thread of its own deals with them while the storage goes on;
 * the functions are called by one thread. */
typedef struct tti_closed {
  char *path; /* of the open file; owned by the storage */
  unsigned keep;
  tt_error (*visit)(void *context, const char *path);
  void *context;
  tt_log_hook log;
  pthread_t thread;
  bool working; /* the thread was started and not yet joined */
  /* The monotonic instant at which a round goes no further; 0: none. Relaxed:
   * it orders nothing. */
  _Atomic int64_t until_us;
} tti_closed;

#define TTI_CLOSED_NAME_MAX 64

/* Renames the open file. An errno value; 0: success. */
int tti_closed_take(const tti_closed *closed);

/* Deals with all closed files: visits what is not compressed, removes the
 * oldest beyond `keep`. Waits for an earlier round first; goes on behind the
 * caller's back. */
void tti_closed_tidy(tti_closed *closed);

/* Waits for the round that is under way, which goes on for that long (below 0:
 * to its end) and then leaves the other files to the next life. */
void tti_closed_end(tti_closed *closed, int timeout_ms);

/* From any thread: no round begins another file, now or later. */
void tti_closed_hurry(tti_closed *closed);

#endif
