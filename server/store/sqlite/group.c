#include "server/store/key.h"
#include "server/store/sqlite/sqlite.h"

/* What runs inside a group's transaction. */

static int reserve(sqlite_store *s, store_job *job) {
  log_position *p = &s->writer.position;
  uint64_t first = p->handed_to >= p->next_seq ? p->handed_to + 1 : p->next_seq;
  job->first_seq = first;
  job->count = job->reserve;
  p->handed_to = first + job->reserve - 1;
  if (p->reserved_to < p->handed_to)
    p->reserved_to = p->handed_to;
  return SQLITE_OK;
}

static int run(sqlite_store *s, store_job *job) {
  bool keyed = store_key_is_set(&job->key);
  int rc = keyed ? keys_find(s, job) : SQLITE_OK;
  if (rc != SQLITE_OK || job->verdict != STORE_OK)
    return rc;
  rc = tables_run_job(&s->writer.tx, job);
  if (rc != SQLITE_OK || job->verdict != STORE_OK)
    return rc;
  return keyed ? keys_put(s, job) : SQLITE_OK;
}

int group_run_job(sqlite_store *s, store_job *job) {
  job->verdict = STORE_OK;
  job->half = false;
  job->reason[0] = '\0';
  switch (job->kind) {
  case STORE_JOB_APPEND:
    return append_run(s, job);
  case STORE_JOB_RESERVE:
    return reserve(s, job);
  case STORE_JOB_LOOKUP:
    return keys_find(s, job);
  case STORE_JOB_TOKEN_CREATE:
    return token_create(s, job);
  case STORE_JOB_TOKEN_REVOKE:
    return token_revoke(s, job);
  case STORE_JOB_SET:
    return setting_put(s, job);
  case STORE_JOB_RUN:
    return run(s, job);
  case STORE_JOB_BARRIER:
    break;
  }
  return SQLITE_OK;
}

static int write_counts(sqlite_store *s) {
  int rc;
  sqlite3_stmt *put = writer_statement(&s->writer, STMT_PUT_COUNT, &rc);
  for (int d = 0; rc == SQLITE_OK && d < STORE_DIMENSIONS; d++) {
    size_t at = 0;
    const char *name;
    uint64_t count;
    while (rc == SQLITE_OK &&
           counters_next_noted(&s->counts, (store_dimension)d, &at, &name,
                               &count)) {
      sqlite3_bind_int(put, 1, d);
      sqlite3_bind_text(put, 2, name, -1, SQLITE_STATIC);
      bind_u64(put, 3, count);
      rc = database_run(put);
    }
  }
  return rc;
}

int group_write_meta(sqlite_store *s) {
  writer *w = &s->writer;
  int rc = write_counts(s);
  sqlite3_stmt *set = rc ? NULL : writer_statement(w, STMT_SET_META, &rc);
  if (!set)
    return rc;
  bind_u64(set, 1, w->position.next_seq);
  bind_u64(set, 2, w->position.reserved_to);
  bind_u64(set, 3, ++w->group_number);
  return database_run(set);
}
