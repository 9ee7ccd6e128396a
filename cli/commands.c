#include "cli/commands.h"

#include "server/serve.h"

#include <stdio.h>
#include <string.h>

static int version(int argc, char **argv);

static const cli_command cli_serve = {
    .name = "serve",
    .help = "collect, keep, stream and show events",
    .run = serve_main,
    .arguments = "",
    .summary =
        "Collects events over HTTP, keeps them, and shows them to whoever\n"
        "listens. Each option is also an environment variable (--max-body:\n"
        "TELLTALE_MAX_BODY) and a key of the configuration file; a flag wins "
        "over\n"
        "the environment, the environment over the file. "
        "TELLTALE_TOKEN_INGEST,\n"
        "_READ and _ADMIN (or ..._FILE) define tokens.",
    .details =
        "With no option it listens on 127.0.0.1:6060 and keeps its state in "
        "an\n"
        "SQLite file. When it is ready it says so on one line of standard "
        "output;\n"
        "its log goes to standard error.\n\n"
        "On SIGHUP it reads its configuration and its certificate again, and\n"
        "puts the settings that are marked so in force; a configuration with "
        "a\n"
        "mistake changes nothing. SIGTERM and SIGINT end it in order.",
    .examples = "telltale serve --store sqlite:/var/lib/telltale/telltale.db "
                "--retain 30d",
    .options = cli_no_options,
    .serve_options = true};

static const cli_command cli_version = {.name = "version",
                                        .help = "print the version",
                                        .run = version,
                                        .arguments = "",
                                        .summary = "Prints the version.",
                                        .examples = "telltale version",
                                        .options = cli_no_options};

const cli_command *const cli_commands[] = {
    &cli_serve,    &cli_send,  &cli_tail,    &cli_recent, &cli_events,
    &cli_sessions, &cli_sinks, &cli_publish, &cli_outbox, &cli_webhooks,
    &cli_janitor,  &cli_fleet, &cli_status,  &cli_token,  &cli_listen,
    &cli_backup,   &cli_bench, &cli_config,  &cli_man,    &cli_completion,
    &cli_version,  NULL};

static int version(int argc, char **argv) {
  bool done;
  int status =
      cli_options_take(&cli_version, argc, argv, NULL, NULL, NULL, &done);
  if (status == CLI_OK && !done)
    puts("telltale " TELLTALE_VERSION);
  return status;
}

const cli_command *cli_command_named(const char *name) {
  for (const cli_command *const *c = cli_commands; *c; c++)
    if (!strcmp((*c)->name, name))
      return *c;
  return NULL;
}

const char *cli_command_near(const char *name) {
  tti_nearest near = tti_nearest_to(tti_slice_of(name));
  for (const cli_command *const *c = cli_commands; *c; c++)
    tti_nearest_try(&near, tti_slice_of((*c)->name));
  return near.name.ptr;
}
