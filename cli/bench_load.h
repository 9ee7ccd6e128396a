#ifndef CLI_BENCH_LOAD_H
#define CLI_BENCH_LOAD_H

#include "cli/client.h"
#include "server/history/tally.h"

typedef struct bench_options {
  unsigned long long connections, pipeline, batch, event_bytes, subscribers;
  unsigned long long rate;  /* events a second; 0: as fast as answers come */
  unsigned long long count; /* events; 0: no end */
  uint64_t duration_ms;     /* 0: no end */
} bench_options;

/* Times in microseconds. */
typedef struct bench_times {
  sketch sketch;
  uint64_t sum_us, max_us;
} bench_times;

#define BENCH_STATUS_MAX 600

typedef struct bench_result {
  uint64_t status[BENCH_STATUS_MAX]; /* answers */
  uint64_t requests;                 /* sent */
  uint64_t unanswered;               /* of them: the connection was cut */
  uint64_t unsent; /* events that were due at the end, with a rate */
  uint64_t refused_connections;
  uint64_t events; /* in requests that were answered with a 2xx */
  uint64_t delivered, streams_ended; /* of the subscribers */
  int64_t elapsed_us;                /* from the first request to the last one's
                                        answer */
  bench_times answers;               /* of requests with a 2xx */
  bench_times delivery;              /* from POST to subscriber */
  /* The first answer that was no 2xx; status 0: there was none, or no
   * connection could be made, and error says why. */
  client_answer failure;
} bench_result;

/* Called each second, with what came in that second. */
typedef void (*bench_progress)(void *context, int64_t elapsed_us,
                               const bench_result *so_far, uint64_t events,
                               const bench_times *answers);

void bench_times_add(bench_times *times, int64_t us);

/* Posts events until the count or the duration is reached, an interrupt comes,
 * a token is refused or the server stays away; then waits for what is under
 * way. False: there was no server to begin with, or no memory;
 * out_result->failure says why. `progress` may be NULL. The result is the
 * caller's, who frees its failure. */
bool bench_run(client *c, const bench_options *options, bench_progress progress,
               void *context, bench_result *out_result);

#endif
