#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include "server/http/http.h"

#define HTTP_PARAMS_MAX 4

/* Finds a path's route: by hash where the pattern is plain, else part by part
 * in the order of the table. Read-only after new, so all loops share it. */
typedef struct http_router http_router;

/* Borrows the routes. TT_ENOMEM; TT_EINVAL: a pattern does not start with '/'
 * or has more than HTTP_PARAMS_MAX names. */
tt_error http_router_new(const http_route *routes, size_t count,
                         http_router **out_router);
void http_router_free(http_router *router);

typedef struct http_match {
  const http_route *route; /* NULL: none for this path and method */
  unsigned allowed;        /* methods of the path; 0: the path is unknown */
  tti_slice params[HTTP_PARAMS_MAX]; /* as sent, in order of the pattern */
} http_match;

void http_router_find(const http_router *router, tti_slice path,
                      unsigned method, http_match *out_match);

/* Position of "{name}" among the pattern's names; -1: it has none such. */
int http_pattern_param(const char *pattern, tti_slice name);

#endif
