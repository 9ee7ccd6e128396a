#ifndef SESSIONS_SESSIONS_H
#define SESSIONS_SESSIONS_H

#include "server/relay/relay.h"

/* Capture sessions by name: each has an id, a start and a choice of categories,
 * and takes the events that are published to it. They are kept in the store. */
typedef struct sessions sessions;

enum {
  SESSIONS_MAX = 256, /* configured at once; more are refused */
  SESSION_NAME_MAX = 64,
  SESSION_ID = 24,         /* letters and digits of an id */
  SESSION_ID_OF_NAME = 12, /* the first of them are the name's */
  SESSION_CATEGORY_MAX = 64
};

/* All borrowed; they outlive the sessions. */
typedef struct sessions_options {
  bus *bus;
  store *store;
  feed *feed;
  relay *relay; /* gets the routes */
  tt_metrics *metrics;
  size_t max_body; /* bytes of one event */
  /* NULL-terminated lists, or NULL: categories beyond the six, and
   * "type=category" for types that belong to one. */
  char *const *categories;
  char *const *types;
} sessions_options;

/* Reads the sessions that the store has. Before the relay's routes are served.
 * TT_EINVAL: *out_error says what is wrong with categories or types. */
tt_error sessions_new(const sessions_options *options, tti_buf *out_error,
                      sessions **out_sessions);

/* Calls `changed` at once for each session whose export to OTLP a restart found
 * switched on (`restored`), and then each time that one is switched on or off
 * or ends with it on. `id_begins` is what the ids of all sessions of the name
 * begin with. Texts are borrowed. On any thread, one call at a time; it must
 * not block. Without it an export that is switched on is only warned of. Once,
 * before the routes are served. */
typedef void (*sessions_export_fn)(void *context, const char *name,
                                   const char *id_begins, bool enabled,
                                   bool restored);
void sessions_on_export(sessions *s, sessions_export_fn changed, void *context);

/* Once the loops have stopped and the store is closed. NULL is fine. */
void sessions_free(sessions *s);

#endif
