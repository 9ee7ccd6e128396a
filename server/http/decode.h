#ifndef HTTP_DECODE_H
#define HTTP_DECODE_H

#include "server/http/request.h"

/* Inflates the complete body of a running request and calls its handler, or
 * answers what is wrong with it: small bodies at once, large ones by the pool.
 */
void http_decode(http_request *request);

#endif
