#ifndef TTI_FLEET_REPLY_H
#define TTI_FLEET_REPLY_H

#include "lib/http/client.h"
#include "lib/json/scan.h"

/* What the answer to an update means for it. */
typedef enum tti_reply_verdict {
  TTI_REPLY_ACCEPTED,
  TTI_REPLY_EARLY,  /* not taken: again, not before `wait_us` */
  TTI_REPLY_FAILED, /* not taken: again */
  TTI_REPLY_ENDED   /* no more updates, ever */
} tti_reply_verdict;

/* The reply borrows from the answer; members that the answer does not have are
 * zero. */
typedef struct tti_reply {
  tti_reply_verdict verdict;
  int64_t wait_us;                     /* 0: the server names no time */
  tti_slice enable_keys, disable_keys; /* JSON arrays; ptr NULL: none */
  const char *why;                     /* static, unless it was accepted */
  tti_slice said;                      /* by the server, for a person */
} tti_reply;

/* `answer` has a status. */
tti_reply tti_reply_of(const tti_http_answer *answer);

/* Calls `each` with every text in the JSON array. */
void tti_reply_keys(tti_slice array, void (*each)(void *context, tti_slice key),
                    void *context);

#endif
