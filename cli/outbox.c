#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/table.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
  OPT_TYPE, /* filters of the list, up to … */
  OPT_SUBJECT,
  OPT_SOURCE,
  OPT_AGENT_ID,
  OPT_STATUS,
  OPT_UNTIL,
  OPT_SINCE, /* … here */
  OPT_LIMIT,
  OPT_WEBHOOK,
  OPT_SERVER,
  OPT_JSON = OPT_SERVER + CLIENT_ROW_COUNT
};
enum { ASK_EVERY_MS = 100 };

static const cli_option options[] = {
    {"--type", 0, "TYPE", "only such events (list)"},
    {"--subject", 0, "TEXT", "likewise"},
    {"--source", 0, "NAME", "likewise"},
    {"--agent-id", 0, "ID", "likewise"},
    {"--status", 0, "pending|processed|no_match", "likewise"},
    {"--until", 0, "TIME", "published before (list)"},
    {"--since", 0, "TIME", "published then or later (list, redeliver)"},
    {"--limit", 0, "N", "how many at most (100)"},
    {"--webhook", 0, "ID", "only to this one (redeliver)"},
    CLIENT_ROWS,
    {"--json", 0, NULL, "print the server's answer"},
    {0},
};

static int run(int argc, char **argv);

const cli_command cli_outbox = {
    .name = "outbox",
    .help = "look at published events, send them again",
    .run = run,
    .arguments = "list | show ID | explain ID | redeliver [ID]",
    .words = "list show explain redeliver",
    .summary =
        "Published events, and what became of each. explain tells for every\n"
        "webhook why it got the event, or did not. redeliver sends one to the\n"
        "webhooks that it matched, or with --webhook to one of these; with\n"
        "--webhook and --since all that this webhook got since then.",
    .examples = "telltale outbox list --status no_match\n"
                "telltale outbox redeliver --webhook wh_1 --since "
                "2026-01-02T00:00:00Z",
    .options = options};

static const cli_column event_columns[] = {
    {"id", "ID", 36},          {"type", "TYPE", 20},
    {"status", "STATUS", 9},   {"created_at", "PUBLISHED", 27},
    {"subject", "SUBJECT", 0}, {0}};
static const cli_column explain_columns[] = {{"webhook_id", "WEBHOOK", 35},
                                             {"outcome", "OUTCOME", 13},
                                             {"reason", "REASON", 0},
                                             {0}};

typedef struct outbox_args {
  const char *values[OPT_JSON + 1];
  const char *verb;
  const char *id;
  tti_buf path;
} outbox_args;

static bool is(const outbox_args *args, const char *verb) {
  return strcmp(args->verb, verb) == 0;
}

static int check(const outbox_args *args) {
  const char *const *v = args->values;
  bool list = args->verb && is(args, "list");
  bool redelivers = args->verb && is(args, "redeliver");
  unsigned long long limit;
  if (!args->verb ||
      (!list && !redelivers && !is(args, "show") && !is(args, "explain")))
    return cli_usage_error(&cli_outbox, "say one of: %s", cli_outbox.words);
  if (list && args->id)
    return cli_usage_error(&cli_outbox, "%s: no such argument", args->id);
  if (redelivers && !args->id && (!v[OPT_SINCE] || !v[OPT_WEBHOOK]))
    return cli_usage_error(&cli_outbox, "say which event, or --webhook and "
                                        "--since");
  if (redelivers && args->id && v[OPT_SINCE])
    return cli_usage_error(&cli_outbox, "--since goes without an event");
  if (!list && !redelivers && !args->id)
    return cli_usage_error(&cli_outbox, "say which event (see: list)");
  return cli_option_number(&cli_outbox, v, OPT_LIMIT, 1, LLONG_MAX, &limit);
}

static int print_list(outbox_args *args, client *c, const cli_column *columns) {
  unsigned long long limit = 100;
  cli_option_number(&cli_outbox, args->values, OPT_LIMIT, 1, LLONG_MAX, &limit);
  tti_buf_append(&args->path, "", 1);
  if (args->path.error)
    return cli_usage_error(&cli_outbox, "that is too long");
  return cli_table_print(c, "outbox",
                         &(client_request){.path = args->path.data}, limit,
                         columns, args->values[OPT_JSON] != NULL);
}

static int list(outbox_args *args, client *c) {
  static const char *const names[] = {"type",   "subject", "source", "agent_id",
                                      "status", "until",   "since"};
  tti_buf_append_char(&args->path, '?');
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    if (!args->values[OPT_TYPE + i])
      continue;
    tti_buf_printf(&args->path, "&%s=", names[i]);
    client_escape(&args->path, args->values[OPT_TYPE + i]);
  }
  return print_list(args, c, event_columns);
}

static int call(outbox_args *args, client *c, const char *method,
                const tti_buf *body) {
  tti_buf_append(&args->path, "", 1);
  if (args->path.error)
    return cli_usage_error(&cli_outbox, "that is too long");
  return cli_call_and_print(
      c, "outbox",
      &(client_request){.method = method,
                        .path = args->path.data,
                        .content_type = body ? "application/json" : NULL,
                        .body = body ? tti_buf_slice(body) : (tti_slice){0}},
      args->values[OPT_JSON] != NULL);
}

static int redeliver_one(outbox_args *args, client *c) {
  tti_buf body;
  tti_buf_init(&body, 4096);
  tti_buf_append_text(&args->path, "/redeliver");
  tti_buf_append_char(&body, '{');
  cli_put_text(&body, "webhook_id", args->values[OPT_WEBHOOK]);
  tti_buf_append_char(&body, '}');
  int status = call(args, c, "POST", &body);
  tti_buf_fini(&body);
  return status;
}

/* Asks until it has ended. */
static int follow(client *c, const char *path, bool json) {
  const struct timespec pause = {.tv_nsec = ASK_EVERY_MS * 1000000L};
  client_answer answer;
  int status;
  client_answer_init(&answer);
  for (;;) {
    client_call(c, &(client_request){.path = path}, &answer);
    status = client_report("outbox", &answer);
    tti_slice state = cli_member(tti_buf_slice(&answer.body), "state");
    if (status || !tti_slice_eq(state, TTI_SLICE("running"))) {
      bool done = tti_slice_eq(state, TTI_SLICE("done"));
      if (status == CLI_OK)
        cli_answer_print(tti_buf_slice(&answer.body), json);
      client_answer_fini(&answer);
      return status ? status : done ? CLI_OK : CLI_FAILED;
    }
    nanosleep(&pause, NULL);
  }
}

static int redeliver_since(outbox_args *args, client *c) {
  client_answer answer;
  tti_buf body;
  tti_buf_init(&body, 4096);
  tti_buf_clear(&args->path);
  tti_buf_append_text(&args->path, "/api/v1/webhooks/");
  client_escape(&args->path, args->values[OPT_WEBHOOK]);
  tti_buf_append_text(&args->path, "/redeliver-since");
  tti_buf_append(&args->path, "", 1);
  tti_buf_append_char(&body, '{');
  cli_put_text(&body, "since", args->values[OPT_SINCE]);
  tti_buf_append_char(&body, '}');
  client_answer_init(&answer);
  client_call(c,
              &(client_request){.method = "POST",
                                .path = args->path.data,
                                .content_type = "application/json",
                                .body = tti_buf_slice(&body)},
              &answer);
  int status = client_report("outbox", &answer);
  client_answer_fini(&answer);
  tti_buf_fini(&body);
  return status ? status
                : follow(c, args->path.data, args->values[OPT_JSON] != NULL);
}

static int ask(outbox_args *args, client *c) {
  tti_buf_append_text(&args->path, "/api/v1/events");
  if (args->id) {
    tti_buf_append_char(&args->path, '/');
    client_escape(&args->path, args->id);
  }
  if (is(args, "list"))
    return list(args, c);
  if (is(args, "show"))
    return call(args, c, "GET", NULL);
  if (is(args, "redeliver"))
    return args->id ? redeliver_one(args, c) : redeliver_since(args, c);
  tti_buf_append_text(&args->path, "/explain?");
  return print_list(args, c, explain_columns);
}

static int run(int argc, char **argv) {
  outbox_args args = {.values = {0}};
  cli_words words = {.command = &cli_outbox, .max = 2};
  bool done;
  int status = cli_options_take(&cli_outbox, argc, argv, args.values,
                                cli_take_word, &words, &done);
  args.verb = words.word[0];
  args.id = words.word[1];
  if (status == CLI_OK && !done)
    status = check(&args);
  if (status || done)
    return status;
  client *c = client_new_from(args.values + OPT_SERVER);
  if (!c)
    return CLI_USAGE;
  tti_buf_init(&args.path, 1 << 16);
  status = ask(&args, c);
  tti_buf_fini(&args.path);
  client_free(c);
  return status;
}
