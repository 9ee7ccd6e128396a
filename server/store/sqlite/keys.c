#include "server/store/key.h"

#include "server/io/clock.h"
#include "server/store/sqlite/sqlite.h"
#include <stdio.h>

/* Idempotency keys, in the transaction of what they stand for. */

static void replay(store_job *job, uint64_t first_seq, uint64_t count) {
  job->verdict = STORE_REPLAYED;
  job->first_seq = first_seq;
  job->count = count;
}

static int load_answers(writer *w, const unsigned char *digest,
                        store_answers *out_answers, bool *out_found) {
  int rc;
  sqlite3_stmt *get = writer_statement(w, STMT_GET_PRODUCER, &rc);
  if (!get)
    return rc;
  bind_blob(get, 1, digest, STORE_KEY_DIGEST);
  rc = sqlite3_step(get);
  *out_found = rc == SQLITE_ROW;
  out_answers->count = 0;
  if (rc == SQLITE_ROW &&
      store_answers_unpack(column_blob(get, 0), out_answers) != TT_OK) {
    sqlite3_reset(get);
    return SQLITE_CORRUPT;
  }
  int reset = sqlite3_reset(get);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : reset;
}

static int refuse_when_full(writer *w, statement_id count, store_job *job) {
  int rc;
  sqlite3_stmt *stmt = writer_statement(w, count, &rc);
  if (!stmt)
    return rc;
  rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW && column_u64(stmt, 0) >= STORE_KEYS_MAX) {
    job->verdict = STORE_RETRY;
    snprintf(job->reason, sizeof job->reason,
             "the store holds %u idempotency keys, its limit: send without "
             "one, or later",
             STORE_KEYS_MAX);
  }
  int reset = sqlite3_reset(stmt);
  return rc == SQLITE_ROW ? SQLITE_OK : reset;
}

static int find_own(sqlite_store *s, store_job *job,
                    const unsigned char *digest, uint64_t number) {
  store_answers answers;
  bool found = false;
  int rc = load_answers(&s->writer, digest, &answers, &found);
  if (rc != SQLITE_OK)
    return rc;
  if (!found)
    return refuse_when_full(&s->writer, STMT_COUNT_PRODUCERS, job);
  store_answer answer;
  job->verdict =
      store_answers_find(&answers, number, job->key.body_sha256, &answer);
  if (job->verdict == STORE_REPLAYED)
    replay(job, answer.first_seq, answer.count);
  return SQLITE_OK;
}

static int find_foreign(sqlite_store *s, store_job *job,
                        const unsigned char *digest) {
  int rc;
  sqlite3_stmt *get = writer_statement(&s->writer, STMT_GET_KEY, &rc);
  if (!get)
    return rc;
  bind_blob(get, 1, digest, STORE_KEY_DIGEST);
  sqlite3_bind_int64(get, 2, server_wall_us() - STORE_KEY_LIFE_US);
  rc = sqlite3_step(get);
  bool found = rc == SQLITE_ROW;
  if (found) {
    tti_slice body = column_blob(get, 0);
    if (body.len == 32 && memcmp(body.ptr, job->key.body_sha256, 32) == 0)
      replay(job, column_u64(get, 1), column_u64(get, 2));
    else
      job->verdict = STORE_MISMATCH;
  }
  int reset = sqlite3_reset(get);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE)
    return reset;
  return found ? SQLITE_OK : refuse_when_full(&s->writer, STMT_COUNT_KEYS, job);
}

int keys_find(sqlite_store *s, store_job *job) {
  unsigned char digest[STORE_KEY_DIGEST];
  uint64_t number;
  if (!store_key_is_set(&job->key))
    return SQLITE_OK;
  if (store_key_digest(&job->key, digest, &number))
    return find_own(s, job, digest, number);
  return find_foreign(s, job, digest);
}

static int put_own(writer *w, const store_job *job, const unsigned char *digest,
                   uint64_t number) {
  store_answers answers;
  bool found = false;
  int rc = load_answers(w, digest, &answers, &found);
  sqlite3_stmt *put = rc ? NULL : writer_statement(w, STMT_PUT_PRODUCER, &rc);
  if (!put)
    return rc;
  store_answer answer = {
      .number = number, .first_seq = job->first_seq, .count = job->count};
  memcpy(answer.body_sha256, job->key.body_sha256, 32);
  store_answers_add(&answers, &answer);
  char packed[STORE_ANSWERS * STORE_ANSWER_PACKED];
  size_t len = store_answers_pack(&answers, packed);
  bind_blob(put, 1, digest, STORE_KEY_DIGEST);
  bind_blob(put, 2, packed, len);
  return database_run(put);
}

static int put_foreign(writer *w, const store_job *job,
                       const unsigned char *digest) {
  int rc;
  /* One over 24 h that the janitor has not come to yet. */
  sqlite3_stmt *drop = writer_statement(w, STMT_DROP_KEY, &rc);
  if (!drop)
    return rc;
  bind_blob(drop, 1, digest, STORE_KEY_DIGEST);
  rc = database_run(drop);
  sqlite3_stmt *put = rc ? NULL : writer_statement(w, STMT_PUT_KEY, &rc);
  if (!put)
    return rc;
  bind_blob(put, 1, digest, STORE_KEY_DIGEST);
  bind_blob(put, 2, job->key.body_sha256, 32);
  bind_u64(put, 3, job->first_seq);
  bind_u64(put, 4, job->count);
  sqlite3_bind_int64(put, 5, server_wall_us());
  return database_run(put);
}

int keys_put(sqlite_store *s, const store_job *job) {
  unsigned char digest[STORE_KEY_DIGEST];
  uint64_t number;
  if (store_key_digest(&job->key, digest, &number))
    return put_own(&s->writer, job, digest, number);
  return put_foreign(&s->writer, job, digest);
}

int keys_expire(sqlite_store *s, int limit, bool *out_more) {
  int rc;
  sqlite3_stmt *expire = writer_statement(&s->writer, STMT_EXPIRE_KEYS, &rc);
  if (!expire)
    return rc;
  sqlite3_bind_int64(expire, 1, server_wall_us() - STORE_KEY_LIFE_US);
  sqlite3_bind_int(expire, 2, limit);
  rc = database_run(expire);
  *out_more = rc == SQLITE_OK && sqlite3_changes(s->writer.db) == limit;
  return rc;
}
