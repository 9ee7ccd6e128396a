#ifndef AUTH_BROWSER_H
#define AUTH_BROWSER_H

#include "lib/base/slice.h"

/* What a request's head says about who made it; slices with ptr NULL are
 * absent. */
typedef struct auth_head {
  bool changes_state; /* not GET or HEAD */
  tti_slice host;
  tti_slice origin;
  bool many_origins;
  tti_slice fetch_site;
  const char *proxy_header; /* Forwarded, Via, …: the one that was there */
} auth_head;

typedef struct auth_policy {
  bool loopback; /* the listener's address is this machine's alone */
  bool has_tokens;
  bool insecure;
  const char *const *hosts; /* further names; NULL-terminated, may be NULL */
  const char *const *cors_origins; /* likewise */
} auth_policy;

typedef enum auth_finding {
  AUTH_FINE,
  AUTH_FOREIGN_HOST,   /* 421: DNS rebinding looks like this */
  AUTH_FOREIGN_ORIGIN, /* 403: another site's page sent it */
  AUTH_BEHIND_PROXY    /* 403: without tokens a proxy makes everyone admin */
} auth_finding;

/* Judges a head, in that order. `needs_token` is false for routes that are open
 * to everybody: those a proxy may reach. */
auth_finding auth_browser_check(const auth_policy *policy,
                                const auth_head *head, bool needs_token);

/* Whether pages of this origin were allowed in by name. */
bool auth_is_cors_origin(const char *const *cors_origins, tti_slice origin);

/* Whether an Origin is that of the pages of this Host. The scheme is not
 * compared: TLS may have been taken off before us. */
bool auth_is_same_origin(tti_slice origin, tti_slice host);

/* "localhost:6060" -> "localhost", "[::1]:80" -> "[::1]". */
tti_slice auth_host_name(tti_slice host);

#endif
