#include "server/http/server.h"

#include "server/http/sockets.h"
#include "server/http/worker.h"
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

/* Of the budget, beside it: what waits for the clients of streams. They come
 * back for what they missed, so they never take the room of what others send.
 */
#define STREAM_PART      4
#define STREAM_BYTES_MIN ((size_t)4 << 20)

struct http_server {
  http_options options;
  http_router *router;
  http_budget budget;
  http_budget stream_budget;
  http_budget guest_budget;
  atomic_uint max_connections;
  uint16_t port;
  char *unix_path;
  void (*drained)(void *context);
  void *drained_context;
  loop_task drained_task;
  atomic_size_t ends_left; /* workers not done, and one until close is called */
  atomic_bool close_posted;
  atomic_bool abort_posted;
  size_t worker_count;
  http_worker workers[];
};

static void fill_in(http_options *o) {
  o->head_max_bytes = o->head_max_bytes ? o->head_max_bytes : (size_t)64 << 10;
  o->head_timeout_ms = o->head_timeout_ms ? o->head_timeout_ms : 10000;
  o->body_timeout_ms = o->body_timeout_ms ? o->body_timeout_ms : 30000;
  o->idle_timeout_ms = o->idle_timeout_ms ? o->idle_timeout_ms : 75000;
  o->stall_timeout_ms = o->stall_timeout_ms ? o->stall_timeout_ms : 60000;
  o->budget_bytes = o->budget_bytes ? o->budget_bytes : (size_t)256 << 20;
  o->inflate_ratio = o->inflate_ratio ? o->inflate_ratio : 100;
  o->max_connections = o->max_connections ? o->max_connections : 20000;
}

static tt_error init_workers(http_server *s, loop *const *loops,
                             const int *fds) {
  for (size_t i = 0; i < s->worker_count; i++) {
    http_worker *w = &s->workers[i];
    http_worker_init(w);
    w->server = s;
    w->options = &s->options;
    w->router = s->router;
    w->l = loops[i];
    w->listeners[0].fd = fds[i];
    http_budget_share_init(&w->share, &s->budget);
    http_budget_share_init(&w->stream_share, &s->stream_budget);
    http_budget_share_init(&w->guest_share, &s->guest_budget);
  }
  for (size_t i = 0; i < s->worker_count; i++) {
    s->workers[i].scratch = malloc(HTTP_SCRATCH);
    if (s->options.tls)
      s->workers[i].opened = malloc(TLS_RECORD);
    if (!s->workers[i].scratch || (s->options.tls && !s->workers[i].opened))
      return TT_ENOMEM;
  }
  return TT_OK;
}

tt_error http_server_new(const http_options *options, loop *const *loops,
                         size_t loop_count, const char *address, uint16_t port,
                         tti_buf *out_error, http_server **out_server) {
  http_server *s = calloc(1, sizeof(*s) + loop_count * sizeof(http_worker));
  int *fds = malloc(loop_count * sizeof(*fds));
  tt_error error = TT_ENOMEM;
  if (!s || !fds)
    goto out;
  s->options = *options;
  fill_in(&s->options);
  http_budget_init(&s->budget, s->options.budget_bytes);
  size_t stream_bytes = s->options.budget_bytes / STREAM_PART;
  http_budget_init(&s->stream_budget, stream_bytes < STREAM_BYTES_MIN
                                          ? STREAM_BYTES_MIN
                                          : stream_bytes);
  http_budget_init(&s->guest_budget, s->options.budget_bytes / 2);
  atomic_init(&s->max_connections, s->options.max_connections);
  atomic_init(&s->ends_left, loop_count + 1);
  error = http_router_new(options->routes, options->route_count, &s->router);
  if (error)
    goto out;
  error = http_sockets_tcp(address, port, loop_count, fds, &s->port, out_error);
  if (error)
    goto out;
  s->worker_count = loop_count;
  error = init_workers(s, loops, fds);
  if (error)
    goto out;
  for (size_t i = 0; i < loop_count; i++)
    loop_post(loops[i], &s->workers[i].start);
  *out_server = s;
  s = NULL;
out:
  http_server_free(s);
  free(fds);
  return error;
}

uint16_t http_server_port(const http_server *server) {
  return server->port;
}

typedef struct unix_listen {
  loop_task task;
  http_worker *worker;
  int fd;
} unix_listen;

static void on_unix_listen(loop_task *task) {
  unix_listen *u = (unix_listen *)task;
  http_worker *w = u->worker;
  if (w->draining) {
    close(u->fd);
  } else {
    w->listeners[1].fd = u->fd;
    w->listeners[1].is_unix = true;
    w->start.run(&w->start); /* opens what is not open yet */
  }
  free(u);
}

tt_error http_server_listen_unix(http_server *s, const char *path,
                                 tti_buf *out_error) {
  if (s->unix_path)
    return TT_ESTATE;
  unix_listen *u = malloc(sizeof(*u));
  char *copy = strdup(path);
  tt_error error = TT_ENOMEM;
  if (u && copy)
    error = http_sockets_unix(path, &u->fd, out_error);
  if (error) {
    free(u);
    free(copy);
    return error;
  }
  s->unix_path = copy;
  u->worker = &s->workers[0];
  u->task.run = on_unix_listen;
  loop_post(u->worker->l, &u->task);
  return TT_OK;
}

bool http_server_is_full(const http_server *s) {
  size_t count = 0;
  for (size_t i = 0; i < s->worker_count; i++)
    count += atomic_load_explicit(&s->workers[i].connection_count,
                                  memory_order_relaxed);
  return count >= atomic_load_explicit(&s->max_connections,
                                       memory_order_relaxed); /* a number */
}

void http_server_set_max_connections(http_server *s, unsigned max) {
  atomic_store_explicit(&s->max_connections, max, memory_order_relaxed);
}

uint64_t http_server_tick_ms(const http_server *s) {
  const http_options *o = &s->options;
  uint64_t least = o->head_timeout_ms;
  least = least < o->body_timeout_ms ? least : o->body_timeout_ms;
  least = least < o->idle_timeout_ms ? least : o->idle_timeout_ms;
  least = least < o->stall_timeout_ms ? least : o->stall_timeout_ms;
  uint64_t tick = least / 8;
  return tick < 10 ? 10 : tick > 500 ? 500 : tick;
}

static void on_drained(loop_task *task) {
  http_server *s =
      (http_server *)((char *)task - offsetof(http_server, drained_task));
  s->drained(s->drained_context);
}

/* The last of the workers and of close itself, since an abort may come first.
 */
static void count_end(http_server *s) {
  /* Acquire and release: the last one sees what close stored. */
  if (atomic_fetch_sub_explicit(&s->ends_left, 1, memory_order_acq_rel) != 1 ||
      !s->drained)
    return;
  s->drained_task.run = on_drained;
  loop_post(s->workers[0].l, &s->drained_task);
}

void http_server_worker_done(http_server *s) {
  count_end(s);
}

static void remove_unix(http_server *s) {
  if (s->unix_path)
    unlink(s->unix_path);
  free(s->unix_path);
  s->unix_path = NULL;
}

void http_server_close(http_server *s, void (*drained)(void *context),
                       void *context) {
  if (atomic_exchange_explicit(&s->close_posted, true, memory_order_relaxed))
    return;
  s->drained = drained;
  s->drained_context = context;
  /* While the store is held: the next server's file must not be taken away. */
  remove_unix(s);
  for (size_t i = 0; i < s->worker_count; i++)
    loop_post(s->workers[i].l, &s->workers[i].close);
  count_end(s);
}

void http_server_abort(http_server *s) {
  if (atomic_exchange_explicit(&s->abort_posted, true, memory_order_relaxed))
    return;
  for (size_t i = 0; i < s->worker_count; i++)
    loop_post(s->workers[i].l, &s->workers[i].abort);
}

void http_server_free(http_server *s) {
  if (!s)
    return;
  for (size_t i = 0; i < s->worker_count; i++)
    http_worker_fini(&s->workers[i]);
  remove_unix(s);
  http_router_free(s->router);
  free(s);
}

void http_server_usage(const http_server *s, http_usage *out_usage) {
  http_usage usage = {.connections = 0};
  for (size_t i = 0; i < s->worker_count; i++) {
    const http_worker *w = &s->workers[i];
    usage.connections +=
        atomic_load_explicit(&w->connection_count, memory_order_relaxed);
    usage.streams +=
        atomic_load_explicit(&w->stream_count, memory_order_relaxed);
    usage.body_bytes +=
        atomic_load_explicit(&w->share.used, memory_order_relaxed);
    usage.tls_opened +=
        atomic_load_explicit(&w->tls_opened, memory_order_relaxed);
    for (int why = 0; why < HTTP_TLS_FAILURE_COUNT; why++)
      usage.tls_failed[why] +=
          atomic_load_explicit(&w->tls_failed[why], memory_order_relaxed);
    usage.stream_bytes +=
        atomic_load_explicit(&w->stream_share.used, memory_order_relaxed);
    usage.stalled += atomic_load_explicit(&w->stalled, memory_order_relaxed);
    usage.crowded += atomic_load_explicit(&w->crowded, memory_order_relaxed);
  }
  if (s->options.tls)
    usage.tls_expires_s = tls_expires_s(s->options.tls);
  *out_usage = usage;
}
