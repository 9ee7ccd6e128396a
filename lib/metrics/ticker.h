#ifndef TTI_METRICS_TICKER_H
#define TTI_METRICS_TICKER_H

#include <stdbool.h>
#include <stdint.h>
#include <telltale/error.h>

/* A thread on which a backend sends what was counted, again and again. */
typedef struct tti_ticker tti_ticker;

typedef struct tti_ticker_options {
  int64_t first_ms; /* until the first call */
  /* Sends; how many milliseconds until it is called again. After the call with
   * `last` there is none. */
  int64_t (*tick)(void *context, bool last);
  /* Makes a call that is on its way return soon, for good; on the thread that
   * stops, when the last call takes too long. NULL: none ever does. */
  void (*hurry)(void *context);
  void *context;
} tti_ticker_options;

/* All signals are blocked in the thread. TT_ENOMEM. */
tt_error tti_ticker_start(const tti_ticker_options *options,
                          tti_ticker **out_ticker);

/* Calls a last time, waits at most a second for it and then hurries it;
 * frees the ticker. NULL is fine. False: this is a forked child. It has no such
 * thread, and what that used is the parent's: leave it as it is. */
bool tti_ticker_stop(tti_ticker *ticker);

#endif
