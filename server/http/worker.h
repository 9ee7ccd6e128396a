#ifndef HTTP_WORKER_H
#define HTTP_WORKER_H

#include "server/http/budget.h"
#include "server/http/http.h"
#include "server/http/request.h"
#include "server/http/wheel.h"

/* A server's part on one loop: its listening sockets, its connections and what
 * they share. Everything here belongs to the loop's thread but the atomics. */

#define HTTP_SCRATCH ((size_t)64 << 10)

typedef struct http_listener {
  uv_poll_t poll;
  int fd; /* -1: none */
  bool is_unix;
  bool open; /* the poll handle is initialised and not closed */
} http_listener;

struct http_worker {
  http_server *server;
  const http_options *options; /* every default filled in */
  const http_router *router;
  loop *l;

  http_listener listeners[2]; /* TCP, and on the first loop a Unix socket */
  loop_timer tick;
  loop_timer backoff; /* after EMFILE */
  uv_prepare_t prepare;
  uv_check_t check;
  unsigned open_handles;
  bool started, draining, aborting, closing;

  http_connection *connections;
  size_t open_connections; /* whose handle is not closed yet */
  http_connection *dirty;  /* have something to write or to settle */
  http_wheel wheel;

  http_budget_share share;
  http_budget_share stream_share; /* of what waits for clients of streams */
  http_budget_share guest_share;  /* of what requests of guests hold */
  void *blocks; /* spare request blocks, linked through their first word */
  unsigned block_count;
  char *scratch;  /* HTTP_SCRATCH bytes to read into */
  char *opened;   /* TLS_RECORD bytes to decrypt into; NULL without TLS */
  tti_buf sealed; /* what is encrypted, on its way to the kernel */

  /* "HTTP/1.1 200 OK" and the headers that every answer has, made anew when
   * the second changes. */
  char prefix[128];
  size_t prefix_len;
  const char *date; /* inside prefix */
  uint64_t prefix_ms;
  int64_t prefix_s;

  atomic_size_t connection_count;
  atomic_size_t stream_count;
  _Atomic uint64_t tls_opened;
  _Atomic uint64_t tls_failed[HTTP_TLS_FAILURE_COUNT];
  uint64_t tls_told_ms;                   /* the last line about a failure */
  uint64_t tls_untold;                    /* failures since */
  atomic_uint_least64_t stalled, crowded; /* see http_usage */

  loop_task start, close, abort;
};

/* Memory of HTTP_REQUEST_BLOCK bytes; NULL when there is none. */
void *http_worker_block(http_worker *worker);
void http_worker_unblock(http_worker *worker, void *block);

/* The connection is looked at once more before the loop waits. */
void http_worker_mark(http_worker *worker, http_connection *connection);

/* "HTTP/1.1 200 OK\r\nDate: …\r\n…", as of now. */
tti_slice http_worker_prefix(http_worker *worker);

/* For a zeroed worker, any thread; fini after its loop has stopped. */
void http_worker_init(http_worker *worker);
void http_worker_fini(http_worker *worker);

/* A connection's handle is closed, or a connection was freed. */
void http_worker_settle(http_worker *worker);

#endif
