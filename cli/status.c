#include "cli/client.h"
#include "cli/commands.h"
#include "cli/line.h"
#include "cli/options.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPT_SERVER, OPT_JSON = CLIENT_ROW_COUNT };

static const cli_option options[] = {
    CLIENT_ROWS,
    {"--json", 0, NULL, "print the server's answer"},
    {0},
};

static int run(int argc, char **argv);

const cli_command cli_status = {
    .name = "status",
    .help = "say how a server is",
    .run = run,
    .arguments = "",
    .summary = "Prints how a server is. Exit status 0: it is "
               "ready; 1: it is not, and the\n"
               "reason is printed; 3: nothing answers.",
    .examples =
        "telltale status --url https://telltale.example --token \"$TOKEN\"",
    .options = options};

/* One "name: value" a line; the members of an object get its name in front. */
static void print_member(const char *prefix, const char *key,
                         const json_t *value) {
  char name[128];
  snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix && *key ? "." : "",
           key);
  if (json_is_object(value)) {
    const char *inner;
    json_t *member;
    json_object_foreach((json_t *)value, inner, member)
        print_member(name, inner, member);
    return;
  }
  char *text = json_is_string(value)
                   ? NULL
                   : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
  printf("%-28s ", name);
  cli_text_print(stdout, tti_slice_of(text ? text : json_string_value(value)));
  putchar('\n');
  free(text);
}

static int print_status(const client_answer *answer, bool json) {
  json_t *body = json_loadb(answer->body.data ? answer->body.data : "",
                            answer->body.len, 0, NULL);
  if (!json_is_object(body)) {
    fprintf(stderr, "telltale status: the answer is not a Telltale's\n");
    json_decref(body);
    return CLI_FAILED;
  }
  if (json)
    printf("%.*s\n", (int)answer->body.len, answer->body.data);
  else
    print_member("", "", body);
  json_decref(body);
  return CLI_OK;
}

static int run(int argc, char **argv) {
  const char *values[OPT_JSON + 1] = {0};
  bool done;
  int status =
      cli_options_take(&cli_status, argc, argv, values, NULL, NULL, &done);
  if (status || done)
    return status;
  client *c = client_new_from(values + OPT_SERVER);
  if (!c)
    return CLI_USAGE;
  client_answer answer;
  client_answer_init(&answer);
  client_call(c, &(client_request){.path = "/api/v1/status"}, &answer);
  status = client_report("status", &answer);
  if (status == CLI_OK)
    status = print_status(&answer, values[OPT_JSON] != NULL);
  if (status == CLI_OK) {
    /* Readiness is a question of its own: a server can tell how it is while
     * its store cannot write. */
    client_call(c, &(client_request){.path = "/readyz"}, &answer);
    if (answer.status == 503) {
      json_t *body = json_loadb(answer.body.data ? answer.body.data : "",
                                answer.body.len, 0, NULL);
      const char *reason = json_string_value(json_object_get(body, "reason"));
      fputs("telltale status: not ready: ", stderr);
      cli_text_print(stderr, tti_slice_of(reason ? reason : "no reason given"));
      fputc('\n', stderr);
      json_decref(body);
    }
    status = answer.status == 200 ? CLI_OK : CLI_FAILED;
  }
  client_answer_fini(&answer);
  client_free(c);
  return status;
}
