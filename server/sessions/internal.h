#ifndef SESSIONS_INTERNAL_H
#define SESSIONS_INTERNAL_H

#include "server/http/describe.h"
#include "server/relay/intake.h"
#include "server/sessions/choice.h"
#include "server/sessions/table.h"

#include <pthread.h>

/* Shared by the files of this folder. */

#define SESSIONS_SETTING "sessions" /* the name in the store's settings */

struct session_change;

struct sessions {
  sessions_options options;
  session_vocabulary vocabulary;
  pthread_mutex_t mutex; /* of all below; held for a look, never for a wait */
  session_table table;
  /* Changes run one after the other, since each starts from what the one before
   * it left. */
  struct session_change *first, *last;
  bool changing;
  sessions_export_fn on_export;
  void *export_context;
};

/* The name in the path, or "default"; false: answered 400. */
bool sessions_name(http_request *request, tti_slice *out_name);

/* The members of a session's state, as clients see it. */
void sessions_write_state(sessions *s, const session *one, tti_buf *out);

/* The 404 for a session that is not configured. */
void sessions_reply_missing(http_request *request, tti_slice name);

/* Applies the body of a PUT or, with `merge`, of a PATCH, and answers. */
void sessions_change(sessions *s, http_request *request, bool merge);

/* Answers with the envelope that is stored under `seq`; with `fallback`, which
 * is taken over, when it is not kept any more. */
void sessions_replay(sessions *s, http_request *request, uint64_t seq,
                     tti_buf *fallback);

/* ---- about.c ---- */
extern const http_description sessions_get_about, sessions_put_about,
    sessions_patch_about, sessions_publish_about, sessions_stream_about,
    sessions_list_about, sessions_named_get_about, sessions_named_put_about,
    sessions_named_patch_about, sessions_named_publish_about,
    sessions_named_stream_about;

#endif
