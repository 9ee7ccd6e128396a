#include "cli/client.h"
#include "cli/commands.h"
#include "cli/line.h"
#include "cli/options.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { OPT_SERVER, OPT_JSON = CLIENT_ROW_COUNT };
enum { ASK_EVERY_MS = 100 };

static const cli_option options[] = {
    CLIENT_ROWS,
    {"--json", 0, NULL, "print the server's answer"},
    {0},
};

static int run(int argc, char **argv);

const cli_command cli_sinks = {
    .name = "sinks",
    .help = "show the storages that follow a server",
    .run = run,
    .arguments = "[list | requeue NAME]",
    .words = "list requeue",
    .summary = "Shows the storages that follow a server: how far each came, "
               "and what is\nwrong with it. requeue sends the dead letters of "
               "one again.",
    .examples = "telltale sinks requeue archive",
    .options = options};

typedef struct sinks_args {
  const char *values[OPT_JSON + 1];
  const char *verb;
  const char *name;
} sinks_args;

static int take_word(void *context, const char *value) {
  sinks_args *args = context;
  if (!args->verb)
    args->verb = value;
  else if (!args->name)
    args->name = value;
  else
    return cli_usage_error(&cli_sinks, "%s: no such argument", value);
  return CLI_OK;
}

static bool requeues(const sinks_args *args) {
  return args->verb && !strcmp(args->verb, "requeue");
}

static int check(const sinks_args *args) {
  if (args->verb && !requeues(args) && strcmp(args->verb, "list") != 0)
    return cli_usage_error(&cli_sinks, "%s is not list or requeue", args->verb);
  if (requeues(args) && !args->name)
    return cli_usage_error(&cli_sinks, "say which sink (see: list)");
  if (!requeues(args) && args->name)
    return cli_usage_error(&cli_sinks, "%s: no such argument", args->name);
  return CLI_OK;
}

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

static long long number_of(const json_t *object, const char *key) {
  return json_integer_value(json_object_get(object, key));
}

/* ---- List ---- */

static void print_sink(const json_t *sink) {
  const json_t *missed = json_object_get(sink, "missed");
  printf("%-20s %-6s %-8s %14lld %10lld %8lld  ", text_of(sink, "name"),
         text_of(sink, "type"), text_of(sink, "state"),
         number_of(sink, "position"), number_of(sink, "lag"),
         number_of(sink, "errors"));
  cli_text_print(stdout, tti_slice_of(text_of(sink, "last_error")));
  putchar('\n');
  if (missed)
    printf("  missed %lld, the last of them seq %lld to %lld, at %s\n",
           number_of(missed, "count"), number_of(missed, "from_seq"),
           number_of(missed, "to_seq"), text_of(missed, "at"));
  if (number_of(sink, "dead_letters"))
    printf("  dead letters %lld\n", number_of(sink, "dead_letters"));
}

static void print_list(const json_t *answer) {
  size_t index;
  json_t *sink;
  json_t *items = json_object_get(answer, "items");
  if (!json_array_size(items)) {
    fputs("no sinks; `sinks:` in the configuration makes them\n", stderr);
    return;
  }
  printf("%-20s %-6s %-8s %14s %10s %8s  %s\n", "NAME", "TYPE", "STATE",
         "POSITION", "LAG", "ERRORS", "LAST ERROR");
  json_array_foreach(items, index, sink) print_sink(sink);
}

/* The answer's JSON; NULL after a message, with the exit status. */
static json_t *ask(client *c, const client_request *request, int *out_status,
                   tti_buf *out_text) {
  client_answer answer;
  json_t *root = NULL;
  client_answer_init(&answer);
  client_call(c, request, &answer);
  *out_status = client_report("sinks", &answer);
  if (*out_status == CLI_OK) {
    root = json_loadb(answer.body.data ? answer.body.data : "", answer.body.len,
                      0, NULL);
    tti_buf_clear(out_text);
    tti_buf_append(out_text, answer.body.data, answer.body.len);
    if (!root) {
      fputs("telltale sinks: the answer is not a Telltale's\n", stderr);
      *out_status = CLI_FAILED;
    }
  }
  client_answer_fini(&answer);
  return root;
}

static int list(const sinks_args *args, client *c, tti_buf *text) {
  int status;
  json_t *answer =
      ask(c, &(client_request){.path = "/api/v1/sinks"}, &status, text);
  if (answer && args->values[OPT_JSON])
    printf("%.*s\n", (int)text->len, text->data);
  else if (answer)
    print_list(answer);
  json_decref(answer);
  return status;
}

/* ---- Requeue ---- */

static json_t *find(const json_t *answer, const char *name) {
  size_t index;
  json_t *sink;
  json_array_foreach(json_object_get(answer, "items"), index, sink) {
    if (!strcmp(text_of(sink, "name"), name))
      return sink;
  }
  return NULL;
}

static int report(const sinks_args *args, const json_t *requeue) {
  if (args->values[OPT_JSON]) {
    json_dumpf(requeue, stdout, JSON_COMPACT);
    putchar('\n');
  } else if (!strcmp(text_of(requeue, "state"), "done")) {
    printf("%s: %lld sent, %lld left\n", args->name, number_of(requeue, "sent"),
           number_of(requeue, "left"));
  }
  if (!strcmp(text_of(requeue, "state"), "done"))
    return CLI_OK;
  fputs("telltale sinks: what is left stays: ", stderr);
  cli_text_print(stderr, tti_slice_of(text_of(requeue, "message")));
  fputc('\n', stderr);
  return CLI_FAILED;
}

static int requeue(const sinks_args *args, client *c, tti_buf *text) {
  const struct timespec pause = {.tv_nsec = ASK_EVERY_MS * 1000000L};
  tti_buf path;
  int status;
  tti_buf_init(&path, 1 << 12);
  tti_buf_append_text(&path, "/api/v1/sinks/");
  client_escape(&path, args->name);
  tti_buf_append_text(&path, "/requeue");
  tti_buf_append(&path, "", 1);
  json_t *answer = ask(
      c, &(client_request){.method = "POST", .path = path.data}, &status, text);
  tti_buf_fini(&path);
  while (answer) {
    json_decref(answer);
    answer = ask(c, &(client_request){.path = "/api/v1/sinks"}, &status, text);
    json_t *state = json_object_get(find(answer, args->name), "requeue");
    if (answer && !state) {
      fprintf(stderr, "telltale sinks: the sink is gone; see: list\n");
      status = CLI_FAILED;
    } else if (answer && strcmp(text_of(state, "state"), "running") != 0) {
      status = report(args, state);
    } else {
      nanosleep(&pause, NULL);
      continue;
    }
    json_decref(answer);
    break;
  }
  return status;
}

static int run(int argc, char **argv) {
  sinks_args args = {.values = {0}};
  bool done;
  tti_buf text;
  int status = cli_options_take(&cli_sinks, argc, argv, args.values, take_word,
                                &args, &done);
  if (status || done || (status = check(&args)))
    return status;
  client *c = client_new_from(args.values + OPT_SERVER);
  if (!c)
    return CLI_USAGE;
  tti_buf_init(&text, 64 << 20);
  status = requeues(&args) ? requeue(&args, c, &text) : list(&args, c, &text);
  tti_buf_fini(&text);
  client_free(c);
  return status;
}
