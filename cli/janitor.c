#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/table.h"

enum { OPT_NOW, OPT_SERVER, OPT_JSON = OPT_SERVER + CLIENT_ROW_COUNT };

static const cli_option options[] = {
    {"--now", 0, NULL, "do it now"},
    CLIENT_ROWS,
    {"--json", 0, NULL, "print the server's answer"},
    {0},
};

static int run(int argc, char **argv);

const cli_command cli_janitor = {
    .name = "janitor",
    .help = "clear away what has had its time",
    .run = run,
    .arguments = "--now",
    .summary = "Removes published events and deliveries that are past their "
               "retention, and\n"
               "prints how many rows went. The server does it each hour by "
               "itself.",
    .examples = "telltale janitor --now",
    .options = options};

static int run(int argc, char **argv) {
  const char *values[OPT_JSON + 1] = {0};
  bool done;
  int status =
      cli_options_take(&cli_janitor, argc, argv, values, NULL, NULL, &done);
  if (status || done)
    return status;
  if (!values[OPT_NOW])
    return cli_usage_error(&cli_janitor, "say --now; the server does it each "
                                         "hour by itself");
  client *c = client_new_from(values + OPT_SERVER);
  if (!c)
    return CLI_USAGE;
  status = cli_call_and_print(
      c, "janitor",
      &(client_request){.method = "POST", .path = "/api/v1/janitor"},
      values[OPT_JSON] != NULL);
  client_free(c);
  return status;
}
