#ifndef TTI_STORAGE_INTERNAL_H
#define TTI_STORAGE_INTERNAL_H

#include "lib/base/log.h"
#include "lib/storage/batch.h"
#include "lib/storage/letters.h"
#include "lib/storage/storage.h"
#include <pthread.h>

struct tt_storage {
  tt_storage_ops ops;
  void *self;
  char *name;
};

/* The life of a writer. Each state is entered once:
 *
 *   NEW ──► RUNNING ──► RAN ──► CLOSED
 *
 * A start or run that fails to open goes back to NEW. */
typedef enum writer_state {
  WRITER_NEW,
  WRITER_RUNNING, /* opened; run has not returned */
  WRITER_RAN,
  WRITER_CLOSED
} writer_state;

enum { LOG_TROUBLE, LOG_BEHIND, LOG_LOST, LOG_KINDS };

struct tt_storage_writer {
  tt_storage *storage;
  tti_source source;
  tt_storage_writer_options options;
  tti_letters letters; /* path NULL: none */

  /* Guards state, stopping and stats; innermost. */
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  writer_state state;
  bool threaded;
  bool stopping;
  int64_t stop_by_us;
  tt_error stop_error; /* with CLOSED */
  tt_storage_writer_stats stats;

  /* Held during each call of the storage and each change of the letters, which
   * requeue makes from another thread. Taken before the mutex. */
  pthread_mutex_t storage_lock;
  bool flush_failed; /* under it: a requeue's, since the writer's last */

  pthread_t thread;  /* with threaded */
  tt_cancel *cancel; /* of the thread */

  /* From here on of the thread that forwards. */
  tti_storage_batch batch;
  size_t at;            /* of the batch, what is settled */
  uint64_t skip_to;     /* a report came behind the batch: up to here */
  uint64_t settled_seq; /* appended, perhaps not yet durable */
  bool dirty;           /* settled_seq is beyond the position */
  int64_t flushed_us;
  unsigned failures; /* in a row */
  tti_log_ration rations[LOG_KINDS];
};

/* How far to forward. */
typedef struct forward_limits {
  tt_cancel *cancel; /* may be NULL */
  bool drain;        /* only what is there, up to `until_seq` */
  uint64_t until_seq;
  int64_t deadline_us; /* monotonic; < 0: none */
} forward_limits;

/* ---- forward.c: on the forwarding thread ---- */

/* Opens the storage and puts the source where it goes on. */
tt_error tti_storage_begin(tt_storage_writer *w);
/* Forwards until the limits end it: TT_OK (drained), TT_ECANCELLED,
 * TT_ECLOSED, TT_ETIMEOUT. */
tt_error tti_storage_forward(tt_storage_writer *w,
                             const forward_limits *limits);
/* Flushes what is dirty, once, and closes the storage. */
tt_error tti_storage_end(tt_storage_writer *w, int64_t deadline_us);

/* ---- settle.c ---- */

/* Appends the rest of the batch, until all of it is settled one way or the
 * other. TT_ECANCELLED, TT_ETIMEOUT: not all. */
tt_error tti_storage_settle(tt_storage_writer *w, const forward_limits *limits);

/* Notes in the statistics that a call failed, and that one did not. */
void tti_storage_note(tt_storage_writer *w, const char *problem);
void tti_storage_mended(tt_storage_writer *w);

/* Notes a call that failed, and waits as long as is due before the next.
 * TT_ECANCELLED, TT_ETIMEOUT by the limits. */
tt_error tti_storage_failed(tt_storage_writer *w, const char *call,
                            tt_error error, const tt_append_report *report,
                            const forward_limits *limits);

/* What is left until the deadline, in milliseconds; -1: for ever. */
int tti_storage_left_ms(int64_t deadline_us);

#endif
