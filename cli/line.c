#include "cli/line.h"
#include "lib/base/time.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool cli_colours(FILE *out) {
  const char *no_color = getenv("NO_COLOR");
  return isatty(fileno(out)) && (!no_color || !*no_color);
}

static void put_safe(FILE *out, const char *text) {
  for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
    /* C0, DEL, and C1 as UTF-8 (c2 80 to c2 9f) can all command a terminal. */
    if (*at < 0x20 || *at == 0x7f)
      fprintf(out, "\\x%02x", *at);
    else if (*at == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f)
      fprintf(out, "\\x%02x", *++at);
    else
      fputc(*at, out);
  }
}

static const char *text_of(const json_t *event, const char *key) {
  const char *text = json_string_value(json_object_get(event, key));
  return text ? text : "";
}

static void put_time(FILE *out, const json_t *event) {
  int64_t us;
  char text[32] = "";
  if (!tti_rfc3339_parse(tti_slice_of(text_of(event, "ts")), &us))
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

static const char *colour_of(const char *level) {
  static const struct {
    const char *level, *colour;
  } rows[] = {{"debug", "\x1b[2m"},
              {"warn", "\x1b[33m"},
              {"error", "\x1b[31m"},
              {"fatal", "\x1b[1;31m"}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    if (!strcmp(rows[i].level, level))
      return rows[i].colour;
  return "";
}

static void put_value(FILE *out, const json_t *value) {
  if (json_is_string(value)) {
    put_safe(out, json_string_value(value));
    return;
  }
  char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
  if (text)
    put_safe(out, text);
  free(text);
}

void cli_line_print(FILE *out, const json_t *event, bool colours) {
  const char *level = text_of(event, "level");
  const char *colour = colours ? colour_of(level) : "";
  const char *plain = *colour ? "\x1b[0m" : "";
  put_time(out, event);
  fputs(colour, out);
  char padded[8];
  snprintf(padded, sizeof(padded), "%-5.7s", level);
  put_safe(out, padded);
  fprintf(out, "%s ", plain);
  put_safe(out, text_of(event, "source"));
  if (*text_of(event, "channel")) {
    fputc('/', out);
    put_safe(out, text_of(event, "channel"));
  }
  if (*text_of(event, "action")) {
    fprintf(out, " %s", colours ? "\x1b[1m" : "");
    put_safe(out, text_of(event, "action"));
    fputs(colours ? "\x1b[0m" : "", out);
  }
  if (*text_of(event, "agent_id")) {
    fputs(" @", out);
    put_safe(out, text_of(event, "agent_id"));
  }
  const json_t *duration = json_object_get(event, "duration_ms");
  if (json_is_integer(duration))
    fprintf(out, " %" JSON_INTEGER_FORMAT "ms", json_integer_value(duration));
  const char *key;
  json_t *value;
  json_object_foreach(json_object_get(event, "data"), key, value) {
    fputc(' ', out);
    put_safe(out, key);
    fputc('=', out);
    put_value(out, value);
  }
  if (json_is_true(json_object_get(event, "truncated")))
    fputs(" (data was too large and is gone)", out);
  fputc('\n', out);
}
