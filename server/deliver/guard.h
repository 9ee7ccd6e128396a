#ifndef DELIVER_GUARD_H
#define DELIVER_GUARD_H

#include "server/http/address.h"
#include <sys/socket.h>

/* Keeps webhooks away from addresses that are not on the internet: whoever may
 * create one must not reach, through this server, what only this server can.
 * Every address is judged when its socket is about to be opened, so that a name
 * that stands for another address by then gains nothing. Knows no state: any
 * thread. */

/* The networks of webhooks.allow_cidrs; borrowed. */
typedef struct guard {
  const http_network *allowed;
  size_t allowed_count;
} guard;

#define GUARD_PROBLEM_MAX 320

/* The rule that holds an address back, such as "loopback (127.0.0.0/8)";
 * static. NULL: it is a public one. An address of IPv6 that stands for one of
 * IPv4 (mapped, NAT64, 6to4, Teredo) is as good as that. */
const char *guard_rule(const http_address *address);

/* Whether a request may go to an address, `encrypted` or in plain text, which
 * only allowed ones get. Else *out_problem is a sentence that names rule,
 * address and setting. */
bool guard_check(const guard *g, const http_address *address, bool encrypted,
                 char out_problem[GUARD_PROBLEM_MAX]);

/* The same for what a resolver answered. */
bool guard_check_socket(const guard *g, const struct sockaddr *address,
                        bool encrypted, char out_problem[GUARD_PROBLEM_MAX]);

/* What can be said of a webhook's URL before a name in it is resolved: it is
 * http or https, its host, if that is an address in any notation, passes, and
 * one in plain text has a chance to. */
bool guard_check_url(const guard *g, const char *url,
                     char out_problem[GUARD_PROBLEM_MAX]);

#endif
