#ifndef STORE_SQLITE_SQLITE_H
#define STORE_SQLITE_SQLITE_H

#include "server/store/columns.h"
#include "server/store/counter.h"
#include "server/store/grams.h"
#include "server/store/range.h"
#include "server/store/sqlite/backup.h"
#include "server/store/sqlite/database.h"
#include "server/store/sqlite/lock.h"
#include "server/store/store.h"
#include "server/store/tables/tables.h"
#include <pthread.h>
#include <stdatomic.h>

/* The embedded store. One writing thread (writer.c) takes all queued jobs and
 * runs them in one transaction; two reading threads (read.c) have read-only
 * connections. What both and everybody else look at is `shown`, under a lock
 * that is never held across a call into SQLite. */

#define SQLITE_READERS 2
/* A reader that hangs keeps its slot when another one takes its place. */
#define SQLITE_READER_SLOTS 4
#define SQLITE_READS_MAX    1024
#define GROUP_MAX_ROWS      8192
#define GROUP_MAX_BYTES     (4u << 20)
#define BACKGROUND_US       2000
#define RESERVE_BLOCK       65536
/* How far ahead the lock file notes what was given out. */
#define ISSUED_STEP          256
#define CHECKPOINT_FRAMES    1000
#define WAL_RESTART_BYTES    (64u << 20)
#define TOKENS_MAX           10000
#define DEFAULT_QUEUE_JOBS   65536
#define DEFAULT_QUEUE_BYTES  (64u << 20)
#define DEFAULT_RETAIN_US    (INT64_C(7) * 24 * 3600 * 1000000)
#define DEFAULT_RETAIN_BYTES UINT64_C(5000000000)
#define DEFAULT_TABLE_ROWS   (UINT64_C(1) << 20)
/* Large records close a table early: the open one is never taken for its size,
 * so it must stay a small part of what may be kept. */
#define TABLES_RETAINED 16
#define BLOCK_SEQS      COLUMNS_ROWS

/* The writer's statements. */
#define STATEMENT_MAP(X)                                                       \
  X(BEGIN, "BEGIN IMMEDIATE")                                                  \
  X(COMMIT, "COMMIT")                                                          \
  X(SET_META, "UPDATE meta SET next_seq = ?1, reserved_to = ?2,"               \
              " group_number = ?3 WHERE id = 1")                               \
  X(PUT_COUNT, "INSERT INTO counts(dimension, name, count) VALUES(?1, ?2, ?3)" \
               " ON CONFLICT(dimension, name) DO UPDATE SET count = ?3")       \
  X(PUT_RANGE, "INSERT INTO ranges(from_seq, to_seq, reason)"                  \
               " VALUES(?1, ?2, ?3)")                                          \
  X(GET_KEY, "SELECT body_sha256, first_seq, count FROM keys"                  \
             " WHERE digest = ?1 AND created_us > ?2")                         \
  X(DROP_KEY, "DELETE FROM keys WHERE digest = ?1")                            \
  X(PUT_KEY,                                                                   \
    "INSERT INTO keys(id, digest, body_sha256, first_seq, count,"              \
    " created_us) VALUES((SELECT coalesce(max(id), 0) + 1 FROM keys),"         \
    " ?1, ?2, ?3, ?4, ?5)")                                                    \
  X(COUNT_KEYS, "SELECT coalesce(max(id) - min(id) + 1, 0) FROM keys")         \
  X(EXPIRE_KEYS, "DELETE FROM keys WHERE id IN (SELECT id FROM keys"           \
                 " ORDER BY id LIMIT ?2) AND created_us <= ?1")                \
  X(GET_PRODUCER, "SELECT answers FROM producers WHERE digest = ?1")           \
  X(PUT_PRODUCER, "INSERT INTO producers(digest, answers) VALUES(?1, ?2)"      \
                  " ON CONFLICT(digest) DO UPDATE SET answers = ?2")           \
  X(COUNT_PRODUCERS, "SELECT coalesce(max(id), 0) FROM producers")             \
  X(PUT_TOKEN, "INSERT OR IGNORE INTO tokens(id, name, scopes, sha256,"        \
               " created_us) VALUES(?1, ?2, ?3, ?4, ?5)")                      \
  X(REVOKE_TOKEN, "UPDATE tokens SET revoked_us = ?2"                          \
                  " WHERE id = ?1 AND revoked_us = 0")                         \
  X(PUT_SETTING, "INSERT INTO settings(name, value) VALUES(?1, ?2)"            \
                 " ON CONFLICT(name) DO UPDATE SET value = ?2")                \
  X(PUT_TABLE, "INSERT INTO log_tables(id, from_seq, to_seq, state,"           \
               " summarised_to) VALUES(?1, ?2, ?3, 0, ?2 - 1)")                \
  X(SET_TABLE, "UPDATE log_tables SET to_seq = ?2, state = ?3,"                \
               " summarised_to = ?4 WHERE id = ?1")                            \
  X(DROP_TABLE, "DELETE FROM log_tables WHERE id = ?1")                        \
  X(PUT_BLOCK, "INSERT INTO log_blocks(from_seq, kinds, levels, bloom,"        \
               " columns, grams) VALUES(?1, ?2, ?3, ?4, ?5, ?6)")              \
  X(DROP_BLOCKS, "DELETE FROM log_blocks WHERE from_seq IN (SELECT from_seq"   \
                 " FROM log_blocks WHERE from_seq BETWEEN ?1 AND ?2"           \
                 " LIMIT ?3)")                                                 \
  X(PAGE_COUNT, "PRAGMA page_count")                                           \
  X(FREE_PAGES, "PRAGMA freelist_count")

typedef enum statement_id {
#define X(name, sql) STMT_##name,
  STATEMENT_MAP(X)
#undef X
      STMT_COUNT
} statement_id;

/* A log table's life. */
typedef enum table_state {
  TABLE_OPEN = 0,   /* takes rows */
  TABLE_CLOSED = 1, /* full */
  TABLE_DOOMED = 2  /* retention took it; being emptied, shown to nobody */
} table_state;

typedef struct log_table {
  uint64_t id; /* its rows are in log_<id> */
  uint64_t from_seq;
  uint64_t to_seq;        /* the last seq that belongs here */
  uint64_t summarised_to; /* blocks up to here have a summary */
  table_state state;
} log_table;

/* What a transaction moves and a rollback puts back. */
typedef struct log_position {
  uint64_t next_seq;
  uint64_t reserved_to; /* numbers up to here may have been given out */
  uint64_t handed_to;   /* … by RESERVE */
  uint64_t oldest_seq;  /* 0: no rows */
  int64_t received_us;  /* of the last row */
} log_position;

typedef enum store_health {
  HEALTHY,
  DISK_FULL, /* rolled back; one probe a second */
  BROKEN     /* connections are closed; one reopening a second */
} store_health;

typedef struct job_list {
  store_job *first;
  store_job *last;
} job_list;

/* The writing thread's own; nobody else looks at it while that runs. */
typedef struct writer {
  sqlite3 *db;
  sqlite3_stmt *statements[STMT_COUNT];
  store_tx tx;          /* on the same connection */
  sqlite3_stmt *insert; /* into the open table */
  uint64_t insert_table;
  uint64_t open_bytes;    /* of records in the open table, about */
  log_position position;  /* as of now, inside the transaction */
  log_position committed; /* as of the last commit */
  uint64_t group_number;  /* as of now */
  uint64_t committed_group;
  uint64_t owed_to;  /* the last seq given out and never written */
  log_table *tables; /* owned; ascending */
  size_t table_count;
  size_t table_capacity;
  bool synced;          /* what the connection's `synchronous` is set to */
  uint64_t durable_seq; /* next_seq of the last commit that was synced */
  bool ranges_changed;
  bool tokens_changed;
  uint64_t group_rows;   /* stored in this group */
  uint64_t deleted_rows; /* … removed in this group */
  store_health health;
  job_list held; /* outcome unknown or still owed; in order */
  uint64_t held_group;
  uint64_t wal_frames;
  int64_t next_try_us;    /* monotonic: probe or reopening */
  int64_t next_upkeep_us; /* monotonic: retention, expiry, sizes */
  uint64_t checked_seq;   /* next_seq at the last upkeep_check */
  bool quiet;             /* few rows came between the last two */
  bool background_due;
  bool expiry_checked; /* since the last upkeep_check */
  uint64_t page_bytes;
  uint64_t used_pages; /* of the file, free ones included */
  uint64_t free_pages;
  copy *copy; /* holds our connection; NULL: none */
} writer;

typedef struct reader {
  struct sqlite_store *store;
  pthread_t thread;
  /* Held while a read runs; the writer takes it to close the connection. */
  pthread_mutex_t lock;
  sqlite3 *db; /* NULL: open at the next read */
  store_tx tx; /* on it */
  /* Under the store's read_lock. */
  bool started;
  bool ended;     /* may be joined */
  bool retired;   /* another one has its place: to end after its read */
  bool busy;      /* has a read */
  uint64_t beats; /* reads begun and ended */
} reader;

struct sqlite_store {
  store base;
  store_options options;
  char *path;

  pthread_mutex_t queue_lock; /* also for `lock`, once the threads run */
  store_lock lock;
  pthread_cond_t queue_ready;
  job_list queue;
  size_t queue_jobs;
  size_t queue_unowed; /* of them, not answered yet */
  size_t queue_bytes;
  bool writer_sleeps;
  bool writer_lingers;
  bool closing;
  int64_t close_by_us; /* monotonic */
  copy *copy;          /* waits for a bite; NULL: none does */
  pthread_cond_t copied;
  bool backing_up;

  pthread_mutex_t read_lock;
  pthread_cond_t read_ready;
  store_read *read_first;
  store_read *read_last;
  size_t reads_waiting;
  bool reads_closing;

  pthread_mutex_t shown_lock;
  store_status shown;
  range_list ranges;
  store_token *tokens; /* owned */
  size_t token_count;
  uint64_t token_generation;
  counters counts;

  pthread_t writer_thread;
  writer writer;
  atomic_ullong writer_beats; /* steps; odd while it has work in hand */
  reader readers[SQLITE_READER_SLOTS];
  reader *roles[SQLITE_READERS]; /* those that take reads */
  bool writer_started;
};

/* ---- open.c ---- */

/* Opens the writer's connection and loads everything from the file: position,
 * tables, ranges, counts, tokens. Numbers that may have been given out and are
 * not there become a `crash` range. Extended result code; *out_reason in
 * SQLite's words. */
int sqlite_connect(sqlite_store *s, char *out_reason, size_t reason_size);

/* Closes every connection, the readers' too. */
void sqlite_disconnect(sqlite_store *s);

/* Shows the ranges that the file has now. */
int sqlite_load_ranges(sqlite_store *s);

/* ---- writer.c ---- */

void *sqlite_writer_main(void *argument);

/* Shows the last commit. */
void sqlite_show(sqlite_store *s);

tt_error sqlite_submit(store *base, store_job *job);

/* The statement, prepared at its first use; NULL with *rc set when it cannot
 * be. */
sqlite3_stmt *writer_statement(writer *w, statement_id id, int *rc);

/* Transactions: begin sets how far COMMIT syncs. */
int writer_begin(sqlite_store *s, bool synced);
int writer_commit(sqlite_store *s);

/* ---- group.c ---- */

/* Runs one job inside the transaction and sets its verdict. */
int group_run_job(sqlite_store *s, store_job *job);

/* Writes what changed beside the rows: meta and counts. */
int group_write_meta(sqlite_store *s);

/* ---- append.c ---- */

int append_run(sqlite_store *s, store_job *job);

/* Loads the list of log tables. */
int tables_load(writer *w);
/* Guesses open_bytes from the open table's last rows. */
int tables_weigh(writer *w);
int table_update(writer *w, const log_table *table);
int range_put(writer *w, uint64_t from_seq, uint64_t to_seq,
              const char *reason);

/* ---- keys.c ---- */

/* STORE_OK in job->verdict: the key is new. Else the job is answered. */
int keys_find(sqlite_store *s, store_job *job);
/* Keeps the answer of a job that was stored. */
int keys_put(sqlite_store *s, const store_job *job);
/* Deletes keys over 24 h, at most `limit`; *out_more when there may be more. */
int keys_expire(sqlite_store *s, int limit, bool *out_more);

/* ---- settings.c ---- */

int setting_put(sqlite_store *s, const store_job *job);
tt_error sqlite_setting(store *base, const char *name, tti_buf *out_value);

/* ---- tokens.c ---- */

int token_create(sqlite_store *s, store_job *job);
int token_revoke(sqlite_store *s, store_job *job);
int tokens_load(sqlite_store *s);
size_t sqlite_tokens(store *base, store_token *out_tokens, size_t max,
                     uint64_t *out_generation);

/* ---- blocks.c ---- */

/* Whether the table has a block without a summary whose rows are all there. */
bool block_due(const writer *w, const log_table *table);

/* Summarises the table's next block, which is due. */
int block_summarise(sqlite_store *s, log_table *table);

/* The table's block that holds `seq`. False: it has no summary yet. */
bool block_of(const log_table *table, uint64_t seq, uint64_t *out_from,
              uint64_t *out_to);

/* A reader's way to the summaries, within one transaction. It may be ended
 * after init failed. */
typedef struct blocks {
  sqlite3_stmt *get;
  sqlite3_stmt *get_columns;
  sqlite3_stmt *get_grams;
  columns *columns; /* owned; NULL until asked for */
} blocks;

int blocks_init(blocks *b, sqlite3 *db);
void blocks_fini(blocks *b);

/* Whether the block that begins at `from` may hold what the read wants. Only
 * a summary that says so makes it false. */
int blocks_may_match(blocks *b, uint64_t from, const store_read *read,
                     bool *out_may);

/* The same for a text. */
int blocks_may_have(blocks *b, uint64_t from, tti_slice text, bool *out_may);

/* The columns of that block until the next call; NULL: it has none. */
int blocks_columns(blocks *b, uint64_t from, const columns **out_columns);

/* ---- upkeep.c ---- */

/* What is due beside the jobs, for a few milliseconds, inside the group's
 * transaction; `idle`: there are no jobs in it. A failure of its own is undone
 * and tried again a minute later. Leaves in background_due whether there is
 * more. */
int upkeep_run(sqlite_store *s, bool idle);

/* Retention's decision and the sizes; about once a second. */
int upkeep_check(sqlite_store *s);

/* ---- watch.c ---- */

/* A reader in a free slot; false: there is none, or no thread. */
bool sqlite_start_reader(sqlite_store *s, reader **role);
size_t sqlite_watches(store *base, watchdog_worker *out_watches, size_t max);

/* ---- read.c ---- */

void *sqlite_reader_main(void *argument);
tt_error sqlite_read(store *base, store_read *read);

#endif
