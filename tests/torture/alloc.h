#ifndef TORTURE_ALLOC_H
#define TORTURE_ALLOC_H

#include <stdbool.h>

/* An allocator that fails once, at the n-th request. The program is linked with
 * --wrap for each way in which our code gets memory or a thread, so that only
 * requests of ours count; SQLite's and Jansson's are routed through it too.
 * Those of libcurl, libuv, libyaml and libcrypto are not. */

/* Before the first use of SQLite or Jansson. */
void torture_install(void);

/* Fails the n-th request from now on, on whichever thread; n counts from 1. */
void torture_arm(unsigned n);

/* Back to normal. True: the request came, and failed. */
bool torture_disarm(void);

#endif
