#include "server/relay/relay_state.h"

#include "server/history/query.h"
#include "server/io/clock.h"
#include "server/openapi/openapi.h"
#include "web/web.h"

#include <assert.h>
#include <stdlib.h>

/* ---- Routes that other parts answer ---- */

static void serve_stream(http_request *request, void *context) {
  relay *r = context;
  const feed_scope scope = {
      .kinds = QUERY_EVENTS, .log_by_channel = true, .view = TTI_VIEW_RELAY};
  feed_serve(r->options.feed, request, &scope);
}

static void serve_log_stream(http_request *request, void *context) {
  relay *r = context;
  const feed_scope scope = {.kinds = QUERY_LOGS, .view = TTI_VIEW_RELAY};
  feed_serve(r->options.feed, request, &scope);
}

static void serve_list(http_request *request, void *context) {
  history_list(((relay *)context)->options.history, request);
}

static void serve_histogram(http_request *request, void *context) {
  history_histogram(((relay *)context)->options.history, request);
}

static void serve_aggregate(http_request *request, void *context) {
  history_aggregate(((relay *)context)->options.history, request);
}

static void serve_recent(http_request *request, void *context) {
  history_recent(((relay *)context)->options.history, request, QUERY_EVENTS);
}

static void serve_log_recent(http_request *request, void *context) {
  history_recent(((relay *)context)->options.history, request, QUERY_LOGS);
}

static void token_create(http_request *request, void *context) {
  auth_serve_token_create(request, ((relay *)context)->options.auth);
}

static void token_list(http_request *request, void *context) {
  auth_serve_token_list(request, ((relay *)context)->options.auth);
}

static void token_revoke(http_request *request, void *context) {
  auth_serve_token_revoke(request, ((relay *)context)->options.auth);
}

static void login(http_request *request, void *context) {
  auth_serve_login(request, ((relay *)context)->options.auth);
}

static void login_state(http_request *request, void *context) {
  auth_serve_login_state(request, ((relay *)context)->options.auth);
}

static void logout(http_request *request, void *context) {
  auth_serve_logout(request, ((relay *)context)->options.auth);
}

static void serve_openapi(http_request *request, void *context) {
  relay *r = context;
  tti_buf body;
  tti_buf_init(&body, 4 << 20);
  openapi_write(r->routes, r->route_count, r->options.version, &body);
  http_reply_json(request, 200, &body);
  tti_buf_fini(&body);
}

static void backup_start(http_request *request, void *context) {
  backup_serve_start(request, ((relay *)context)->options.backup);
}

static void backup_state(http_request *request, void *context) {
  backup_serve_state(request, ((relay *)context)->options.backup);
}

static void backup_cancel(http_request *request, void *context) {
  backup_serve_cancel(request, ((relay *)context)->options.backup);
}

static void sinks_list(http_request *request, void *context) {
  sinks_serve_list(request, ((relay *)context)->options.sinks);
}

static void sinks_requeue(http_request *request, void *context) {
  sinks_serve_requeue(request, ((relay *)context)->options.sinks);
}

static void serve_file(http_request *request, void *context) {
  const http_file *file = context;
  http_reply_header(request, "Content-Security-Policy",
                    WEB_CONTENT_SECURITY_POLICY);
  http_reply_header(request, "Cache-Control", "no-cache");
  http_reply_header(request, "X-Frame-Options", "DENY");
  http_reply_header(request, "X-Content-Type-Options", "nosniff");
  http_reply_header(request, "Referrer-Policy", "no-referrer");
  http_reply(request, 200, file->content_type, file->data, file->len);
}

/* ---- The table ---- */

enum { TOKEN_BODY = 4096, BACKUP_BODY = 32768 };

static void add_route(relay *r, http_route route) {
  if (r->route_count < sizeof(r->routes) / sizeof(r->routes[0]))
    r->routes[r->route_count++] = route;
}

static void make_routes(relay *r) {
  const relay_options *o = &r->options;
  const struct {
    unsigned methods;
    const char *pattern, *name;
    http_handler handler;
    unsigned scope;
    size_t max_body;
    bool overlaps;
    const http_description *about;
  } table[] = {
      {HTTP_POST_, "/events", "events", relay_serve_event,
       AUTH_INGEST | AUTH_OPEN_INGEST, o->max_body, true, &relay_event_about},
      {HTTP_POST_, "/events/batch", "events_batch", relay_serve_batch,
       AUTH_INGEST | AUTH_OPEN_INGEST, o->max_batch_body, true,
       &relay_batch_about},
      {HTTP_GET_, "/events", "events_list", serve_list, AUTH_READ, 0, false,
       &history_list_about},
      {HTTP_GET_, "/events/stream", "events_stream", serve_stream, AUTH_READ, 0,
       false, &feed_stream_about},
      {HTTP_GET_, "/events/recent", "events_recent", serve_recent, AUTH_READ, 0,
       false, &history_recent_about},
      {HTTP_GET_, "/events/histogram", "events_histogram", serve_histogram,
       AUTH_READ, 0, false, &history_histogram_about},
      {HTTP_GET_, "/events/aggregate", "events_aggregate", serve_aggregate,
       AUTH_READ, 0, false, &history_aggregate_about},
      {HTTP_GET_, "/events/stats", "events_stats", relay_serve_stats, AUTH_READ,
       0, false, &relay_stats_about},
      {HTTP_GET_, "/events/rate", "events_rate", relay_serve_rate, AUTH_READ, 0,
       false, &relay_rate_about},
      {HTTP_GET_, "/events/channels", "events_channels", relay_serve_channels,
       AUTH_READ, 0, false, &relay_channels_about},
      {HTTP_POST_, "/log", "log", relay_serve_log,
       AUTH_INGEST | AUTH_OPEN_INGEST, o->max_body, true, &relay_log_about},
      {HTTP_POST_, "/log/batch", "log_batch", relay_serve_log_batch,
       AUTH_INGEST | AUTH_OPEN_INGEST, o->max_batch_body, true,
       &relay_log_batch_about},
      {HTTP_GET_, "/logs/stream", "logs_stream", serve_log_stream, AUTH_READ, 0,
       false, &feed_log_stream_about},
      {HTTP_GET_, "/logs/recent", "logs_recent", serve_log_recent, AUTH_READ, 0,
       false, &history_log_recent_about},
      {HTTP_GET_, "/logs/stats", "logs_stats", relay_serve_log_stats, AUTH_READ,
       0, false, &relay_log_stats_about},
      {HTTP_GET_, "/logs/rate", "logs_rate", relay_serve_log_rate, AUTH_READ, 0,
       false, &relay_log_rate_about},
      {HTTP_GET_, "/healthz", "healthz", relay_serve_healthz, AUTH_NONE, 0,
       false, &relay_healthz_about},
      {HTTP_GET_, "/readyz", "readyz", relay_serve_readyz, AUTH_NONE, 0, false,
       &relay_readyz_about},
      {HTTP_GET_, "/metrics", "metrics", relay_serve_metrics, AUTH_READ, 0,
       false, &relay_metrics_about},
      {HTTP_GET_, "/openapi.json", "openapi", serve_openapi, AUTH_READ, 0,
       false, &relay_openapi_about},
      {HTTP_GET_, "/api/v1/status", "status", relay_serve_status, AUTH_READ, 0,
       false, &relay_status_about},
      {HTTP_POST_, "/login", "login", login, AUTH_NONE, TOKEN_BODY, false,
       &auth_login_about},
      {HTTP_GET_, "/login", "login_state", login_state, AUTH_NONE, 0, false,
       &auth_login_state_about},
      {HTTP_POST_, "/logout", "logout", logout, AUTH_NONE, TOKEN_BODY, false,
       &auth_logout_about},
      {HTTP_POST_, "/api/v1/tokens", "token_create", token_create, AUTH_ADMIN,
       TOKEN_BODY, false, &auth_token_create_about},
      {HTTP_GET_, "/api/v1/tokens", "token_list", token_list, AUTH_ADMIN, 0,
       false, &auth_token_list_about},
      {HTTP_DELETE_, "/api/v1/tokens/{id}", "token_revoke", token_revoke,
       AUTH_ADMIN, TOKEN_BODY, false, &auth_token_revoke_about},
      {HTTP_POST_, "/api/v1/backup", "backup_start", backup_start, AUTH_ADMIN,
       BACKUP_BODY, false, &backup_start_about},
      {HTTP_GET_, "/api/v1/backup", "backup_state", backup_state, AUTH_ADMIN, 0,
       false, &backup_state_about},
      {HTTP_DELETE_, "/api/v1/backup", "backup_cancel", backup_cancel,
       AUTH_ADMIN, BACKUP_BODY, false, &backup_cancel_about},
      {HTTP_GET_, "/api/v1/sinks", "sinks_list", sinks_list, AUTH_READ, 0,
       false, &sinks_list_about},
      {HTTP_POST_, "/api/v1/sinks/{name}/requeue", "sinks_requeue",
       sinks_requeue, AUTH_ADMIN, TOKEN_BODY, false, &sinks_requeue_about},
  };
  for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
    add_route(r, (http_route){.methods = table[i].methods,
                              .pattern = table[i].pattern,
                              .name = table[i].name,
                              .handler = table[i].handler,
                              .context = r,
                              .max_body_bytes = table[i].max_body,
                              .overlaps = table[i].overlaps,
                              .scope = table[i].scope,
                              .about = table[i].about});
  for (size_t i = 0; i < web_file_count; i++)
    add_route(r, (http_route){.methods = HTTP_GET_,
                              .pattern = web_files[i].path,
                              .name = "page",
                              .handler = serve_file,
                              .context = (void *)&web_files[i],
                              .scope = AUTH_NONE,
                              .about = &relay_page_about});
  /* A route without a description would be missing in /openapi.json. */
  assert(!openapi_undescribed(r->routes, r->route_count));
}

void relay_add_routes(relay *r, const http_route *routes, size_t count) {
  for (size_t i = 0; i < count; i++)
    add_route(r, routes[i]);
  assert(!openapi_undescribed(r->routes, r->route_count));
}

const http_route *relay_routes(const relay *r, size_t *out_count) {
  *out_count = r->route_count;
  return r->routes;
}

void relay_answered(const http_route *route, int status, void *context) {
  relay *r = context;
  loop *l = loop_current();
  /* As numbers: a route that is not of this table is compared too. */
  uintptr_t at = (uintptr_t)route, first = (uintptr_t)r->routes;
  size_t index = RELAY_ROUTES_MAX - 1;
  if (at >= first && (at - first) / sizeof(*route) < r->route_count)
    index = (at - first) / sizeof(*route);
  size_t class = (size_t)status / 100;
  if (l && class < RELAY_STATUS_CLASSES)
    relay_count(&r->lanes[loop_index(l)].answered[index][class], 1);
}

/* ---- Life ---- */

tt_error relay_new(const relay_options *options, relay **out_relay) {
  store_status status;
  relay *r = calloc(1, sizeof(*r));
  if (!r)
    return TT_ENOMEM;
  r->options = *options;
  r->started_us = server_monotonic_us();
  atomic_init(&r->draining, false);
  relay_inflight_init(&r->inflight);
  relay_rate_init(&r->rate);
  relay_rate_init(&r->log_rate);
  atomic_init(&r->log_min_level, options->log_min_level);
  store_status_get(options->store, &status);
  memcpy(r->log_uuid, status.log_uuid, sizeof(r->log_uuid));
  r->lanes = calloc(options->loop_count, sizeof(*r->lanes));
  if (!r->lanes || relay_scrape_new(r) != TT_OK) {
    relay_free(r);
    return TT_ENOMEM;
  }
  for (size_t i = 0; i < options->loop_count; i++)
    relay_lane_init(&r->lanes[i], r, options->loops[i]);
  make_routes(r);
  *out_relay = r;
  return TT_OK;
}

void relay_set_server(relay *r, const http_server *server, const char *url) {
  r->server = server;
  free(r->url);
  r->url = strdup(url);
}

void relay_set_log_min_level(relay *r, tt_level level) {
  atomic_store_explicit(&r->log_min_level, level, memory_order_relaxed);
}

void relay_drain(relay *r) {
  atomic_store_explicit(&r->draining, true, memory_order_relaxed);
}

void relay_free(relay *r) {
  if (!r)
    return;
  for (size_t i = 0; r->lanes && i < r->options.loop_count; i++)
    relay_lane_fini(&r->lanes[i]);
  free(r->lanes);
  relay_scrape_free(r);
  relay_rate_fini(&r->rate);
  relay_rate_fini(&r->log_rate);
  relay_inflight_fini(&r->inflight);
  free(r->url);
  free(r);
}
