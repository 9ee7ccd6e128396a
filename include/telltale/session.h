#ifndef TELLTALE_SESSION_H
#define TELLTALE_SESSION_H

#include <telltale/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A capture session on a stream: an id, a start and a choice of categories.
 * What is published through it enters the stream stamped with the id, if its
 * category is captured; `system` always is. Start, stop and update may come at
 * any time from any thread, while others publish. Any number of sessions may
 * share one stream. Sequence numbers are the stream's: they go on over every
 * start and stop. */
typedef struct tt_session tt_session;

/* Bytes, without the NUL. */
#define TELLTALE_SESSION_ID_MAX         128
#define TELLTALE_CATEGORY_MAX           64
#define TELLTALE_SESSION_CATEGORIES_MAX 64

/* The six categories of capture sessions, in the order of event.h. */
#define TELLTALE_ALL_CATEGORIES_COUNT 6
TELLTALE_API extern const char
    *const tt_all_categories[TELLTALE_ALL_CATEGORIES_COUNT];

/* What a session captures. All zero: everything, whatever its category. Else
 * the categories named, the six or any others, and `system`. Borrowed for the
 * call. */
typedef struct tt_session_config {
  const char *const *categories;
  size_t category_count;
} tt_session_config;

/* A session as it is at one instant. */
typedef struct tt_session_state {
  bool active;
  bool all; /* captures whatever category an event has */
  char id[TELLTALE_SESSION_ID_MAX + 1]; /* "" when not active */
  int64_t applied_at_us; /* unix microseconds of the last start or update; 0
                            when not active */
  uint64_t start_seq;    /* see tt_session_start_seq */
  /* What is captured, `system` always among it; the six when `all`; `system`
   * alone when not active. */
  size_t category_count;
  char categories[TELLTALE_SESSION_CATEGORIES_MAX + 1]
                 [TELLTALE_CATEGORY_MAX + 1];
} tt_session_state;

/* A session that is not active. The stream must outlive it. TT_EINVAL (NULL
 * stream), TT_ENOMEM. Freed with tt_session_free by the caller. */
TELLTALE_API tt_error tt_session_new(tt_stream *stream,
                                     tt_session **out_session);

/* The stream, its readers and what was published are left as they are. */
TELLTALE_API void tt_session_free(tt_session *session);

/* Begins a session; one that was active ends. `config` may be NULL. TT_EINVAL
 * (no id, a category that is NULL or empty), TT_ETOOBIG (an id, a category or
 * their number above the limits): then nothing has changed. */
TELLTALE_API tt_error tt_session_start(tt_session *session, const char *id,
                                       const tt_session_config *config);

/* Ends the session. Readers go on and drain what is there. */
TELLTALE_API void tt_session_stop(tt_session *session);

/* Changes what the running session captures; its id and start stay. Errors as
 * of tt_session_start, and TT_ESTATE when it is not active; then nothing has
 * changed. */
TELLTALE_API tt_error tt_session_update_config(tt_session *session,
                                               const tt_session_config *config);

/* What became of an event that was captured. The texts of the envelope are
 * those of the event that was published and as long-lived; its session id is
 * `session_id`, so that a copy of this struct still points to the first. */
typedef struct tt_published {
  tt_envelope envelope;
  char session_id[TELLTALE_SESSION_ID_MAX + 1];
} tt_published;

/* Publishes the event if the session captures it: true, and *out_published
 * (which may be NULL) has the envelope as it went into the stream: with seq,
 * times, session id, and with data `null` when it was too large. False: the
 * session is not active, does not capture the category, or the stream did not
 * take it (tt_stream_publish); nothing was published. Thread-safe. What is not
 * captured is found out without a lock. */
TELLTALE_API bool tt_session_publish(tt_session *session, const tt_event *event,
                                     tt_published *out_published);

TELLTALE_API bool tt_session_active(const tt_session *session);

/* Everything at once, for when it must belong together. */
TELLTALE_API void tt_session_state_get(const tt_session *session,
                                       tt_session_state *out_state);

/* The seq of the last envelope in the stream; 0 when there is none. */
TELLTALE_API uint64_t tt_session_seq(const tt_session *session);

/* The stream's seq when the session was started: a reader after it sees all of
 * the session. Stays when the session is stopped; 0 before the first start. */
TELLTALE_API uint64_t tt_session_start_seq(const tt_session *session);

/* A reader of the whole stream, as tt_reader_new. */
TELLTALE_API tt_error tt_session_reader_new(tt_session *session,
                                            uint64_t after_seq,
                                            tt_reader **out_reader);

#ifdef __cplusplus
}
#endif
#endif
