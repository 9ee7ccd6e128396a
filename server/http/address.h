#ifndef HTTP_ADDRESS_H
#define HTTP_ADDRESS_H

#include "lib/base/slice.h"

/* Addresses and networks, without names, ports or zones. */

/* IPv4 is kept as it is mapped into IPv6 (RFC 4291, 2.5.5.2), so that
 * ::ffff:10.0.0.1 and 10.0.0.1 are one address. */
typedef struct http_address {
  unsigned char bytes[16];
} http_address;

#define HTTP_ADDRESS_TEXT 46

/* "10.0.0.1" or "2001:db8::1". False, and nothing set: it is neither. */
bool http_address_parse(tti_slice text, http_address *out_address);

/* The same as a proxy writes it: with a port or brackets, too: "10.0.0.1:80",
 * "[2001:db8::1]", "[2001:db8::1]:80". */
bool http_address_parse_hop(tti_slice text, http_address *out_address);

void http_address_format(const http_address *address,
                         char out_text[HTTP_ADDRESS_TEXT]);

bool http_address_is_v4(const http_address *address);
/* 127.0.0.0/8 and ::1. */
bool http_address_is_loopback(const http_address *address);

/* What is likely one customer: the address of IPv4, the /64 of IPv6. */
http_address http_address_subscriber(const http_address *address);

typedef struct http_network {
  http_address address;
  unsigned bits; /* of 128 that are compared */
} http_network;

/* "10.0.0.0/8", "2001:db8::/32", or an address alone. False, and nothing set:
 * it is none of these, or has bits beyond its prefix. */
bool http_network_parse(tti_slice text, http_network *out_network);

bool http_network_has(const http_network *network, const http_address *address);

#endif
