#include "server/sessions/internal.h"

#include "lib/event/category.h"
#include "server/io/clock.h"
#include "server/io/log.h"

#include <stdlib.h>

/* The way of one PUT or PATCH:
 *
 *   loop:   parsed, queued ──► (when it is the first) prepared, given to the
 *           store as one value with all sessions
 *   writer: kept: in force from here on; the next one is prepared
 *   loop:   answered
 *
 * So what is in force is what a restart finds, and an event that is published
 * meets the session as it was before or as it is after. */
typedef enum outcome {
  CREATED,
  CHANGED,
  CLEARED,
  UNCHANGED,
  MISSING,   /* to be merged into nothing */
  TOO_MANY,  /* sessions */
  NO_MEMORY, /* nothing has changed */
  NOT_KEPT   /* by the store: nothing has changed */
} outcome;

typedef struct session_change {
  struct session_change *next;
  store_job job;
  loop_task task;
  sessions *sessions;
  http_request *request;
  tti_slice name; /* in the request, or static */
  bool merge;
  session_choice choice;
  outcome outcome;
  session after;       /* for CREATED, CHANGED and UNCHANGED */
  session_table table; /* as it is to be */
  tti_buf text;        /* the same, for the store */
} session_change;

enum { TEXT_MAX = 4 << 20 };

static void advance(sessions *s);

/* ---- On its loop ---- */

static void change_free(session_change *c) {
  session_table_fini(&c->table);
  tti_buf_fini(&c->text);
  free(c);
}

static void log_change(const session_change *c) {
  static const char *const did[] = {
      [CREATED] = "started", [CHANGED] = "changed", [CLEARED] = "stopped"};
  server_log(TT_LEVEL_INFO, "sessions", "session %s: name=%.*s%s%s by=\"%s\"",
             did[c->outcome], (int)c->name.len, c->name.ptr,
             c->outcome == CLEARED ? "" : " id=",
             c->outcome == CLEARED ? "" : c->after.id,
             http_request_user(c->request));
}

static void reply_state(session_change *c) {
  tti_buf body;
  tti_buf_init(&body, 65536);
  tti_buf_append_char(&body, '{');
  sessions_write_state(c->sessions, c->outcome == CLEARED ? NULL : &c->after,
                       &body);
  tti_buf_append_char(&body, '}');
  http_reply_json(c->request, c->outcome == CREATED ? 201 : 200, &body);
  tti_buf_fini(&body);
}

static void answer(loop_task *task) {
  session_change *c =
      (session_change *)((char *)task - offsetof(session_change, task));
  switch (c->outcome) {
  case CREATED:
  case CHANGED:
  case CLEARED:
    log_change(c);
    reply_state(c);
    break;
  case UNCHANGED:
    reply_state(c);
    break;
  case MISSING:
    sessions_reply_missing(c->request, c->name);
    break;
  case TOO_MANY:
    http_reply_error(c->request, 409, "too_many_sessions",
                     "%d sessions are configured, which is the most; switch "
                     "all categories of one off to end it",
                     SESSIONS_MAX);
    break;
  case NO_MEMORY:
    http_reply_header(c->request, "Retry-After", "1");
    http_reply_error(c->request, 503, "out_of_memory",
                     "out of memory; nothing has changed; try again");
    break;
  case NOT_KEPT:
    http_reply_header(c->request, "Retry-After", "1");
    http_reply_error(c->request, 503, "store_unavailable",
                     "the store could not keep the session, so nothing has "
                     "changed: %s; try again",
                     c->job.reason[0] ? c->job.reason : "its queue is full");
    break;
  }
  change_free(c);
}

/* ---- One change ---- */

/* What the session is to be; false: nothing changes. Under the mutex. */
static bool choose(session_change *c) {
  sessions *s = c->sessions;
  const session_choice *choice = &c->choice;
  const session *now = session_find(&s->table, c->name);
  uint64_t user_facing = session_user_facing(&s->vocabulary.v);
  if (c->merge && !now) {
    c->outcome = MISSING;
    return false;
  }
  if (c->merge && !choice->has_browser && !choice->has_export) {
    c->outcome = UNCHANGED;
    c->after = *now;
    return false;
  }
  uint64_t base = c->merge ? now->captured : user_facing;
  session *after = &c->after;
  if (now) {
    *after = *now;
  } else {
    *after = (session){.start_seq = bus_head(s->options.bus),
                       .started_us = server_wall_us()};
    memcpy(after->name, c->name.ptr, c->name.len);
    session_id_make(after->name, after->id);
  }
  after->captured =
      ((base | choice->on) & ~choice->off) | UINT64_C(1) << TTI_CATEGORY_SYSTEM;
  after->applied_us = server_wall_us();
  after->otlp = choice->has_otlp ? choice->otlp : c->merge && now->otlp;
  if (after->captured & user_facing)
    c->outcome = now ? CHANGED : CREATED;
  else
    c->outcome = CLEARED;
  return now || c->outcome != CLEARED;
}

/* The table with the change, and its text. Under the mutex. */
static bool compose(session_change *c) {
  sessions *s = c->sessions;
  tt_error error = TT_OK;
  for (size_t i = 0; i < s->table.count && !error; i++)
    error = session_put(&c->table, &s->table.items[i]);
  if (!error && c->outcome == CLEARED)
    session_remove(&c->table, c->name);
  else if (!error)
    error = session_put(&c->table, &c->after);
  session_table_write(&c->table, &s->vocabulary.v, &c->text);
  if (!error && !c->text.error)
    return true;
  c->outcome = error == TT_EFULL ? TOO_MANY : NO_MEMORY;
  return false;
}

static bool exports(const session_table *t, tti_slice name) {
  const session *one = session_find(t, name);
  return one && one->otlp;
}

/* In force. Under the mutex. The table that was is the change's to free. */
static void install(session_change *c) {
  sessions *s = c->sessions;
  session_table before = s->table;
  s->table = c->table;
  c->table = before;
  tt_metrics_set(s->options.metrics, TT_METRIC_SESSIONS, (double)s->table.count,
                 NULL, NULL);
}

/* Before the next change is begun, so that one is told after the other. */
static void tell_export(session_change *c) {
  sessions *s = c->sessions;
  bool was = exports(&c->table, c->name);
  bool is = c->outcome != CLEARED && c->after.otlp;
  char name[SESSION_NAME_MAX + 1], prefix[SESSION_ID_OF_NAME + 1];
  if (was == is)
    return;
  if (s->on_export) {
    snprintf(name, sizeof(name), "%.*s", (int)c->name.len, c->name.ptr);
    session_id_of_name(name, prefix);
    s->on_export(s->export_context, name, prefix, is, false);
  } else if (is) {
    server_log(TT_LEVEL_WARN, "sessions",
               "otlp export enabled but no destination");
  }
}

/* On the store's writer, or within store_submit. */
static void stored(store_job *job) {
  session_change *c =
      (session_change *)((char *)job - offsetof(session_change, job));
  sessions *s = c->sessions;
  if (job->verdict == STORE_OK) {
    pthread_mutex_lock(&s->mutex);
    install(c);
    pthread_mutex_unlock(&s->mutex);
    tell_export(c);
  } else {
    c->outcome = NOT_KEPT;
  }
  loop_post(http_request_loop(c->request), &c->task);
  advance(s);
}

static void run(session_change *c) {
  c->job = (store_job){.kind = STORE_JOB_SET,
                       .done = stored,
                       .name = SESSIONS_SETTING,
                       .value = tti_buf_slice(&c->text)};
  sessions *s = c->sessions;
  if (store_submit(s->options.store, &c->job) == TT_OK)
    return;
  c->outcome = NOT_KEPT;
  loop_post(http_request_loop(c->request), &c->task);
  advance(s);
}

/* Takes the next change that waits; whoever calls is the one that is changing.
 */
static void advance(sessions *s) {
  for (;;) {
    pthread_mutex_lock(&s->mutex);
    session_change *c = s->first;
    if (c)
      s->first = c->next;
    s->changing = c != NULL;
    bool goes = c && choose(c) && compose(c);
    pthread_mutex_unlock(&s->mutex);
    if (!c)
      return;
    if (goes) {
      run(c);
      return;
    }
    loop_post(http_request_loop(c->request), &c->task);
  }
}

void sessions_change(sessions *s, http_request *request, bool merge) {
  tti_slice name;
  session_choice choice;
  session_refusal refusal;
  if (!sessions_name(request, &name))
    return;
  if (!session_choice_parse(http_request_body(request), &s->vocabulary.v,
                            &choice, &refusal)) {
    http_reply_error(request, 400, refusal.code, "%s", refusal.message);
    return;
  }
  session_change *c = calloc(1, sizeof(*c));
  if (!c) {
    http_reply_error(request, 503, "out_of_memory",
                     "out of memory; nothing has changed; try again");
    return;
  }
  tti_buf_init(&c->text, TEXT_MAX);
  c->task.run = answer;
  c->sessions = s;
  c->request = request;
  c->name = name;
  c->merge = merge;
  c->choice = choice;
  pthread_mutex_lock(&s->mutex);
  *(s->first ? &s->last->next : &s->first) = c;
  s->last = c;
  bool mine = !s->changing;
  s->changing = true;
  pthread_mutex_unlock(&s->mutex);
  if (mine)
    advance(s);
}
