#include "server/store/sqlite/sqlite.h"

#include "server/io/clock.h"
#include <stdio.h>
#include <stdlib.h>

int token_create(sqlite_store *s, store_job *job) {
  writer *w = &s->writer;
  const store_token *token = &job->token;
  if (s->token_count >= TOKENS_MAX) {
    job->verdict = STORE_RETRY;
    snprintf(job->reason, sizeof job->reason,
             "the store holds %d tokens, its limit", TOKENS_MAX);
    return SQLITE_OK;
  }
  int rc;
  sqlite3_stmt *put = writer_statement(w, STMT_PUT_TOKEN, &rc);
  if (!put)
    return rc;
  sqlite3_bind_text(put, 1, token->id, -1, SQLITE_STATIC);
  sqlite3_bind_text(put, 2, token->name, -1, SQLITE_STATIC);
  sqlite3_bind_int64(put, 3, token->scopes);
  bind_blob(put, 4, token->sha256, sizeof token->sha256);
  sqlite3_bind_int64(put, 5, token->created_us);
  rc = database_run(put);
  if (rc != SQLITE_OK)
    return rc;
  if (sqlite3_changes(w->db) == 0)
    job->verdict = STORE_EXISTS;
  else
    w->tokens_changed = true;
  return SQLITE_OK;
}

int token_revoke(sqlite_store *s, store_job *job) {
  writer *w = &s->writer;
  int rc;
  sqlite3_stmt *revoke = writer_statement(w, STMT_REVOKE_TOKEN, &rc);
  if (!revoke)
    return rc;
  int64_t now =
      job->token.revoked_us ? job->token.revoked_us : server_wall_us();
  sqlite3_bind_text(revoke, 1, job->token.id, -1, SQLITE_STATIC);
  sqlite3_bind_int64(revoke, 2, now);
  rc = database_run(revoke);
  if (rc != SQLITE_OK)
    return rc;
  if (sqlite3_changes(w->db) == 0)
    job->verdict = STORE_NOT_FOUND;
  else
    w->tokens_changed = true;
  return SQLITE_OK;
}

static void read_token(sqlite3_stmt *stmt, store_token *out_token) {
  *out_token = (store_token){0};
  snprintf(out_token->id, sizeof out_token->id, "%s",
           (const char *)sqlite3_column_text(stmt, 0));
  snprintf(out_token->name, sizeof out_token->name, "%s",
           (const char *)sqlite3_column_text(stmt, 1));
  out_token->scopes = (unsigned)sqlite3_column_int64(stmt, 2);
  tti_slice digest = column_blob(stmt, 3);
  if (digest.len == sizeof out_token->sha256)
    memcpy(out_token->sha256, digest.ptr, digest.len);
  out_token->created_us = sqlite3_column_int64(stmt, 4);
  out_token->revoked_us = sqlite3_column_int64(stmt, 5);
}

int tokens_load(sqlite_store *s) {
  writer *w = &s->writer;
  uint64_t count;
  int rc = database_u64(w->db, "SELECT count(*) FROM tokens", &count);
  if (rc != SQLITE_OK)
    return rc;
  sqlite3_stmt *stmt;
  rc = database_prepare(w->db,
                        "SELECT id, name, scopes, sha256, created_us,"
                        " revoked_us FROM tokens ORDER BY created_us, id",
                        &stmt);
  if (rc != SQLITE_OK)
    return rc;
  store_token *tokens = malloc((count + 1) * sizeof *tokens);
  size_t loaded = 0;
  while (tokens && loaded < count && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
    read_token(stmt, &tokens[loaded++]);
  sqlite3_finalize(stmt);
  if (!tokens || loaded != count) {
    free(tokens);
    return tokens ? rc : SQLITE_NOMEM;
  }
  pthread_mutex_lock(&s->shown_lock);
  store_token *old = s->tokens;
  s->tokens = tokens;
  s->token_count = loaded;
  s->token_generation++;
  pthread_mutex_unlock(&s->shown_lock);
  free(old);
  w->tokens_changed = false;
  return SQLITE_OK;
}

size_t sqlite_tokens(store *base, store_token *out_tokens, size_t max,
                     uint64_t *out_generation) {
  sqlite_store *s = (sqlite_store *)base;
  pthread_mutex_lock(&s->shown_lock);
  size_t count = s->token_count < max ? s->token_count : max;
  if (count)
    memcpy(out_tokens, s->tokens, count * sizeof *out_tokens);
  if (out_generation)
    *out_generation = s->token_generation;
  pthread_mutex_unlock(&s->shown_lock);
  return count;
}
