#ifndef HTTP_DISPATCH_H
#define HTTP_DISPATCH_H

#include "server/http/connection.h"

/* From a parsed head to the handler: may it start, is it let through, is its
 * body welcome, and the body itself. */

/* The route of what no route answers: scope 0, name "none". */
extern const http_route http_route_none;

/* Finds the request's route. */
void http_dispatch_route(http_request *request);

/* Whether the connection's order allows the held request to begin now. */
bool http_dispatch_may_start(const http_connection *connection,
                             const http_request *request);

/* Asks the gate, then reads the body, discards it or ends the connection.
 * `more` tells that bytes of the body are there already. */
void http_dispatch_start(http_connection *connection, http_request *request,
                         bool more);

/* A piece of the current request's body; false: it was refused. */
bool http_dispatch_data(http_connection *connection, tti_slice data);

/* The current request's body is complete. */
void http_dispatch_complete(http_connection *connection);

/* Answers what could not be understood and ends the connection after it. */
void http_dispatch_refuse(http_connection *connection,
                          const http_refusal *refusal);

/* Whether an unread body is short enough to be thrown away, so that the
 * connection can go on. */
bool http_dispatch_discardable(const http_request *request);

#endif
