#include "server/deliver/chat.h"

#include "lib/json/scan.h"
#include "lib/json/write.h"

/* Slack cuts off what is longer than 40,000 characters, Discord refuses what
 * has more than 2,000. The line before the data fits into what is left. */
#define SLACK_DATA_MAX   30000
#define DISCORD_DATA_MAX 1000
#define LINE_PART_MAX    128

/* At most `max` bytes, and whole characters. */
static tti_slice cut(tti_slice text, size_t max) {
  if (text.len <= max)
    return text;
  while (max && ((unsigned char)text.ptr[max] & 0xc0) == 0x80)
    max--;
  return (tti_slice){text.ptr, max};
}

typedef struct message {
  tti_buf text;
  bool escape; /* Slack's three characters */
} message;

static void say(message *m, tti_slice text) {
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    const char *stand_in = !m->escape ? NULL
                           : c == '&' ? "&amp;"
                           : c == '<' ? "&lt;"
                           : c == '>' ? "&gt;"
                                      : NULL;
    if (stand_in)
      tti_buf_append_text(&m->text, stand_in);
    else
      tti_buf_append_char(&m->text, c);
  }
}

static void say_part(message *m, const char *before, const char *part,
                     const char *after) {
  if (!*part)
    return;
  tti_buf_append_text(&m->text, before);
  say(m, cut(tti_slice_of(part), LINE_PART_MAX));
  tti_buf_append_text(&m->text, after);
}

/* Nothing in it may end the fence. */
static void say_data(message *m, tti_slice data, size_t max) {
  tti_slice part = cut(data, max);
  tti_buf_append_text(&m->text, "\n```\n");
  size_t begin = m->text.len;
  say(m, part);
  for (size_t i = begin; i < m->text.len; i++)
    if (m->text.data[i] == '`')
      m->text.data[i] = '\'';
  tti_buf_append_text(&m->text, part.len < data.len ? "…\n```" : "\n```");
}

static void write_message(const due_delivery *d, bool escape, size_t data_max,
                          const char *key, tti_buf *out) {
  static const tti_slice names[] = {{"data", 4}};
  tti_json_names table;
  tti_json_value data;
  tti_json_error error;
  message m = {.escape = escape};
  tti_buf_init(&m.text, 6 * SLACK_DATA_MAX);
  tti_json_names_init(&table, names, 1);
  say_part(&m, "[", d->level, "] ");
  say_part(&m, "", d->source, "");
  say_part(&m, *d->source ? "/" : "", d->category, "");
  if (*d->source || *d->category)
    tti_buf_append_text(&m.text, ": ");
  say_part(&m, "", d->type, "");
  say_part(&m, " (agent: ", d->agent_id, ")");
  if (tti_json_check_fields(d->body, &table, &data, &error) == TT_OK &&
      data.type > TTI_JSON_NULL)
    say_data(&m, data.text, data_max);
  tti_buf_append_text(out, key);
  tti_json_write_string(out, tti_buf_slice(&m.text));
  if (m.text.error)
    out->error = m.text.error;
  tti_buf_fini(&m.text);
}

void chat_slack(const due_delivery *due, tti_buf *out) {
  write_message(due, true, SLACK_DATA_MAX, "{\"text\":", out);
  tti_buf_append_char(out, '}');
}

void chat_discord(const due_delivery *due, tti_buf *out) {
  write_message(due, false, DISCORD_DATA_MAX,
                "{\"allowed_mentions\":{\"parse\":[]},\"content\":", out);
  tti_buf_append_char(out, '}');
}
