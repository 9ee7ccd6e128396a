#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

static void usage(FILE *out) {
  fprintf(out, "usage: telltale COMMAND [options]\n\ncommands:\n");
  for (const cli_command *c = cli_commands; c->name; c++)
    fprintf(out, "  %-10s %s\n", c->name, c->help);
  fprintf(out, "\n`telltale COMMAND --help` tells more.\n"
               "Exit status: 0 done, 1 failed or refused, 2 bad usage, "
               "3 no server answers.\n");
}

static const cli_command *find(const char *name) {
  for (const cli_command *c = cli_commands; c->name; c++)
    if (strcmp(c->name, name) == 0)
      return c;
  return NULL;
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
  const cli_command *command =
      find(strcmp(argv[1], "--version") == 0 ? "version" : argv[1]);
  if (!command) {
    fprintf(stderr,
            "telltale: unknown command \"%s\"; `telltale --help` lists "
            "them\n",
            argv[1]);
    return CLI_USAGE;
  }
  /* --version is asked for in passing: what follows does not matter. */
  if (argv[1][0] == '-')
    argc = 2;
  return command->run(argc - 1, argv + 1);
}
