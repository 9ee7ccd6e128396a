#include "lib/emit/http/verdict.h"

tti_verdict tti_verdict_of(int status, size_t events, bool batch, bool gzip) {
  if (status >= 200 && status < 300)
    return TTI_VERDICT_SENT;
  if (status >= 500)
    return TTI_VERDICT_RETRY;
  switch (status) {
  case 408: /* Request Timeout */
  case 409: /* this key is still being worked on (draft Idempotency-Key) */
  case 425: /* Too Early */
  case 429: /* Too Many Requests */
    return TTI_VERDICT_RETRY;
  case 404:
  case 405:
    return batch ? TTI_VERDICT_SINGLE : TTI_VERDICT_REJECTED;
  case 413:
    return events > 1 ? TTI_VERDICT_SMALLER : TTI_VERDICT_TOO_LARGE;
  case 415:
    return gzip ? TTI_VERDICT_IDENTITY : TTI_VERDICT_REJECTED;
  case 400:
  case 422: /* a batch is refused whole for one bad event */
    return events > 1 ? TTI_VERDICT_SPLIT : TTI_VERDICT_REJECTED;
  default:
    return TTI_VERDICT_REJECTED;
  }
}
