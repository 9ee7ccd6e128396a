#include "cli/commands.h"
#include "cli/filters.h"
#include "cli/follow.h"
#include "cli/options.h"

#include <string.h>

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
    {"--view", 0, "VIEW", "relay or envelope, which is printed as JSON"},
    {"--json", 0, NULL, "one JSON object a line, as the server sends it"},
    {0},
};

const cli_usage cli_tail_usage = {
    "tail", "",
    "Prints events as they come, until it is interrupted. When the server "
    "goes\n"
    "away it waits and goes on where it was: nothing is missed, and what the\n"
    "server no longer has is said on standard error.",
    options};

typedef struct tail_args {
  const char *values[OPT_JSON + 1];
} tail_args;

static int take_option(void *context, int index, const char *value) {
  tail_args *args = context;
  unsigned long long number;
  if (index == -1)
    return cli_usage_error(&cli_tail_usage, "%s: no such argument", value);
  if ((index == OPT_AFTER || index == OPT_COUNT) &&
      !tti_slice_to_u64(tti_slice_of(value), &number))
    return cli_usage_error(&cli_tail_usage, "%s %s is not a number",
                           options[index].name, value);
  if (index == OPT_VIEW && strcmp(value, "relay") != 0 &&
      strcmp(value, "envelope") != 0)
    return cli_usage_error(&cli_tail_usage,
                           "--view takes relay or envelope, not %s", value);
  if (index == OPT_COUNT && number == 0)
    return cli_usage_error(&cli_tail_usage, "--count 0 would print nothing");
  args->values[index] = value ? value : "";
  return CLI_OK;
}

int cli_tail(int argc, char **argv) {
  tail_args args = {.values = {0}};
  unsigned long long count = 0;
  bool done;
  int status =
      cli_options_parse(&cli_tail_usage, argc, argv, take_option, &args, &done);
  if (status || done)
    return status;
  client *c = client_new_from(args.values + OPT_SERVER);
  if (!c)
    return CLI_USAGE;
  if (args.values[OPT_COUNT])
    tti_slice_to_u64(tti_slice_of(args.values[OPT_COUNT]), &count);
  tti_buf path;
  tti_buf_init(&path, 65536);
  const char *session = args.values[OPT_SESSION];
  const char *view = args.values[OPT_VIEW] ? args.values[OPT_VIEW] : "relay";
  tti_buf_append_text(&path, session ? "/telemetry/sessions/" : "/events");
  if (session)
    client_escape(&path, session);
  tti_buf_printf(&path, "/stream?view=%s", view);
  if (args.values[OPT_ALL])
    tti_buf_append_text(&path, "&replay=all");
  if (args.values[OPT_AFTER])
    tti_buf_printf(&path, "&after=%s", args.values[OPT_AFTER]);
  cli_filters_query(&path, args.values + OPT_FILTERS);
  tti_buf_append(&path, "", 1);
  status = CLI_USAGE;
  if (!path.error)
    status = cli_follow(c, &(follow_options){.command = "tail",
                                             .path = path.data,
                                             .json = args.values[OPT_JSON] ||
                                                     !strcmp(view, "envelope"),
                                             .count = count});
  tti_buf_fini(&path);
  client_free(c);
  return status;
}
