#ifndef TTI_HTTP_CLIENT_H
#define TTI_HTTP_CLIENT_H

#include "lib/base/buf.h"
#include <telltale/error.h>

/* One HTTP client over libcurl: one request at a time on a kept-alive
 * connection, http and https only, no redirects, no netrc, the user's proxy
 * settings honoured. One thread uses it; tti_http_cancel crosses. Never used
 * across a fork: a child makes its own. */
typedef struct tti_http_client tti_http_client;

/* PEM files for https; NULL: the system's CAs, no certificate of ours, a key in
 * the certificate's file. Copied. */
typedef struct tti_http_files {
  const char *ca, *cert, *key;
} tti_http_files;

/* TT_ENOMEM. Initialises libcurl for the process at first use, for good. */
tt_error tti_http_client_new(const char *user_agent,
                             const tti_http_files *files,
                             tti_http_client **out_client);
void tti_http_client_free(tti_http_client *client);

/* Ends the request on its way, and every later one, with TT_ECANCELLED, soon.
 * Thread-safe. */
void tti_http_cancel(tti_http_client *client);

typedef struct tti_http_request {
  const char *url;
  tti_slice body; /* sent by POST */
  /* "Name: value" each; borrowed. */
  const char *const *headers;
  size_t header_count;
  int timeout_ms; /* for the whole of it, the name's resolution included */
  /* Called every 20 ms or so until the answer is there; may be NULL. */
  void (*waiting)(void *context);
  void *context;
} tti_http_request;

#define TTI_HTTP_HEAD_MAX_BYTES (16 * 1024)
#define TTI_HTTP_BODY_MAX_BYTES (16 * 1024)
#define TTI_HTTP_TEXT_MAX       256

/* An answer; more of its head or body than the ceilings is dropped. Who expects
 * a longer body raises `body.max`. */
typedef struct tti_http_answer {
  int status;
  tti_buf head; /* the last one's lines, each "Name: value\r\n" */
  tti_buf body;
  char problem[TTI_HTTP_TEXT_MAX]; /* why there is no status, for a person */
} tti_http_answer;

void tti_http_answer_init(tti_http_answer *answer);
void tti_http_answer_fini(tti_http_answer *answer);

/* Sends the request and waits for the whole answer; what the answer held before
 * is gone. TT_OK whatever the status; TT_ETIMEOUT; TT_ECANCELLED; TT_EIO for no
 * connection, a broken one or no HTTP, with `problem`; TT_ENOMEM. */
tt_error tti_http_post(tti_http_client *client, const tti_http_request *request,
                       tti_http_answer *answer);

/* The same, without a body. */
tt_error tti_http_get(tti_http_client *client, const tti_http_request *request,
                      tti_http_answer *answer);

/* The value of the first header of this name, trimmed; ptr NULL: none. */
tti_slice tti_http_header(const tti_http_answer *answer, const char *name);

/* Whether a comma list such as that of Accept-Encoding has this item, with a
 * weight other than 0. RFC 9110, 12.5.3. */
bool tti_http_list_has(tti_slice list, const char *item);

/* Retry-After, a number or a date, in seconds from now, cut at `max_s`; -1:
 * none. */
int64_t tti_http_retry_after_s(const tti_http_answer *answer, int64_t max_s);

/* Checks an absolute http or https URL and gives it back without a fragment,
 * with `more` added to its path ("/batch") or, when it does not begin with a
 * slash, put for the path's last segment ("log"); a slash at the path's end
 * counts as none. The query stays. TT_EINVAL; TT_ENOMEM. Freed with free(). */
tt_error tti_http_url(const char *url, const char *more, char **out_url);

/* The same URL for a log line: without user, password, query and fragment. */
tt_error tti_http_url_shown(const char *url, char **out_url);

#endif
