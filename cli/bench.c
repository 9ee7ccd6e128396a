#include "cli/bench_load.h"
#include "cli/bench_peer.h"
#include "cli/bench_report.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "server/auth/auth.h"
#include "server/config/value.h"

#include <limits.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
  OPT_CONNECTIONS,
  OPT_DURATION,
  OPT_COUNT,
  OPT_BATCH,
  OPT_EVENT_BYTES,
  OPT_PIPELINE,
  OPT_RATE,
  OPT_SUBSCRIBERS,
  OPT_YES,
  OPT_JSON,
  OPT_SERVER,
  OPT_END = OPT_SERVER + CLIENT_ROW_COUNT
};

static const cli_option options[] = {
    {"--connections", 0, "N", "how many connections post (8)"},
    {"--duration", 0, "TIME", "how long; default: 10s, or until --count"},
    {"--count", 'n', "N", "end after so many events"},
    {"--batch", 'b', "N", "events a request (1)"},
    {"--event-bytes", 0, "N", "how long an event is, JSON (250)"},
    {"--pipeline", 0, "N", "requests under way a connection (1, at most 64)"},
    {"--rate", 'r', "N", "events a second; default: as answers come"},
    {"--subscribers", 0, "N", "also receive, by so many streams (0)"},
    {"--yes", 0, NULL, "also against a server beyond this machine"},
    {"--json", 0, NULL, "print the result as JSON"},
    CLIENT_ROWS,
    {0},
};

static int run(int argc, char **argv);

const cli_command cli_bench = {
    .name = "bench",
    .help = "load a server and measure it",
    .run = run,
    .arguments = "",
    .summary =
        "Posts events to a server as fast as it answers, or with --rate at a\n"
        "steady rate, and prints how many it stored and how long the answers "
        "took.\n"
        "With --rate a time counts from when the request was due: a server "
        "that\n"
        "stalls is not flattered by requests that wait for it. Ctrl-C ends it "
        "early.\n"
        "The events stay in the server's history. Exit status 1: not all were\n"
        "stored, or not all delivered.",
    .details =
        "The histogram has a row for each doubling. What was due at the end "
        "and\n"
        "could not be sent is told with --rate; the first answer that refuses "
        "the\n"
        "token ends the run. When no connection can be had for five seconds "
        "the\n"
        "server counts as gone.",
    .examples = "telltale bench --rate 5000 --subscribers 20",
    .options = options};

/* Whether all that the name stands for is this machine. */
static bool is_here(const client *c) {
  struct addrinfo *found = NULL;
  char *host = client_url_part(c, CURLUPART_HOST);
  char name[256] = "";
  size_t len = host ? strlen(host) : 0;
  bool bracket = len > 2 && *host == '[';
  snprintf(name, sizeof(name), "%.*s", (int)(bracket ? len - 2 : len),
           host ? host + bracket : "");
  curl_free(host);
  bool here = !getaddrinfo(name, NULL, NULL, &found);
  for (struct addrinfo *a = found; a && here; a = a->ai_next)
    here = !getnameinfo(a->ai_addr, a->ai_addrlen, name, sizeof(name), NULL, 0,
                        NI_NUMERICHOST) &&
           auth_is_loopback(name);
  if (found)
    freeaddrinfo(found);
  return here;
}

static int take_numbers(const char *const values[], bench_options *out) {
  const struct {
    int index;
    unsigned long long min, max, *number;
  } numbers[] = {
      {OPT_CONNECTIONS, 1, 10000, &out->connections},
      {OPT_COUNT, 1, ULLONG_MAX, &out->count},
      {OPT_BATCH, 1, 10000, &out->batch},
      {OPT_EVENT_BYTES, 160, 1000000, &out->event_bytes},
      {OPT_PIPELINE, 1, BENCH_PIPELINE_MAX, &out->pipeline},
      {OPT_RATE, 1, 100000000, &out->rate},
      {OPT_SUBSCRIBERS, 0, 10000, &out->subscribers},
  };
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
    int status =
        cli_option_number(&cli_bench, values, numbers[i].index, numbers[i].min,
                          numbers[i].max, numbers[i].number);
    if (status)
      return status;
  }
  const char *duration = values[OPT_DURATION];
  if (duration &&
      (!config_parse_duration(tti_slice_of(duration), &out->duration_ms) ||
       out->duration_ms == 0))
    return cli_usage_error(&cli_bench,
                           "--duration %s is not a time such as 500ms, 10s or "
                           "2m",
                           duration);
  if (!duration && !values[OPT_COUNT])
    out->duration_ms = 10000;
  if (out->batch * out->event_bytes > 64 << 20)
    return cli_usage_error(&cli_bench,
                           "a request of %llu events with %llu bytes is over "
                           "64 MiB",
                           out->batch, out->event_bytes);
  return CLI_OK;
}

/* A connection is a descriptor, and libcurl has two beside it. */
static void raise_file_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit))
    return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

static int exit_status(const bench_options *o, const bench_result *r) {
  uint64_t answers = 0, good = 0;
  for (int i = 0; i < BENCH_STATUS_MAX; i++) {
    answers += r->status[i];
    good += i >= 200 && i <= 299 ? r->status[i] : 0;
  }
  if (r->requests && !answers)
    return CLI_UNREACHABLE;
  return good == r->requests && r->delivered == r->events * o->subscribers
             ? CLI_OK
             : CLI_FAILED;
}

static int run_and_print(client *c, const bench_options *o, bool json) {
  bench_result result;
  bool progress = isatty(STDERR_FILENO);
  bool ran =
      bench_run(c, o, progress ? bench_show_progress : NULL, NULL, &result);
  int status;
  if (progress)
    bench_end_progress();
  if (ran) {
    (json ? bench_print_json : bench_print)(o, &result);
    status = exit_status(o, &result);
  } else {
    status = client_report("bench", &result.failure);
  }
  client_answer_fini(&result.failure);
  return fflush(stdout) ? CLI_FAILED : status;
}

static int run(int argc, char **argv) {
  const char *values[OPT_END] = {0};
  bench_options o = {
      .connections = 8, .pipeline = 1, .batch = 1, .event_bytes = 250};
  bool done;
  int status =
      cli_options_take(&cli_bench, argc, argv, values, NULL, NULL, &done);
  if (status == CLI_OK && !done)
    status = take_numbers(values, &o);
  if (status || done)
    return status;
  client *c = client_new_from(values + OPT_SERVER);
  if (!c)
    return CLI_USAGE;
  if (!values[OPT_YES] && !is_here(c)) {
    client_free(c);
    return cli_usage_error(&cli_bench,
                           "the server is not on this machine: say --yes when "
                           "it is meant to be loaded");
  }
  signal(SIGPIPE, SIG_IGN);
  cli_catch_interrupts();
  raise_file_limit();
  status = run_and_print(c, &o, values[OPT_JSON] != NULL);
  client_free(c);
  return status;
}
