#include "lib/base/buf.h"

#include <stdlib.h>
#include <string.h>
#include <telltale/metrics.h>

#define MAX_LINE_BYTES 1000
/* A value is cut here, so that a line with two of them keeps its number. Quoted
 * and escaped it is at most twice as long. */
#define MAX_VALUE_BYTES 200

static bool is_control(char c) {
  return (unsigned char)c < ' ' || c == 0x7f;
}

/* A value that holds a blank, a quote or a control character is quoted, so that
 * a line stays one line and its pairs can be told apart. */
static void append_value(tti_buf *line, const char *value) {
  size_t len = strnlen(value, MAX_VALUE_BYTES);
  bool plain = len > 0;
  for (size_t i = 0; i < len && plain; i++)
    plain = !is_control(value[i]) && !strchr(" \"=", value[i]);
  if (plain) {
    tti_buf_append(line, value, len);
    return;
  }
  tti_buf_append_char(line, '"');
  for (size_t i = 0; i < len; i++) {
    if (value[i] == '"' || value[i] == '\\')
      tti_buf_append_char(line, '\\');
    tti_buf_append_char(line, is_control(value[i]) ? ' ' : value[i]);
  }
  tti_buf_append_char(line, '"');
}

static void append_labels(tti_buf *line, const tt_metric_info *info,
                          const char *label_a, const char *label_b) {
  const char *const values[2] = {label_a, label_b};
  for (int i = 0; i < 2; i++) {
    if (!info->labels[i] || !values[i])
      continue;
    tti_buf_append_char(line, ' ');
    tti_buf_append_text(line, info->labels[i]);
    tti_buf_append_char(line, '=');
    append_value(line, values[i]);
  }
}

/* Without memory the line is gone, as the interface has no failure. */
static void send(const tt_log_hook *hook, tti_buf *line) {
  char *text = tti_buf_take(line, NULL);
  if (text)
    hook->log(hook->context, TT_LEVEL_INFO, text);
  free(text);
}

static void log_add(void *self, tt_metric id, uint64_t n, const char *label_a,
                    const char *label_b) {
  const tt_log_hook *hook = self;
  const tt_metric_info *info = tt_metric_lookup(id);
  if (!info || !hook->log || n == 0)
    return;
  tti_buf line;
  tti_buf_init(&line, MAX_LINE_BYTES);
  tti_buf_append_text(&line, "[metrics] event=");
  tti_buf_append_text(&line, info->name);
  append_labels(&line, info, label_a, label_b);
  tti_buf_append_text(&line, " n=");
  tti_buf_append_u64(&line, n);
  send(hook, &line);
}

static void log_value(void *self, tt_metric id, double value,
                      const char *label_a, const char *label_b) {
  const tt_log_hook *hook = self;
  const tt_metric_info *info = tt_metric_lookup(id);
  if (!info || !hook->log)
    return;
  tti_buf line;
  tti_buf_init(&line, MAX_LINE_BYTES);
  tti_buf_append_text(&line, info->kind == TT_METRIC_KIND_GAUGE
                                 ? "[metrics] gauge="
                                 : "[metrics] histogram=");
  tti_buf_append_text(&line, info->name);
  append_labels(&line, info, label_a, label_b);
  size_t at = line.len;
  tti_buf_printf(&line, " value=%.2f", value);
  /* printf writes what the program's locale takes for a decimal point. */
  for (; at < line.len; at++)
    if (line.data[at] == ',')
      line.data[at] = '.';
  send(hook, &line);
}

static const tt_metrics_ops log_ops = {.version = 1,
                                       .add = log_add,
                                       .set = log_value,
                                       .observe = log_value,
                                       .free = free};

tt_error tt_metrics_log_new(const tt_log_hook *hook, tt_metrics **out_metrics) {
  if (!hook || !out_metrics)
    return TT_EINVAL;
  tt_metrics *metrics = malloc(sizeof(*metrics));
  tt_log_hook *self = malloc(sizeof(*self));
  if (!metrics || !self) {
    free(metrics);
    free(self);
    return TT_ENOMEM;
  }
  *self = *hook;
  *metrics = (tt_metrics){.ops = &log_ops, .self = self};
  *out_metrics = metrics;
  return TT_OK;
}
