#include "server/sessions/internal.h"

#include "server/io/log.h"

#include <stdlib.h>

/* ---- What requests have in common ---- */

bool sessions_name(http_request *request, tti_slice *out_name) {
  tti_slice name = http_request_param(request, "name");
  if (!name.ptr)
    name = TTI_SLICE("default");
  if (!session_name_ok(name)) {
    http_reply_error(request, 400, "invalid_session_name",
                     "a session's name is 1 to %d lower-case letters, digits "
                     "and hyphens",
                     SESSION_NAME_MAX);
    return false;
  }
  *out_name = name;
  return true;
}

void sessions_reply_missing(http_request *request, tti_slice name) {
  if (tti_slice_eq(name, TTI_SLICE("default")))
    http_reply_error(request, 404, "not_configured",
                     "telemetry is not configured");
  else
    http_reply_error(request, 404, "not_configured",
                     "the session %.*s is not configured", (int)name.len,
                     name.ptr);
}

/* Numbers since the session's start whose events were lost or, after a crash,
 * may have been. What retention took was meant to go. */
static uint64_t dropped_since(store *s, uint64_t start_seq, uint64_t head) {
  enum { RANGES = 64 };
  store_range ranges[RANGES];
  uint64_t sum = 0;
  size_t count;
  do {
    count = store_ranges(s, start_seq, head, ranges, RANGES);
    for (size_t i = 0; i < count; i++) {
      if (strcmp(ranges[i].reason, "retention") != 0)
        sum += ranges[i].to_seq - ranges[i].from_seq + 1;
      start_seq = ranges[i].to_seq;
    }
  } while (count == RANGES);
  return sum;
}

void sessions_write_state(sessions *s, const session *one, tti_buf *out) {
  uint64_t head = bus_head(s->options.bus);
  uint64_t dropped =
      one ? dropped_since(s->options.store, one->start_seq, head) : 0;
  session_show(one, &s->vocabulary.v, head, dropped, out);
}

/* A copy of the session; false: it is not configured. */
static bool look(sessions *s, tti_slice name, session *out_session) {
  pthread_mutex_lock(&s->mutex);
  const session *found = session_find(&s->table, name);
  if (found)
    *out_session = *found;
  pthread_mutex_unlock(&s->mutex);
  return found != NULL;
}

/* ---- The routes ---- */

static void serve_get(http_request *request, void *context) {
  sessions *s = context;
  tti_slice name;
  session one;
  tti_buf body;
  if (!sessions_name(request, &name))
    return;
  if (!look(s, name, &one)) {
    sessions_reply_missing(request, name);
    return;
  }
  tti_buf_init(&body, 65536);
  tti_buf_append_char(&body, '{');
  sessions_write_state(s, &one, &body);
  tti_buf_append_char(&body, '}');
  http_reply_json(request, 200, &body);
  tti_buf_fini(&body);
}

static int newest_first(const void *a, const void *b) {
  const session *left = a, *right = b;
  if (left->started_us != right->started_us)
    return left->started_us < right->started_us ? 1 : -1;
  return strcmp(left->name, right->name);
}

static void serve_list(http_request *request, void *context) {
  sessions *s = context;
  session *items = calloc(SESSIONS_MAX, sizeof(*items));
  size_t count = 0;
  tti_buf body;
  tti_buf_init(&body, 4 << 20);
  body.error = items ? TT_OK : TT_ENOMEM;
  if (items) {
    pthread_mutex_lock(&s->mutex);
    count = s->table.count;
    if (count)
      memcpy(items, s->table.items, count * sizeof(*items));
    pthread_mutex_unlock(&s->mutex);
    qsort(items, count, sizeof(*items), newest_first);
  }
  tti_buf_append_text(&body, "{\"items\":[");
  for (size_t i = 0; i < count; i++) {
    tti_buf_printf(&body, "%s{\"name\":\"%s\",", i ? "," : "", items[i].name);
    sessions_write_state(s, &items[i], &body);
    tti_buf_append_char(&body, '}');
  }
  tti_buf_append_text(&body, "],\"next_cursor\":null}");
  http_reply_json(request, 200, &body);
  tti_buf_fini(&body);
  free(items);
}

static void serve_put(http_request *request, void *context) {
  sessions_change(context, request, false);
}

static void serve_patch(http_request *request, void *context) {
  sessions_change(context, request, true);
}

static bool begin_publish(http_request *request, void *context,
                          relay_capture *out) {
  sessions *s = context;
  if (!sessions_name(request, &out->name))
    return false;
  out->capture = (tti_capture){.vocabulary = &s->vocabulary.v};
  pthread_mutex_lock(&s->mutex);
  const session *one = session_find(&s->table, out->name);
  if (one) {
    memcpy(out->session_id, one->id, sizeof(one->id));
    out->capture.session_id = (tti_slice){out->session_id, SESSION_ID};
    out->capture.captured = one->captured;
  }
  pthread_mutex_unlock(&s->mutex);
  return true;
}

static void answer_publish(http_request *request, void *context,
                           const relay_captured *captured) {
  sessions *s = context;
  tti_slice category = s->vocabulary.categories[captured->category];
  char label[SESSION_CATEGORY_MAX + 1];
  snprintf(label, sizeof(label), "%.*s", (int)category.len, category.ptr);
  if (!captured->replayed)
    tt_metrics_add(s->options.metrics, TT_METRIC_SESSION_EVENTS, 1,
                   captured->seq ? "published" : "filtered", label);
  if (!captured->seq) {
    http_reply(request, 204, NULL, NULL, 0);
    return;
  }
  tti_buf body;
  tti_buf_init(&body, captured->event.len + 64);
  tti_buf_append_text(&body, "{\"seq\":");
  tti_buf_append_u64(&body, captured->seq);
  tti_buf_append_slice(&body, captured->event);
  if (captured->replayed && !body.error)
    sessions_replay(s, request, captured->seq, &body);
  else
    http_reply_json(request, 200, &body);
  tti_buf_fini(&body);
}

static void serve_publish(http_request *request, void *context) {
  static const relay_intake intake = {.route = "telemetry_events",
                                      .item = "event",
                                      .code = "invalid_event",
                                      .parse = tti_parse_envelope,
                                      .begin = begin_publish,
                                      .answer = answer_publish};
  sessions *s = context;
  relay_take(s->options.relay, request, &intake, s);
}

/* Of all sessions of the name, one after the other; a stream may be opened
 * before there is one. */
static void serve_stream(http_request *request, void *context) {
  sessions *s = context;
  tti_slice name;
  session one;
  char text[SESSION_NAME_MAX + 1], prefix[SESSION_ID_OF_NAME + 1];
  if (!sessions_name(request, &name))
    return;
  feed_scope scope = {.kinds = STORE_KIND_BIT(TTI_KIND_SESSION),
                      .view = TTI_VIEW_ENVELOPE,
                      .session = prefix};
  snprintf(text, sizeof(text), "%.*s", (int)name.len, name.ptr);
  session_id_of_name(text, prefix);
  if (look(s, name, &one)) {
    scope.has_begin = true;
    scope.begin_after = one.start_seq;
  }
  http_reply_header(request, "X-SSE-Content-Type", "application/json");
  feed_serve(s->options.feed, request, &scope);
}

enum { CONFIG_BODY = 65536 };

static void add_routes(sessions *s) {
  const sessions_options *o = &s->options;
  const struct {
    unsigned methods;
    const char *pattern, *name;
    http_handler handler;
    unsigned scope;
    size_t max_body;
    bool overlaps;
    const http_description *about;
  } table[] = {
#define ROUTES(path, prefix, about)                                             \
  {HTTP_GET_, path, prefix "_get", serve_get,                                   \
   AUTH_READ, 0,    false,         &about##get_about},                          \
      {HTTP_PUT_,  path,        prefix "_put", serve_put,                       \
       AUTH_ADMIN, CONFIG_BODY, false,         &about##put_about},              \
      {HTTP_PATCH_, path,        prefix "_patch", serve_patch,                  \
       AUTH_ADMIN,  CONFIG_BODY, false,           &about##patch_about},         \
      {HTTP_POST_,    path "/events",       prefix "_events",                   \
       serve_publish, AUTH_INGEST,          o->max_body,                        \
       true,          &about##publish_about},                                   \
      {HTTP_GET_, path "/stream", prefix "_stream",    serve_stream, AUTH_READ, \
       0,         false,          &about##stream_about}
      ROUTES("/telemetry", "telemetry", sessions_),
      {HTTP_GET_, "/telemetry/sessions", "sessions_list", serve_list, AUTH_READ,
       0, false, &sessions_list_about},
      ROUTES("/telemetry/sessions/{name}", "session", sessions_named_),
#undef ROUTES
  };
  enum { COUNT = sizeof(table) / sizeof(table[0]) };
  http_route routes[COUNT];
  for (size_t i = 0; i < COUNT; i++)
    routes[i] = (http_route){.methods = table[i].methods,
                             .pattern = table[i].pattern,
                             .name = table[i].name,
                             .handler = table[i].handler,
                             .context = s,
                             .max_body_bytes = table[i].max_body,
                             .overlaps = table[i].overlaps,
                             .scope = table[i].scope,
                             .about = table[i].about};
  relay_add_routes(o->relay, routes, COUNT);
}

/* ---- Life ---- */

static tt_error read_store(sessions *s, tti_buf *out_error) {
  tti_buf text;
  tti_buf_init(&text, 16 << 20);
  tt_error error = store_setting(s->options.store, SESSIONS_SETTING, &text);
  if (error == TT_OK)
    error =
        session_table_read(tti_buf_slice(&text), &s->vocabulary.v, &s->table);
  else if (error == TT_ENOTFOUND)
    error = TT_OK;
  tti_buf_fini(&text);
  if (error)
    tti_buf_printf(out_error,
                   "the capture sessions that the store keeps cannot be read: "
                   "%s",
                   tt_error_message(error));
  return error;
}

tt_error sessions_new(const sessions_options *options, tti_buf *out_error,
                      sessions **out_sessions) {
  sessions *s = calloc(1, sizeof(*s));
  if (!s)
    return TT_ENOMEM;
  s->options = *options;
  pthread_mutex_init(&s->mutex, NULL);
  tt_error error = session_vocabulary_init(&s->vocabulary, options->categories,
                                           options->types, out_error);
  if (!error)
    error = read_store(s, out_error);
  if (error) {
    sessions_free(s);
    return error;
  }
  tt_metrics_set(options->metrics, TT_METRIC_SESSIONS, (double)s->table.count,
                 NULL, NULL);
  add_routes(s);
  *out_sessions = s;
  return TT_OK;
}

void sessions_on_export(sessions *s, sessions_export_fn changed,
                        void *context) {
  char prefix[SESSION_ID_OF_NAME + 1];
  s->on_export = changed;
  s->export_context = context;
  for (size_t i = 0; i < s->table.count; i++) {
    const session *one = &s->table.items[i];
    session_id_of_name(one->name, prefix);
    if (one->otlp)
      changed(context, one->name, prefix, true, true);
  }
}

void sessions_free(sessions *s) {
  if (!s)
    return;
  session_table_fini(&s->table);
  session_vocabulary_fini(&s->vocabulary);
  pthread_mutex_destroy(&s->mutex);
  free(s);
}
