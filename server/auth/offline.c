#include "server/auth/auth.h"

#include <pthread.h>
#include <stdlib.h>

/* One job, waited for. */
typedef struct waiter {
  store_job job;
  pthread_mutex_t mutex;
  pthread_cond_t cond;
  bool done;
} waiter;

static void job_done(store_job *job) {
  waiter *w = (waiter *)job; /* its first member */
  pthread_mutex_lock(&w->mutex);
  w->done = true;
  /* Signalled while the mutex is held: once it is let go the waiter may be
   * gone. */
  pthread_cond_signal(&w->cond);
  pthread_mutex_unlock(&w->mutex);
}

static tt_error run(store *s, waiter *w, tti_buf *out_error) {
  w->job.done = job_done;
  pthread_mutex_init(&w->mutex, NULL);
  pthread_cond_init(&w->cond, NULL);
  tt_error error = store_submit(s, &w->job);
  if (error == TT_OK) {
    pthread_mutex_lock(&w->mutex);
    while (!w->done)
      pthread_cond_wait(&w->cond, &w->mutex);
    pthread_mutex_unlock(&w->mutex);
    if (w->job.verdict == STORE_NOT_FOUND)
      error = TT_ENOTFOUND;
    else if (w->job.verdict != STORE_OK)
      error = TT_EIO;
  }
  if (error == TT_EIO)
    tti_buf_printf(out_error, "the store refused the change: %s",
                   w->job.reason[0] ? w->job.reason : "no reason given");
  pthread_cond_destroy(&w->cond);
  pthread_mutex_destroy(&w->mutex);
  return error;
}

tt_error auth_token_create_offline(store *s, tti_slice name, unsigned scopes,
                                   tti_buf *out_error,
                                   char out_text[AUTH_TOKEN_TEXT],
                                   store_token *out_token) {
  waiter w = {.job = {.kind = STORE_JOB_TOKEN_CREATE}};
  char text[AUTH_TOKEN_TEXT];
  store_token *tokens;
  size_t count;
  tt_error error = auth_tokens_in_force(s, &tokens, &count);
  if (error != TT_OK)
    return error;
  free(tokens);
  if (count >= AUTH_TOKENS_MAX) {
    tti_buf_printf(out_error,
                   "%d tokens are in force, which is the most; revoke some",
                   AUTH_TOKENS_MAX);
    return TT_EFULL;
  }
  error = auth_token_make(name, scopes, text, &w.job.token);
  if (error != TT_OK) {
    tti_buf_append_text(out_error,
                        "a token needs a name of 1 to 63 printable characters "
                        "and scopes out of ingest, read and admin");
    return error;
  }
  error = run(s, &w, out_error);
  if (error == TT_OK) {
    memcpy(out_text, text, sizeof(text));
    *out_token = w.job.token;
  }
  return error;
}

tt_error auth_token_revoke_offline(store *s, const char *id,
                                   tti_buf *out_error) {
  waiter w = {.job = {.kind = STORE_JOB_TOKEN_REVOKE}};
  if (strlen(id) >= sizeof(w.job.token.id))
    return TT_ENOTFOUND;
  strcpy(w.job.token.id, id);
  return run(s, &w, out_error);
}
