#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/table.h"

#include <stdio.h>
#include <string.h>

enum {
  OPT_DATA,
  OPT_SUBJECT,
  OPT_SOURCE,
  OPT_AGENT_ID,
  OPT_LABELS,
  OPT_ID,
  OPT_SERVER,
  OPT_JSON = OPT_SERVER + CLIENT_ROW_COUNT
};

static const cli_option options[] = {
    {"--data", 'd', "JSON", "what is sent; - reads it from standard input"},
    {"--subject", 0, "TEXT", "what it is about"},
    {"--source", 's', "NAME", "who says it"},
    {"--agent-id", 0, "ID", "which agent of the source"},
    {"--label", 0, "LIST", "labels, comma separated"},
    {"--id", 0, "ID", "evt_...; the same id is published once"},
    CLIENT_ROWS,
    {"--json", 0, NULL, "print the server's answer"},
    {0},
};

static int run(int argc, char **argv);

const cli_command cli_publish = {
    .name = "publish",
    .help = "publish an event to the webhooks that want it",
    .run = run,
    .arguments = "TYPE",
    .summary = "Publishes an event, which is kept and sent to every webhook "
               "that wants\n"
               "its type. Prints its id.",
    .examples = "telltale publish order.paid --data '{\"order\":7}'",
    .options = options};

static int read_data(const char *given, tti_buf *out) {
  if (given && strcmp(given, "-") == 0) {
    char *place;
    size_t len;
    while ((place = tti_buf_reserve(out, 65536)) != NULL &&
           (len = fread(place, 1, 65536, stdin)) > 0)
      out->len += len;
  } else if (given) {
    tti_buf_append_text(out, given);
  }
  tti_buf_append(out, "", 1);
  if (out->error)
    return cli_usage_error(&cli_publish, "--data is too long");
  if (given && !cli_is_json(out->data))
    return cli_usage_error(&cli_publish, "--data is not JSON");
  return CLI_OK;
}

static void put_event(const char *type, const char *const *values,
                      const char *data, tti_buf *body) {
  tti_buf_append_char(body, '{');
  cli_put_text(body, "type", type);
  cli_put_text(body, "id", values[OPT_ID]);
  cli_put_text(body, "source", values[OPT_SOURCE]);
  cli_put_text(body, "agent_id", values[OPT_AGENT_ID]);
  cli_put_text(body, "subject", values[OPT_SUBJECT]);
  cli_put_list(body, "labels", values[OPT_LABELS]);
  cli_put_json(body, "data", data);
  tti_buf_append_char(body, '}');
}

static int publish(client *c, tti_slice body, bool json) {
  client_answer answer;
  client_answer_init(&answer);
  client_call(c,
              &(client_request){.method = "POST",
                                .path = "/api/v1/events",
                                .content_type = "application/json",
                                .body = body},
              &answer);
  int status = client_report("publish", &answer);
  tti_slice id = cli_member(tti_buf_slice(&answer.body), "id");
  if (status == CLI_OK && !json)
    printf("%.*s\n", (int)id.len, id.ptr);
  else if (status == CLI_OK)
    printf("%.*s\n", (int)answer.body.len, answer.body.data);
  client_answer_fini(&answer);
  return status;
}

static int run(int argc, char **argv) {
  const char *values[OPT_JSON + 1] = {0};
  cli_words words = {.command = &cli_publish, .max = 1};
  tti_buf data, body;
  bool done;
  int status = cli_options_take(&cli_publish, argc, argv, values, cli_take_word,
                                &words, &done);
  if (status || done)
    return status;
  if (!words.word[0])
    return cli_usage_error(&cli_publish, "say the event's type");
  client *c = client_new_from(values + OPT_SERVER);
  if (!c)
    return CLI_USAGE;
  tti_buf_init(&data, 2 << 20);
  tti_buf_init(&body, 4 << 20);
  status = read_data(values[OPT_DATA], &data);
  if (status == CLI_OK) {
    put_event(words.word[0], values, values[OPT_DATA] ? data.data : NULL,
              &body);
    status = publish(c, tti_buf_slice(&body), values[OPT_JSON] != NULL);
  }
  tti_buf_fini(&data);
  tti_buf_fini(&body);
  client_free(c);
  return status;
}
