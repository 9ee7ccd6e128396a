#ifndef IO_TLS_INTERNAL_H
#define IO_TLS_INTERNAL_H

#include "server/io/tls.h"
#include <openssl/ssl.h>

/* A session's SSL, of what is in force now; NULL: out of memory. */
SSL *tls_ssl_new(tls *t);

#endif
