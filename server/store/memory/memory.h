#ifndef STORE_MEMORY_MEMORY_H
#define STORE_MEMORY_MEMORY_H

#include "lib/base/random.h"
#include "server/store/counter.h"
#include "server/store/key.h"
#include "server/store/range.h"
#include "server/store/store.h"
#include "server/store/tables/tables.h"
#include <pthread.h>
#include <telltale/metrics.h>

/* A store that lives as long as its process: a log in chunks of memory, the
 * oldest of which go when it reaches its ceiling. There is no writing thread:
 * a job runs on the thread that submits it. Reads have a thread of their own,
 * as in every store. */

#define CHUNK_BYTES       ((size_t)256 << 10)
#define DEFAULT_LOG_BYTES ((size_t)64 << 20)
#define MAX_LOG_BYTES     ((size_t)256 << 20)
#define TOKENS_MAX        10000
#define KEYS_MAX          32768
#define KEY_SLOTS         16384
#define READS_MAX         1024

typedef struct memory_entry {
  uint64_t seq;
  int64_t received_us;
  size_t len; /* of the record that follows */
} memory_entry;

typedef struct memory_chunk {
  struct memory_chunk *next;
  uint64_t first_seq;
  uint64_t last_seq;
  int64_t last_received_us;
  size_t rows;
  size_t used;
  size_t capacity;
  _Alignas(8) char bytes[];
} memory_chunk;

/* ---- keys.c ---- */

typedef struct memory_key {
  struct memory_key *next;  /* in its slot */
  struct memory_key *newer; /* foreign keys: in order of age */
  unsigned char digest[STORE_KEY_DIGEST];
  bool own;
  int64_t created_us;
  uint64_t number;
  store_answers *answers; /* owned */
} memory_key;

typedef struct memory_keys {
  memory_key *slots[KEY_SLOTS];
  memory_key *oldest;
  memory_key *newest;
  size_t count;
} memory_keys;

/* Looks the job's key up. True: it is new, and *out_known its producer, if one
 * is known. False: the job has its verdict. */
bool memory_keys_find(memory_keys *keys, store_job *job,
                      memory_key **out_known);
/* Room for the key; NULL: the job has its verdict. */
memory_key *memory_keys_add(memory_keys *keys, store_job *job);
/* Keeps the job's answer. */
void memory_keys_answer(memory_key *key, const store_job *job);
void memory_keys_fini(memory_keys *keys);

typedef struct memory_store {
  store base;
  tt_metrics *metrics;
  char log_uuid[TTI_UUID_TEXT];
  uint64_t born_seq;
  size_t max_jobs;

  pthread_mutex_t lock; /* over all below */
  memory_chunk *first_chunk;
  memory_chunk *last_chunk;
  size_t bytes;
  uint64_t next_seq;
  uint64_t handed_to;
  int64_t received_us;
  uint64_t stored_total;
  range_list ranges;
  counters counts;
  memory_keys keys;
  store_token *tokens; /* owned */
  size_t token_count;
  uint64_t token_generation;
  store_job *first_job; /* have their verdict, wait to be told */
  store_job *last_job;
  size_t waiting;
  bool answering;

  pthread_mutex_t tables_lock; /* over tx; taken after `lock` */
  store_tx tx;                 /* its database opens at its first use */

  pthread_mutex_t read_lock;
  pthread_cond_t read_ready;
  pthread_t read_thread;
  bool read_started;
  store_read *first_read;
  store_read *last_read;
  size_t reads_waiting;
  bool reads_closing;
} memory_store;

/* ---- tables.c ---- */

/* Runs job->run, or read->run. */
void memory_run_job(memory_store *m, store_job *job);
void memory_run_read(memory_store *m, store_read *read);
void memory_tables_fini(memory_store *m);

/* ---- read.c ---- */

tt_error memory_reads_start(memory_store *m);
void memory_reads_stop(memory_store *m);
tt_error memory_read(store *base, store_read *read);

#endif
