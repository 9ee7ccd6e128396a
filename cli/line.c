#include "cli/line.h"
#include "lib/base/time.h"
#include "lib/json/scan.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

bool cli_colours(FILE *out) {
  const char *no_color = getenv("NO_COLOR");
  return isatty(fileno(out)) && (!no_color || !*no_color);
}

/* C0, DEL, and C1 as UTF-8 (c2 80 to c2 9f) can all command a terminal. The
 * code point at text[at], 0 when it is harmless; how many bytes it has. */
static unsigned control_at(tti_slice text, size_t at, size_t *out_len) {
  unsigned char c = (unsigned char)text.ptr[at];
  unsigned char next = at + 1 < text.len ? (unsigned char)text.ptr[at + 1] : 0;
  *out_len = 1;
  if (c == 0xc2 && next >= 0x80 && next <= 0x9f) {
    *out_len = 2;
    return next;
  }
  return c < 0x20 || c == 0x7f ? c : 0;
}

/* With `form` for each control character but NUL, which shows as \x00. */
static void put_without_controls(FILE *out, tti_slice text, const char *form) {
  size_t len = 1;
  for (size_t at = 0; at < text.len; at += len) {
    unsigned control = control_at(text, at, &len);
    if (control || text.ptr[at] == '\0')
      fprintf(out, "%s%02x", form, control);
    else
      fputc(text.ptr[at], out);
  }
}

void cli_text_print(FILE *out, tti_slice text) {
  put_without_controls(out, text, "\\x");
}

void cli_json_print(FILE *out, tti_slice json) {
  if (isatty(fileno(out)))
    put_without_controls(out, json, "\\u00");
  else
    fwrite(json.ptr, 1, json.len, out);
  fputc('\n', out);
}

void cli_value_print(FILE *out, const tti_json_value *value) {
  if (value->type == TTI_JSON_NONE)
    return;
  if (value->type != TTI_JSON_STRING) {
    cli_text_print(out, value->text);
    return;
  }
  tti_slice text = tti_json_inside(value->text);
  char *decoded = value->escaped ? malloc(value->text.len) : NULL;
  size_t len;
  if (decoded && !tti_json_decode(value->text, decoded, &len, NULL))
    text = (tti_slice){decoded, len};
  cli_text_print(out, text);
  free(decoded);
}

static void put_time(FILE *out, const tti_json_value *ts) {
  int64_t us;
  char text[32] = "";
  if (ts->type != TTI_JSON_STRING ||
      !tti_rfc3339_parse(tti_json_inside(ts->text), &us))
    return;
  time_t seconds = (time_t)(us / 1000000);
  int64_t fraction = us % 1000000;
  if (fraction < 0) {
    fraction += 1000000;
    seconds--;
  }
  struct tm local;
  if (localtime_r(&seconds, &local))
    strftime(text, sizeof(text), "%H:%M:%S", &local);
  fprintf(out, "%s.%03d ", text, (int)(fraction / 1000));
}

static void put_level(FILE *out, const tti_json_value *level, bool colours) {
  static const struct {
    const char *level, *colour;
  } rows[] = {{"\"debug\"", "\x1b[2m"},
              {"\"warn\"", "\x1b[33m"},
              {"\"error\"", "\x1b[31m"},
              {"\"fatal\"", "\x1b[1;31m"}};
  const char *colour = "";
  for (size_t i = 0; colours && i < sizeof(rows) / sizeof(rows[0]); i++)
    if (tti_slice_eq(level->text, tti_slice_of(rows[i].level)))
      colour = rows[i].colour;
  fputs(colour, out);
  cli_value_print(out, level);
  size_t width = level->text.len > 2 ? level->text.len - 2 : 0;
  fprintf(out, "%*s%s ", width < 5 ? (int)(5 - width) : 0, "",
          *colour ? "\x1b[0m" : "");
}

static void put_data(FILE *out, const tti_json_value *data) {
  tti_json_scan scan;
  tti_json_value key, value;
  tti_json_scan_init(&scan, data->text);
  if (!tti_json_scan_open_object(&scan))
    return;
  while (tti_json_scan_member(&scan, &key) &&
         tti_json_scan_value(&scan, &value)) {
    fputc(' ', out);
    cli_value_print(out, &key);
    fputc('=', out);
    cli_value_print(out, &value);
  }
}

static bool is_there(const tti_json_value *value) {
  return value->type != TTI_JSON_NONE && value->type != TTI_JSON_NULL;
}

void cli_line_print(FILE *out, tti_slice event, bool colours) {
  enum {
    TS,
    LEVEL,
    SOURCE,
    CHANNEL,
    ACTION,
    AGENT_ID,
    DURATION_MS,
    DATA,
    TRUNCATED,
    COUNT
  };
  const tti_slice names[COUNT] = {
      TTI_SLICE("ts"),          TTI_SLICE("level"),  TTI_SLICE("source"),
      TTI_SLICE("channel"),     TTI_SLICE("action"), TTI_SLICE("agent_id"),
      TTI_SLICE("duration_ms"), TTI_SLICE("data"),   TTI_SLICE("truncated")};
  tti_json_names table;
  tti_json_value values[COUNT];
  tti_json_names_init(&table, names, COUNT);
  if (tti_json_check_fields(event, &table, values, NULL)) {
    cli_text_print(out, event);
    fputc('\n', out);
    return;
  }
  put_time(out, &values[TS]);
  put_level(out, &values[LEVEL], colours);
  cli_value_print(out, &values[SOURCE]);
  if (is_there(&values[CHANNEL])) {
    fputc('/', out);
    cli_value_print(out, &values[CHANNEL]);
  }
  if (is_there(&values[ACTION])) {
    fputs(colours ? " \x1b[1m" : " ", out);
    cli_value_print(out, &values[ACTION]);
    fputs(colours ? "\x1b[0m" : "", out);
  }
  if (is_there(&values[AGENT_ID])) {
    fputs(" @", out);
    cli_value_print(out, &values[AGENT_ID]);
  }
  if (is_there(&values[DURATION_MS])) {
    fputc(' ', out);
    cli_value_print(out, &values[DURATION_MS]);
    fputs("ms", out);
  }
  put_data(out, &values[DATA]);
  if (values[TRUNCATED].type == TTI_JSON_TRUE)
    fputs(" (data was too large and is gone)", out);
  fputc('\n', out);
}
