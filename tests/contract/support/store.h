#ifndef CONTRACT_SUPPORT_STORE_H
#define CONTRACT_SUPPORT_STORE_H

#include "tests/unit.h"

#include "server/store/store.h"
#include <semaphore.h>

/* What every store promises is tried on each implementation. A new one adds a
 * row to `stores` in store.c and passes the suites unchanged. */
typedef struct implementation {
  const char *name;
  tt_error (*open)(const store_options *options, tti_buf *out_error,
                   store **out_store);
  bool persists; /* over a restart, and after a kill */
} implementation;

/* One test's store in a folder of its own. */
typedef struct fixture {
  const implementation *impl;
  store_options options;
  char directory[32];
  char path[64];
  store *store;
  tti_buf error;
} fixture;

/* Runs the cases, which get a fixture as their state, on each implementation.
 * How many failed. */
int store_contract(const struct CMUnitTest *cases, size_t count);

tt_error open_again(fixture *f);
void close_store(fixture *f);
store_status status(fixture *f);

/* ---- Waiting for an answer ---- */

typedef struct waited {
  store_job job;
  sem_t answered;
} waited;

typedef struct waited_read {
  store_read read;
  sem_t answered;
} waited_read;

/* For a job or a read that is submitted by hand, and waited for later. */
void on_done(store_job *job);
void on_read(store_read *read);
void wait_for(sem_t *sem);

tt_error run(fixture *f, waited *w);
store_verdict append_batch(fixture *f, const tti_batch *batch,
                           uint64_t *out_first);
/* `count` records of one source; the first one's seq. */
uint64_t append(fixture *f, const char *source, size_t count);
store_verdict append_keyed(fixture *f, const char *key, char body, size_t count,
                           uint64_t *out_first, uint64_t *out_count);

/* The caller frees read.rows. */
tt_error try_read(fixture *f, waited_read *r);
void read_once(fixture *f, waited_read *r);
/* Reads to the end by continuation; the seqs go into out_seqs. */
size_t read_all(fixture *f, store_read wanted, uint64_t *out_seqs, size_t max);

#endif
