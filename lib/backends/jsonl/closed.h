#ifndef TTI_BACKENDS_JSONL_CLOSED_H
#define TTI_BACKENDS_JSONL_CLOSED_H

#include <pthread.h>
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
} tti_closed;

#define TTI_CLOSED_NAME_MAX 64

/* Renames the open file. An errno value; 0: success. */
int tti_closed_take(const tti_closed *closed);

/* Deals with all closed files: visits what is not compressed, removes the
 * oldest beyond `keep`. Waits for an earlier round first; goes on behind the
 * caller's back. */
void tti_closed_tidy(tti_closed *closed);

/* Waits for the round that is under way. */
void tti_closed_wait(tti_closed *closed);

#endif
