#ifndef TTI_STATSD_ADDRESS_H
#define TTI_STATSD_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#define TTI_STATSD_HOST_MAX 256
#define TTI_STATSD_UDP_MAX  1432
#define TTI_STATSD_UNIX_MAX 8192

/* Where a statsd server listens. */
typedef struct tti_statsd_address {
  bool is_unix;
  char host[TTI_STATSD_HOST_MAX]; /* or the path */
  char port[6];
} tti_statsd_address;

/* "udp://host:port" or "unix:/path"; false: it is neither. */
bool tti_statsd_address_parse(const char *text, tti_statsd_address *out);

/* A connected datagram socket that waits at most a second to send; -1: none,
 * *out_why says why (static, or until the next error on this thread). Looks
 * names up, which may take a while. */
int tti_statsd_connect(const tti_statsd_address *address, const char **out_why);

#endif
