#ifndef CLI_SEND_SPOOL_H
#define CLI_SEND_SPOOL_H

#include "cli/client.h"
#include <telltale/emitter.h>

/* Sends an event by an emitter with a spool in this directory, and with it what
 * is there already. Says what became of it; an exit status, CLI_OK also when
 * the event is in the spool. */
int send_spool(const client_options *options, const char *directory,
               const tt_event *event, bool json);

#endif
