#include "server/store/memory/memory.h"

#include <stdio.h>

/* The tables beside the log, in a database without a file, made when it is
 * first asked for anything. */
static bool open_tables(memory_store *m) {
  char reason[160];
  if (m->tx.db)
    return true;
  if (database_open(":memory:", false, &m->tx.db, reason, sizeof reason) ==
          SQLITE_OK &&
      database_exec(m->tx.db, tables_schema) == SQLITE_OK)
    return true;
  memory_tables_fini(m);
  return false;
}

void memory_run_job(memory_store *m, store_job *job) {
  pthread_mutex_lock(&m->tables_lock);
  int rc = open_tables(m) ? tables_run_job(&m->tx, job) : SQLITE_NOMEM;
  if (rc != SQLITE_OK) {
    if (m->tx.db && !sqlite3_get_autocommit(m->tx.db))
      database_exec(m->tx.db, "ROLLBACK");
    job->verdict = STORE_RETRY;
    snprintf(job->reason, sizeof job->reason, "the memory store: %s",
             sqlite3_errstr(rc));
  }
  pthread_mutex_unlock(&m->tables_lock);
}

void memory_run_read(memory_store *m, store_read *read) {
  pthread_mutex_lock(&m->tables_lock);
  if (open_tables(m))
    tables_run_read(&m->tx, read);
  else
    read->error = TT_ENOMEM;
  pthread_mutex_unlock(&m->tables_lock);
}

void memory_tables_fini(memory_store *m) {
  database_close(m->tx.db);
  m->tx = (store_tx){0};
}
