#include "cli/commands.h"
#include "cli/options.h"
#include "server/serve.h"

#include <stdio.h>
#include <string.h>

/* The commands of `telltale`, and their exit statuses: cli/options.h. A command
 * gets its own name as argv[0]. */
typedef struct command {
  const char *name;
  const char *help;
  int (*run)(int argc, char **argv);
} command;

static int version_main(int argc, char **argv) {
  if (argc > 1) {
    fprintf(stderr, "telltale: version takes no argument, got \"%s\"\n",
            argv[1]);
    return CLI_USAGE;
  }
  puts("telltale " TELLTALE_VERSION);
  return CLI_OK;
}

static const command commands[] = {
    {"serve", "collect, keep, stream and show events", serve_main},
    {"send", "send an event, or many from standard input", cli_send},
    {"tail", "print events as they come", cli_tail},
    {"recent", "print the last events", cli_recent},
    {"events", "search and print the events that are kept", cli_events},
    {"status", "say how a server is", cli_status},
    {"token", "make, list and revoke tokens", cli_token},
    {"config", "check a configuration and print it", cli_config},
    {"version", "print the version", version_main},
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static void usage(FILE *out) {
  fprintf(out, "usage: telltale COMMAND [options]\n\ncommands:\n");
  for (size_t i = 0; i < COMMAND_COUNT; i++)
    fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
  fprintf(out, "\n`telltale COMMAND --help` tells more.\n"
               "Exit status: 0 done, 1 failed or refused, 2 bad usage, "
               "3 no server answers.\n");
}

int main(int argc, char **argv) {
  if (argc < 2) {
    usage(stderr);
    return CLI_USAGE;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
      strcmp(argv[1], "help") == 0) {
    usage(stdout);
    return CLI_OK;
  }
  if (strcmp(argv[1], "--version") == 0)
    return version_main(1, argv);
  for (size_t i = 0; i < COMMAND_COUNT; i++)
    if (strcmp(argv[1], commands[i].name) == 0)
      return commands[i].run(argc - 1, argv + 1);
  fprintf(stderr,
          "telltale: unknown command \"%s\"; `telltale --help` lists "
          "them\n",
          argv[1]);
  return CLI_USAGE;
}
