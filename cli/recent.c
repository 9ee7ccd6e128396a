#include "cli/commands.h"
#include "cli/filters.h"
#include "cli/line.h"
#include "cli/options.h"
#include "lib/json/scan.h"

enum {
  OPT_FILTERS = 0,
  OPT_SERVER = CLI_FILTER_COUNT,
  OPT_COUNT = OPT_SERVER + CLIENT_ROW_COUNT,
  OPT_JSON
};

static const cli_option options[] = {
    CLI_FILTER_ROWS,
    CLIENT_ROWS,
    {"--count", 'n', "N", "how many (100, at most 10,000)"},
    {"--json", 0, NULL, "one JSON object a line"},
    {0},
};

static int run(int argc, char **argv);

const cli_command cli_recent = {
    .name = "recent",
    .help = "print the last events",
    .run = run,
    .arguments = "",
    .summary = "Prints the last events, oldest first.",
    .examples = "telltale recent -n 20 --source myapp",
    .options = options};

static int print_events(const client_answer *answer, bool json) {
  bool colours = cli_colours(stdout);
  tti_json_scan scan;
  tti_json_value event;
  tti_json_scan_init(&scan, tti_buf_slice(&answer->body));
  scan.max_depth++; /* an event may be as deep as one that stands alone */
  if (tti_json_scan_open_array(&scan)) {
    while (tti_json_scan_item(&scan) && tti_json_scan_value(&scan, &event)) {
      if (json)
        cli_json_print(stdout, event.text);
      else
        cli_line_print(stdout, event.text, colours);
    }
  }
  if (tti_json_scan_failed(&scan)) {
    fprintf(stderr,
            "telltale recent: the answer is not a list of events: %s (at byte "
            "%zu)\n",
            scan.error.reason, scan.error.offset);
    return CLI_FAILED;
  }
  return CLI_OK;
}

static int run(int argc, char **argv) {
  const char *values[OPT_JSON + 1] = {0};
  unsigned long long count = 100;
  bool done;
  int status =
      cli_options_take(&cli_recent, argc, argv, values, NULL, NULL, &done);
  if (status == CLI_OK && !done)
    status =
        cli_option_number(&cli_recent, values, OPT_COUNT, 1, 10000, &count);
  if (status || done)
    return status;
  client *c = client_new_from(values + OPT_SERVER);
  if (!c)
    return CLI_USAGE;
  tti_buf path;
  tti_buf_init(&path, 65536);
  tti_buf_printf(&path, "/events/recent?n=%llu", count);
  cli_filters_query(&path, values + OPT_FILTERS);
  tti_buf_append(&path, "", 1);
  client_answer answer;
  client_answer_init(&answer);
  client_request request = {.path = path.error ? "/" : path.data};
  client_call(c, &request, &answer);
  status = client_report("recent", &answer);
  if (status == CLI_OK)
    status = print_events(&answer, values[OPT_JSON] != NULL);
  client_answer_fini(&answer);
  tti_buf_fini(&path);
  client_free(c);
  return status;
}
