#ifndef WEB_WEB_H
#define WEB_WEB_H

#include "server/http/http.h"

/* The page at "/" and what it loads, embedded at build time: every file of
 * web/static, index.html under "/". Served without a token, with this policy on
 * each: nothing inline, nothing from elsewhere, never framed. */
extern const http_file web_files[];
extern const size_t web_file_count;

#define WEB_CONTENT_SECURITY_POLICY                                            \
  "default-src 'self'; base-uri 'none'; form-action 'self'; "                  \
  "frame-ancestors 'none'"

#endif
