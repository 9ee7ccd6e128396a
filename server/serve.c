#include "server/serve.h"

#include "lib/base/cond.h"
#include "server/io/clock.h"
#include "server/io/log.h"
#include "server/notify.h"
#include "server/reload.h"

#ifdef TELLTALE_TESTING
#include "server/testing/control.h"
#endif

#include <errno.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The only place that knows every part: it builds them in the order of the flow
 * and takes them down in the same order, so that nothing hands over to a part
 * that is gone.
 *
 *   up:    config, log, store, bus, loops, auth, feed, history, sinks,
 *          outbox, deliver, relay, http
 *   down:  http stops accepting; feed tells its subscribers to come back; the
 *          last answers go out; loops, feed, sinks, outbox,
 *          deliver, bus, store
 */
enum { ABORT_WAIT_MS = 200, OVERDUE_US = 500000 };

static int complain(const tti_buf *error, const char *fallback) {
  bool told = error->len > 0;
  fprintf(stderr, "telltale: %.*s\n",
          told ? (int)error->len : (int)strlen(fallback),
          told ? error->data : fallback);
  return SERVE_FAILED;
}

/* ---- Up ---- */

static void start_log(const config *c) {
  reload_log(c);
  for (char *line = c->warnings; line && *line;) {
    size_t len = strcspn(line, "\n");
    server_log(TT_LEVEL_WARN, "config", "%.*s", (int)len, line);
    line += len + (line[len] == '\n');
  }
  if (c->config_path)
    server_log(TT_LEVEL_INFO, "config", "read %s", c->config_path);
}

/* Bodies and pages of history come in sizes of megabytes; with the threshold
 * that glibc adapts they would end up in its heap, which does not shrink again.
 */
static void return_large_blocks(void) {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

/* As many open files as we may have: a connection is one. */
static void raise_file_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
    return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
    server_log(TT_LEVEL_WARN, "serve",
               "the limit of open files cannot be raised: %s", strerror(errno));
}

static store_durability durability_of(const char *text) {
  return strcmp(text, "memory") == 0   ? STORE_MEMORY
         : strcmp(text, "commit") == 0 ? STORE_COMMIT
                                       : STORE_SYNC;
}

/* Files that cannot be used are bad options. */
static tt_error make_tls(server *s, tti_buf *error) {
  tls_certificate *certificate;
  tt_error result = reload_certificate(&s->config, error, &certificate);
  return result == TT_OK && certificate ? tls_new(certificate, &s->tls)
                                        : result;
}

static void collect_metrics(void *context) {
  server *s = context;
  pthread_mutex_lock(&s->collect_mutex);
  if (s->collected)
    relay_collect(s->collected);
  pthread_mutex_unlock(&s->collect_mutex);
}

/* NULL: from now on there is nothing to collect. */
static void set_collected(server *s, relay *collected) {
  pthread_mutex_lock(&s->collect_mutex);
  s->collected = collected;
  pthread_mutex_unlock(&s->collect_mutex);
}

static tt_error make_metrics(server *s, tti_buf *error) {
  tt_error result = tt_metrics_prometheus_new(&s->prometheus);
  if (result != TT_OK)
    return result;
  result =
      metrics_new(s->prometheus, s->config.metrics, s->config.metrics_count,
                  collect_metrics, s, error, &s->metrics);
  if (result != TT_OK)
    tt_metrics_free(s->prometheus);
  return result;
}

static tt_error open_store(server *s, tti_buf *error) {
  tt_error result = config_store_path(&s->config, error, &s->store_path);
  if (result != TT_OK)
    return result;
  store_options options = {
      .path = s->store_path,
      .durability = durability_of(s->config.durability),
      .retain_us = (int64_t)s->config.retain * 1000,
      .retain_bytes = s->config.retain_bytes,
      .metrics = s->metrics,
  };
#ifdef TELLTALE_TESTING
  const char *rows = getenv("TELLTALE_TEST_TABLE_ROWS");
  if (rows)
    options.table_rows = strtoull(rows, NULL, 10);
#endif
  return s->store_path[0] ? store_sqlite_open(&options, error, &s->store)
                          : store_memory_open(&options, error, &s->store);
}

static void wake_feed(void *context) {
  server *s = context;
  pthread_mutex_lock(&s->feed_mutex);
  if (s->feed)
    feed_wake(s->feed);
  pthread_mutex_unlock(&s->feed_mutex);
}

static tt_error open_bus(server *s) {
  bus_options options = {
      .store = s->store,
      .durability = durability_of(s->config.durability),
      .ring_entries = s->config.ring_entries,
      .ring_bytes = s->config.ring_bytes,
      .wake = wake_feed,
      .wake_context = s,
  };
  return bus_local_new(&options, &s->bus);
}

static size_t cores(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0)
    return 1;
  return (size_t)CPU_COUNT(&set);
}

static tt_error make_loops(server *s) {
  size_t count = s->config.loops ? s->config.loops : cores();
  if (count > LOOPS_MAX)
    count = LOOPS_MAX;
  for (; s->loop_count < count; s->loop_count++) {
    tt_error error =
        loop_new((unsigned)s->loop_count, &s->loops[s->loop_count]);
    if (error != TT_OK)
      return error;
  }
  return TT_OK;
}

static tt_error make_auth(server *s, tti_buf *error) {
  bool beyond = !auth_is_loopback(s->address);
  auth_options options = {
      .store = s->store,
      .tokens.ingest = s->config.token_ingest,
      .tokens.read = s->config.token_read,
      .tokens.admin = s->config.token_admin,
      .insecure = s->config.insecure,
      .listens_beyond_loopback = beyond,
  };
  tt_error result = reload_rules_new(&s->config, &s->rules);
  if (result != TT_OK)
    return result;
  options.rules = s->rules;
  result = auth_new(&options, &s->auth);
  if (result != TT_OK)
    return result;
  if (!beyond || s->config.insecure || auth_has_tokens(s->auth))
    return TT_OK;
  tti_buf_printf(error,
                 "%s is beyond this machine and no token is configured, so "
                 "everyone who reaches it could read and write: make a token "
                 "with `telltale token create` (or set TELLTALE_TOKEN_ADMIN), "
                 "or accept it with --insecure",
                 s->config.listen);
  return TT_ESTATE;
}

static tt_error make_readers(server *s) {
  feed_options options = {.bus = s->bus,
                          .store = s->store,
                          .auth = s->auth,
                          .loops = s->loops,
                          .loop_count = s->loop_count};
  feed *made;
  tt_error error = feed_new(&options, &made);
  if (error != TT_OK)
    return error;
  pthread_mutex_lock(&s->feed_mutex);
  s->feed = made;
  pthread_mutex_unlock(&s->feed_mutex);
  auth_watch(s->auth, feed_auth_changed, made);
  return history_new(s->store, &s->history);
}

/* Before anything is accepted: a new sink that begins at the tail begins here.
 */
static tt_error make_sinks(server *s) {
  sinks_options options = {.bus = s->bus,
                           .store = s->store,
                           .store_path = s->store_path,
                           .metrics = s->metrics};
  tt_error error = sinks_new(&options, &s->sinks);
  if (error == TT_OK)
    sinks_apply(s->sinks, s->config.sinks, s->config.sink_count);
  return error;
}

static void deliveries_made(void *context) {
  deliver_wake(((server *)context)->deliver);
}

static void webhooks_changed(void *context) {
  outbox_webhooks_changed(((server *)context)->outbox);
}

/* Each tells the other; neither does before it was started. */
static tt_error make_outbox(server *s) {
  outbox_options options = {.store = s->store,
                            .bus = s->bus,
                            .max_body = s->config.max_body,
                            .metrics = s->metrics,
                            .deliver = deliveries_made,
                            .deliver_context = s};
  return outbox_new(&options, &s->outbox);
}

static tt_error make_routes(server *s) {
  store_status status;
  if (s->config.route_count == 0)
    return TT_OK;
  store_status_get(s->store, &status);
  return outbox_rules_new(s->config.routes, s->config.route_count,
                          status.log_uuid, s->metrics, &s->routes);
}

/* Applications' outboxes, which hand over to ours. */
static tt_error make_outbox_files(server *s) {
  outbox_files_options options = {.store = s->store,
                                  .outbox = s->outbox,
                                  .metrics = s->metrics,
                                  .paths = s->config.outboxes};
  return outbox_files_new(&options, &s->outbox_files);
}

static tt_error make_deliver(server *s) {
  deliver_options options = {.webhooks_changed = webhooks_changed,
                             .context = s,
                             .store = s->store,
                             .metrics = s->metrics,
                             .user_agent = "telltale/" TELLTALE_VERSION,
                             .allow_cidrs = s->config.allow_cidrs};
  tt_error error = deliver_new(&options, &s->deliver);
  if (!error)
    error = deliver_start(s->deliver);
  return error ? error : outbox_start(s->outbox);
}

static tt_error name_store(server *s) {
  int length = s->store_path[0]
                   ? asprintf(&s->store_text, "sqlite:%s", s->store_path)
                   : asprintf(&s->store_text, "memory");
  if (length >= 0)
    return TT_OK;
  s->store_text = NULL;
  return TT_ENOMEM;
}

/* A thread that hangs cannot be ended, so the process is; what the store has
 * not on disk was not answered. */
static void give_up(const char *worker, uint64_t stuck_ms) {
  server_log(TT_LEVEL_FATAL, "watchdog",
             "%s makes no progress since %llu ms, which is --watchdog-exit, "
             "and cannot be replaced: leaving as after a crash, to be started "
             "again",
             worker, (unsigned long long)stuck_ms);
  _exit(SERVE_FAILED);
}

static void tell_alive(void) {
  notify_manager("WATCHDOG=1");
}

static tt_error make_watchdog(server *s) {
  watchdog_options options = {.stuck_ms = s->config.watchdog,
                              .give_up_ms = s->config.watchdog_exit,
                              .alive_ms = notify_watchdog_ms(),
                              .metrics = s->metrics,
                              .give_up = give_up,
                              .alive = tell_alive};
  watchdog_worker workers[8];
  size_t count = store_watches(s->store, workers, 8);
  tt_error error = watchdog_new(&options, &s->watchdog);
  for (size_t i = 0; i < count && error == TT_OK; i++)
    error = watchdog_add(s->watchdog, &workers[i]);
  for (size_t i = 0; i < s->loop_count && error == TT_OK; i++)
    error = watchdog_add_loop(s->watchdog, s->loops[i]);
  if (error == TT_OK)
    error = watchdog_add_pool(s->watchdog, s->loops[0]);
  if (error == TT_OK) {
    watchdog_worker deliverer = deliver_watch(s->deliver);
    error = watchdog_add(s->watchdog, &deliverer);
  }
  if (error == TT_OK) {
    watchdog_worker fan_out = outbox_watch(s->outbox);
    error = watchdog_add(s->watchdog, &fan_out);
  }
  for (size_t i = 0; error == TT_OK && i < outbox_files_count(s->outbox_files);
       i++) {
    watchdog_worker copier = outbox_files_watch(s->outbox_files, i);
    error = watchdog_add(s->watchdog, &copier);
  }
  return error;
}

static tt_error make_relay(server *s) {
  relay_options options = {
      .bus = s->bus,
      .store = s->store,
      .auth = s->auth,
      .backup = s->backup,
      .sinks = s->sinks,
      .outbox_files = s->outbox_files,
      .outbox = s->outbox,
      .routes = s->routes,
      .feed = s->feed,
      .history = s->history,
      .loops = s->loops,
      .loop_count = s->loop_count,
      .metrics = s->metrics,
      .prometheus = s->prometheus,
      .watchdog = s->watchdog,
      .max_body = s->config.max_body,
      .max_batch_body = s->config.max_batch_body,
      .max_batch = s->config.max_batch,
      .version = TELLTALE_VERSION,
      .store_text = s->store_text,
      .bus_text = s->config.bus,
      .durability = s->config.durability,
  };
  options.log_min_level =
      tti_level_parse(tti_slice_of(s->config.log_min_level));
  tt_error error = relay_new(&options, &s->relay);
  if (error == TT_OK) {
    http_route routes[OUTBOX_ROUTES];
    relay_add_routes(s->relay, routes, outbox_routes(s->outbox, routes));
  }
  return error;
}

static tt_error make_sessions(server *s, tti_buf *error) {
  sessions_options options = {
      .bus = s->bus,
      .store = s->store,
      .feed = s->feed,
      .relay = s->relay,
      .metrics = s->metrics,
      .max_body = s->config.max_body,
      .categories = s->config.categories,
      .types = s->config.types,
  };
  tt_error result = sessions_new(&options, error, &s->sessions);
  if (result == TT_OK)
    sessions_on_export(s->sessions, sinks_export, s->sinks);
  return result;
}

static tt_error follow_fleet(server *s, tti_buf *reason) {
  fleet_follow_options options = {
      .store = s->store,
      .metrics = s->metrics,
      .dimensions = s->config.fleet_dimensions,
      .retain_us = (int64_t)s->config.fleet_retain_aggregates * 1000};
  tt_error error = fleet_follow_new(&options, &s->fleet_follow);
  if (error == TT_EINVAL)
    tti_buf_printf(reason, "fleet.dimensions: at most %d",
                   FLEET_DIMENSIONS_MAX);
  if (error == TT_OK) {
    watchdog_worker worker = fleet_follow_watch(s->fleet_follow);
    error = watchdog_add(s->watchdog, &worker);
  }
  return error ? error
               : fleet_read_new(s->store, s->relay, s->fleet_follow,
                                &s->fleet_read);
}

static tt_error make_fleet(server *s, tti_buf *error) {
  tt_error result = follow_fleet(s, error);
  if (result != TT_OK)
    return result;
  fleet_options options = {.store = s->store,
                           .follow = s->fleet_follow,
                           .relay = s->relay,
                           .loop = s->loops[0],
                           .metrics = s->metrics,
                           .settings = reload_fleet_settings(&s->config)};
  return fleet_new(&options, error, &s->fleet);
}

static void webhooks_changed_here(void *context) {
  server *s = context;
  outbox_webhooks_changed(s->outbox);
  deliver_changed(s->deliver);
}

static bool may_call(void *context, const char *url,
                     char out_problem[WEBHOOK_URL_PROBLEM]) {
  server *s = context;
  return deliver_check_url(s->deliver, url, out_problem);
}

static tt_error make_webhooks(server *s) {
  tt_error error = janitor_new(s->store, s->metrics, s->loops[0], &s->janitor);
  if (error)
    return error;
  webhook_api_options options = {.store = s->store,
                                 .relay = s->relay,
                                 .metrics = s->metrics,
                                 .janitor = s->janitor,
                                 .loop = s->loops[0],
                                 .context = s,
                                 .changed = webhooks_changed_here,
                                 .due = deliveries_made,
                                 .may_call = may_call};
#ifdef TELLTALE_TESTING
  const char *max = getenv("TELLTALE_TEST_WEBHOOKS_MAX");
  if (max)
    options.webhooks_max = strtoull(max, NULL, 10);
#endif
  return webhook_api_new(&options, &s->webhook_api);
}

static tt_error open_access_log(server *s, tti_buf *error) {
  access_target target;
  tt_error result = access_log_new(s->metrics, &s->access);
  if (result == TT_OK)
    result = access_log_prepare(s->access, s->config.access_log,
                                s->config.access_log_file, error, &target);
  if (result == TT_OK)
    access_log_use(s->access, &target);
  return result;
}

static tt_error listen_http(server *s, tti_buf *error) {
  http_options options = {
      .gate = auth_gate,
      .gate_context = s->auth,
      .answered = relay_answered,
      .answered_context = s->relay,
      .finished = access_log_finished,
      .finished_context = s->access,
      .stall_timeout_ms = s->config.stall_timeout,
      .budget_bytes = s->config.budget,
      .max_connections = (unsigned)s->config.max_connections,
      .tls = s->tls,
  };
  options.routes = relay_routes(s->relay, &options.route_count);
  tt_error result = http_server_new(&options, s->loops, s->loop_count,
                                    s->address, s->port, error, &s->http);
  if (result != TT_OK)
    return result;
  bool v6 = strchr(s->address, ':') != NULL;
  snprintf(s->url, sizeof(s->url), "http%s://%s%s%s:%u", s->tls ? "s" : "",
           v6 ? "[" : "", s->address, v6 ? "]" : "", http_server_port(s->http));
  relay_set_server(s->relay, s->http, s->url);
  return TT_OK;
}

/* Lets the command line tool in beside the store: who may open that file may
 * administer this server. Doing without is no reason not to serve. */
static void listen_admin(server *s) {
  char path[4200];
  tti_buf error;
  if (!s->store_path[0])
    return;
  tti_buf_init(&error, 1024);
  snprintf(path, sizeof(path), "%s.sock", s->store_path);
  if (http_server_listen_unix(s->http, path, &error) != TT_OK)
    server_log(TT_LEVEL_WARN, "serve",
               "no admin socket for `telltale token` and `backup`: %.*s",
               (int)error.len, error.len ? error.data : "");
  tti_buf_fini(&error);
}

static tt_error start_loops(server *s) {
  for (size_t i = 0; i < s->loop_count; i++) {
    tt_error error = loop_start(s->loops[i]);
    if (error != TT_OK)
      return error;
  }
  return TT_OK;
}

static void announce(server *s) {
  const char *token = auth_has_tokens(s->auth)
                          ? "-H \"Authorization: Bearer $TELLTALE_TOKEN\" "
                          : "";
  printf("telltale ready on %s  store %s  durability %s\n", s->url,
         s->store_text, s->config.durability);
  printf("  dashboard  %s/\n"
         "  stream     %s/events/stream\n"
         "  try        curl %s-d '{\"source\":\"me\",\"action\":\"hello\"}' "
         "%s/events\n",
         s->url, s->url, token, s->url);
  fflush(stdout);
  notify_manager("READY=1");
}

/* ---- Down ---- */

static void on_drained(void *context) {
  server *s = context;
  pthread_mutex_lock(&s->drained_mutex);
  s->drained = true;
  pthread_cond_signal(&s->drained_cond);
  pthread_mutex_unlock(&s->drained_mutex);
}

/* One limit for all the steps down, however many of them are slow. */
static uint64_t left_ms(const server *s) {
  int64_t left_us = s->leave_by_us - server_monotonic_us();
  return left_us > 0 ? (uint64_t)left_us / 1000 : 0;
}

static bool wait_drained(server *s, uint64_t timeout_ms) {
  int64_t until_us =
      tti_monotonic_us(&tti_clock_system) + (int64_t)timeout_ms * 1000;
  pthread_mutex_lock(&s->drained_mutex);
  while (!s->drained &&
         tti_cond_wait(&s->drained_cond, &s->drained_mutex, until_us))
    ;
  bool drained = s->drained;
  pthread_mutex_unlock(&s->drained_mutex);
  return drained;
}

/* Ends every connection, with time for those that are busy, and leaves some for
 * the store. False: something still holds one, and nothing that it may touch
 * can be freed. */
static bool drain_http(server *s) {
  relay_drain(s->relay);
  http_server_close(s->http, on_drained, s);
  feed_close(s->feed);
  uint64_t patience_ms = left_ms(s) / 5 * 4;
  if (wait_drained(s, patience_ms))
    return true;
  server_log(TT_LEVEL_WARN, "serve",
             "requests are still open after %llu ms: closing their "
             "connections",
             (unsigned long long)patience_ms);
  http_server_abort(s->http);
  uint64_t half_ms = left_ms(s) / 2;
  return wait_drained(s, half_ms > ABORT_WAIT_MS ? half_ms : ABORT_WAIT_MS);
}

/* Waits for all that the store has taken, without giving it up. */
typedef struct barrier {
  store_job job;
  server *server;
} barrier;

static void barrier_done(store_job *job) {
  on_drained(((barrier *)job)->server);
}

/* Something does not end, so nothing that it may touch can be freed; what was
 * accepted must reach the disk all the same. */
static void leave_as_it_is(server *s, const char *what) {
  static barrier all; /* outlives us: the store may finish it after we left */
  all.job = (store_job){.kind = STORE_JOB_BARRIER, .done = barrier_done};
  all.server = s;
  server_log(TT_LEVEL_ERROR, "serve", "%s does not end; leaving without it",
             what);
  s->drained = false;
  if (store_submit(s->store, &all.job) == TT_OK)
    wait_drained(s, left_ms(s));
  _exit(SERVE_OK);
}

static void on_overdue(int number) {
  static const char text[] =
      "telltale: the shutdown takes longer than --shutdown-timeout (a disk "
      "that hangs?); leaving as after a crash\n";
  (void)number;
  (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
  _exit(SERVE_FAILED);
}

/* The steps down keep to the limit themselves, as far as they can: a thread
 * inside a system call that never returns cannot be told to leave. */
static void limit_shutdown(server *s) {
  int64_t limit_us = (int64_t)s->config.shutdown_timeout * 1000;
  int64_t overdue_us = limit_us + OVERDUE_US;
  s->leave_by_us = server_monotonic_us() + limit_us;
  struct itimerval timer = {.it_value = {.tv_sec = overdue_us / 1000000,
                                         .tv_usec = overdue_us % 1000000}};
  signal(SIGALRM, on_overdue);
  setitimer(ITIMER_REAL, &timer, NULL);
}

/* Takes down what was built; half-built is fine. The order is the flow's. */
static void tear_down(server *s) {
  limit_shutdown(s);
  watchdog_stop(s->watchdog);
  webhook_api_close(s->webhook_api);
  janitor_close(s->janitor);
  if (s->http && !drain_http(s))
    leave_as_it_is(s, "a request");
  collect_metrics(s);
  set_collected(s, NULL);
  feed_close(s->feed);
  fleet_close(s->fleet);
  for (size_t i = 0; i < s->loop_count; i++)
    loop_stop(s->loops[i]);
  pthread_mutex_lock(&s->feed_mutex);
  feed *gone = s->feed;
  s->feed = NULL;
  pthread_mutex_unlock(&s->feed_mutex);
  feed_free(gone);
  history_free(s->history);
  fleet_follow_free(s->fleet_follow);
  backup_free(s->backup);
  if (s->sinks && !sinks_stop(s->sinks, (int)(left_ms(s) / 2)))
    leave_as_it_is(s, "a sink");
  sinks_free(s->sinks);
  outbox_files_free(s->outbox_files);
  if (!outbox_stop(s->outbox, (int)(left_ms(s) / 2)))
    leave_as_it_is(s, "the fan-out");
  if (!deliver_stop(s->deliver, (int)(left_ms(s) / 2)))
    leave_as_it_is(s, "a delivery");
  if (s->bus)
    bus_close(s->bus, (int)left_ms(s));
  if (s->store)
    store_close(s->store, (int)left_ms(s));
  webhook_api_free(s->webhook_api);
  janitor_free(s->janitor);
  outbox_free(s->outbox);
  deliver_free(s->deliver); /* the store's last jobs may wake it */
  sessions_free(s->sessions);
  fleet_free(s->fleet);
  fleet_read_free(s->fleet_read);
  relay_free(s->relay);
  outbox_rules_free(s->routes);
  auth_free(s->auth);
  if (s->http)
    http_server_free(s->http);
  access_log_free(s->access);
  tls_free(s->tls);
  for (size_t i = 0; i < s->loop_count; i++)
    loop_free(s->loops[i]);
  watchdog_free(s->watchdog);
  tt_metrics_free(s->metrics);
  free(s->store_path);
  free(s->store_text);
  free(s->rules);
  config_fini(&s->config);
  pthread_mutex_destroy(&s->feed_mutex);
  pthread_mutex_destroy(&s->collect_mutex);
  pthread_mutex_destroy(&s->drained_mutex);
  pthread_cond_destroy(&s->drained_cond);
  free(s);
}

/* ---- The process ---- */

static server *server_alloc(void) {
  server *s = calloc(1, sizeof(*s));
  if (!s)
    return NULL;
  pthread_mutex_init(&s->feed_mutex, NULL);
  pthread_mutex_init(&s->collect_mutex, NULL);
  pthread_mutex_init(&s->drained_mutex, NULL);
  tti_cond_init(&s->drained_cond);
  return s;
}

static tt_error bring_up(server *s, tti_buf *error) {
  tt_error result;
  config_listen(s->config.listen, s->address, &s->port);
#ifdef TELLTALE_TESTING
  if (s->config.test_control &&
      (result = testing_control_start(s->config.test_control)) != TT_OK)
    return result;
#endif
  if ((result = make_metrics(s, error)) != TT_OK ||
      (result = open_store(s, error)) != TT_OK ||
      (result = open_bus(s)) != TT_OK || (result = make_loops(s)) != TT_OK ||
      (result = make_auth(s, error)) != TT_OK ||
      (result = start_loops(s)) != TT_OK ||
      (result = make_readers(s)) != TT_OK ||
      (result = name_store(s)) != TT_OK ||
      (result = backup_new(s->store, &s->backup)) != TT_OK ||
      (result = make_sinks(s)) != TT_OK || (result = make_outbox(s)) != TT_OK ||
      (result = make_routes(s)) != TT_OK ||
      (result = make_deliver(s)) != TT_OK ||
      (result = make_outbox_files(s)) != TT_OK ||
      (result = make_watchdog(s)) != TT_OK ||
      (result = make_relay(s)) != TT_OK ||
      (result = make_sessions(s, error)) != TT_OK ||
      (result = make_fleet(s, error)) != TT_OK ||
      (result = make_webhooks(s)) != TT_OK ||
      (result = open_access_log(s, error)) != TT_OK ||
      (result = listen_http(s, error)) != TT_OK ||
      (result = watchdog_start(s->watchdog)) != TT_OK)
    return result;
  listen_admin(s);
  set_collected(s, s->relay);
  tt_metrics_set(s->metrics, TT_METRIC_CONFIG_RELOAD_OK, 1, NULL, NULL);
  announce(s);
  return TT_OK;
}

/* Blocked before any thread is made, so that none but the main one ever takes
 * them. */
static void hold_signals(sigset_t *out_set) {
  sigemptyset(out_set);
  sigaddset(out_set, SIGTERM);
  sigaddset(out_set, SIGINT);
  sigaddset(out_set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, out_set, NULL);
  signal(SIGPIPE, SIG_IGN);
}

static void on_second_signal(int number) {
  (void)number;
  _exit(SERVE_FAILED);
}

static void wait_for_the_end(server *s, const sigset_t *set, int argc,
                             char **argv) {
  int number;
  do {
    if (sigwait(set, &number) != 0)
      continue;
    if (number == SIGHUP)
      reload(s, argc, argv);
  } while (number == SIGHUP);
  server_log(TT_LEVEL_INFO, "serve", "%s: shutting down",
             number == SIGINT ? "SIGINT" : "SIGTERM");
  signal(SIGHUP, SIG_IGN); /* the terminal may go while we finish */
  signal(SIGTERM, on_second_signal);
  signal(SIGINT, on_second_signal);
  pthread_sigmask(SIG_UNBLOCK, set, NULL);
}

int serve_main(int argc, char **argv) {
  sigset_t signals;
  tti_buf error;
  int status = SERVE_OK;
  server *s = server_alloc();
  if (!s)
    return SERVE_FAILED;
  tti_buf_init(&error, 8192);
  if (config_load(argc, argv, &error, &s->config) != TT_OK) {
    complain(&error, "bad options");
    tear_down(s);
    tti_buf_fini(&error);
    return SERVE_USAGE;
  }
  start_log(&s->config);
  raise_file_limit();
  return_large_blocks();
  hold_signals(&signals);
  tt_error result = make_tls(s, &error);
  if (result != TT_OK)
    status = SERVE_USAGE;
  else if ((result = bring_up(s, &error)) != TT_OK)
    status = SERVE_FAILED;
  if (result == TT_OK)
    wait_for_the_end(s, &signals, argc, argv);
  else
    complain(&error, tt_error_message(result));
  notify_manager("STOPPING=1");
  tear_down(s);
  tti_buf_fini(&error);
  return status;
}
