#ifndef STORE_TABLES_TABLES_H
#define STORE_TABLES_TABLES_H

#include "server/store/sqlite/database.h"
#include "server/store/store.h"

/* The tables beside the log: webhooks, outbox, deliveries, fleet. Every store
 * keeps them in SQLite, one that lives in memory in a database that does, so
 * there is one text of each statement, and it stands in this folder: a file a
 * table, with functions in the words of what it keeps.
 *
 *   sqlite3_stmt *stmt = tx_prepare(tx, "SELECT url FROM webhooks WHERE ...");
 *   tx_bind_slice(stmt, 1, id);
 *   while (tx_step(tx, stmt))
 *     ... column_blob(stmt, 0) ...          borrowed until the next step
 *   return tx_end(tx, stmt);
 *
 * No step needs a look at its result: what fails is kept, and tx_end tells. */

/* The statements of the tables' newest form. */
extern const char tables_schema[];

#define TX_STATEMENTS 256

/* One connection in a transaction. */
struct store_tx {
  sqlite3 *db;
  int rc; /* the first result that was an error; SQLITE_OK */
  struct {
    const char *sql;
    sqlite3_stmt *stmt;
  } statements[TX_STATEMENTS];
};

/* A statement, ready to be bound; prepared once a connection, so `sql` must
 * stay where it is: a literal. NULL after an error, which every function here
 * accepts. TX_STATEMENTS texts in all. */
sqlite3_stmt *tx_prepare(store_tx *tx, const char *sql);

/* NULL pointers and empty slices with a NULL pointer become NULL. The bytes
 * must stay until tx_end. */
void tx_bind_slice(sqlite3_stmt *stmt, int index, tti_slice text);
void tx_bind_text(sqlite3_stmt *stmt, int index, const char *text);
void tx_bind_bytes(sqlite3_stmt *stmt, int index, const void *bytes,
                   size_t len);
void tx_bind_int(sqlite3_stmt *stmt, int index, int64_t value);
void tx_bind_double(sqlite3_stmt *stmt, int index, double value);

/* True: there is a row. False: the end, or an error. */
bool tx_step(store_tx *tx, sqlite3_stmt *stmt);

/* Puts the statement back. TT_ECONFLICT: a UNIQUE or a foreign key refused it,
 * which is the caller's to handle; else what the whole transaction will end
 * with: TT_ENOSPACE, TT_EIO, TT_ENOMEM, TT_ECORRUPT. */
tt_error tx_end(store_tx *tx, sqlite3_stmt *stmt);

/* tx_step for what returns no row, and tx_end. */
tt_error tx_run(store_tx *tx, sqlite3_stmt *stmt);

#define TABLES_ID_SIZE 40

/* A random id: the prefix (at most 6 bytes, such as "wh_") and 32 hex digits.
 */
void tables_new_id(const char *prefix, char out_id[TABLES_ID_SIZE]);

/* Rows that the last statement wrote or deleted. */
uint64_t tx_changes(const store_tx *tx);
int64_t tx_last_rowid(const store_tx *tx);

/* ---- For the stores ---- */

/* Runs `job->run` under a savepoint: what it did is undone when it fails, and
 * its verdict is STORE_RETRY then, unless it set another. The result is
 * SQLite's, of what the transaction cannot survive. */
int tables_run_job(store_tx *tx, store_job *job);

/* Runs `read->run` in a transaction of its own. */
void tables_run_read(store_tx *tx, store_read *read);

#endif
