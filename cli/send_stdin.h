#ifndef CLI_SEND_STDIN_H
#define CLI_SEND_STDIN_H

#include "cli/client.h"

#include <stdio.h>

/* Sends the events that `in` holds (one, an array, or one after the other, of
 * any length in all) in batches. `defaults` are members ("key":value, comma
 * separated) that fill what an event leaves out. A batch that meets no answer
 * or a 429 or 503 is tried again for a minute under the same idempotency key,
 * so that nothing is stored twice. Answers the exit status; what went wrong,
 * and after how many events, is on standard error. */
int send_stdin(client *c, FILE *in, tti_slice defaults, bool json);

#endif
