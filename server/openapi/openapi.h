#ifndef OPENAPI_OPENAPI_H
#define OPENAPI_OPENAPI_H

#include "lib/base/buf.h"
#include "server/http/describe.h"

/* The API document (OpenAPI 3.1) of a route table, written from the routes'
 * descriptions. To what a description says it adds what follows from the route:
 * the answers of the gate by its scope (401, 403, 421), those to a body (400,
 * 413, 415), the 400 of its parameters with their codes, 503 for a server
 * without memory, and Error for everything else. Schemas and headers that have
 * a name are in components.json beside this. */
void openapi_write(const http_route *routes, size_t count, const char *version,
                   tti_buf *out);

/* The first route that lacks a description, or whose pattern has a "{name}"
 * that it does not describe; NULL: none. */
const http_route *openapi_undescribed(const http_route *routes, size_t count);

/* components.json, embedded. */
extern const char openapi_components[];
extern const size_t openapi_components_len;

#endif
