#ifndef API_CALL_H
#define API_CALL_H

#include "server/http/http.h"
#include "server/io/loop.h"
#include "server/store/store.h"

/* One request that needs the tables beside the log: from its loop to a thread
 * of the store and back. What a route keeps for it begins with this:
 *
 *   typedef struct creation { api_call call; webhook webhook; } creation;
 *
 *   creation *c = api_call_new(request, sizeof *c, answer);
 *   if (c) {
 *     c->call.job.run = insert;               (creation *)job->owner in there
 *     api_call_change(&c->call, store);
 *   }
 *
 * The memory is the request's, which lives until it is answered: nothing of it
 * may be used after the answer. */
typedef struct api_call {
  http_request *request;
  store_job job;   /* owner: the call */
  store_read read; /* likewise */
  /* What `run` of a read wrote, 16 MiB at most. Freed with the answer by
   * api_call_reply and api_call_refuse. */
  tti_buf body;
  /* On the loop, when the store is done: it answers, or calls the store once
   * more. What the store itself failed in was answered 503 before. */
  void (*answer)(struct api_call *call);
  /* Called instead, right before that 503; may be NULL. */
  void (*failed)(struct api_call *call);
  loop_task task;
  bool reads;
} api_call;

/* `size` bytes that begin with the call; the rest is zero. NULL: out of memory,
 * answered. */
void *api_call_new(http_request *request, size_t size,
                   void (*answer)(api_call *call));

/* Runs job.run as a change, see STORE_JOB_RUN. `answer` sees its verdict, which
 * is not STORE_RETRY. */
void api_call_change(api_call *call, store *s);

/* Runs read.run. `answer` sees in read.error what that returned. */
void api_call_read(api_call *call, store *s);

/* Answers with the body as JSON. */
void api_call_reply(api_call *call, int status);
/* The same as http_reply_error. */
void api_call_refuse(api_call *call, int status, const char *code,
                     const char *format, ...) TELLTALE_PRINTF(4, 5);

/* The request's Idempotency-Key, empty when it has none; the scope is its user,
 * the route and the name (may be empty). The hash of the body is left to be
 * set. False: answered, with 400 for a key that is none. */
bool api_key(http_request *request, const char *route, tti_slice name,
             store_key *out_key);

/* The same for job.key, hash and all: the change is made once, and a repeat has
 * STORE_REPLAYED with first_seq and count as `run` had set them, or
 * STORE_MISMATCH, for which api_call_mismatch answers 422. */
bool api_call_key(api_call *call, const char *route);
void api_call_mismatch(api_call *call);

#endif
