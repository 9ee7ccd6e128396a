#ifndef TTI_EMIT_HTTP_VERDICT_H
#define TTI_EMIT_HTTP_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

/* What an answer means for the events of its request. */
typedef enum tti_verdict {
  TTI_VERDICT_SENT,
  TTI_VERDICT_RETRY,    /* the same again, later */
  TTI_VERDICT_SMALLER,  /* too large as a whole: in parts */
  TTI_VERDICT_SPLIT,    /* one of them is bad: find it, keep the others */
  TTI_VERDICT_SINGLE,   /* the server has no batch route */
  TTI_VERDICT_IDENTITY, /* the same again, not compressed */
  TTI_VERDICT_TOO_LARGE,
  TTI_VERDICT_REJECTED
} tti_verdict;

/* Of a request with so many events, to the batch route or the other one. */
tti_verdict tti_verdict_of(int status, size_t events, bool batch, bool gzip);

#endif
