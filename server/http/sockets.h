#ifndef HTTP_SOCKETS_H
#define HTTP_SOCKETS_H

#include "lib/base/buf.h"

/* Listening sockets, non-blocking and close-on-exec. `out_error` (may be NULL)
 * gets a sentence. */

/* `count` sockets on one port, between which the kernel shares connections.
 * TT_EINVAL: not a numeric address; TT_EBUSY: the port is in use. */
tt_error http_sockets_tcp(const char *address, uint16_t port, size_t count,
                          int *out_fds, uint16_t *out_port, tti_buf *out_error);

/* Mode 0600. TT_EBUSY: somebody listens there. */
tt_error http_sockets_unix(const char *path, int *out_fd, tti_buf *out_error);

#endif
