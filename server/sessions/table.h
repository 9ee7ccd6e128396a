#ifndef SESSIONS_TABLE_H
#define SESSIONS_TABLE_H

#include "lib/event/parse.h"
#include "server/sessions/sessions.h"

/* The sessions that are configured, by name, and their two texts: the one that
 * the store keeps and the one that clients see. Not thread-safe. */

typedef struct session {
  char name[SESSION_NAME_MAX + 1];
  char id[SESSION_ID + 1];
  uint64_t captured;  /* a bit for each category; system's is always set */
  bool otlp;          /* export */
  uint64_t start_seq; /* the log's head when it was started */
  int64_t started_us;
  int64_t applied_us; /* of the last change */
} session;

typedef struct session_table {
  session *items; /* owned; sorted by name */
  size_t count;
} session_table;

/* The six and the further ones; texts are borrowed from the options. */
typedef struct session_vocabulary {
  tti_vocabulary v; /* of the arrays below */
  tti_slice categories[TTI_VOCABULARY_MAX];
  struct tti_known_type *types; /* owned */
} session_vocabulary;

/* TT_EINVAL with a sentence, TT_ENOMEM. Memory stays where it is: the
 * vocabulary points into itself. */
tt_error session_vocabulary_init(session_vocabulary *v, char *const *categories,
                                 char *const *types, tti_buf *out_error);
void session_vocabulary_fini(session_vocabulary *v);

/* A bit for each category that a user may switch: all but system. */
uint64_t session_user_facing(const tti_vocabulary *v);

/* Lower-case letters, digits and hyphens, 1 to SESSION_NAME_MAX. */
bool session_name_ok(tti_slice name);

/* What the ids of all sessions of that name begin with. */
void session_id_of_name(const char *name,
                        char out_prefix[SESSION_ID_OF_NAME + 1]);
void session_id_make(const char *name, char out_id[SESSION_ID + 1]);

session *session_find(const session_table *t, tti_slice name);

/* Adds it, or replaces the one of its name. TT_EFULL: SESSIONS_MAX; TT_ENOMEM.
 */
tt_error session_put(session_table *t, const session *one);
void session_remove(session_table *t, tti_slice name);
void session_table_fini(session_table *t);

/* For the store, and back. TT_EPARSE: not such a text; TT_ENOMEM. */
void session_table_write(const session_table *t, const tti_vocabulary *v,
                         tti_buf *out);
tt_error session_table_read(tti_slice text, const tti_vocabulary *v,
                            session_table *out_table);

/* The members that clients see, without braces: config, session_id, seq,
 * dropped_events, applied_at. `one` NULL: nothing is captured. */
void session_show(const session *one, const tti_vocabulary *v, uint64_t seq,
                  uint64_t dropped, tti_buf *out);

#endif
