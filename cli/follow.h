#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include "cli/client.h"

typedef struct follow_options {
  const char *command; /* whose name the messages bear */
  const char *path;    /* "/events/stream?…" */
  bool json;
  bool reached; /* a server has answered before: wait for it from the start */
  unsigned long long count; /* end after so many events; 0: never */
} follow_options;

/* Prints a stream's events as they come. When the server goes away it waits and
 * goes on behind the last event that was printed; what the server no longer has
 * is said on standard error. Ends when the count is reached or nobody reads
 * standard output (CLI_OK), when the server refuses (CLI_FAILED), or when there
 * never was one (CLI_UNREACHABLE). Ignores SIGPIPE from then on. */
int cli_follow(client *c, const follow_options *options);

#endif
