#include "cli/client.h"
#include "cli/commands.h"
#include "cli/here.h"
#include "cli/line.h"
#include "cli/options.h"
#include "server/auth/auth.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  OPT_SCOPE,
  OPT_NAME,
  OPT_STORE,
  OPT_CONFIG,
  OPT_SERVER,
  OPT_JSON = OPT_SERVER + CLIENT_ROW_COUNT
};

static const cli_option options[] = {
    {"--scope", 0, "LIST", "ingest, read, admin; comma separated (create)"},
    {"--name", 0, "NAME", "what it is for (create)"},
    {"--store", 0, "STORE", "whose tokens; default: as for serve"},
    {"--config", 0, "FILE", "the server's configuration file"},
    {"--url", 0, "URL", "ask this server instead of the store here"},
    {"--token", 0, "TOKEN", "an admin token, with --url"},
    CLIENT_TLS_ROWS,
    {"--json", 0, NULL, "print JSON"},
    {0},
};

static int run(int argc, char **argv);

const cli_command cli_token = {
    .name = "token",
    .help = "make, list and revoke tokens",
    .run = run,
    .arguments = "create --scope LIST | list | revoke ID",
    .summary = "Makes, lists and revokes tokens, with the "
               "server running or not. A token's\n"
               "text is shown once, when it is made.",
    .examples = "telltale token create --scope ingest --name shop",
    .words = "create list revoke",
    .options = options};

typedef struct token_args {
  const char *values[OPT_JSON + 1];
  const char *verb;
  const char *id;
} token_args;

static int check(const token_args *args) {
  const char *scope = args->values[OPT_SCOPE];
  if (!args->verb)
    return cli_usage_error(&cli_token, "say create, list or revoke");
  bool create = !strcmp(args->verb, "create");
  bool revoke = !strcmp(args->verb, "revoke");
  if (!create && !revoke && strcmp(args->verb, "list"))
    return cli_usage_error(&cli_token, "%s is not create, list or revoke",
                           args->verb);
  if (create && (!scope || !auth_scopes_parse(tti_slice_of(scope))))
    return cli_usage_error(&cli_token,
                           "--scope takes ingest, read and admin, not '%s'",
                           scope ? scope : "");
  if (revoke && !args->id)
    return cli_usage_error(&cli_token, "say which id to revoke (see: list)");
  if (!revoke && args->id)
    return cli_usage_error(&cli_token, "%s: no such argument", args->id);
  return CLI_OK;
}

static void print_token(const json_t *token) {
  const char *text = json_string_value(json_object_get(token, "token"));
  char scopes[64] = "";
  size_t index;
  json_t *scope;
  json_array_foreach(json_object_get(token, "scopes"), index, scope) {
    size_t len = strlen(scopes);
    snprintf(scopes + len, sizeof(scopes) - len, "%s%s", index ? "," : "",
             json_string_value(scope));
  }
  if (text) {
    /* The text alone on standard output, so that it can be piped. */
    fprintf(stderr, "token %s (%s), shown this once:\n",
            json_string_value(json_object_get(token, "id")), scopes);
    printf("%s\n", text);
    return;
  }
  printf("%-38s %-18s %-28s ", json_string_value(json_object_get(token, "id")),
         scopes, json_string_value(json_object_get(token, "created_at")));
  cli_text_print(
      stdout, tti_slice_of(json_string_value(json_object_get(token, "name"))));
  putchar('\n');
}

static int print_answer(const token_args *args, tti_slice body) {
  if (!strcmp(args->verb, "revoke")) {
    fprintf(stderr, "revoked %s\n", args->id);
    return CLI_OK;
  }
  if (args->values[OPT_JSON]) {
    printf("%.*s\n", (int)body.len, body.ptr);
    return CLI_OK;
  }
  json_t *answer = json_loadb(body.ptr ? body.ptr : "", body.len, 0, NULL);
  json_t *items = json_object_get(answer, "items");
  size_t index;
  json_t *token;
  json_array_foreach(items, index, token) print_token(token);
  if (answer && !items)
    print_token(answer);
  json_decref(answer);
  return CLI_OK;
}

static char *creation_body(const token_args *args) {
  const char *name = args->values[OPT_NAME] ? args->values[OPT_NAME] : "cli";
  json_t *scopes = json_array();
  char *list = strdup(args->values[OPT_SCOPE]), *rest = list;
  for (char *word; list && (word = strsep(&rest, ","));)
    json_array_append_new(scopes, json_string(word));
  free(list);
  json_t *body = json_pack("{s:s, s:o}", "name", name, "scopes", scopes);
  char *text = json_dumps(body, JSON_COMPACT);
  json_decref(body);
  return text;
}

/* Asks a server; CLI_UNREACHABLE in silence when none is there and `quiet`.
 * Frees the client. */
static int ask_server(const token_args *args, client *c, bool quiet) {
  if (!c)
    return CLI_USAGE;
  char path[128] = "/api/v1/tokens";
  char *body = NULL;
  client_request request = {.method = "GET", .path = path};
  if (!strcmp(args->verb, "create")) {
    body = creation_body(args);
    request.method = "POST";
    request.content_type = "application/json";
    request.body = tti_slice_of(body ? body : "");
  } else if (!strcmp(args->verb, "revoke")) {
    snprintf(path, sizeof(path), "/api/v1/tokens/%.60s", args->id);
    request.method = "DELETE";
  }
  client_answer answer;
  client_answer_init(&answer);
  client_call(c, &request, &answer);
  int status = CLI_UNREACHABLE;
  if (answer.status || !quiet)
    status = client_report("token", &answer);
  if (status == CLI_OK)
    status = print_answer(args, tti_buf_slice(&answer.body));
  client_answer_fini(&answer);
  free(body);
  client_free(c);
  return status;
}

static void list_offline(store *s, tti_buf *out) {
  enum { MAX = 1000 };
  uint64_t generation;
  store_token *tokens = calloc(MAX, sizeof(*tokens));
  size_t count = tokens ? store_tokens(s, tokens, MAX, &generation) : 0;
  const char *comma = "";
  tti_buf_append_text(out, "{\"items\":[");
  for (size_t i = 0; i < count; i++) {
    if (tokens[i].revoked_us)
      continue;
    tti_buf_append_text(out, comma);
    auth_token_json(out, &tokens[i], NULL);
    comma = ",";
  }
  tti_buf_append_text(out, "]}");
  free(tokens);
}

/* No server holds the store: does it in the file. */
static int use_file(const token_args *args, const char *path) {
  tti_buf why, out;
  store *s = NULL;
  tti_buf_init(&why, 4096);
  tti_buf_init(&out, 1 << 20);
  tt_error error = store_sqlite_open(&(store_options){.path = path}, &why, &s);
  if (error)
    goto out;
  if (!strcmp(args->verb, "create")) {
    const char *name = args->values[OPT_NAME] ? args->values[OPT_NAME] : "cli";
    char text[AUTH_TOKEN_TEXT];
    store_token token;
    error = auth_token_create_offline(
        s, tti_slice_of(name),
        auth_scopes_parse(tti_slice_of(args->values[OPT_SCOPE])), &why, text,
        &token);
    if (!error)
      auth_token_json(&out, &token, text);
  } else if (!strcmp(args->verb, "revoke")) {
    error = auth_token_revoke_offline(s, args->id, &why);
  } else {
    list_offline(s, &out);
  }
out:
  if (s)
    store_close(s, 5000);
  if (error)
    fprintf(stderr, "telltale token: %.*s\n", why.len ? (int)why.len : 7,
            why.len ? why.data : "failed.");
  else
    print_answer(args, tti_buf_slice(&out));
  tti_buf_fini(&why);
  tti_buf_fini(&out);
  return error ? CLI_FAILED : CLI_OK;
}

static int run(int argc, char **argv) {
  token_args args = {.values = {0}};
  cli_words words = {.command = &cli_token, .max = 2};
  bool done;
  int status = cli_options_take(&cli_token, argc, argv, args.values,
                                cli_take_word, &words, &done);
  args.verb = words.word[0];
  args.id = words.word[1];
  if (status == CLI_OK && !done)
    status = check(&args);
  if (status || done)
    return status;
  if (args.values[OPT_SERVER])
    return ask_server(&args, client_new_from(args.values + OPT_SERVER), false);
  char *path = NULL;
  status = cli_store_path("token", args.values[OPT_STORE],
                          args.values[OPT_CONFIG], &path);
  if (status)
    return status;
  if (!*path) {
    free(path);
    fprintf(stderr,
            "telltale token: a memory store keeps no tokens; give them with "
            "TELLTALE_TOKEN_INGEST, _READ or _ADMIN\n");
    return CLI_FAILED;
  }
  status = ask_server(&args, cli_store_client(path), true);
  if (status == CLI_UNREACHABLE)
    status = use_file(&args, path);
  free(path);
  return status;
}
