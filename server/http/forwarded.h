#ifndef HTTP_FORWARDED_H
#define HTTP_FORWARDED_H

#include "server/http/address.h"

/* Who a request comes from when proxies that we trust stand between: X-
 * Forwarded-For, or Forwarded (RFC 7239). Each proxy adds at the right the
 * address that it saw; whatever stands left of an address that is not trusted
 * may have been made up. */

typedef struct http_proxies {
  const http_network *networks;
  size_t count;
} http_proxies;

bool http_proxies_trust(const http_proxies *proxies,
                        const http_address *address);

/* Goes through the hops from the right to the left, value by value, and names
 * the first one that is no trusted proxy; the left-most where all are. Starts
 * with *client, the trusted peer, and stays at the nearest known hop where one
 * cannot be read ("unknown", "_hidden", nonsense). Call it for the last value
 * of the header first; false: the client was found, earlier values do not
 * count. */
bool http_forwarded_for(const http_proxies *proxies, tti_slice value,
                        http_address *client);
/* The same for a value of Forwarded. */
bool http_forwarded(const http_proxies *proxies, tti_slice value,
                    http_address *client);

/* Whether the last hop of X-Forwarded-Proto, or of Forwarded, says https. */
bool http_forwarded_proto_is_https(tti_slice value);
bool http_forwarded_is_https(tti_slice value);

#endif
