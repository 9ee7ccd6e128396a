#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "server/http/http.h"

/* What a worker asks of its server. Any thread. */

/* Whether max_connections is reached. */
bool http_server_is_full(const http_server *server);

/* Granularity of the timeouts. */
uint64_t http_server_tick_ms(const http_server *server);

/* All of a worker's handles are closed. */
void http_server_worker_done(http_server *server);

#endif
