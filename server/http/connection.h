#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include "server/http/framing.h"
#include "server/http/worker.h"
#include "server/io/tls.h"

/* One connection: takes requests off the bytes, starts them in order, and
 * writes their answers in that order, all that are ready in one write. */

typedef enum http_reading {
  HTTP_AT_HEAD,
  HTTP_AT_HELD,    /* a parsed request waits for its turn */
  HTTP_AT_BODY,    /* of `current` */
  HTTP_AT_DISCARD, /* the body of a request that was refused */
  HTTP_AT_END      /* nothing more is read as a request */
} http_reading;

struct http_connection {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } uv;
  http_wheel_item deadline;
  http_worker *worker;
  http_connection *next, **link; /* among the worker's */
  http_connection *next_dirty;

  char *in; /* bytes not yet taken; NULL while there are none */
  size_t in_len, in_cap;
  http_scanner scanner;
  http_framing framing;
  http_request *current; /* held or being read; also in the queue */
  http_request *first, *last;
  size_t queued, queued_bytes;
  unsigned running;       /* handlers that have not answered, open streams */
  unsigned running_alone; /* those of routes that do not overlap */
  uint64_t since_ms;      /* when the unfinished head or the lingering began */
  unsigned writing;       /* uv_writes in flight */
  size_t untaken;         /* by the client, when the deadline was set */

  void *app_data;
  void (*app_free)(void *data);

  tls_session *tls; /* once the first byte has come */
  size_t tls_bytes; /* against the budget */

  http_reading reading;
  bool secure; /* of a listener that speaks TLS */
  bool is_unix;
  bool open;    /* the handle is open or closing */
  bool closing; /* uv_close was called */
  bool is_dirty;
  bool settling; /* inside http_connection_settle */
  bool broken;   /* close at the next chance */
  bool stopped;  /* not reading */
  bool eof;
  bool unread; /* closing would lose the answer: bytes are unread */
  bool lingering;
  http_address peer;
  char peer_text[HTTP_ADDRESS_TEXT];
};

/* Takes the descriptor, also when it fails. */
void http_connection_open(http_worker *worker, int fd, bool is_unix);

/* Begins to close; `closed` of a stream is called later. */
void http_connection_close(http_connection *connection);

/* Ends it at the next chance: for places that may not close at once. */
void http_connection_break(http_connection *connection);

/* The last answer is written: closes, but lets a client that is still sending
 * read it first. */
void http_connection_finish(http_connection *connection);

/* Puts a request at the end of the order. */
void http_connection_append(http_connection *connection, http_request *request);

/* Counts again what the request holds, for the connection's ceiling. */
void http_connection_weigh(http_connection *connection, http_request *request);

/* The request is answered, or its stream is over. */
void http_connection_unrun(http_connection *connection, http_request *request);

/* Writes what is ready, starts what may start, closes what is over. Never
 * called from inside a handler. May free the connection. */
void http_connection_settle(http_connection *connection);

/* Closes a connection that has nothing in progress. */
void http_connection_drain(http_connection *connection);

void http_connection_expired(http_wheel_item *item);
void http_connection_free(http_connection *connection);

/* Puts ready bytes into the kernel; calls nobody back. */
void http_connection_write(http_connection *connection);

/* ---- Between the socket's bytes and the requests', for TLS ---- */

/* Takes requests off bytes; nothing is answered before the next settle. */
void http_connection_take(http_connection *connection, const char *bytes,
                          size_t len);

/* Where the next bytes are best read to: the body itself, or `scratch`. */
uv_buf_t http_connection_place(http_connection *connection, char *scratch,
                               unsigned room);

/* The client sends no more. May free the connection. */
void http_connection_eof(http_connection *connection);

/* A uv_write is over, and with it `bytes` of what is to be written. May free
 * the connection. */
void http_connection_written(http_connection *connection, size_t bytes,
                             int status);

/* Sends an interim answer. */
void http_connection_interim(http_connection *connection, const char *text);

/* ---- The stream's side, in stream.c ---- */

/* Up to `room` pieces of unsent bytes, after `skip` of them. */
unsigned http_stream_gather(const http_stream *stream, uv_buf_t *bufs,
                            unsigned room);
void http_stream_consume(http_stream *stream, size_t bytes);
/* Everything is written and nothing more will come. */
bool http_stream_done(const http_stream *stream);
/* Tells the owner that more may be written, if it had to wait; false: not. */
bool http_stream_tell(http_stream *stream);
/* Calls closed and frees. */
void http_stream_close(http_stream *stream);

#endif
