#ifndef SINKS_INTERNAL_H
#define SINKS_INTERNAL_H

#include "server/sinks/sink.h"
#include <pthread.h>

/* Shared by the files of this folder. */

/* A session whose export was switched. */
typedef struct sink_export {
  char *session;
  char *session_id;
  bool on;
  sink_position *position; /* where it begins; NULL: where it was */
} sink_export;

struct sinks {
  sinks_options options;

  /* Held while sinks are put in and taken out, which takes seconds; taken
   * before the other. */
  pthread_mutex_t work;
  sink **leaving; /* owned; taken out, but something in them hangs */
  size_t leaving_count;

  pthread_mutex_t mutex; /* of all below; a sink in the list is not freed */
  sink **items;          /* owned; changed under both */
  size_t count;
  const sink_spec *specs; /* borrowed until the next apply; as the items */
  size_t spec_count;
  sink_export *exports; /* owned; as many as there are sessions */
  size_t export_count;
  pthread_cond_t switched; /* or leaving */
  bool has_switched;
  bool leave;
  pthread_t thread; /* waits for `switched`; with `threaded` */
  bool threaded;
};

/* ---- exports.c ---- */
void sink_export_fini(sink_export *e);
/* Ends the thread; what it was about to do is left. */
void sinks_exports_stop(sinks *all);

/* ---- sinks.c ---- */

/* Starts what the specs and exports want and does not run, stops what they do
 * not want. Under `work`. */
void sinks_reconcile(sinks *all);

#endif
