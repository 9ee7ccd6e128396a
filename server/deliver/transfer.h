#ifndef DELIVER_TRANSFER_H
#define DELIVER_TRANSFER_H

#include "server/deliver/guard.h"
#include "server/deliver/schedule.h"
#include <curl/curl.h>
#include <telltale/error.h>

/* One POST to a webhook: no proxy, no redirects, no netrc, HSTS or alt-svc, and
 * no address that the guard holds back, be it of a new connection or of one
 * that is used again. On the thread of the multi handle. */

#define TRANSFER_CONNECT_MS 5000
#define TRANSFER_TOTAL_MS   15000

/* Of an answer's body so much is kept, so much is read, and the rest is cut
 * off; the answer counts all the same. */
#define TRANSFER_KEPT 1024
#define TRANSFER_READ (64 * 1024)

/* Made once, used for one request after another. */
typedef struct transfer {
  CURL *easy;
  const guard *guard; /* borrowed; what it says may change between requests */
  struct curl_slist *headers;
  bool encrypted; /* the request's URL is https */
  bool opened;    /* an address passed the guard */
  size_t read;    /* bytes of the answer's body */
  int64_t begun_us;
  char refusal[GUARD_PROBLEM_MAX];
  char error[CURL_ERROR_SIZE];
  char kept[TRANSFER_KEPT];
  void *owner; /* the caller's */
#ifdef TELLTALE_TESTING
  struct curl_slist *names; /* that the resolver is not asked for */
#endif
} transfer;

/* curl_global_init is the caller's. TT_ENOMEM. */
tt_error transfer_new(const guard *rules, const char *user_agent,
                      transfer **out_transfer);
void transfer_free(transfer *t);

/* Begins; the headers ("Name: value") are taken over, also on failure, the body
 * is borrowed until transfer_end. Afterwards curl_multi_info_read gives the
 * handle with the transfer as CURLOPT_PRIVATE. TT_EINVAL: no URL for it;
 * TT_ENOMEM. */
tt_error transfer_begin(transfer *t, CURLM *multi, const char *url,
                        struct curl_slist *headers, tti_slice body);

/* What came of it. The texts live until the transfer begins again. */
typedef struct transfer_outcome {
  schedule_answer answer;
  int64_t duration_us;
  tti_slice kept;    /* the answer's body, its first TRANSFER_KEPT bytes */
  const char *error; /* why there is no answer; NULL: there is one */
} transfer_outcome;

/* Takes it off the multi handle: its result is there, or not wanted any more.
 */
void transfer_end(transfer *t, CURLM *multi, CURLcode result,
                  transfer_outcome *out_outcome);

/* A multi handle that keeps connections for later requests. NULL: out of
 * memory. */
CURLM *transfer_multi_new(void);

#endif
