#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "lib/base/buf.h"
#include "server/http/address.h"
#include "server/io/loop.h"
#include "server/io/tls.h"

/* HTTP/1.1 connections on loops. Knows no telemetry. A request and everything
 * about it is touched only on its connection's loop. */

typedef struct http_server http_server;
typedef struct http_request http_request;
typedef struct http_stream http_stream;

typedef enum http_method {
  HTTP_GET_ = 1 << 0, /* llhttp owns HTTP_GET; HEAD is answered by GET */
  HTTP_POST_ = 1 << 1,
  HTTP_PUT_ = 1 << 2,
  HTTP_PATCH_ = 1 << 3,
  HTTP_DELETE_ = 1 << 4
} http_method;

/* Called once, when the whole body is there (decoded). Must answer the request
 * now or later, exactly once, on the loop: http_reply* or http_stream_open. */
typedef void (*http_handler)(http_request *request, void *context);

typedef struct http_route {
  unsigned methods;    /* http_method bits */
  const char *pattern; /* "/events/recent"; a "{name}" part matches one part */
  const char *name;    /* label in metrics and logs, such as "events_recent" */
  http_handler handler;
  void *context;
  size_t max_body_bytes; /* decoded; 0: no body allowed (413) */
  bool overlaps;         /* consecutive pipelined requests may be in progress
                            together; their answers still go out in order */
  bool errors_say_error; /* an error's message is in its "error" too */
  unsigned scope;        /* for the gate; http gives it no meaning */
  const struct http_description *about; /* describe.h */
} http_route;

/* Asked when the head is complete, before any of the body is read. To let the
 * request pass return true; else answer it (http_reply_error) and return false.
 * `route` is never NULL: 404, 405 and OPTIONS are answered after the gate has
 * passed with a route of its own that has scope 0 and the name "none". */
typedef bool (*http_gate)(http_request *request, const http_route *route,
                          void *context);

typedef struct http_options {
  const http_route *routes; /* static */
  size_t route_count;
  http_gate gate; /* may be NULL */
  void *gate_context;
  /* Called once a request is answered, for metrics; may be NULL. */
  void (*answered)(const http_route *route, int status, void *context);
  void *answered_context;
  /* Called once a request is over: its answer was handed to the kernel, or its
   * connection is gone. On its loop, or where the server is freed. May be NULL.
   */
  void (*finished)(http_request *request, void *context);
  void *finished_context;
  size_t head_max_bytes;    /* 0: 64 KiB */
  uint64_t head_timeout_ms; /* 0: 10,000 */
  uint64_t body_timeout_ms; /* without progress; 0: 30,000 */
  uint64_t idle_timeout_ms; /* 0: 75,000 */
  /* How long the client of a stream may take nothing; 0: 60,000 */
  uint64_t stall_timeout_ms;
  size_t budget_bytes;      /* process-wide, requests and answers; 0:
                               256 MiB */
  unsigned inflate_ratio;   /* a body may grow by at most this; 0: 100 */
  unsigned max_connections; /* 0: 20,000 */
  tls *tls;                 /* NULL: plain HTTP. Outlives the server; a Unix
                               socket has none */
} http_options;

/* Binds `address` ("127.0.0.1", "::1", …) and listens on one socket a loop.
 * Port 0 picks a free one. Any thread, before the loops start or while they
 * run. TT_EBUSY: the port is in use. `out_error` (may be NULL) gets a sentence.
 */
tt_error http_server_new(const http_options *options, loop *const *loops,
                         size_t loop_count, const char *address, uint16_t port,
                         tti_buf *out_error, http_server **out_server);

/* Listens on a Unix socket too, mode 0600: connections over it are the local
 * admin's. A socket file that nobody listens on is replaced. Any thread, before
 * http_server_close. The file is removed by http_server_close. */
tt_error http_server_listen_unix(http_server *server, const char *path,
                                 tti_buf *out_error);

uint16_t http_server_port(const http_server *server);

/* The most open connections from now on; those that are open stay. Any thread.
 */
void http_server_set_max_connections(http_server *server, unsigned max);

/* Stops accepting and closes idle connections; busy ones close after their
 * answer. `drained` is called once on loop 0 when none is left. Any thread. */
void http_server_close(http_server *server, void (*drained)(void *context),
                       void *context);

/* Closes what is left at once. Then, after the loops have stopped: free. */
void http_server_abort(http_server *server);
void http_server_free(http_server *server);

/* Why connections did not get to speak TLS. */
#define HTTP_TLS_FAILURE_MAP(X)                                                \
  X(HTTP_TLS_REFUSED, "refused") /* no common version, a bad certificate */    \
  X(HTTP_TLS_PLAIN, "plain_http")                                              \
  X(HTTP_TLS_OVERLOADED, "overloaded")                                         \
  X(HTTP_TLS_TIMEOUT, "timeout")                                               \
  X(HTTP_TLS_LEFT, "left") /* closed by the client before it was through */

typedef enum http_tls_failure {
#define X(id, name) id,
  HTTP_TLS_FAILURE_MAP(X)
#undef X
      HTTP_TLS_FAILURE_COUNT
} http_tls_failure;

const char *http_tls_failure_name(http_tls_failure why);

typedef struct http_usage {
  size_t connections;
  size_t streams;
  size_t body_bytes;   /* against the budget */
  uint64_t tls_opened; /* handshakes that succeeded */
  uint64_t tls_failed[HTTP_TLS_FAILURE_COUNT];
  int64_t tls_expires_s; /* Unix seconds; 0: no TLS */
  size_t stream_bytes;   /* that wait for the clients of streams */
  uint64_t stalled;      /* connections ended since nothing was taken in time */
  uint64_t crowded;      /* … since waiting bytes had no room */
} http_usage;
void http_server_usage(const http_server *server, http_usage *out_usage);

/* ---- The request. Slices live as long as the request. ---- */

unsigned http_request_method(const http_request *request);
const char *http_request_method_name(const http_request *request);
bool http_request_is_head(const http_request *request);
/* Such a client cannot tell a stream that was cut off from a whole one. */
bool http_request_is_1_0(const http_request *request);
tti_slice http_request_path(const http_request *request);
tti_slice http_request_query(const http_request *request);
const http_route *http_request_route(const http_request *request);
/* The codings that bodies may have, for Accept-Encoding. */
#define HTTP_CODINGS "gzip, zstd"
/* Decoded body (inflated where Content-Encoding said so); {NULL,0}: none. */
tti_slice http_request_body(const http_request *request);
/* First header of that name (without regard to case); ptr NULL: absent. */
tti_slice http_request_header(const http_request *request, const char *name);
/* The n-th (from 0) header of that name. */
tti_slice http_request_header_at(const http_request *request, const char *name,
                                 size_t n);
/* How often the header was given. */
size_t http_request_header_count(const http_request *request, const char *name);
/* The part of the path that "{name}" matched, percent-decoded. */
tti_slice http_request_param(const http_request *request, const char *name);
/* For the gate: the request is let in though nobody vouches for it. What such
 * requests hold in memory is at most half of the budget, so that they leave the
 * rest to those who are known. */
void http_request_is_of_guest(http_request *request);
/* Whether the gate said so. */
bool http_request_by_guest(const http_request *request);

/* Who is at the other end of the connection: a proxy, perhaps. */
const http_address *http_request_peer(const http_request *request);
/* Who asks: the peer, until the gate has found out whom it speaks for. The text
 * is "127.0.0.1" or "::1", without a port, or "unix"; it lives as long as the
 * request. */
const http_address *http_request_client(const http_request *request);
const char *http_request_client_text(const http_request *request);
/* False: out of memory, nothing was set. */
bool http_request_set_client(http_request *request, const http_address *client,
                             bool secure);
/* Whether the client's own connection is encrypted. */
bool http_request_is_secure(const http_request *request);
/* Who was let in, for the access log: copied (nothing, when out of memory).
 * "": nobody was named. */
void http_request_set_user(http_request *request, const char *name);
const char *http_request_user(const http_request *request);
/* Microseconds since its head was read. */
uint64_t http_request_age_us(const http_request *request);
/* Of the answer; 0: there is none yet, or never was. */
int http_request_status(const http_request *request);
/* Bytes of the answer's body; of a stream those that left so far. */
size_t http_request_answer_bytes(const http_request *request);
/* The port that the server listens on. */
uint16_t http_request_port(const http_request *request);
/* True for connections over the admin-only Unix socket. */
bool http_request_is_local_admin(const http_request *request);
/* Whether it came by TLS, and who its client showed to be: see
 * tls_session_peer; "" for nobody. */
bool http_request_is_tls(const http_request *request);
const char *http_request_certificate(const http_request *request);
loop *http_request_loop(const http_request *request);
/* Memory freed with the request. NULL when out of memory. */
void *http_request_alloc(http_request *request, size_t bytes);
/* A place for the application's own data about this connection (a remembered
 * token, say); `free_fn` is called when the connection goes. */
void *http_connection_data(const http_request *request);
void http_connection_set_data(http_request *request, void *data,
                              void (*free_fn)(void *data));

/* ---- Query strings ---- */

/* Takes the next name=value off *rest, percent-decoded ('+' is a space) into
 * memory of the request; false at the end. Malformed escapes stay as they are.
 */
bool http_query_next(http_request *request, tti_slice *rest,
                     tti_slice *out_name, tti_slice *out_value);
/* The first value of `name`; false when it is not there. A route that has a
 * description names there what it reads (asserted). */
bool http_query_get(http_request *request, const char *name,
                    tti_slice *out_value);

/* Counts memory that a handler holds for the request against the budget; false:
 * there is no room. Given back by http_request_unhold, or with the request. */
bool http_request_hold(http_request *request, size_t bytes);
void http_request_unhold(http_request *request, size_t bytes);

/* ---- The answer ---- */

/* Adds a header to the answer to come; copied. CR and LF are refused. */
void http_reply_header(http_request *request, const char *name,
                       const char *value);

/* Answers with a body that is copied. For HEAD the body is left out. */
void http_reply(http_request *request, int status, const char *content_type,
                const void *body, size_t len);

/* Answers with a body the connection takes and frees with free(). It counts
 * against the budget until it is written; a GET for which there is no room is
 * answered 503 instead. */
void http_reply_take(http_request *request, int status,
                     const char *content_type, char *body, size_t len);

/* Answers with JSON whose memory it takes over; 503 when that ran out. The
 * buffer is empty afterwards. */
void http_reply_json(http_request *request, int status, tti_buf *body);

/* {"code": code, "message": formatted}. `close`: the connection ends after. */
void http_reply_error(http_request *request, int status, const char *code,
                      const char *format, ...) TELLTALE_PRINTF(4, 5);
void http_reply_close(http_request *request);

/* ---- Endless answers (SSE) and long ones ---- */

typedef struct http_stream_events {
  /* All that was handed over is with the kernel: more may be written. */
  void (*writable)(http_stream *stream, void *context);
  /* The connection is gone (or the server aborts): the stream must not be used
   * after this returns. Called exactly once, also after http_stream_end. */
  void (*closed)(http_stream *stream, void *context);
} http_stream_events;

/* Bytes shared by several streams; freed when the last has written them. Counts
 * are not atomic: one loop. */
typedef struct http_chunk {
  size_t refs;
  size_t len;
  void (*free_fn)(struct http_chunk *chunk);
  const char *data;
} http_chunk;

/* Sends the head (status 200 and the headers given so far) and keeps the
 * connection for the stream; the request stays valid until `closed`. HTTP/1.1
 * clients get chunked coding unless `raw` (SSE: Connection: close semantics are
 * not needed, chunked is used too). NULL for HEAD: the head was sent and the
 * request is over. */
http_stream *http_stream_open(http_request *request, int status,
                              const char *content_type,
                              const http_stream_events *events, void *context);

/* Hands over chunks (a reference each, taken over) as one write. What is not
 * yet with the kernel counts in http_stream_pending. */
void http_stream_write(http_stream *stream, http_chunk *const *chunks,
                       size_t count);
/* The same for bytes that are copied. */
void http_stream_write_copy(http_stream *stream, const void *bytes, size_t len);
size_t http_stream_pending(const http_stream *stream); /* bytes */

/* Ends the answer after what was written; the connection may be used again. */
void http_stream_end(http_stream *stream);
/* Cuts the connection off: a client of HTTP/1.1 sees that the answer is not
 * whole. `closed` comes later. */
void http_stream_abort(http_stream *stream);

/* ---- Embedded files ---- */

typedef struct http_file {
  const char *path; /* "/", "/app.js" */
  const char *content_type;
  const unsigned char *data;
  size_t len;
} http_file;

#endif
