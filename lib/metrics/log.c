#include "lib/base/buf.h"
#include "lib/metrics/internal.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_LINE_BYTES 1000
/* The oldest event's age: a line each so many calls, or when it is as old. */
#define LAG_EACH     60u
#define LAG_ALWAYS_S 30.0

typedef struct metrics_log {
  tt_log_hook hook;
  _Atomic unsigned lags;
  bool wanted[TT_METRIC_COUNT];
} metrics_log;

/* Instruments with lines of their own, which collectors already know how to
 * read. */
typedef struct own_line {
  tt_metric id;
  const char *name;  /* NULL: no line, another instrument's tells it */
  const char *count; /* what the number is called; NULL: left out when 1 */
} own_line;

static const own_line own_lines[] = {
    {TT_METRIC_OUTBOX_PUBLISHED, "outbox.published", NULL},
    {TT_METRIC_OUTBOX_FANOUT, NULL, NULL},
    {TT_METRIC_OUTBOX_MATCHED, "outbox.fanout", "matched"},
    {TT_METRIC_OUTBOX_NO_MATCH, "outbox.no_match", NULL},
    {TT_METRIC_OUTBOX_FAILURES, "outbox.failure", NULL},
    {TT_METRIC_REDELIVER_REQUESTS, "redeliver.request", NULL},
    {TT_METRIC_JANITOR_DELETED, "janitor.delete", "count"},
    {TT_METRIC_NOTIFY_MISSED, "notify.missed", NULL},
    {TT_METRIC_PUBLISHER_LAG, "publisher.lag_seconds", NULL},
};

static own_line line_of(const tt_metric_info *info) {
  for (size_t i = 0; i < sizeof(own_lines) / sizeof(own_lines[0]); i++)
    if (own_lines[i].id == info->id)
      return own_lines[i];
  return (own_line){info->id, info->name, "n"};
}

static bool is_control(char c) {
  return (unsigned char)c < ' ' || c == 0x7f;
}

/* A value that holds a blank, a quote or a control character is quoted, so that
 * a line stays one line and its pairs can be told apart. */
static void append_value(tti_buf *line, const char *value) {
  bool plain = *value != '\0';
  for (const char *at = value; *at && plain; at++)
    plain = !is_control(*at) && !strchr(" \"=", *at);
  if (plain) {
    tti_buf_append_text(line, value);
    return;
  }
  tti_buf_append_char(line, '"');
  for (const char *at = value; *at; at++) {
    if (*at == '"' || *at == '\\')
      tti_buf_append_char(line, '\\');
    tti_buf_append_char(line, is_control(*at) ? ' ' : *at);
  }
  tti_buf_append_char(line, '"');
}

/* Labels are at most TTI_LABEL_BYTES long, so a line is never cut. */
static void begin(tti_buf *line, const tt_metric_info *info, const char *kind,
                  const char *name, const char *label_a, const char *label_b) {
  const char *const values[2] = {label_a, label_b};
  tti_buf_init(line, MAX_LINE_BYTES);
  tti_buf_append_text(line, "[metrics] ");
  tti_buf_append_text(line, kind);
  tti_buf_append_char(line, '=');
  tti_buf_append_text(line, name);
  for (int i = 0; i < 2 && values[i]; i++) {
    tti_buf_append_char(line, ' ');
    tti_buf_append_text(line, info->labels[i]);
    tti_buf_append_char(line, '=');
    append_value(line, values[i]);
  }
}

/* Without memory the line is gone, as the interface has no failure. */
static void send(const metrics_log *log, tti_buf *line) {
  char *text = tti_buf_take(line, NULL);
  if (text)
    log->hook.log(log->hook.context, TT_LEVEL_INFO, text);
  free(text);
  tti_buf_fini(line);
}

static void log_add(void *self, tt_metric id, uint64_t n, const char *label_a,
                    const char *label_b) {
  const metrics_log *log = self;
  const tt_metric_info *info = tt_metric_lookup(id);
  own_line own = line_of(info);
  tti_buf line;
  if (!log->wanted[id] || !own.name || n == 0)
    return;
  begin(&line, info, "event", own.name, label_a, label_b);
  if (own.count || n > 1) {
    tti_buf_append_char(&line, ' ');
    tti_buf_append_text(&line, own.count ? own.count : "n");
    tti_buf_append_char(&line, '=');
    tti_buf_append_u64(&line, n);
  }
  send(log, &line);
}

static void log_value(void *self, tt_metric id, double value,
                      const char *label_a, const char *label_b) {
  metrics_log *log = self;
  const tt_metric_info *info = tt_metric_lookup(id);
  tti_buf line;
  if (!log->wanted[id])
    return;
  /* Relaxed: the number of calls orders nothing. */
  if (id == TT_METRIC_PUBLISHER_LAG &&
      atomic_fetch_add_explicit(&log->lags, 1, memory_order_relaxed) %
              LAG_EACH !=
          LAG_EACH - 1 &&
      !(value > LAG_ALWAYS_S))
    return;
  begin(&line, info, info->kind == TT_METRIC_KIND_GAUGE ? "gauge" : "histogram",
        line_of(info).name, label_a, label_b);
  size_t at = line.len;
  tti_buf_printf(&line, " value=%.2f", value);
  /* printf writes what the program's locale takes for a decimal point. */
  for (; at < line.len; at++)
    if (line.data[at] == ',')
      line.data[at] = '.';
  send(log, &line);
}

/* Whether "outbox_*" or a whole name means the instrument. */
static bool means(const char *pattern, const char *name) {
  size_t len = strlen(pattern);
  return len && pattern[len - 1] == '*' ? strncmp(pattern, name, len - 1) == 0
                                        : strcmp(pattern, name) == 0;
}

static tt_error choose(metrics_log *log, const tt_metrics_log_options *options,
                       char *problem) {
  for (unsigned id = 0; id < TT_METRIC_COUNT; id++)
    log->wanted[id] = !options->only;
  for (size_t i = 0; options->only && i < options->only_count; i++) {
    bool any = false;
    for (unsigned id = 0; id < TT_METRIC_COUNT; id++)
      if (means(options->only[i], tt_metric_lookup((tt_metric)id)->name))
        any = log->wanted[id] = true;
    if (!any) {
      if (problem)
        snprintf(problem, TELLTALE_PROBLEM_MAX,
                 "only: no instrument is called %.100s; give names as in "
                 "/metrics, without telltale_ and the unit, or outbox_*",
                 options->only[i]);
      return TT_EINVAL;
    }
  }
  return TT_OK;
}

tt_error tt_metrics_log_new(const tt_metrics_log_options *options,
                            char *problem, tt_metrics **out_metrics) {
  static const tt_metrics_ops ops = {.version = 1,
                                     .add = log_add,
                                     .set = log_value,
                                     .observe = log_value,
                                     .free = free};
  if (!options || !options->log.log)
    return TT_EINVAL;
  metrics_log *log = calloc(1, sizeof(*log));
  if (!log)
    return TT_ENOMEM;
  log->hook = options->log;
  tt_error error = choose(log, options, problem);
  if (!error && out_metrics)
    error = tt_metrics_new(&ops, log, out_metrics);
  if (error || !out_metrics)
    free(log);
  return error;
}
