#ifndef RELAY_INTAKE_H
#define RELAY_INTAKE_H

#include "server/relay/relay.h"

/* The one way of events into the log: a POST is parsed, handed to the bus and
 * answered once it is as durable as promised; Idempotency-Keys and the ledger
 * are the same for all. What differs is a row of these. */

/* What a capture session does with the event of one request; it belongs wholly
 * to the session as it was when the request came. */
typedef struct relay_capture {
  tti_capture capture;
  char session_id[TTI_FILTER_SESSION_MAX + 1]; /* what the capture stamps */
  tti_slice name; /* of the session, for the keys; lives as long as the request
                   */
} relay_capture;

/* What became of a captured event. */
typedef struct relay_captured {
  uint64_t seq;      /* 0: it is not captured, nothing was stored */
  unsigned category; /* its place in the vocabulary */
  bool replayed;     /* the key came before: seq is that of the first */
  tti_slice event;   /* `,"event":{…}}`: the envelope behind its seq */
} relay_captured;

typedef struct relay_intake {
  const char *route; /* whose Idempotency-Keys they are */
  const char *item;  /* what messages call one: "event" */
  const char *code;  /* of a 400 */
  bool is_batch;
  bool is_log;
  tt_error (*parse)(tti_slice text, const tti_parse_options *options,
                    tti_batch *batch, tti_parse_error *out_error);
  /* Both or neither. `begin` is called on the loop before anything is parsed;
   * false: it has answered. `answer` answers, at once or later, on the loop. */
  bool (*begin)(http_request *request, void *context, relay_capture *out);
  void (*answer)(http_request *request, void *context,
                 const relay_captured *captured);
} relay_intake;

/* Serves a POST. `context` is for the functions of the intake, which is static.
 */
void relay_take(relay *r, http_request *request, const relay_intake *intake,
                void *context);

#endif
