#include "cli/client.h"
#include "cli/commands.h"
#include "cli/line.h"
#include "cli/options.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  OPT_WHERE,
  OPT_LATE,
  OPT_SENDS,
  OPT_BY,
  OPT_SINCE,
  OPT_UNTIL,
  OPT_STEP,
  OPT_LIMIT,
  OPT_SERVER,
  OPT_JSON = OPT_SERVER + CLIENT_ROW_COUNT
};

static const cli_option options[] = {
    {"--where", 0, "LIST",
     "instances that say so, such as version:1.*,os:linux"},
    {"--late", 0, NULL, "instances whose next update is overdue"},
    {"--sends", 0, "KEY", "instances that ever sent it; prefix* too"},
    {"--by", 0, "DIMENSION", "a row for each of its values, such as version"},
    {"--since", 0, "TIME", "received then or later, RFC 3339"},
    {"--until", 0, "TIME", "received before"},
    {"--step", 0, "STEP", "also in steps, such as 6h or 1d (aggregate)"},
    {"--limit", 0, "N", "how many rows at most (100; aggregate: 20)"},
    CLIENT_ROWS,
    {"--json", 0, NULL, "print the server's answer"},
    {0},
};

static int run(int argc, char **argv);

const cli_command cli_fleet = {
    .name = "fleet",
    .help = "see and steer installed programs that report",
    .run = run,
    .arguments = "instances | show ID [updates] | keys | aggregate [KEY] |\n"
                 "  control [get | set FILE | preview FILE]",
    .words = "instances show keys aggregate control",
    .summary =
        "Installed programs that report to this server. aggregate adds up "
        "what\n"
        "they told: of a key, or how many there are; with --by version that "
        "is\n"
        "which versions, since when. control shows the rules by which they "
        "are\n"
        "steered, replaces them by those in FILE (- is standard input), or "
        "tells\n"
        "how many instances such rules would touch.",
    .examples = "telltale fleet aggregate --by version\n"
                "telltale fleet aggregate orders --step 1d",
    .options = options};

typedef struct fleet_args {
  const char *values[OPT_JSON + 1];
  const char *verb, *word, *file;
} fleet_args;

static int take_word(void *context, const char *value) {
  fleet_args *args = context;
  const char **free_one = !args->verb   ? &args->verb
                          : !args->word ? &args->word
                                        : &args->file;
  if (*free_one)
    return cli_usage_error(&cli_fleet, "%s: no such argument", value);
  *free_one = value;
  return CLI_OK;
}

static void put_parameter(tti_buf *path, const char *name, const char *value) {
  tti_buf_printf(path, "%s=", name);
  client_escape(path, value);
  tti_buf_append_char(path, '&');
}

/* Each of these options that was given. */
static void put_query(tti_buf *path, const fleet_args *args, const int *indexes,
                      size_t count) {
  for (size_t i = 0; i < count; i++) {
    const char *value = args->values[indexes[i]];
    if (value)
      put_parameter(path, options[indexes[i]].name + 2,
                    *value ? value : "true"); /* a switch */
  }
}

/* ---- Lists ---- */

/* Of a table; one without a key ends it. */
typedef struct column {
  const char *key, *title;
  int width;
} column;

static const column instance_columns[] = {
    {"id", "ID", 36},          {"updates", "UPDATES", 8},
    {"first_at", "FIRST", 27}, {"last_at", "LAST", 27},
    {"late", "LATE", 5},       {"ended", "ENDED", 5},
    {"fields", "FIELDS", 0},   {0}};
static const column key_columns[] = {{"instances", "INSTANCES", 9},
                                     {"shapes", "SHAPES", 12},
                                     {"first_at", "FIRST", 27},
                                     {"last_at", "LAST", 27},
                                     {"key", "KEY", 0},
                                     {0}};
static const column update_columns[] = {{"received_at", "RECEIVED", 27},
                                        {"timestamp", "SENT", 27},
                                        {"data", "DATA", 0},
                                        {0}};

/* What is no text stands as JSON. */
static void print_cell(const json_t *value, int width) {
  char *json = value && !json_is_string(value)
                   ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY)
                   : NULL;
  const char *text = json ? json : json_string_value(value);
  text = text ? text : "";
  int pad = width - (int)strlen(text);
  cli_text_print(stdout, tti_slice_of(text));
  printf("%*s", pad > 0 ? pad + 1 : 1, "");
  free(json);
}

static void print_row(json_t *item, const column *columns, bool json) {
  if (json)
    json_dumpf(item, stdout, JSON_COMPACT);
  for (; !json && columns->key; columns++)
    print_cell(json_object_get(item, columns->key), columns->width);
  putchar('\n');
}

/* The answer's JSON, to be freed; NULL: *out_status says why. */
static json_t *get(client *c, const char *path, int *out_status) {
  client_answer answer;
  json_t *root = NULL;
  client_answer_init(&answer);
  client_call(c, &(client_request){.path = path}, &answer);
  *out_status = client_report("fleet", &answer);
  if (*out_status == CLI_OK) {
    root = json_loadb(answer.body.data ? answer.body.data : "", answer.body.len,
                      0, NULL);
    if (!root) {
      fputs("telltale fleet: the answer is not a Telltale's\n", stderr);
      *out_status = CLI_FAILED;
    }
  }
  client_answer_fini(&answer);
  return root;
}

/* Walks the pages of a list; `path` ends in '?' or '&'. */
static int list(client *c, const fleet_args *args, tti_buf *path,
                const column *columns) {
  enum { PAGE = 1000 };
  bool json = args->values[OPT_JSON] != NULL, more = true;
  unsigned long long left = 100;
  size_t base = path->len, index;
  int status = cli_option_number(&cli_fleet, args->values, OPT_LIMIT, 1,
                                 LLONG_MAX, &left);
  for (const column *at = columns; status == CLI_OK && !json && at->key; at++)
    printf("%-*s ", at->width, at->title);
  if (status == CLI_OK && !json)
    putchar('\n');
  while (status == CLI_OK && left && more) {
    tti_buf_printf(path, "limit=%llu", left < PAGE ? left : PAGE);
    tti_buf_append(path, "", 1);
    json_t *item, *page = get(c, path->data, &status);
    json_t *items = json_object_get(page, "items");
    const char *cursor =
        json_string_value(json_object_get(page, "next_cursor"));
    json_array_foreach(items, index, item) print_row(item, columns, json);
    left -= json_array_size(items);
    more = cursor != NULL;
    path->len = base;
    if (more)
      tti_buf_printf(path, "cursor=%s&", cursor);
    json_decref(page);
  }
  return status;
}

/* Asks, and prints the answer's JSON. */
static int ask(client *c, tti_buf *path, const char *method, tti_slice body) {
  client_answer answer;
  tti_buf_append(path, "", 1);
  client_answer_init(&answer);
  client_call(c,
              &(client_request){.method = method,
                                .path = path->data,
                                .content_type = "application/json",
                                .body = body},
              &answer);
  int status = client_report("fleet", &answer);
  if (status == CLI_OK)
    cli_json_print(stdout, tti_buf_slice(&answer.body));
  client_answer_fini(&answer);
  return status;
}

static int verb_instances(client *c, const fleet_args *args, tti_buf *path) {
  static const int query[] = {OPT_WHERE, OPT_LATE, OPT_SINCE, OPT_UNTIL};
  tti_buf_append_text(path, "instances?");
  put_query(path, args, query, sizeof query / sizeof query[0]);
  if (args->values[OPT_SENDS])
    put_parameter(path, "key", args->values[OPT_SENDS]);
  return list(c, args, path, instance_columns);
}

static int verb_keys(client *c, const fleet_args *args, tti_buf *path) {
  tti_buf_append_text(path, "keys?");
  return list(c, args, path, key_columns);
}

static int show(client *c, const fleet_args *args, tti_buf *path) {
  const char *key;
  json_t *value;
  int status;
  if (args->values[OPT_JSON])
    return ask(c, path, "GET", (tti_slice){0});
  tti_buf_append(path, "", 1);
  json_t *instance = get(c, path->data, &status);
  json_object_foreach(instance, key, value) {
    printf("%-12s ", key);
    print_cell(value, 0);
    putchar('\n');
  }
  json_decref(instance);
  return status;
}

static int verb_show(client *c, const fleet_args *args, tti_buf *path) {
  if (!args->word)
    return cli_usage_error(&cli_fleet, "say which instance (see: instances)");
  if (args->file && strcmp(args->file, "updates") != 0)
    return cli_usage_error(&cli_fleet, "%s: no such argument", args->file);
  tti_buf_append_text(path, "instances/");
  client_escape(path, args->word);
  if (!args->file)
    return show(c, args, path);
  tti_buf_append_text(path, "/updates?");
  return list(c, args, path, update_columns);
}

/* ---- Sums ---- */

static const struct {
  const char *key, *title;
} sums[] = {{"updates", "UPDATES"}, {"instances", "INSTANCES"},
            {"count", "COUNT"},     {"sum", "SUM"},
            {"min", "MIN"},         {"p50", "P50"},
            {"p95", "P95"},         {"p99", "P99"},
            {"max", "MAX"}};
enum { SUMS = sizeof sums / sizeof sums[0] };

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

static void print_sums(const json_t *item) {
  for (size_t i = 0; i < SUMS; i++) {
    const json_t *value = json_object_get(item, sums[i].key);
    if (json_is_number(value))
      printf(" %11.9g", json_number_value(value));
    else
      printf(" %11s", "");
  }
}

static void print_values(const json_t *item) {
  size_t index;
  const json_t *value, *values = json_object_get(item, "values");
  json_array_foreach(values, index, value) {
    printf("  %11lld  ",
           (long long)json_integer_value(json_object_get(value, "count")));
    cli_text_print(stdout, tti_slice_of(text_of(value, "value")));
    putchar('\n');
  }
  long long other = json_integer_value(json_object_get(item, "values_other"));
  if (other)
    printf("  %11lld  (other)\n", other);
}

static void print_item(const json_t *item) {
  size_t index;
  const json_t *bucket;
  printf("%-27s %-27s", text_of(item, "first_at"), text_of(item, "last_at"));
  print_sums(item);
  putchar(' ');
  if (json_is_true(json_object_get(item, "other")))
    fputs("(other)", stdout);
  else
    cli_text_print(stdout, tti_slice_of(text_of(item, "value")));
  putchar('\n');
  print_values(item);
  json_array_foreach(json_object_get(item, "buckets"), index, bucket) {
    printf("  %-53s", text_of(bucket, "at"));
    print_sums(bucket);
    putchar('\n');
    print_values(bucket);
  }
}

static void print_answer(const json_t *answer) {
  size_t index;
  json_t *item, *items = json_object_get(answer, "items");
  if (json_array_size(items)) {
    printf("%-27s %-27s", "FIRST", "LAST");
    for (size_t i = 0; i < SUMS; i++)
      printf(" %11s", sums[i].title);
    printf(" %s\n", "VALUE");
  }
  json_array_foreach(items, index, item) print_item(item);
}

static int verb_aggregate(client *c, const fleet_args *args, tti_buf *path) {
  static const int query[] = {OPT_BY, OPT_SINCE, OPT_UNTIL, OPT_STEP,
                              OPT_LIMIT};
  int status;
  tti_buf_append_text(path, "aggregate?");
  put_query(path, args, query, sizeof query / sizeof query[0]);
  if (args->word)
    put_parameter(path, "key", args->word);
  if (args->values[OPT_JSON])
    return ask(c, path, "GET", (tti_slice){0});
  tti_buf_append(path, "", 1);
  json_t *answer = get(c, path->data, &status);
  print_answer(answer);
  json_decref(answer);
  return status;
}

/* ---- Rules ---- */

enum { RULES_MAX = 1 << 20 };

/* An exit status; what is wrong was said. */
static int read_file(const char *name, tti_buf *out) {
  bool standard = strcmp(name, "-") == 0;
  FILE *file = standard ? stdin : fopen(name, "r");
  char *room;
  size_t got = 0;
  if (!file) {
    perror(name);
    return CLI_FAILED;
  }
  while ((room = tti_buf_reserve(out, 4096)) &&
         (got = fread(room, 1, 4096, file)) > 0)
    out->len += got;
  bool failed = ferror(file) || out->error;
  if (!standard)
    fclose(file);
  if (failed)
    fprintf(stderr, "telltale fleet: %s cannot be read, or is too large\n",
            name);
  return failed ? CLI_FAILED : CLI_OK;
}

static int verb_control(client *c, const fleet_args *args, tti_buf *path) {
  const char *word = args->word ? args->word : "get";
  bool set = strcmp(word, "set") == 0;
  tti_buf_append_text(path, "control");
  if (strcmp(word, "get") == 0)
    return ask(c, path, "GET", (tti_slice){0});
  if (!set && strcmp(word, "preview") != 0)
    return cli_usage_error(&cli_fleet, "%s is not get, set or preview", word);
  if (!args->file)
    return cli_usage_error(&cli_fleet, "say which file has the rules");
  tti_buf body;
  tti_buf_init(&body, RULES_MAX);
  int status = read_file(args->file, &body);
  if (!set)
    tti_buf_append_text(path, "/preview");
  if (status == CLI_OK)
    status = ask(c, path, set ? "PUT" : "POST",
                 (tti_slice){body.data ? body.data : "", body.len});
  tti_buf_fini(&body);
  return status;
}

/* ---- The command ---- */

static const struct {
  const char *name;
  int (*run)(client *c, const fleet_args *args, tti_buf *path);
} verbs[] = {{"instances", verb_instances},
             {"show", verb_show},
             {"keys", verb_keys},
             {"aggregate", verb_aggregate},
             {"control", verb_control}};

static int run_verb(const fleet_args *args) {
  for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
    if (strcmp(verbs[i].name, args->verb) != 0)
      continue;
    client *c = client_new_from(args->values + OPT_SERVER);
    if (!c)
      return CLI_USAGE;
    tti_buf path;
    tti_buf_init(&path, 1 << 14);
    tti_buf_append_text(&path, "/api/v1/fleet/");
    int status = verbs[i].run(c, args, &path);
    tti_buf_fini(&path);
    client_free(c);
    return status;
  }
  return cli_usage_error(
      &cli_fleet, "%s is not instances, show, keys, aggregate or control",
      args->verb);
}

static int run(int argc, char **argv) {
  fleet_args args = {.values = {0}};
  bool done;
  int status = cli_options_take(&cli_fleet, argc, argv, args.values, take_word,
                                &args, &done);
  if (status || done)
    return status;
  return args.verb ? run_verb(&args)
                   : cli_usage_error(&cli_fleet, "say instances, show, keys, "
                                                 "aggregate or control");
}
