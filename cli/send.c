#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/send_spool.h"
#include "cli/send_stdin.h"
#include "lib/json/scan.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  OPT_SERVER,
  OPT_SOURCE = OPT_SERVER + CLIENT_ROW_COUNT,
  OPT_ACTION,
  OPT_CHANNEL,
  OPT_LEVEL,
  OPT_AGENT_ID,
  OPT_DURATION_MS,
  OPT_DATA,
  OPT_STDIN,
  OPT_SPOOL,
  OPT_JSON
};

static const cli_option options[] = {
    CLIENT_ROWS,
    {"--source", 's', "NAME", "who says it; required but with --stdin"},
    {"--action", 'a', "NAME", "what happened"},
    {"--channel", 'c', "NAME", "category"},
    {"--level", 'l', "LEVEL", "debug, info, warn, error, fatal"},
    {"--agent-id", 0, "ID", "which agent of the source"},
    {"--duration-ms", 0, "N", "how long it took"},
    {"--data", 'd', "JSON", "data, a JSON object"},
    {"--stdin", 0, NULL, "read events: one, an array, or one a line"},
    {"--spool", 0, "DIR", "keep it there while the server is away"},
    {"--json", 0, NULL, "print the server's answer"},
    {0},
};

static int run(int argc, char **argv);

const cli_command cli_send = {
    .name = "send",
    .help = "send an event, or many from standard input",
    .run = run,
    .arguments = "[key=string …] [key:=json …]",
    .summary =
        "Sends one event, or with --stdin any number of them. With --stdin "
        "the\n"
        "options fill what an event leaves out. With --spool an event that "
        "the\n"
        "server does not take now goes with the next one that is sent with it.",
    .details =
        "What --spool keeps waits in that directory, in files of at most 64 "
        "MiB\n"
        "together.\n\n"
        "With --stdin a batch that meets no answer, 429 or 503 is tried again "
        "for\n"
        "a minute; nothing is stored twice.",
    .examples = "telltale send -s myapp -a deploy env=prod rows:=42",
    .options = options};

/* The event's own keys, in the order they are written. */
static const struct {
  int option;
  const char *key;
} members[] = {{OPT_SOURCE, "source"},
               {OPT_CHANNEL, "channel"},
               {OPT_ACTION, "action"},
               {OPT_LEVEL, "level"},
               {OPT_AGENT_ID, "agent_id"}};

typedef struct send_args {
  const char *values[OPT_JSON + 1];
  tti_buf data; /* members of data given as key=value, without braces */
} send_args;

static bool append_string(tti_buf *out, const char *text, size_t len) {
  json_t *string = json_stringn(text, len);
  char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
  if (quoted)
    tti_buf_append_text(out, quoted);
  free(quoted);
  json_decref(string);
  return quoted != NULL;
}

/* Whether it is JSON, which then goes out as it was typed. */
static bool is_json(const char *text, bool object) {
  tti_json_value value;
  return tti_json_check(tti_slice_of(text), &value, NULL) == TT_OK &&
         (!object || value.type == TTI_JSON_OBJECT);
}

static int take_member(void *context, const char *word) {
  send_args *args = context;
  const char *equals = strchr(word, '=');
  if (!equals || equals == word)
    return cli_usage_error(&cli_send, "%s is neither key=string nor key:=json",
                           word);
  bool raw = equals[-1] == ':';
  size_t key_len = (size_t)(equals - word) - raw;
  if (raw && !is_json(equals + 1, false))
    return cli_usage_error(&cli_send, "%s: what follows := is not JSON", word);
  if (args->data.len)
    tti_buf_append_char(&args->data, ',');
  if (!append_string(&args->data, word, key_len))
    return cli_usage_error(&cli_send, "%s: the key is not UTF-8", word);
  tti_buf_append_char(&args->data, ':');
  if (raw)
    tti_buf_append_text(&args->data, equals + 1);
  else if (!append_string(&args->data, equals + 1, strlen(equals + 1)))
    return cli_usage_error(&cli_send, "%s: the value is not UTF-8", word);
  return CLI_OK;
}

static int check(const send_args *args) {
  unsigned long long number;
  const char *source = args->values[OPT_SOURCE];
  const char *data = args->values[OPT_DATA];
  if (!args->values[OPT_STDIN] && (!source || !*source))
    return cli_usage_error(&cli_send, "--source is required");
  if (args->values[OPT_STDIN] && args->values[OPT_SPOOL])
    return cli_usage_error(&cli_send,
                           "--stdin and --spool cannot be given together");
  if (data && args->data.len)
    return cli_usage_error(&cli_send,
                           "--data and key=value cannot be given together");
  if (data && !is_json(data, true))
    return cli_usage_error(&cli_send, "--data is not a JSON object: %s", data);
  return cli_option_number(&cli_send, args->values, OPT_DURATION_MS, 0,
                           LLONG_MAX, &number);
}

/* The members that the options give, each preceded by a comma but the first;
 * no braces. */
static int render_members(const send_args *args, tti_buf *out) {
  for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
    const char *value = args->values[members[i].option];
    if (!value)
      continue;
    tti_buf_printf(out, "%s\"%s\":", out->len ? "," : "", members[i].key);
    if (!append_string(out, value, strlen(value)))
      return cli_usage_error(&cli_send, "%s is not UTF-8", members[i].key);
  }
  if (args->values[OPT_DURATION_MS])
    tti_buf_printf(out, "%s\"duration_ms\":%s", out->len ? "," : "",
                   args->values[OPT_DURATION_MS]);
  if (args->values[OPT_DATA])
    tti_buf_printf(out, "%s\"data\":%s", out->len ? "," : "",
                   args->values[OPT_DATA]);
  else if (args->data.len)
    tti_buf_printf(out, "%s\"data\":{%.*s}", out->len ? "," : "",
                   (int)args->data.len, args->data.data);
  return CLI_OK;
}

static int send_one(client *c, const tti_buf *event, bool json) {
  client_answer answer;
  client_answer_init(&answer);
  client_request request = {.method = "POST",
                            .path = "/events",
                            .content_type = "application/json",
                            .body = tti_buf_slice(event)};
  client_call(c, &request, &answer);
  int status = client_report("send", &answer);
  if (status == CLI_OK && json)
    printf("%.*s\n", (int)answer.body.len, answer.body.data);
  if (status == CLI_OK && !json) {
    json_t *body = json_loadb(answer.body.data, answer.body.len, 0, NULL);
    fprintf(stderr, "sent (seq %" JSON_INTEGER_FORMAT ")%s\n",
            json_integer_value(json_object_get(body, "seq")),
            json_is_true(json_object_get(body, "truncated"))
                ? "; data was too large and is gone"
                : "");
    json_decref(body);
  }
  client_answer_fini(&answer);
  return status;
}

static int send_or_keep(send_args *args, bool json) {
  const char *duration = args->values[OPT_DURATION_MS];
  client_options server = client_options_of(args->values + OPT_SERVER);
  tti_buf data;
  tti_buf_init(&data, 32 << 20);
  if (args->data.len)
    tti_buf_printf(&data, "{%.*s}", (int)args->data.len, args->data.data);
  else if (args->values[OPT_DATA])
    tti_buf_append_text(&data, args->values[OPT_DATA]);
  tt_event event = {.source = args->values[OPT_SOURCE],
                    .type = args->values[OPT_ACTION],
                    .category = args->values[OPT_CHANNEL],
                    .level_name = args->values[OPT_LEVEL],
                    .agent_id = args->values[OPT_AGENT_ID],
                    .has_duration = duration != NULL,
                    .duration_ms = duration ? strtoll(duration, NULL, 10) : 0,
                    .data = data.len ? data.data : NULL,
                    .data_len = data.len};
  int status = CLI_FAILED;
  if (data.error)
    fprintf(stderr, "telltale send: %s\n", tt_error_message(data.error));
  else
    status = send_spool(&server, args->values[OPT_SPOOL], &event, json);
  tti_buf_fini(&data);
  return status;
}

static int run(int argc, char **argv) {
  send_args args = {.values = {0}};
  tti_buf event;
  client *c = NULL;
  bool done;
  tti_buf_init(&args.data, 16 << 20);
  tti_buf_init(&event, 32 << 20);
  int status = cli_options_take(&cli_send, argc, argv, args.values, take_member,
                                &args, &done);
  if (status == CLI_OK && !done)
    status = check(&args);
  if (status == CLI_OK && !done)
    status = render_members(&args, &event);
  if (status || done)
    goto out;
  c = client_new_from(args.values + OPT_SERVER);
  if (!c) {
    status = CLI_USAGE;
    goto out;
  }
  if (args.values[OPT_SPOOL]) {
    status = send_or_keep(&args, args.values[OPT_JSON] != NULL);
    goto out;
  }
  if (args.values[OPT_STDIN]) {
    status = send_stdin(c, stdin, tti_buf_slice(&event),
                        args.values[OPT_JSON] != NULL);
    goto out;
  }
  tti_buf whole;
  tti_buf_init(&whole, 32 << 20);
  tti_buf_append_char(&whole, '{');
  tti_buf_append_slice(&whole, tti_buf_slice(&event));
  tti_buf_append_char(&whole, '}');
  status = whole.error ? CLI_FAILED
                       : send_one(c, &whole, args.values[OPT_JSON] != NULL);
  if (whole.error)
    fprintf(stderr, "telltale send: %s\n", tt_error_message(whole.error));
  tti_buf_fini(&whole);
out:
  client_free(c);
  tti_buf_fini(&event);
  tti_buf_fini(&args.data);
  return status;
}
