#ifndef HTTP_SECURE_H
#define HTTP_SECURE_H

#include "server/http/connection.h"

/* The TLS of a connection: between the socket's bytes and the requests'. It is
 * made with the first byte, so that who only connects costs nothing; what it
 * holds of a record, and what it has encrypted that the kernel has not taken,
 * counts against the budget. */

/* Bytes of the socket; settles. */
void http_secure_read(http_connection *connection, const char *bytes,
                      size_t len);

/* Encrypts the first of `bufs` and puts them into the kernel: how many bytes of
 * them. 0: that is left to the loop (`writing`), or the connection breaks. */
size_t http_secure_write(http_connection *connection, const uv_buf_t *bufs,
                         unsigned count);

/* Whether hands are to be shaken yet. */
bool http_secure_is_opening(const http_connection *connection);

/* They were not shaken in time; or the client went meanwhile. */
void http_secure_expired(http_connection *connection);
void http_secure_left(http_connection *connection);

/* Tells the client that its answers were whole: the last bytes, if they fit. */
void http_secure_end(http_connection *connection);

/* The connection is being freed. */
void http_secure_free(http_connection *connection);

#endif
