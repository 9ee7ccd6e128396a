#include "cli/commands.h"
#include "cli/filters.h"
#include "cli/follow.h"
#include "cli/options.h"

#include <limits.h>

enum {
  OPT_FILTERS = 0,
  OPT_SERVER = CLI_FILTER_COUNT,
  OPT_AFTER = OPT_SERVER + CLIENT_ROW_COUNT,
  OPT_ALL,
  OPT_COUNT,
  OPT_SESSION,
  OPT_VIEW,
  OPT_JSON
};

static const cli_option options[] = {
    CLI_FILTER_ROWS,
    CLIENT_ROWS,
    {"--after", 0, "SEQ", "begin behind this sequence number"},
    {"--all", 0, NULL, "begin with the oldest event kept"},
    {"--count", 'n', "N", "end after this many events"},
    {"--session", 0, "NAME", "only what was published to that session"},
    {"--view", 0, "relay|envelope", "how it is shown; envelope: as JSON"},
    {"--json", 0, NULL, "one JSON object a line, as the server sends it"},
    {0},
};

static int run(int argc, char **argv);

const cli_command cli_tail = {
    .name = "tail",
    .help = "print events as they come",
    .run = run,
    .arguments = "",
    .summary =
        "Prints events as they come, until it is interrupted. When the server "
        "goes\n"
        "away it waits and goes on where it was: nothing is missed, and what "
        "the\n"
        "server no longer has is said on standard error.",
    .examples = "telltale tail --level '>=warn'",
    .options = options};

static int run(int argc, char **argv) {
  const char *values[OPT_JSON + 1] = {0};
  unsigned long long count = 0, after = 0;
  bool done;
  int status =
      cli_options_take(&cli_tail, argc, argv, values, NULL, NULL, &done);
  if (status == CLI_OK && !done)
    status =
        cli_option_number(&cli_tail, values, OPT_COUNT, 1, ULLONG_MAX, &count);
  if (status == CLI_OK && !done)
    status =
        cli_option_number(&cli_tail, values, OPT_AFTER, 0, ULLONG_MAX, &after);
  if (status || done)
    return status;
  client *c = client_new_from(values + OPT_SERVER);
  if (!c)
    return CLI_USAGE;
  tti_buf path;
  tti_buf_init(&path, 65536);
  const char *session = values[OPT_SESSION];
  const char *view = values[OPT_VIEW] ? values[OPT_VIEW] : "relay";
  tti_buf_append_text(&path, session ? "/telemetry/sessions/" : "/events");
  if (session)
    client_escape(&path, session);
  tti_buf_printf(&path, "/stream?view=%s", view);
  if (values[OPT_ALL])
    tti_buf_append_text(&path, "&replay=all");
  if (values[OPT_AFTER])
    tti_buf_printf(&path, "&after=%llu", after);
  cli_filters_query(&path, values + OPT_FILTERS);
  tti_buf_append(&path, "", 1);
  status = CLI_USAGE;
  if (!path.error)
    status = cli_follow(c, &(follow_options){.command = "tail",
                                             .path = path.data,
                                             .json = values[OPT_JSON] ||
                                                     !strcmp(view, "envelope"),
                                             .count = count});
  tti_buf_fini(&path);
  client_free(c);
  return status;
}
