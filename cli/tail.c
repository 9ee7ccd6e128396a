#include "cli/commands.h"
#include "cli/filters.h"
#include "cli/line.h"
#include "cli/options.h"
#include "cli/sse.h"
#include "lib/base/random.h"

#include <jansson.h>
#include <signal.h>
#include <time.h>

enum {
  OPT_FILTERS = 0,
  OPT_URL = CLI_FILTER_COUNT,
  OPT_TOKEN,
  OPT_AFTER,
  OPT_ALL,
  OPT_COUNT,
  OPT_JSON
};

static const cli_option options[] = {
    CLI_FILTER_ROWS,
    {"--url", 0, "URL", "server (TELLTALE_URL; " CLIENT_DEFAULT_URL ")"},
    {"--token", 0, "TOKEN", "bearer token (TELLTALE_TOKEN)"},
    {"--after", 0, "SEQ", "begin behind this sequence number"},
    {"--all", 0, NULL, "begin with the oldest event kept"},
    {"--count", 'n', "N", "end after this many events"},
    {"--json", 0, NULL, "one JSON object a line, as the server sends it"},
    {0},
};

static const cli_usage usage = {
    "tail", "",
    "Prints events as they come, until it is interrupted. When the server "
    "goes\n"
    "away it waits and goes on where it was: nothing is missed, and what the\n"
    "server no longer has is said on standard error.",
    options};

typedef struct tail_args {
  const char *values[OPT_JSON + 1];
} tail_args;

typedef struct tail {
  sse_parser parser;
  bool json;
  bool colours;
  bool ended; /* the count was reached, or nobody reads our output */
  unsigned long long left;
  unsigned failures; /* in a row */
} tail;

static int take_option(void *context, int index, const char *value) {
  tail_args *args = context;
  unsigned long long number;
  if (index == -1)
    return cli_usage_error(&usage, "%s: no such argument", value);
  if ((index == OPT_AFTER || index == OPT_COUNT) &&
      !tti_slice_to_u64(tti_slice_of(value), &number))
    return cli_usage_error(&usage, "%s %s is not a number", options[index].name,
                           value);
  if (index == OPT_COUNT && number == 0)
    return cli_usage_error(&usage, "--count 0 would print nothing");
  args->values[index] = value ? value : "";
  return CLI_OK;
}

static void say_loss(const sse_event *event) {
  json_t *data = json_loadb(event->data.ptr, event->data.len, 0, NULL);
  const char *reason = json_string_value(json_object_get(data, "reason"));
  if (!strcmp(event->type, "dropped"))
    fprintf(stderr,
            "telltale tail: %" JSON_INTEGER_FORMAT
            " events are gone (seq %" JSON_INTEGER_FORMAT
            " to %" JSON_INTEGER_FORMAT ")%s%s\n",
            json_integer_value(json_object_get(data, "dropped")),
            json_integer_value(json_object_get(data, "from_seq")),
            json_integer_value(json_object_get(data, "to_seq")),
            reason ? ": " : "", reason ? reason : "");
  else if (!strcmp(event->type, "reset"))
    fprintf(stderr,
            "telltale tail: the server knows no event %" JSON_INTEGER_FORMAT
            "; going on from its last, %" JSON_INTEGER_FORMAT "\n",
            json_integer_value(json_object_get(data, "requested")),
            json_integer_value(json_object_get(data, "head")));
  json_decref(data);
}

static void take_event(void *context, const sse_event *event) {
  tail *t = context;
  if (t->ended)
    return;
  if (strcmp(event->type, "message")) {
    say_loss(event);
    return;
  }
  if (t->json)
    cli_json_print(stdout, event->data);
  else
    cli_line_print(stdout, event->data, t->colours);
  if (fflush(stdout) || (t->left && --t->left == 0))
    t->ended = true;
}

static bool take_bytes(void *context, const char *bytes, size_t len) {
  tail *t = context;
  t->failures = 0;
  return sse_parser_take(&t->parser, bytes, len) && !t->ended;
}

static void wait_before_reconnect(tail *t) {
  unsigned shift = t->failures < 4 ? t->failures : 4;
  uint64_t ms = t->parser.retry_ms ? (uint64_t)t->parser.retry_ms : 2000;
  ms = (ms << shift) / 4;
  ms += tti_random_below(ms / 4 + 1);
  struct timespec wait = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
  nanosleep(&wait, NULL);
}

static int follow(client *c, const char *path, tail *t) {
  bool reached = false;
  for (;;) {
    char why[320];
    const char *id = t->parser.id[0] ? t->parser.id : NULL;
    sse_parser_restart(&t->parser);
    int status = client_follow(c, path, id, take_bytes, t, why);
    if (t->ended)
      return CLI_OK;
    if (status >= 400 && status < 500 && status != 429) {
      /* The stream's bytes are the refusal, which the parser has passed over:
       * ask again as a plain request to read it. */
      client_answer answer;
      client_answer_init(&answer);
      client_call(c, &(client_request){.path = path}, &answer);
      int result = client_report("tail", &answer);
      client_answer_fini(&answer);
      return result ? result : CLI_FAILED;
    }
    if (status == 0 && !reached) {
      fprintf(stderr,
              "telltale tail: no answer from %s\n"
              "is the server running? start it with: telltale serve\n",
              why);
      return CLI_UNREACHABLE;
    }
    if (t->failures++ == 0)
      fprintf(stderr, "telltale tail: %s; reconnecting\n", why);
    reached = true;
    wait_before_reconnect(t);
  }
}

int cli_tail(int argc, char **argv) {
  tail_args args = {.values = {0}};
  unsigned long long count = 0;
  bool done;
  int status = cli_options_parse(&usage, argc, argv, take_option, &args, &done);
  if (status || done)
    return status;
  client *c = client_new(&(client_options){.url = args.values[OPT_URL],
                                           .token = args.values[OPT_TOKEN]});
  if (!c)
    return CLI_USAGE;
  if (args.values[OPT_COUNT])
    tti_slice_to_u64(tti_slice_of(args.values[OPT_COUNT]), &count);
  tail t = {.json = args.values[OPT_JSON] != NULL,
            .colours = cli_colours(stdout),
            .left = count};
  sse_parser_init(&t.parser, 16 << 20, take_event, &t);
  signal(SIGPIPE, SIG_IGN);
  tti_buf path;
  tti_buf_init(&path, 65536);
  tti_buf_append_text(&path, "/events/stream?view=relay");
  if (args.values[OPT_ALL])
    tti_buf_append_text(&path, "&replay=all");
  if (args.values[OPT_AFTER])
    tti_buf_printf(&path, "&after=%s", args.values[OPT_AFTER]);
  cli_filters_query(&path, args.values + OPT_FILTERS);
  tti_buf_append(&path, "", 1);
  status = path.error ? CLI_USAGE : follow(c, path.data, &t);
  tti_buf_fini(&path);
  sse_parser_fini(&t.parser);
  client_free(c);
  return status;
}
