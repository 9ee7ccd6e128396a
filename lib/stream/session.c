#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/event/category.h"
#include "lib/stream/stream.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <telltale/session.h>

/* What is captured, as bits: one for each of the six, one for all others, and
 * one for "some others, look at the list". 0: not active. */
#define BIT(index)  (1u << (index))
#define EVERY_OTHER BIT(TTI_CATEGORIES)
#define SOME_OTHERS BIT(TTI_CATEGORIES + 1)
#define SIX         (BIT(TTI_CATEGORIES) - 1)
#define EVERYTHING  (SIX | EVERY_OTHER)

typedef struct choice {
  unsigned mask;
  size_t count; /* of others that are named */
  char others[TELLTALE_SESSION_CATEGORIES_MAX][TELLTALE_CATEGORY_MAX + 1];
} choice;

struct tt_session {
  tt_stream *stream;
  /* choice.mask, for publishers to turn away what is not captured without the
   * lock. Relaxed: it orders nothing, what passes is asked again under the
   * lock, and who turned a category on before this publish is seen. */
  _Atomic unsigned mask;
  /* Of all below. Held while an event goes into the stream, so that the id on
   * it, the start and the choice belong together. Taken before the stream's. */
  pthread_mutex_t mutex;
  choice choice;
  char id[TELLTALE_SESSION_ID_MAX + 1];
  int64_t applied_at_us;
  uint64_t start_seq;
};

tt_error tt_session_new(tt_stream *stream, tt_session **out_session) {
  if (!stream || !out_session)
    return TT_EINVAL;
  tt_session *session = calloc(1, sizeof(*session));
  if (!session)
    return TT_ENOMEM;
  if (pthread_mutex_init(&session->mutex, NULL)) {
    free(session);
    return TT_ENOMEM;
  }
  session->stream = stream;
  *out_session = session;
  return TT_OK;
}

void tt_session_free(tt_session *session) {
  if (!session)
    return;
  pthread_mutex_destroy(&session->mutex);
  free(session);
}

static bool names(const choice *c, tti_slice category) {
  for (size_t i = 0; i < c->count; i++)
    if (tti_slice_eq(tti_slice_of(c->others[i]), category))
      return true;
  return false;
}

static tt_error add_category(choice *c, const char *name) {
  tti_slice category = tti_slice_of(name);
  if (category.len == 0)
    return TT_EINVAL;
  int index = tti_category_index(category);
  if (index >= 0) {
    c->mask |= BIT(index);
    return TT_OK;
  }
  if (category.len > TELLTALE_CATEGORY_MAX)
    return TT_ETOOBIG;
  if (names(c, category))
    return TT_OK;
  memcpy(c->others[c->count++], category.ptr, category.len + 1);
  c->mask |= SOME_OTHERS;
  return TT_OK;
}

static tt_error choose(const tt_session_config *config, choice *out_choice) {
  *out_choice = (choice){.mask = EVERYTHING};
  if (!config || config->category_count == 0)
    return TT_OK;
  if (!config->categories)
    return TT_EINVAL;
  if (config->category_count > TELLTALE_SESSION_CATEGORIES_MAX)
    return TT_ETOOBIG;
  out_choice->mask = BIT(TTI_CATEGORY_SYSTEM);
  for (size_t i = 0; i < config->category_count; i++) {
    tt_error error = add_category(out_choice, config->categories[i]);
    if (error)
      return error;
  }
  return TT_OK;
}

/* Under the mutex. */
static void apply(tt_session *session, const choice *c) {
  session->choice = *c;
  session->applied_at_us = tti_wall_us(&tti_clock_system);
  atomic_store_explicit(&session->mask, c->mask, memory_order_relaxed);
}

tt_error tt_session_start(tt_session *session, const char *id,
                          const tt_session_config *config) {
  choice c;
  size_t len = id ? strlen(id) : 0;
  if (!session || len == 0)
    return TT_EINVAL;
  if (len > TELLTALE_SESSION_ID_MAX)
    return TT_ETOOBIG;
  tt_error error = choose(config, &c);
  if (error)
    return error;
  pthread_mutex_lock(&session->mutex);
  memcpy(session->id, id, len + 1);
  session->start_seq = tt_stream_seq(session->stream);
  apply(session, &c);
  pthread_mutex_unlock(&session->mutex);
  return TT_OK;
}

tt_error tt_session_update_config(tt_session *session,
                                  const tt_session_config *config) {
  choice c;
  if (!session)
    return TT_EINVAL;
  tt_error error = choose(config, &c);
  if (error)
    return error;
  pthread_mutex_lock(&session->mutex);
  if (session->choice.mask)
    apply(session, &c);
  else
    error = TT_ESTATE;
  pthread_mutex_unlock(&session->mutex);
  return error;
}

void tt_session_stop(tt_session *session) {
  if (!session)
    return;
  pthread_mutex_lock(&session->mutex);
  atomic_store_explicit(&session->mask, 0, memory_order_relaxed);
  session->choice.mask = 0;
  session->choice.count = 0;
  session->id[0] = '\0';
  session->applied_at_us = 0;
  pthread_mutex_unlock(&session->mutex);
}

/* Which bits of a mask let the category in. */
static unsigned bits_of(tti_slice category) {
  int index = tti_category_index(category);
  return index >= 0 ? BIT(index) : EVERY_OTHER | SOME_OTHERS;
}

/* Under the mutex. */
static bool captures(const choice *c, tti_slice category) {
  unsigned hit = c->mask & bits_of(category);
  return hit == SOME_OTHERS ? names(c, category) : hit != 0;
}

bool tt_session_publish(tt_session *session, const tt_event *event,
                        tt_published *out_published) {
  if (!session || !event)
    return false;
  tti_slice category = tti_slice_of(event->category);
  if (!(atomic_load_explicit(&session->mask, memory_order_relaxed) &
        bits_of(category)))
    return false;
  tt_event stamped = *event;
  tt_envelope envelope;
  bool accepted = false;
  pthread_mutex_lock(&session->mutex);
  if (captures(&session->choice, category)) {
    stamped.session_id = session->id;
    accepted =
        tti_stream_publish_as(session->stream, &stamped, TTI_KIND_SESSION, NULL,
                              &envelope) == TT_OK;
  }
  if (accepted && out_published) {
    memcpy(out_published->session_id, session->id, sizeof(session->id));
    out_published->envelope = envelope;
    out_published->envelope.event.session_id = out_published->session_id;
  }
  pthread_mutex_unlock(&session->mutex);
  return accepted;
}

bool tt_session_active(const tt_session *session) {
  return session &&
         atomic_load_explicit(&session->mask, memory_order_relaxed) != 0;
}

static void list_category(tt_session_state *state, const char *name) {
  memcpy(state->categories[state->category_count++], name, strlen(name) + 1);
}

/* Locking changes nothing that a caller could tell. */
static pthread_mutex_t *mutex_of(const tt_session *session) {
  return &((tt_session *)session)->mutex;
}

void tt_session_state_get(const tt_session *session,
                          tt_session_state *out_state) {
  *out_state = (tt_session_state){0};
  unsigned mask = 0;
  if (session) {
    pthread_mutex_lock(mutex_of(session));
    mask = session->choice.mask;
    out_state->active = mask != 0;
    out_state->all = mask & EVERY_OTHER;
    memcpy(out_state->id, session->id, sizeof(session->id));
    out_state->applied_at_us = session->applied_at_us;
    out_state->start_seq = session->start_seq;
    for (size_t i = 0; i < session->choice.count; i++)
      list_category(out_state, session->choice.others[i]);
    pthread_mutex_unlock(mutex_of(session));
  }
  mask |= BIT(TTI_CATEGORY_SYSTEM);
  for (int i = 0; i < TTI_CATEGORIES; i++)
    if (mask & BIT(i))
      list_category(out_state, tt_all_categories[i]);
}

uint64_t tt_session_seq(const tt_session *session) {
  return session ? tt_stream_seq(session->stream) : 0;
}

uint64_t tt_session_start_seq(const tt_session *session) {
  if (!session)
    return 0;
  pthread_mutex_lock(mutex_of(session));
  uint64_t seq = session->start_seq;
  pthread_mutex_unlock(mutex_of(session));
  return seq;
}

tt_error tt_session_reader_new(tt_session *session, uint64_t after_seq,
                               tt_reader **out_reader) {
  return session ? tt_reader_new(session->stream, after_seq, out_reader)
                 : TT_EINVAL;
}
