#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

static void usage(FILE *out) {
  fprintf(out, "usage: telltale COMMAND [options]\n\ncommands:\n");
  for (const cli_command *const *c = cli_commands; *c; c++)
    fprintf(out, "  %-10s %s\n", (*c)->name, (*c)->help);
  fprintf(out, "\n`telltale COMMAND --help` tells more.\n"
               "Exit status: 0 done, 1 failed or refused, 2 bad usage, "
               "3 no server answers.\n");
}

static int unknown(const char *name) {
  const char *near = cli_command_near(name);
  fprintf(stderr, "telltale: unknown command \"%s\"; ", name);
  if (near)
    fprintf(stderr, "did you mean %s? ", near);
  fprintf(stderr, "`telltale --help` lists them\n");
  return CLI_USAGE;
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
  /* --version is asked for in passing: what follows does not matter. */
  if (strcmp(argv[1], "--version") == 0)
    return cli_command_named("version")->run(1, argv);
  const cli_command *command = cli_command_named(argv[1]);
  if (!command)
    return unknown(argv[1]);
  if (command->serve_options && cli_wants_help(argc - 1, argv + 1)) {
    cli_help(command);
    return CLI_OK;
  }
  return command->run(argc - 1, argv + 1);
}
