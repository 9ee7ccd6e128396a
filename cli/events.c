#include "cli/commands.h"
#include "cli/filters.h"
#include "cli/follow.h"
#include "cli/options.h"
#include "cli/pages.h"
#include "lib/base/time.h"
#include "server/config/value.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

enum {
  OPT_FILTERS = 0,
  OPT_SINCE = CLI_FILTER_COUNT,
  OPT_UNTIL,
  OPT_AFTER,
  OPT_BEFORE,
  OPT_LIMIT,
  OPT_FOLLOW,
  OPT_JSON,
  OPT_SERVER,
  OPT_COUNT = OPT_SERVER + CLIENT_ROW_COUNT
};

static const cli_option options[] = {
    CLI_FILTER_ROWS,
    {"--since", 0, "TIME",
     "received at or after: 10m, 2h, 3d ago, or RFC 3339"},
    {"--until", 0, "TIME", "received before, likewise"},
    {"--after", 0, "SEQ", "behind this sequence number"},
    {"--before", 0, "SEQ", "in front of this sequence number"},
    {"--limit", 'n', "N", "at most so many (100); 0: all"},
    {"--follow", 'f', NULL, "then go on with what comes, until interrupted"},
    {"--json", 0, NULL, "one JSON object a line"},
    CLIENT_ROWS,
    {0},
};

static int run(int argc, char **argv);

const cli_command cli_events = {
    .name = "events",
    .help = "search and print the events that are kept",
    .run = run,
    .arguments = "",
    .summary = "Prints events that are kept, oldest first: the newest of them, "
               "or with\n"
               "--since or --after the first from there on. --follow goes on "
               "behind the\n"
               "last one without a gap, as tail does.",
    .details =
        "--since and --until take how long ago (10m, 2h, 3d) or a time (RFC "
        "3339).\n"
        "--limit 0 prints all of them, of any number, a page at a time.",
    .examples = "telltale events --since 2h --source myapp --level '>=warn'",
    .options = options};

typedef struct events_args {
  const char *values[OPT_COUNT];
  char since[TTI_RFC3339_MAX], until[TTI_RFC3339_MAX];
  unsigned long long limit, after, before;
} events_args;

/* "10m" is that long before now. */
static bool parse_time(const char *text, char out_time[TTI_RFC3339_MAX]) {
  int64_t us;
  uint64_t ago_ms;
  if (config_parse_duration(tti_slice_of(text), &ago_ms)) {
    int64_t now_us = tti_wall_us(&tti_clock_system);
    us = ago_ms < (uint64_t)now_us / 1000 ? now_us - (int64_t)ago_ms * 1000 : 0;
  } else if (!tti_rfc3339_parse(tti_slice_of(text), &us)) {
    return false;
  }
  tti_rfc3339_format(us, out_time);
  return true;
}

static int take_time(const events_args *args, int index,
                     char out_time[TTI_RFC3339_MAX]) {
  const char *value = args->values[index];
  if (!value || parse_time(value, out_time))
    return CLI_OK;
  return cli_usage_error(&cli_events,
                         "%s %s is neither a duration such as 10m, 2h or 3d "
                         "nor a time such as 2026-01-02T15:04:05Z",
                         options[index].name, value);
}

static int take_number(events_args *args, int index, unsigned long long min,
                       unsigned long long *number) {
  return cli_option_number(&cli_events, args->values, index, min, ULLONG_MAX,
                           number);
}

static int check(events_args *args) {
  int status;
  if ((status = take_time(args, OPT_SINCE, args->since)) ||
      (status = take_time(args, OPT_UNTIL, args->until)) ||
      (status = take_number(args, OPT_AFTER, 0, &args->after)) ||
      (status = take_number(args, OPT_BEFORE, 1, &args->before)) ||
      (status = take_number(args, OPT_LIMIT, 0, &args->limit)))
    return status;
  if (args->values[OPT_FOLLOW] &&
      (args->values[OPT_UNTIL] || args->values[OPT_BEFORE]))
    return cli_usage_error(&cli_events,
                           "--follow has no end: leave --until and --before");
  return CLI_OK;
}

/* Which events, without where they begin and end. */
static void put_filters(const events_args *args, tti_buf *query) {
  cli_filters_query(query, args->values + OPT_FILTERS);
}

static void put_query(const events_args *args, tti_buf *query) {
  tti_buf_append_text(query, "/events?view=relay");
  put_filters(args, query);
  if (*args->since)
    tti_buf_printf(query, "&since=%s", args->since);
  if (*args->until)
    tti_buf_printf(query, "&until=%s", args->until);
  if (args->before)
    tti_buf_printf(query, "&before=%llu", args->before);
  /* All of them go forwards, so that a page is printed when it comes. */
  if (args->values[OPT_AFTER] || args->limit == 0)
    tti_buf_printf(query, "&after=%llu", args->after);
  tti_buf_append(query, "", 1);
}

static bool is_forwards(const events_args *args) {
  return args->limit == 0 || *args->since || args->values[OPT_AFTER];
}

/* Prints `left` events (0: all) as their pages come. *last is the last of
 * them, or what the log is read up to when nothing was left to read. */
static int print_forwards(pages *p, unsigned long long left, bool json,
                          unsigned long long *last) {
  bool all = left == 0;
  do {
    bool whole = all || left > PAGES_LIMIT_MAX;
    int status = pages_next(p, whole ? PAGES_LIMIT_MAX : left);
    if (status)
      return status;
    pages_print(p, json);
    if (p->last_seq)
      *last = p->last_seq;
    left -= all || p->count > left ? 0 : p->count;
  } while (p->cursor[0] && (all || left) && !ferror(stdout));
  if (!p->cursor[0])
    *last = p->head;
  return CLI_OK;
}

/* The newest come in pages that lead backwards, and are printed forwards: more
 * than one page is looked through for where it begins, and then read again from
 * there, so that one page is all that is ever held. */
static int print_newest(client *c, pages *p, const events_args *args, bool json,
                        unsigned long long *last) {
  unsigned long long left = args->limit, first_seq = 0, last_seq = 0;
  unsigned long long head = 0, ignored;
  do {
    int status = pages_next(p, left < PAGES_LIMIT_MAX ? left : PAGES_LIMIT_MAX);
    if (status)
      return status;
    if (!head)
      *last = head = p->head;
    left -= p->count < left ? p->count : left;
    if (last_seq == 0 && (left == 0 || !p->cursor[0])) {
      pages_print(p, json);
      return CLI_OK;
    }
    first_seq = p->first_seq ? p->first_seq : first_seq;
    last_seq = last_seq ? last_seq : p->last_seq;
  } while (left && p->cursor[0]);
  tti_buf query;
  tti_buf_init(&query, 65536);
  tti_buf_append_text(&query, "/events?view=relay");
  put_filters(args, &query);
  tti_buf_printf(&query, "&after=%llu&before=%llu", first_seq - 1,
                 last_seq + 1);
  tti_buf_append(&query, "", 1);
  int status = CLI_FAILED;
  if (!query.error) {
    pages again;
    pages_init(&again, c, "events", query.data);
    status = print_forwards(&again, 0, json, &ignored);
    pages_fini(&again);
  }
  tti_buf_fini(&query);
  return status;
}

static int print_history(client *c, const events_args *args,
                         unsigned long long *last) {
  bool json = args->values[OPT_JSON] != NULL;
  pages p;
  tti_buf query;
  tti_buf_init(&query, 65536);
  put_query(args, &query);
  if (query.error) {
    tti_buf_fini(&query);
    return cli_usage_error(&cli_events, "the filters are too long");
  }
  pages_init(&p, c, "events", query.data);
  int status = is_forwards(args) ? print_forwards(&p, args->limit, json, last)
                                 : print_newest(c, &p, args, json, last);
  pages_fini(&p);
  tti_buf_fini(&query);
  if (status == CLI_OK && (fflush(stdout) || ferror(stdout))) {
    fprintf(stderr, "telltale events: standard output: %s\n", strerror(errno));
    status = CLI_FAILED;
  }
  return status;
}

static int go_on(client *c, const events_args *args, unsigned long long last) {
  tti_buf path;
  int status = CLI_FAILED;
  tti_buf_init(&path, 65536);
  tti_buf_printf(&path, "/events/stream?view=relay&after=%llu", last);
  put_filters(args, &path);
  tti_buf_append(&path, "", 1);
  if (!path.error)
    status =
        cli_follow(c, &(follow_options){.command = "events",
                                        .path = path.data,
                                        .json = args->values[OPT_JSON] != NULL,
                                        .reached = true});
  tti_buf_fini(&path);
  return status;
}

static int run(int argc, char **argv) {
  events_args args = {.limit = 100};
  unsigned long long last = 0;
  bool done;
  int status =
      cli_options_take(&cli_events, argc, argv, args.values, NULL, NULL, &done);
  if (status == CLI_OK && !done)
    status = check(&args);
  if (status || done)
    return status;
  client *c = client_new_from(args.values + OPT_SERVER);
  if (!c)
    return CLI_USAGE;
  status = print_history(c, &args, &last);
  if (status == CLI_OK && args.values[OPT_FOLLOW])
    status = go_on(c, &args, args.after > last ? args.after : last);
  client_free(c);
  return status;
}
