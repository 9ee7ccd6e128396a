#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "lib/base/buf.h"
#include "lib/event/filter.h"
#include "lib/event/parse.h"

#include "server/io/watchdog.h"
#include <stdatomic.h>

/* Where a server keeps its state. Every change is a job for the store's one
 * writing thread, which runs all that wait in one transaction (group commit)
 * and gives each its verdict after COMMIT, in order. Reads are jobs too, on
 * threads of their own: the store is never called from a loop and never blocks
 * its caller. Each implementation is a folder beside this file and passes
 * the suites tests/contract/store_*.c. */
typedef struct store store;

/* A transaction on the tables beside the log: server/store/tables. */
typedef struct store_tx store_tx;

typedef enum store_durability {
  STORE_MEMORY, /* verdict before the write */
  STORE_COMMIT, /* verdict after COMMIT, which the power may still take */
  STORE_SYNC    /* verdict after the disk has it */
} store_durability;

typedef struct store_options {
  const char *path; /* of the database file; unused by memory */
  store_durability durability;
  size_t queue_max_jobs;  /* 0: 65,536 */
  size_t queue_max_bytes; /* 0: 64 MiB */
  int64_t retain_us;      /* age of history; 0: 7 days */
  uint64_t retain_bytes;  /* 0: 5 GB */
  uint64_t table_rows;    /* rows a log table; 0: 2^20. Tests make it small. */
  void *metrics;          /* tt_metrics *, may be NULL */
} store_options;

/* ---- Changes ---- */

typedef enum store_verdict {
  STORE_OK = 0,
  STORE_REPLAYED, /* the idempotency key was seen with the same body: the
                     first answer is in first_seq and count */
  STORE_MISMATCH, /* … with another body */
  STORE_RETRY,    /* not stored; may be tried again (reason in `reason`) */
  STORE_NOT_FOUND,
  STORE_EXISTS
} store_verdict;

/* An idempotency key and the body it came with. All zero: none. Emitters of
 * ours use "<producer uuid>/<n>": for those only a high-water row and the last
 * 16 answers are kept, without time limit; others 24 h, at most 10 M. */
typedef struct store_key {
  tti_slice scope; /* token id and route */
  tti_slice key;
  unsigned char body_sha256[32];
} store_key;

typedef enum store_job_kind {
  STORE_JOB_APPEND,  /* rows of the log */
  STORE_JOB_RESERVE, /* a block of sequence numbers, synced to disk */
  STORE_JOB_LOOKUP,  /* does this idempotency key have an answer? OK: no */
  STORE_JOB_TOKEN_CREATE,
  STORE_JOB_TOKEN_REVOKE,
  STORE_JOB_SET,    /* one value in the settings table */
  STORE_JOB_RUN,    /* what `run` does */
  STORE_JOB_BARRIER /* nothing; its verdict says all before it are done */
} store_job_kind;

typedef struct store_token {
  char id[40];
  char name[64];
  unsigned scopes; /* auth.h's bits */
  unsigned char sha256[32];
  int64_t created_us;
  int64_t revoked_us; /* 0: in force */
} store_token;

/* One change. Made and owned by the caller, borrowed by the store from
 * store_submit until `done` has been called, exactly once, on the writing
 * thread, after COMMIT and in order of seq. `done` must not block; it may free
 * the job. */
typedef struct store_job {
  struct store_job *next; /* the store's */
  bool reserved;          /* the store's: first_seq was given */
  bool half;              /* the store's: `run` refused, the rows are kept */
  store_job_kind kind;
  void (*done)(struct store_job *job);
  void *owner; /* the caller's */
  store_verdict verdict;
  bool more; /* out: the verdict of another APPEND of the same group follows at
                once, so that wakes can be spared */
  char reason[160]; /* with STORE_RETRY */

  /* APPEND. first_seq 0: the store assigns; else these were reserved. */
  const tti_batch *batch;
  uint64_t first_seq;  /* out, or in when reserved before */
  uint64_t count;      /* out: rows stored (or of the first answer) */
  int64_t received_us; /* in; out: clamped, non-decreasing with seq */
  store_key key;       /* APPEND, LOOKUP and RUN */

  uint64_t reserve;  /* RESERVE: how many; first_seq is the first */
  store_token token; /* TOKEN_CREATE; TOKEN_REVOKE reads id */
  const char *name;  /* SET */
  tti_slice value;

  /* RUN: changes the tables beside the log, on the writing thread, inside the
   * group's transaction; for a millisecond or two, what is more goes on in a
   * job of its own. An error undoes what it did, and the verdict is STORE_RETRY
   * then, unless it set another. A group that fails may be run again, so
   * memory changes in `done` alone. With APPEND (else NULL) it runs before the
   * rows are written, their first_seq and received_us known, and what it
   * refuses is not appended, unless that was answered before: then its key
   * stays free, so that it can be sent again. A RUN with a key
   * may set first_seq and count, which are what a repeat is told. */
  tt_error (*run)(struct store_job *job, store_tx *tx);
} store_job;

/* ---- Reads ---- */

typedef enum store_order { STORE_ASCENDING, STORE_DESCENDING } store_order;

#define STORE_KIND_BIT(kind) (1u << (kind))

/* One read of the log, answered in one piece of at most max_rows rows, 256 KiB
 * or 5 ms of work, whichever comes first; `next_seq` says where to go on. */
typedef struct store_read {
  struct store_read *next;               /* the store's */
  void (*done)(struct store_read *read); /* on a reading thread */
  store_order order;
  uint64_t after_seq;    /* exclusive lower bound; 0: from the oldest */
  uint64_t before_seq;   /* exclusive upper bound; 0: to the head */
  int64_t since_us;      /* by receipt, inclusive; 0: none */
  int64_t until_us;      /* by receipt, exclusive; 0: none */
  unsigned kinds;        /* STORE_KIND_BIT, or 0 for all */
  bool show_log_channel; /* kind log passes only where the filter names channel
                            "log"; used with kinds */
  const tti_filter *filter; /* borrowed; may be NULL */
  size_t max_rows;          /* 0: 256 */
  /* One more condition, asked last, on a reading thread and in the read's
   * order; false: the row is not answered. NULL: none. */
  bool (*accept)(void *context, uint64_t seq, int64_t received_us,
                 const tti_record *record);
  void *accept_context;
  /* `accept` is set, never answers true, and looks at no more of the record
   * than kind, level, source, category, type, agent_id and the duration: the
   * rest may be empty. Much faster where the store has summed up its rows. */
  bool brief;
  /* `accept` takes only records that have this in their type or data, ASCII
   * letters in either case: blocks that cannot have it are passed over. */
  tti_slice text;    /* borrowed; empty: none */
  bool show_damaged; /* a row whose record cannot be decoded is answered, for
                        the caller to tell; else it may be left out */
  void *owner;       /* the caller's */
  /* Reads the tables beside the log instead, on a reading thread, for at most
   * 5 ms; nothing else but `done` and `owner` is looked at, and `error` is what
   * it returns. NULL: none. */
  tt_error (*run)(struct store_read *read, store_tx *tx);

  tt_error error; /* out; TT_EFULL: too many reads are waiting. TT_ECORRUPT: the
                     very next row cannot be read; rows before it are answered
                     by a read of their own */
  tti_buf rows;   /* out: store_row headers and records, back to back;
                     owned by the caller: init before, fini after */
  size_t row_count;
  uint64_t next_seq; /* ascending: go on after this; descending: before it */
  bool more;         /* false: the bounds were reached */
} store_read;

/* One row in store_read.rows: this header, then `len` bytes of record. */
typedef struct store_row {
  uint64_t seq;
  int64_t received_us;
  size_t len;
} store_row;

/* Walks rows: *offset starts at 0; false at the end. */
bool store_row_next(const store_read *read, size_t *offset, store_row *out_row,
                    tti_slice *out_record);

/* Sequence numbers that were issued or skipped and are not there, by reason:
 * retention, crash, restored, lost. Sorted, not overlapping. */
typedef struct store_range {
  uint64_t from_seq;
  uint64_t to_seq; /* inclusive */
  char reason[12];
} store_range;

/* One dimension's counters, kept as events are stored. */
typedef struct store_count {
  char name[64];
  uint64_t count;
} store_count;
typedef enum store_dimension {
  STORE_BY_SOURCE, /* of events, as the next two */
  STORE_BY_CHANNEL,
  STORE_BY_LEVEL,
  STORE_BY_LOGGER, /* of log lines, as the next */
  STORE_BY_LOG_LEVEL,
  STORE_DIMENSIONS
} store_dimension;

typedef struct store_status {
  char log_uuid[40];   /* this log's name, for the Telltale-Log header */
  uint64_t head_seq;   /* last committed; 0: empty */
  uint64_t oldest_seq; /* first held; head_seq + 1 when empty */
  uint64_t next_seq;   /* what the next event would get */
  bool healthy;
  char reason[200]; /* when not: what, where, what to do */
  size_t queue_jobs;
  size_t queue_bytes;
  uint64_t used_bytes;
  uint64_t wal_bytes;
  uint64_t stored_total; /* rows committed since start */
  uint64_t schema_version;
} store_status;

/* ---- Backups ---- */

/* A copy of the whole store as it is at one moment, in a file that appears when
 * it is done and never in part. A server that opens it goes on above every
 * number that was ever given out. */
typedef struct store_backup {
  const char *path; /* of the file to be */
  bool force;       /* replaces a file of that name */
  /* Called again and again on the caller's thread; false: give up. */
  bool (*progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);
  void *context;
  uint64_t bytes;    /* out: its size */
  uint64_t head_seq; /* out: the last seq in it */
} store_backup;

typedef struct store_ops {
  const char *name;
  bool immediate; /* verdicts come at once: nothing is gained by answering
                     before them. The writing thread is then whichever thread
                     submits. */
  void (*close)(store *s, int timeout_ms);
  tt_error (*submit)(store *s, store_job *job);
  tt_error (*read)(store *s, store_read *read);
  void (*status)(store *s, store_status *out_status);
  size_t (*ranges)(store *s, uint64_t after_seq, uint64_t to_seq,
                   store_range *out_ranges, size_t max);
  size_t (*counts)(store *s, store_dimension dimension, store_count *out_counts,
                   size_t max);
  size_t (*tokens)(store *s, store_token *out_tokens, size_t max,
                   uint64_t *out_generation);
  /* NULL: it lives in memory only. */
  tt_error (*back_up)(store *s, store_backup *backup, tti_buf *out_error);
  tt_error (*setting)(store *s, const char *name, tti_buf *out_value);
  /* NULL: it has no threads of its own. */
  size_t (*watches)(store *s, watchdog_worker *out_watches, size_t max);
} store_ops;

/* What every implementation's struct begins with. */
struct store {
  const store_ops *ops;
  /* How much history is kept; relaxed: it is looked at again and again. */
  _Atomic int64_t retain_us;
  _Atomic uint64_t retain_bytes;
};

/* Keeps so much from now on; what is too much goes soon. Any thread. */
void store_retain(store *s, int64_t us, uint64_t bytes);
int64_t store_retain_us(const store *s);
uint64_t store_retain_bytes(const store *s);

/* Opens and recovers. On failure *out_error has a sentence that names the file
 * and what to do; nothing was touched. TT_EBUSY: another server holds it.
 * TT_EVERSION: made by a newer version. TT_ECORRUPT. TT_EIO. */
tt_error store_sqlite_open(const store_options *options, tti_buf *out_error,
                           store **out_store);
tt_error store_memory_open(const store_options *options, tti_buf *out_error,
                           store **out_store);

/* Finishes every job that was submitted, then frees; what is not done within
 * the time gets STORE_RETRY. */
void store_close(store *s, int timeout_ms);

/* Queues a change. Any thread, never blocks. TT_EFULL: at the ceiling, `done`
 * is not called. */
tt_error store_submit(store *s, store_job *job);

/* Queues a read. TT_EFULL: at the ceiling, `done` is not called. */
tt_error store_read_submit(store *s, store_read *read);

/* These answer from memory, any thread, without waiting for the disk. */
void store_status_get(store *s, store_status *out_status);
size_t store_ranges(store *s, uint64_t after_seq, uint64_t to_seq,
                    store_range *out_ranges, size_t max);
size_t store_counts(store *s, store_dimension dimension,
                    store_count *out_counts, size_t max);
/* `out_generation` grows with each change of the tokens. */
size_t store_tokens(store *s, store_token *out_tokens, size_t max,
                    uint64_t *out_generation);

/* Makes a backup while the store is used; one at a time, and ended before the
 * store is closed. Blocks for as long as it takes: a thread of its own, never a
 * loop. TT_ECONFLICT: the file is there; TT_EBUSY; TT_ENOSPACE; TT_ECANCELLED:
 * `progress` said so; TT_ESTATE: a memory store; TT_EIO. *out_error has a
 * sentence with what to do, and no file was left. */
tt_error store_back_up(store *s, store_backup *backup, tti_buf *out_error);

/* The same for a database that no server has open. TT_ENOTFOUND: it is not
 * there; TT_EBUSY: a server has it. The database is only read. */
tt_error store_sqlite_back_up(const char *path, store_backup *backup,
                              tti_buf *out_error);

/* Its threads, for the watchdog, which has to stop before the store closes. */
size_t store_watches(store *s, watchdog_worker *out_watches, size_t max);

/* What STORE_JOB_SET kept under that name, appended. Waits for the disk: not
 * from a loop. TT_ENOTFOUND; TT_EIO; TT_ENOMEM. */
tt_error store_setting(store *s, const char *name, tti_buf *out_value);

#endif
