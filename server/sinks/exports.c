#include "server/sinks/internal.h"

#include "lib/base/thread.h"
#include "server/io/log.h"
#include <stdlib.h>

/* The exports of sessions are switched from wherever a session is changed,
 * which must not wait; a thread starts and stops their sinks. */

enum { EXPORTS_MAX = 256 };

void sink_export_fini(sink_export *e) {
  free(e->session);
  free(e->session_id);
  sink_position_free(e->position);
}

/* ---- The thread ---- */

/* Those that are off and do not run any more. Under the mutex. */
static void forget(sinks *all) {
  size_t kept = 0;
  for (size_t i = 0; i < all->export_count; i++) {
    if (all->exports[i].on)
      all->exports[kept++] = all->exports[i];
    else
      sink_export_fini(&all->exports[i]);
  }
  all->export_count = kept;
}

static void *exports_main(void *context) {
  sinks *all = context;
  pthread_mutex_lock(&all->mutex);
  while (!all->leave) {
    if (!all->has_switched) {
      pthread_cond_wait(&all->switched, &all->mutex);
      continue;
    }
    all->has_switched = false;
    pthread_mutex_unlock(&all->mutex);
    pthread_mutex_lock(&all->work);
    sinks_reconcile(all);
    pthread_mutex_unlock(&all->work);
    pthread_mutex_lock(&all->mutex);
    if (!all->has_switched)
      forget(all);
  }
  pthread_mutex_unlock(&all->mutex);
  return NULL;
}

/* Under the mutex. */
static bool start_thread(sinks *all) {
  if (all->threaded)
    return true;
  all->threaded = tti_thread_start(&all->thread, exports_main, all);
  return all->threaded;
}

void sinks_exports_stop(sinks *all) {
  pthread_mutex_lock(&all->mutex);
  all->leave = true;
  pthread_cond_signal(&all->switched);
  bool threaded = all->threaded;
  pthread_mutex_unlock(&all->mutex);
  if (threaded)
    pthread_join(all->thread, NULL);
}

/* ---- Switching ---- */

/* Under the mutex. NULL: TT_EFULL, TT_ENOMEM. */
static sink_export *find_or_add(sinks *all, const char *session,
                                const char *session_id) {
  for (size_t i = 0; i < all->export_count; i++)
    if (strcmp(all->exports[i].session, session) == 0)
      return &all->exports[i];
  sink_export *grown =
      all->export_count < EXPORTS_MAX
          ? realloc(all->exports, (all->export_count + 1) * sizeof(*grown))
          : NULL;
  if (!grown)
    return NULL;
  all->exports = grown;
  sink_export *e = &grown[all->export_count];
  *e = (sink_export){.session = strdup(session),
                     .session_id = strdup(session_id)};
  if (!e->session || !e->session_id) {
    sink_export_fini(e);
    return NULL;
  }
  all->export_count++;
  return e;
}

/* The place where an export that is switched on now begins, given to the store
 * before anything that comes later. */
static sink_position *begin_here(sinks *all, const char *session) {
  char name[SINK_NAME_MAX];
  sink_position *position = NULL;
  uint64_t head = tt_stream_seq(bus_stream(all->options.bus));
  for (size_t i = 0; i < all->spec_count; i++)
    if (all->specs[i].sessions) {
      sink_name_of(&all->specs[i], session, name);
      if (sink_position_begin(all->options.store, name, head, &position))
        return NULL;
    }
  return position;
}

static bool has_destination(const sinks *all) {
  for (size_t i = 0; i < all->spec_count; i++)
    if (all->specs[i].sessions)
      return true;
  return false;
}

void sinks_export(void *context, const char *session, const char *session_id,
                  bool on, bool restored) {
  sinks *all = context;
  pthread_mutex_lock(&all->mutex);
  bool goes = has_destination(all);
  sink_export *e = find_or_add(all, session, session_id);
  if (e) {
    if (on && !restored && !e->on) {
      sink_position_free(e->position);
      e->position = begin_here(all, session);
    }
    e->on = on;
    all->has_switched = true;
    pthread_cond_signal(&all->switched);
  }
  bool works = e && start_thread(all);
  pthread_mutex_unlock(&all->mutex);
  if (on && !goes)
    server_log(TT_LEVEL_WARN, "sinks",
               "otlp export enabled but no destination: session %s; set "
               "OTEL_EXPORTER_OTLP_ENDPOINT, or make a sink of type otlp with "
               "sessions: true",
               session);
  else if (!works)
    server_log(TT_LEVEL_ERROR, "sinks",
               "the export of session %s was not switched: out of memory",
               session);
}
