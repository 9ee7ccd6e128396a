#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

extern const cli_command cli_backup, cli_bench, cli_completion, cli_config,
    cli_events, cli_fleet, cli_listen, cli_man, cli_recent, cli_send,
    cli_sessions, cli_sinks, cli_status, cli_tail, cli_token, cli_publish,
    cli_outbox, cli_webhooks, cli_janitor;

/* All of them, in the order of --help; ends with NULL. */
extern const cli_command *const cli_commands[];

/* NULL: no such command. */
const cli_command *cli_command_named(const char *name);
/* ... and the one that may have been meant; NULL: none. */
const char *cli_command_near(const char *name);

#endif
