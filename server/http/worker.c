#include "server/http/worker.h"

#include "server/http/connection.h"
#include "server/http/server.h"
#include "server/io/clock.h"
#include "server/io/log.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SPARE_BLOCKS  256
#define ACCEPTS_MAX   64
#define BACKOFF_MS    100
#define PREFIX_AGE_MS 50
#define SEALED_MAX    ((size_t)1 << 20) /* a handshake's flight, at most */

void *http_worker_block(http_worker *w) {
  void **block = w->blocks;
  if (!block)
    return malloc(HTTP_REQUEST_BLOCK);
  w->blocks = *block;
  w->block_count--;
  return block;
}

void http_worker_unblock(http_worker *w, void *block) {
  if (w->block_count == SPARE_BLOCKS) {
    free(block);
    return;
  }
  *(void **)block = w->blocks;
  w->blocks = block;
  w->block_count++;
}

void http_worker_mark(http_worker *w, http_connection *c) {
  if (c->is_dirty || c->settling)
    return;
  c->is_dirty = true;
  c->next_dirty = w->dirty;
  w->dirty = c;
}

static void settle_dirty(http_worker *w) {
  while (w->dirty) {
    http_connection *c = w->dirty;
    w->dirty = c->next_dirty;
    c->is_dirty = false;
    http_connection_settle(c);
  }
}

tti_slice http_worker_prefix(http_worker *w) {
  uint64_t now = loop_now_ms(w->l);
  if (w->prefix_len && now - w->prefix_ms < PREFIX_AGE_MS)
    return (tti_slice){w->prefix, w->prefix_len};
  w->prefix_ms = now;
  time_t second = (time_t)(server_wall_us() / 1000000);
  if (w->prefix_len && second == w->prefix_s)
    return (tti_slice){w->prefix, w->prefix_len};
  struct tm utc;
  gmtime_r(&second, &utc);
  w->prefix_s = second;
  /* IMF-fixdate, RFC 9110, 5.6.7; the server never sets a locale. */
  w->prefix_len =
      strftime(w->prefix, sizeof(w->prefix),
               "HTTP/1.1 200 OK\r\nDate: %a, %d %b %Y %H:%M:%S GMT\r\n"
               "X-Content-Type-Options: nosniff\r\n",
               &utc);
  return (tti_slice){w->prefix, w->prefix_len};
}

/* ---- Accepting ---- */

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void listen_again(http_worker *w) {
  for (int i = 0; i < 2; i++)
    if (w->listeners[i].open)
      uv_poll_start(&w->listeners[i].poll, UV_READABLE, on_acceptable);
}

static void on_backoff(loop_timer *timer) {
  http_worker *w =
      (http_worker *)((char *)timer - offsetof(http_worker, backoff));
  if (!w->draining)
    listen_again(w);
}

/* No descriptor or memory: the connections wait in the kernel meanwhile. */
static void back_off(http_worker *w, int error) {
  server_log(TT_LEVEL_WARN, "http",
             "cannot accept connections: %s; trying again in %d ms; raise the "
             "limit of open files if this stays",
             strerror(error), BACKOFF_MS);
  for (int i = 0; i < 2; i++)
    if (w->listeners[i].open)
      uv_poll_stop(&w->listeners[i].poll);
  loop_timer_start(&w->backoff, BACKOFF_MS, 0);
}

static void turn_away(int fd, bool secure) {
  static const char text[] =
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
      "Retry-After: 1\r\nConnection: close\r\nContent-Length: 66\r\n\r\n"
      "{\"code\":\"overloaded\",\"message\":\"too many connections; try "
      "again\"}\n";
  if (!secure) /* a courtesy */
    (void)!send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  shutdown(fd, SHUT_WR);
  close(fd);
}

static void on_acceptable(uv_poll_t *poll, int status, int events) {
  http_listener *listener = (http_listener *)poll;
  http_worker *w = poll->data;
  (void)status;
  (void)events;
  for (int i = 0; i < ACCEPTS_MAX; i++) {
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
      continue;
    if (fd < 0) {
      if (errno != EAGAIN)
        back_off(w, errno);
      return;
    }
    if (http_server_is_full(w->server))
      turn_away(fd, w->options->tls && !listener->is_unix);
    else
      http_connection_open(w, fd, listener->is_unix);
    if (w->open_connections == 1)
      loop_timer_start(&w->tick, w->wheel.tick_ms, w->wheel.tick_ms);
  }
}

/* ---- Turning ---- */

static void on_prepare(uv_prepare_t *prepare) {
  settle_dirty(prepare->data);
}

static void on_check(uv_check_t *check) {
  settle_dirty(check->data);
}

static void on_tick(loop_timer *timer) {
  http_worker *w = (http_worker *)((char *)timer - offsetof(http_worker, tick));
  http_wheel_turn(&w->wheel, loop_now_ms(w->l), http_connection_expired);
  if (w->open_connections == 0)
    loop_timer_stop(timer);
}

/* ---- Beginning and end ---- */

static void open_listener(http_worker *w, http_listener *listener) {
  if (listener->fd < 0 || listener->open)
    return;
  if (uv_poll_init(loop_uv(w->l), &listener->poll, listener->fd) != 0) {
    server_log(TT_LEVEL_ERROR, "http", "cannot watch a listening socket");
    return;
  }
  listener->poll.data = w;
  listener->open = true;
  w->open_handles++;
  uv_poll_start(&listener->poll, UV_READABLE, on_acceptable);
}

static void on_start(loop_task *task) {
  http_worker *w = (http_worker *)((char *)task - offsetof(http_worker, start));
  if (!w->started) {
    w->started = true;
    http_wheel_init(&w->wheel, http_server_tick_ms(w->server),
                    loop_now_ms(w->l));
    loop_timer_init(w->l, &w->tick, on_tick);
    loop_timer_init(w->l, &w->backoff, on_backoff);
    uv_prepare_init(loop_uv(w->l), &w->prepare);
    uv_check_init(loop_uv(w->l), &w->check);
    w->prepare.data = w->check.data = w;
    uv_prepare_start(&w->prepare, on_prepare);
    uv_check_start(&w->check, on_check);
    w->open_handles += 4;
  }
  if (!w->draining)
    for (int i = 0; i < 2; i++)
      open_listener(w, &w->listeners[i]);
}

static void handle_gone(http_worker *w) {
  if (--w->open_handles == 0 && w->closing)
    http_server_worker_done(w->server);
}

static void on_handle_closed(uv_handle_t *handle) {
  handle_gone(handle->data);
}

static void on_tick_closed(loop_timer *timer) {
  handle_gone((http_worker *)((char *)timer - offsetof(http_worker, tick)));
}

static void on_backoff_closed(loop_timer *timer) {
  handle_gone((http_worker *)((char *)timer - offsetof(http_worker, backoff)));
}

static void on_poll_closed(uv_handle_t *handle) {
  http_listener *listener = (http_listener *)handle;
  close(listener->fd);
  listener->fd = -1;
  handle_gone(handle->data);
}

void http_worker_settle(http_worker *w) {
  bool over = w->aborting ? w->open_connections == 0
                          : w->draining && w->connections == NULL;
  if (!over || w->closing)
    return;
  w->closing = true;
  loop_timer_close(&w->tick, on_tick_closed);
  loop_timer_close(&w->backoff, on_backoff_closed);
  uv_close((uv_handle_t *)&w->prepare, on_handle_closed);
  uv_close((uv_handle_t *)&w->check, on_handle_closed);
}

static void stop_listening(http_worker *w) {
  for (int i = 0; i < 2; i++) {
    http_listener *listener = &w->listeners[i];
    if (!listener->open)
      continue;
    listener->open = false;
    uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
  }
}

static void on_close(loop_task *task) {
  http_worker *w = (http_worker *)((char *)task - offsetof(http_worker, close));
  if (w->draining)
    return;
  w->draining = true;
  stop_listening(w);
  for (http_connection *c = w->connections, *next; c; c = next) {
    next = c->next;
    http_connection_drain(c);
  }
  http_worker_settle(w);
}

static void on_abort(loop_task *task) {
  http_worker *w = (http_worker *)((char *)task - offsetof(http_worker, abort));
  w->aborting = true;
  if (!w->draining) {
    w->draining = true;
    stop_listening(w);
  }
  for (http_connection *c = w->connections; c; c = c->next)
    http_connection_close(c);
  http_worker_settle(w);
}

void http_worker_init(http_worker *w) {
  w->start.run = on_start;
  w->close.run = on_close;
  w->abort.run = on_abort;
  w->listeners[0].fd = w->listeners[1].fd = -1;
  tti_buf_init(&w->sealed, SEALED_MAX);
}

void http_worker_fini(http_worker *w) {
  /* After an abort the requests whose handlers never answered are left. */
  for (http_connection *c = w->connections, *next; c; c = next) {
    next = c->next;
    http_connection_free(c);
  }
  for (int i = 0; i < 2; i++)
    if (w->listeners[i].fd >= 0)
      close(w->listeners[i].fd);
  while (w->blocks) {
    void **block = w->blocks;
    w->blocks = *block;
    free(block);
  }
  free(w->scratch);
  free(w->opened);
  tti_buf_fini(&w->sealed);
}
