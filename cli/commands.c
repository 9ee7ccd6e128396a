#include "cli/commands.h"
#include "server/serve.h"

#include <stdio.h>

static int version_main(int argc, char **argv) {
  if (argc > 1) {
    fprintf(stderr, "telltale: version takes no argument, got \"%s\"\n",
            argv[1]);
    return CLI_USAGE;
  }
  puts("telltale " TELLTALE_VERSION);
  return CLI_OK;
}

const cli_command cli_commands[] = {
    {.name = "serve",
     .help = "collect, keep, stream and show events",
     .run = serve_main,
     .serve_options = true},
    {.name = "send",
     .help = "send an event, or many from standard input",
     .run = cli_send,
     .usage = &cli_send_usage},
    {.name = "tail",
     .help = "print events as they come",
     .run = cli_tail,
     .usage = &cli_tail_usage},
    {.name = "recent",
     .help = "print the last events",
     .run = cli_recent,
     .usage = &cli_recent_usage},
    {.name = "events",
     .help = "search and print the events that are kept",
     .run = cli_events,
     .usage = &cli_events_usage},
    {.name = "sessions",
     .help = "show and change capture sessions",
     .run = cli_sessions,
     .usage = &cli_sessions_usage,
     .words = "list show start update stop"},
    {.name = "status",
     .help = "say how a server is",
     .run = cli_status,
     .usage = &cli_status_usage},
    {.name = "token",
     .help = "make, list and revoke tokens",
     .run = cli_token,
     .usage = &cli_token_usage,
     .words = "create list revoke"},
    {.name = "backup",
     .help = "copy the store to a file",
     .run = cli_backup,
     .usage = &cli_backup_usage},
    {.name = "bench",
     .help = "load a server and measure it",
     .run = cli_bench,
     .usage = &cli_bench_usage},
    {.name = "config",
     .help = "check a configuration and print it",
     .run = cli_config,
     .serve_options = true,
     .words = "check"},
    {.name = "completion",
     .help = "print a shell's completion script",
     .run = cli_completion,
     .usage = &cli_completion_usage,
     .words = "bash zsh"},
    {.name = "version", .help = "print the version", .run = version_main},
    {0},
};
