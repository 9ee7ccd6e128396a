#ifndef BENCH_STORE_H
#define BENCH_STORE_H

#include "server/store/tables/tables.h"
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A store in a file of the bench's own, under `sync`, and changes of its tables
 * that are waited for. Whatever fails ends the program. */

typedef struct change {
  store_job job;
  sem_t done;
  const char *name;
  size_t first, count;
} change;

static inline void change_done(store_job *job) {
  sem_post(&((change *)job->owner)->done);
}

static inline void make(store *s, change *c,
                        tt_error (*fn)(store_job *job, store_tx *tx)) {
  c->job = (store_job){
      .kind = STORE_JOB_RUN, .run = fn, .done = change_done, .owner = c};
  sem_init(&c->done, 0, 0);
  if (store_submit(s, &c->job) || sem_wait(&c->done) ||
      c->job.verdict != STORE_OK)
    exit(1);
}

static inline store *open_store(const char *path) {
  store *s;
  tti_buf error;
  tti_buf_init(&error, 1000);
  store_options options = {.path = path, .durability = STORE_SYNC};
  if (store_sqlite_open(&options, &error, &s)) {
    fprintf(stderr, "%.*s\n", (int)error.len, error.data);
    exit(1);
  }
  return s;
}

/* The path of a file that is not there. */
static inline void in_new_file(char path[64]) {
  snprintf(path, 64, "/tmp/bench-store-%d.db", (int)getpid());
  const char *const ends[] = {"", "-wal", "-shm", ".lock"};
  for (size_t i = 0; i < 4; i++) {
    char name[80];
    snprintf(name, sizeof name, "%s%s", path, ends[i]);
    unlink(name);
  }
}

#endif
