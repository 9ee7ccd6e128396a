#include "cli/follow.h"
#include "cli/line.h"
#include "cli/options.h"
#include "cli/sse.h"
#include "lib/base/random.h"

#include <jansson.h>
#include <signal.h>
#include <time.h>

typedef struct following {
  const follow_options *options;
  sse_parser parser;
  bool colours;
  bool ended; /* the count was reached, or nobody reads our output */
  unsigned long long left;
  unsigned failures; /* in a row */
} following;

static void say_loss(const char *command, const sse_event *event) {
  json_t *data = json_loadb(event->data.ptr, event->data.len, 0, NULL);
  const char *reason = json_string_value(json_object_get(data, "reason"));
  if (!strcmp(event->type, "dropped"))
    fprintf(stderr,
            "telltale %s: %" JSON_INTEGER_FORMAT
            " events are gone (seq %" JSON_INTEGER_FORMAT
            " to %" JSON_INTEGER_FORMAT ")%s%s\n",
            command, json_integer_value(json_object_get(data, "dropped")),
            json_integer_value(json_object_get(data, "from_seq")),
            json_integer_value(json_object_get(data, "to_seq")),
            reason ? ": " : "", reason ? reason : "");
  else if (!strcmp(event->type, "reset"))
    fprintf(stderr,
            "telltale %s: the server knows no event %" JSON_INTEGER_FORMAT
            "; going on from its last, %" JSON_INTEGER_FORMAT "\n",
            command, json_integer_value(json_object_get(data, "requested")),
            json_integer_value(json_object_get(data, "head")));
  json_decref(data);
}

static void take_event(void *context, const sse_event *event) {
  following *f = context;
  if (f->ended)
    return;
  if (strcmp(event->type, "message")) {
    say_loss(f->options->command, event);
    return;
  }
  if (f->options->json)
    cli_json_print(stdout, event->data);
  else
    cli_line_print(stdout, event->data, f->colours);
  if (fflush(stdout) || (f->left && --f->left == 0))
    f->ended = true;
}

static bool take_bytes(void *context, const char *bytes, size_t len) {
  following *f = context;
  f->failures = 0;
  return sse_parser_take(&f->parser, bytes, len) && !f->ended;
}

static void wait_before_reconnect(following *f) {
  unsigned shift = f->failures < 4 ? f->failures : 4;
  uint64_t ms = f->parser.retry_ms ? (uint64_t)f->parser.retry_ms : 2000;
  ms = (ms << shift) / 4;
  ms += tti_random_below(ms / 4 + 1);
  struct timespec wait = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
  nanosleep(&wait, NULL);
}

/* The refusal of a stream was passed over by the parser: ask again as a plain
 * request to read it. */
static int report_refusal(client *c, const follow_options *options) {
  client_answer answer;
  client_answer_init(&answer);
  client_call(c, &(client_request){.path = options->path}, &answer);
  int result = client_report(options->command, &answer);
  client_answer_fini(&answer);
  return result ? result : CLI_FAILED;
}

static int follow(client *c, following *f) {
  const follow_options *options = f->options;
  bool reached = options->reached;
  for (;;) {
    char why[320];
    const char *id = f->parser.id[0] ? f->parser.id : NULL;
    sse_parser_restart(&f->parser);
    int status = client_follow(c, options->path, id, take_bytes, f, why);
    if (f->ended)
      return CLI_OK;
    if (status >= 400 && status < 500 && status != 429)
      return report_refusal(c, options);
    if (status == 0 && !reached) {
      fprintf(stderr,
              "telltale %s: no answer from %s\n"
              "is the server running? start it with: telltale serve\n",
              options->command, why);
      return CLI_UNREACHABLE;
    }
    if (f->failures++ == 0)
      fprintf(stderr, "telltale %s: %s; reconnecting\n", options->command, why);
    reached = true;
    wait_before_reconnect(f);
  }
}

int cli_follow(client *c, const follow_options *options) {
  following f = {.options = options,
                 .colours = cli_colours(stdout),
                 .left = options->count};
  sse_parser_init(&f.parser, 16 << 20, take_event, &f);
  signal(SIGPIPE, SIG_IGN);
  int status = follow(c, &f);
  sse_parser_fini(&f.parser);
  return status;
}
