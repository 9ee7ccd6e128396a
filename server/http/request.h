#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "server/http/head.h"
#include "server/http/http.h"
#include "server/http/router.h"

/* One request with its answer, in a block with room for both; only what is
 * larger gets memory of its own. */

typedef struct http_connection http_connection;
typedef struct http_worker http_worker;

typedef enum http_state {
  HTTP_CHECKING, /* head parsed; not yet let through */
  HTTP_READING,  /* its body arrives */
  HTTP_RUNNING,  /* the handler has it */
  HTTP_ANSWERED, /* the answer is complete in `out` */
  HTTP_STREAMING
} http_state;

typedef struct http_extra {
  struct http_extra *next;
  size_t len;
  char text[]; /* "Name: value\r\n" */
} http_extra;

/* Whom a proxy speaks for. */
typedef struct http_client {
  http_address address;
  bool secure;
  char text[HTTP_ADDRESS_TEXT];
} http_client;

struct http_request {
  http_connection *connection;
  http_worker *worker;
  http_request *next; /* in the connection's order */
  const http_route *route;
  http_head head;
  tti_slice params[HTTP_PARAMS_MAX];
  http_state state;
  unsigned allowed; /* methods of the path */
  bool close;       /* the connection ends after the answer */
  bool body_owned;  /* body is malloc'ed */
  bool is_guest;    /* see http_request_is_of_guest */

  char *body;
  size_t body_len;
  size_t body_cap;

  http_extra *extras; /* in order */
  http_extra **extras_end;
  tti_slice out[2]; /* head with a small body; a body taken over */
  char *out_owned;
  http_stream *stream;
  http_client *client; /* NULL: the peer itself */
  const char *user;    /* NULL: nobody */
  uint64_t began_ns;   /* monotonic */
  size_t answer_bytes; /* of the body, handed over */
  int status;

  size_t weight;   /* what the connection counts it as, bytes */
  size_t charged;  /* bytes against the budget */
  size_t overflow; /* bytes in `blocks` */
  void *blocks;    /* more memory, linked through its first word */
  char *free_at;   /* unused rest of the block */
  size_t free_bytes;
};

#define HTTP_REQUEST_BLOCK 1536

/* A request with a copy of the scanned head's bytes in *out_bytes; NULL when
 * out of memory. */
http_request *http_request_new(http_connection *connection, const char *head,
                               size_t head_len, const char **out_bytes);
void http_request_free(http_request *request);

/* Room for `cap` bytes of body in all; what is there is kept. False: no memory.
 */
bool http_request_body_room(http_request *request, size_t cap);

/* More against the budget; false: it is used up. */
bool http_request_charge(http_request *request, size_t bytes);

/* The body changed: the connection counts it anew. */
void http_request_reweigh(http_request *request);

/* Composes the answer's head. `body_len` is what Content-Length tells; `copy`
 * (may be NULL) is put behind the head, unless the request is a HEAD. */
bool http_reply_compose(http_request *request, int status,
                        const char *content_type, const void *copy,
                        size_t body_len, bool stream);

#endif
