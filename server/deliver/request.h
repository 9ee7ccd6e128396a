#ifndef DELIVER_REQUEST_H
#define DELIVER_REQUEST_H

#include "server/store/tables/due.h"
#include <curl/curl.h>

/* What a webhook's receiver is sent: headers, signatures, body. No state: any
 * thread. */

/* The webhook's own headers, a JSON object of strings, as curl's list. One that
 * could not stand in a request is left out. NULL: there is none, or no memory.
 */
struct curl_slist *request_extra(const char *json);

typedef struct request {
  struct curl_slist *headers; /* whoever sends it takes them */
  tti_slice body;             /* the delivery's, or `chat` */
  tti_buf chat;
} request;

/* A request at `now_us` by the webhook's format: `standard` and `e2a` send the
 * event's own bytes and sign them with every secret in force, `slack` and
 * `discord` a message for people. The body borrows from the delivery.
 * request_fini ends it in either case. *out_problem is a static sentence on
 * failure: TT_EINVAL (the secret is malformed), TT_ENOMEM. */
tt_error request_init(request *r, const due_webhook *webhook,
                      const struct curl_slist *extra, const due_delivery *due,
                      int64_t now_us, const char **out_problem);
void request_fini(request *r);

#endif
