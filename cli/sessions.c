#include "cli/client.h"
#include "cli/commands.h"
#include "cli/line.h"
#include "cli/options.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  OPT_ON,
  OPT_OFF,
  OPT_OTLP,
  OPT_SERVER,
  OPT_JSON = OPT_SERVER + CLIENT_ROW_COUNT
};

static const cli_option options[] = {
    {"--on", 0, "LIST", "capture these categories, comma separated"},
    {"--off", 0, "LIST", "do not capture these"},
    {"--otlp", 0, "on|off", "export to OTLP"},
    CLIENT_ROWS,
    {"--json", 0, NULL, "print the server's answer"},
    {0},
};

static int run(int argc, char **argv);

const cli_command cli_sessions = {
    .name = "sessions",
    .help = "show and change capture sessions",
    .run = run,
    .arguments = "list | show | start | update | stop [NAME]",
    .words = "list show start update stop",
    .summary = "Shows and changes capture sessions; the one without a name is "
               "default.\n"
               "start captures every category that --off does not name, update "
               "changes "
               "only\n"
               "what it is told, stop ends the session.",
    .examples = "telltale sessions start checkout --off network",
    .options = options};

typedef struct sessions_args {
  const char *values[OPT_JSON + 1];
  const char *verb;
  const char *name;
} sessions_args;

static bool is(const sessions_args *args, const char *verb) {
  return strcmp(args->verb, verb) == 0;
}

static int check(const sessions_args *args) {
  if (!args->verb)
    return cli_usage_error(&cli_sessions,
                           "say list, show, start, update or stop");
  bool changes = is(args, "start") || is(args, "update");
  if (!changes && !is(args, "list") && !is(args, "show") && !is(args, "stop"))
    return cli_usage_error(&cli_sessions,
                           "%s is not list, show, start, update or stop",
                           args->verb);
  if (is(args, "list") && args->name)
    return cli_usage_error(&cli_sessions, "%s: no such argument", args->name);
  for (int i = OPT_ON; i <= OPT_OTLP; i++)
    if (args->values[i] && !changes)
      return cli_usage_error(&cli_sessions, "%s goes with start or update",
                             options[i].name);
  return CLI_OK;
}

/* {"enabled": on} under each name of the list. */
static void add_switches(json_t *browser, const char *list, bool on) {
  char *copy = strdup(list ? list : ""), *rest = copy;
  for (char *word; copy && (word = strsep(&rest, ","));)
    if (*word)
      json_object_set_new(browser, word, json_pack("{s:b}", "enabled", on));
  free(copy);
}

static json_t *change_of(const sessions_args *args) {
  const char *otlp = args->values[OPT_OTLP];
  json_t *body = json_object(), *browser = json_object();
  add_switches(browser, args->values[OPT_ON], true);
  add_switches(browser, args->values[OPT_OFF], false);
  if (json_object_size(browser))
    json_object_set(body, "browser", browser);
  json_decref(browser);
  if (otlp)
    json_object_set_new(
        body, "export",
        json_pack("{s:{s:b}}", "otlp", "enabled", strcmp(otlp, "on") == 0));
  return body;
}

/* Everything off but system, of what the answer shows. */
static json_t *ending_of(tti_slice answer) {
  json_t *state = json_loadb(answer.ptr ? answer.ptr : "", answer.len, 0, NULL);
  json_t *shown = json_object_get(json_object_get(state, "config"), "browser");
  json_t *browser = json_object(), *value;
  const char *category;
  json_object_foreach(shown, category, value) {
    if (strcmp(category, "system") != 0)
      json_object_set_new(browser, category, json_pack("{s:b}", "enabled", 0));
  }
  json_decref(state);
  return json_pack("{s:o}", "browser", browser);
}

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "-";
}

static void print_session(const json_t *session, const char *name) {
  const char *category, *comma = "";
  json_t *config = json_object_get(session, "config"), *value;
  json_t *otlp = json_object_get(json_object_get(config, "export"), "otlp");
  printf("%-20s %-24s %-27s ", name, text_of(session, "session_id"),
         text_of(session, "applied_at"));
  json_object_foreach(json_object_get(config, "browser"), category, value) {
    if (!json_is_true(json_object_get(value, "enabled")))
      continue;
    fputs(comma, stdout);
    cli_text_print(stdout, tti_slice_of(category));
    comma = ",";
  }
  if (!*comma)
    putchar('-');
  puts(json_is_true(json_object_get(otlp, "enabled")) ? "  otlp" : "");
}

static void print_answer(const sessions_args *args, tti_slice text) {
  json_t *answer = json_loadb(text.ptr ? text.ptr : "", text.len, 0, NULL);
  json_t *session;
  size_t i;
  if (args->values[OPT_JSON])
    cli_json_print(stdout, text);
  else if (is(args, "list"))
    json_array_foreach(json_object_get(answer, "items"), i, session)
        print_session(session, text_of(session, "name"));
  else
    print_session(answer, args->name ? args->name : "default");
  json_decref(answer);
}

static void call(client *c, const char *method, const char *path, json_t *body,
                 client_answer *answer) {
  char *text = json_dumps(body, JSON_COMPACT);
  client_call(c,
              &(client_request){.method = method,
                                .path = path,
                                .content_type = "application/json",
                                .body = tti_slice_of(text ? text : "")},
              answer);
  free(text);
  json_decref(body);
}

static int ask(client *c, const sessions_args *args) {
  client_answer answer;
  tti_buf path;
  tti_buf_init(&path, 4096);
  tti_buf_append_text(&path, "/telemetry/sessions");
  if (!is(args, "list")) {
    tti_buf_append_char(&path, '/');
    client_escape(&path, args->name ? args->name : "default");
  }
  tti_buf_append(&path, "", 1);
  client_answer_init(&answer);
  int status = CLI_USAGE;
  if (path.error) {
    fprintf(stderr, "telltale sessions: the name is too long\n");
  } else if (is(args, "start") || is(args, "update")) {
    call(c, is(args, "start") ? "PUT" : "PATCH", path.data, change_of(args),
         &answer);
    status = client_report("sessions", &answer);
  } else {
    client_call(c, &(client_request){.path = path.data}, &answer);
    status = client_report("sessions", &answer);
    if (status == CLI_OK && is(args, "stop")) {
      json_t *ending = ending_of(tti_buf_slice(&answer.body));
      call(c, "PUT", path.data, ending, &answer);
      status = client_report("sessions", &answer);
    }
  }
  if (status == CLI_OK)
    print_answer(args, tti_buf_slice(&answer.body));
  client_answer_fini(&answer);
  tti_buf_fini(&path);
  return status;
}

static int run(int argc, char **argv) {
  sessions_args args = {.values = {0}};
  cli_words words = {.command = &cli_sessions, .max = 2};
  bool done;
  int status = cli_options_take(&cli_sessions, argc, argv, args.values,
                                cli_take_word, &words, &done);
  args.verb = words.word[0];
  args.name = words.word[1];
  if (status == CLI_OK && !done)
    status = check(&args);
  if (status || done)
    return status;
  client *c = client_new_from(args.values + OPT_SERVER);
  if (!c)
    return CLI_USAGE;
  status = ask(c, &args);
  client_free(c);
  return status;
}
