#ifndef OUTBOX_INTERNAL_H
#define OUTBOX_INTERNAL_H

#include "server/outbox/outbox.h"
#include "server/store/tables/outbox.h"
#include "server/subscriptions/matcher.h"

#include <pthread.h>

enum {
  BATCH_MAX = 32,    /* events */
  INSERTS_MAX = 256, /* deliveries a job: about a millisecond */
};
#define POSTPONE_US ((int64_t)60 * 1000000)
#define POLL_US     ((int64_t)1000000)

/* An event that is being fanned out. */
typedef struct pending {
  tti_outbox_row row; /* without the body; NUL-terminated texts in `texts` */
  uint64_t attempts;
  tti_buf found; /* the places of the webhooks that match */
} pending;

typedef enum fate {
  FATE_OPEN = 0, /* the next job goes on */
  FATE_CLOSED,
  FATE_LOST,   /* was not pending any more */
  FATE_FAILED, /* is tried again */
} fate;

/* What one job came to: written by its run, as often as that is run, and looked
 * at when it was committed. */
typedef struct outcome {
  size_t event;    /* where the next job goes on */
  size_t delivery; /* of that event */
  bool stale;      /* webhooks changed: match again from `event` on */
  uint64_t inserted;
  struct {
    fate fate;
    uint64_t matched;
    const char *stage; /* FAILED */
  } events[BATCH_MAX];
} outcome;

struct outbox {
  outbox_options options;
  pthread_t thread;
  bool has_thread;
  pthread_mutex_t mutex;
  pthread_cond_t cond;
  /* Under the mutex. */
  bool woken;
  bool stopping;
  bool stopped;
  bool answered; /* the job or the read that the thread waits for */

  /* Counts changes of the webhooks. Release and acquire: who reads a number
   * sees what was committed before it was counted. */
  _Atomic uint64_t generation;
  /* For the watchdog, relaxed: it compares them over seconds. */
  _Atomic uint64_t beats;
  atomic_bool busy;

  /* The thread's alone; while a job runs, its. */
  matcher *matcher; /* NULL: none was loaded yet */
  uint64_t matcher_generation;
  int64_t matcher_upto_n; /* events up to here were there when it was loaded */
  store_job job;
  store_read read;
  pending batch[BATCH_MAX];
  size_t batch_count;
  tti_buf texts;
  size_t event, delivery; /* where the job begins */
  struct loading *loading;
  const char *stage; /* postpone: what failed */
  outcome outcome;
  int64_t gauge_us; /* monotonic: when the lag is told next */
  int64_t oldest_us;
};

/* Runs it as a job and waits. The store's verdict. */
store_verdict outbox_change(outbox *o,
                            tt_error (*run)(store_job *job, store_tx *tx));
/* The same for a read; `o` is its owner. */
tt_error outbox_read(outbox *o,
                     tt_error (*run)(store_read *read, store_tx *tx));

/* ---- webhooks.c ---- */

/* Makes the matcher as new as the webhooks, or newer than all of the batch. */
tt_error outbox_load_webhooks(outbox *o);
bool outbox_is_stale(const outbox *o, int64_t n);

/* ---- publish.c ---- */

void outbox_serve_publish(http_request *request, void *context);

/* ---- fanout.c ---- */

/* Fans out what is due until nothing is. `announced`: a wake said so. */
void outbox_drain(outbox *o, bool announced);

#endif
