#include "cli/webhooks.h"

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/table.h"

#include <stdio.h>
#include <string.h>

static const cli_option options[] = {
    {"--events", 0, "LIST",
     "event types, such as order.*; default: * (create)"},
    {"--filters", 0, "JSON", "such as {\"sources\":[\"shop\"]}"},
    {"--headers", 0, "JSON", "sent with each request"},
    {"--description", 0, "TEXT", "what it is for"},
    {"--format", 0, "standard|e2a|slack|discord", "of what is sent"},
    {"--ordered", 0, "on|off", "one delivery at a time, in order"},
    {"--enabled", 0, "on|off", "switch it (update)"},
    {"--endpoint", 0, "URL", "where it goes (update)"},
    {"--event", 0, "TYPE", "of the test event (test)"},
    {"--data", 0, "JSON", "of the test event (test)"},
    {"--subject", 0, "TEXT", "of the event to try (match)"},
    {"--source", 0, "NAME", "likewise"},
    {"--channel", 0, "NAME", "likewise"},
    {"--agent-id", 0, "ID", "likewise"},
    {"--level", 0, "LEVEL", "likewise"},
    {"--labels", 0, "LIST", "likewise, comma separated"},
    {"--status", 0, "pending|delivered|failed", "only such deliveries"},
    {"--limit", 0, "N", "how many at most (100)"},
    {"--secret", 0, "SECRET", "whsec_... of the sender (verify)"},
    {"--id", 0, "TEXT", "the header webhook-id (verify)"},
    {"--timestamp", 0, "TEXT", "the header webhook-timestamp (verify)"},
    {"--signature", 0, "TEXT", "the header webhook-signature (verify)"},
    CLIENT_ROWS,
    {"--json", 0, NULL, "print the server's answer"},
    {0},
};

static int run(int argc, char **argv);

const cli_command cli_webhooks = {
    .name = "webhooks",
    .help = "make, change, test and watch webhooks",
    .run = run,
    .arguments =
        "list | create URL | show ID | update ID | delete ID | test ID |\n"
        "  rotate ID | deliveries ID [DELIVERY] | match TYPE | verify [FILE]",
    .words = "list create show update delete test rotate deliveries match "
             "verify",
    .summary =
        "Webhooks: URLs that published events are sent to. create shows the\n"
        "signing secret, once; rotate replaces it, and the old one signs too "
        "for\n"
        "24 hours. match tells which webhooks an event would go to, and what\n"
        "keeps it from the others. verify checks a request that was received, "
        "its\n"
        "body from FILE or standard input; no server is asked.",
    .examples =
        "telltale webhooks create https://shop.example/hook --events 'order.*'",
    .options = options};

static const cli_column webhook_columns[] = {{"id", "ID", 35},
                                             {"enabled", "ENABLED", 7},
                                             {"events", "EVENTS", 20},
                                             {"url", "URL", 0},
                                             {0}};
static const cli_column delivery_columns[] = {{"id", "ID", 36},
                                              {"event_type", "TYPE", 20},
                                              {"status", "STATUS", 9},
                                              {"attempts", "ATTEMPTS", 8},
                                              {"created_at", "CREATED", 27},
                                              {"last_error", "LAST ERROR", 0},
                                              {0}};
static const cli_column match_columns[] = {{"webhook_id", "ID", 35},
                                           {"matches", "MATCHES", 7},
                                           {"reason", "REASON", 0},
                                           {0}};

/* ---- Bodies ---- */

static void put_switch(tti_buf *body, const char *key, const char *value) {
  if (value)
    cli_put_json(body, key, strcmp(value, "on") == 0 ? "true" : "false");
}

static void put_webhook(const webhooks_args *args, tti_buf *body) {
  const char *const *v = args->values;
  cli_put_text(body, "url", v[WEBHOOKS_ENDPOINT]);
  cli_put_list(body, "events", v[WEBHOOKS_EVENTS]);
  cli_put_json(body, "filters", v[WEBHOOKS_FILTERS]);
  cli_put_json(body, "headers", v[WEBHOOKS_HEADERS]);
  cli_put_text(body, "description", v[WEBHOOKS_DESCRIPTION]);
  cli_put_text(body, "format", v[WEBHOOKS_FORMAT]);
  put_switch(body, "ordered", v[WEBHOOKS_ORDERED]);
  put_switch(body, "enabled", v[WEBHOOKS_ENABLED]);
}

/* ---- Verbs ---- */

typedef struct call {
  const webhooks_args *args;
  client *client;
  tti_buf path; /* "/api/v1/webhooks/ID", NUL-terminated after finish() */
  tti_buf body;
} call;

static bool json(const call *c) {
  return c->args->values[WEBHOOKS_JSON] != NULL;
}

static int ask(call *c, const char *method) {
  tti_buf_append(&c->path, "", 1);
  if (c->path.error || c->body.error)
    return cli_usage_error(&cli_webhooks, "that is too long");
  return cli_call_and_print(
      c->client, "webhooks",
      &(client_request){.method = method,
                        .path = c->path.data,
                        .content_type = c->body.len ? "application/json" : NULL,
                        .body = tti_buf_slice(&c->body)},
      json(c));
}

static int list(call *c, const char *method, const cli_column *columns) {
  unsigned long long limit = 100;
  cli_option_number(&cli_webhooks, c->args->values, WEBHOOKS_LIMIT, 1,
                    LLONG_MAX, &limit);
  tti_buf_append(&c->path, "", 1);
  return cli_table_print(c->client, "webhooks",
                         &(client_request){.method = method,
                                           .path = c->path.data,
                                           .content_type = "application/json",
                                           .body = tti_buf_slice(&c->body)},
                         limit, columns, json(c));
}

static int verb_list(call *c) {
  tti_buf_append_char(&c->path, '?');
  return list(c, "GET", webhook_columns);
}

static int verb_create(call *c) {
  webhooks_args args = *c->args;
  args.values[WEBHOOKS_ENDPOINT] = args.id;
  if (!args.values[WEBHOOKS_EVENTS])
    args.values[WEBHOOKS_EVENTS] = "*";
  tti_buf_append_char(&c->body, '{');
  put_webhook(&args, &c->body);
  tti_buf_append_char(&c->body, '}');
  return ask(c, "POST");
}

static int verb_show(call *c) {
  return ask(c, "GET");
}

static int verb_update(call *c) {
  tti_buf_append_char(&c->body, '{');
  put_webhook(c->args, &c->body);
  tti_buf_append_char(&c->body, '}');
  return ask(c, "PATCH");
}

static int verb_delete(call *c) {
  int status = ask(c, "DELETE");
  if (status == CLI_OK)
    fprintf(stderr, "deleted %s\n", c->args->id);
  return status;
}

static int verb_test(call *c) {
  tti_buf_append_text(&c->path, "/test");
  tti_buf_append_char(&c->body, '{');
  cli_put_text(&c->body, "event", c->args->values[WEBHOOKS_EVENT]);
  cli_put_json(&c->body, "data", c->args->values[WEBHOOKS_DATA]);
  tti_buf_append_char(&c->body, '}');
  return ask(c, "POST");
}

static int verb_rotate(call *c) {
  tti_buf_append_text(&c->path, "/rotate-secret");
  return ask(c, "POST");
}

static int verb_deliveries(call *c) {
  const char *delivery = c->args->third;
  tti_buf_append_text(&c->path, "/deliveries");
  if (delivery) {
    tti_buf_append_char(&c->path, '/');
    client_escape(&c->path, delivery);
    return ask(c, "GET");
  }
  tti_buf_append_char(&c->path, '?');
  if (c->args->values[WEBHOOKS_STATUS])
    tti_buf_printf(&c->path, "status=%s", c->args->values[WEBHOOKS_STATUS]);
  return list(c, "GET", delivery_columns);
}

static int verb_match(call *c) {
  static const char *const keys[] = {"subject", "source", "channel", "agent_id",
                                     "level"};
  const char *const *v = c->args->values;
  tti_buf_clear(&c->path);
  tti_buf_append_text(&c->path, "/api/v1/webhooks/match?");
  tti_buf_append_char(&c->body, '{');
  cli_put_text(&c->body, "type", c->args->id);
  for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
    cli_put_text(&c->body, keys[i], v[WEBHOOKS_SUBJECT + i]);
  cli_put_list(&c->body, "labels", v[WEBHOOKS_LABELS]);
  tti_buf_append_char(&c->body, '}');
  return list(c, "POST", match_columns);
}

/* ---- The command ---- */

static const struct verb {
  const char *name;
  int (*run)(call *c);  /* NULL: asks no server */
  const char *argument; /* what it needs; NULL: nothing */
  bool more;            /* takes one more */
} verbs[] = {{"list", verb_list, NULL, false},
             {"create", verb_create, "the URL", false},
             {"show", verb_show, "which webhook", false},
             {"update", verb_update, "which webhook", false},
             {"delete", verb_delete, "which webhook", false},
             {"test", verb_test, "which webhook", false},
             {"rotate", verb_rotate, "which webhook", false},
             {"deliveries", verb_deliveries, "which webhook", true},
             {"match", verb_match, "the event's type", false},
             {"verify", NULL, NULL, false}};

static int check(const webhooks_args *args, const struct verb *verb) {
  static const int texts[] = {WEBHOOKS_FILTERS, WEBHOOKS_HEADERS,
                              WEBHOOKS_DATA};
  unsigned long long limit;
  if (verb->argument && !args->id)
    return cli_usage_error(&cli_webhooks, "say %s", verb->argument);
  if (args->third && !verb->more)
    return cli_usage_error(&cli_webhooks, "%s: no such argument", args->third);
  if (verb->run == verb_list && args->id)
    return cli_usage_error(&cli_webhooks, "%s: no such argument", args->id);
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
    if (!cli_is_json(args->values[texts[i]]))
      return cli_usage_error(&cli_webhooks, "%s is not JSON: %s",
                             options[texts[i]].name, args->values[texts[i]]);
  return cli_option_number(&cli_webhooks, args->values, WEBHOOKS_LIMIT, 1,
                           LLONG_MAX, &limit);
}

static int run_verb(const webhooks_args *args, const struct verb *verb) {
  call c = {.args = args,
            .client = client_new_from(args->values + WEBHOOKS_SERVER)};
  if (!c.client)
    return CLI_USAGE;
  tti_buf_init(&c.path, 1 << 16);
  tti_buf_init(&c.body, 1 << 20);
  tti_buf_append_text(&c.path, "/api/v1/webhooks");
  if (args->id && verb->run != verb_create) {
    tti_buf_append_char(&c.path, '/');
    client_escape(&c.path, args->id);
  }
  int status = verb->run(&c);
  tti_buf_fini(&c.path);
  tti_buf_fini(&c.body);
  client_free(c.client);
  return status;
}

static int run(int argc, char **argv) {
  webhooks_args args = {.values = {0}};
  cli_words words = {.command = &cli_webhooks, .max = 3};
  const struct verb *verb = NULL;
  bool done;
  int status = cli_options_take(&cli_webhooks, argc, argv, args.values,
                                cli_take_word, &words, &done);
  if (status || done)
    return status;
  for (size_t i = 0; words.word[0] && i < sizeof(verbs) / sizeof(verbs[0]); i++)
    if (!strcmp(verbs[i].name, words.word[0]))
      verb = &verbs[i];
  args.id = words.word[1];
  args.third = words.word[2];
  if (!verb)
    return cli_usage_error(&cli_webhooks, "say one of: %s", cli_webhooks.words);
  status = check(&args, verb);
  if (status)
    return status;
  return verb->run ? run_verb(&args, verb) : webhooks_verify(&args);
}
