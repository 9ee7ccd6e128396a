#include "lib/fleet/reply.h"

#include <stdlib.h>

/* A year: what a server asks for beyond that is cut. */
#define WAIT_MAX_S ((int64_t)365 * 86400)
#define SAID_MAX   200

enum { NEXT_UPDATE, STOP, ERROR, DISABLE_KEYS, ENABLE_KEYS, FIELDS };

/* nanoseconds */
static int64_t next_update_us(const tti_json_value *value) {
  int64_t ns;
  if (value->type != TTI_JSON_NUMBER || !tti_json_to_i64(value->text, &ns) ||
      ns < 0)
    return 0;
  int64_t us = ns / 1000;
  return us < WAIT_MAX_S * 1000000 ? us : WAIT_MAX_S * 1000000;
}

static tti_slice array_of(const tti_json_value *value) {
  return value->type == TTI_JSON_ARRAY ? value->text : (tti_slice){NULL, 0};
}

static tti_slice shortened(tti_slice text) {
  if (text.len > SAID_MAX)
    text.len = SAID_MAX;
  return text;
}

static bool is_json(const tti_http_answer *answer) {
  static const char word[] = "json";
  tti_slice type = tti_http_header(answer, "Content-Type");
  for (size_t i = 0; i + 4 <= type.len; i++) {
    if (tti_slice_eq_nocase((tti_slice){type.ptr + i, 4}, (tti_slice){word, 4}))
      return true;
  }
  return false;
}

static tti_reply plain(tti_reply_verdict verdict, const char *why,
                       tti_slice said) {
  return (tti_reply){.verdict = verdict, .why = why, .said = shortened(said)};
}

static void judge(tti_reply *reply, const tti_http_answer *answer, bool stop) {
  int status = answer->status;
  bool taken = status / 100 == 2;
  if (stop) {
    reply->verdict = TTI_REPLY_ENDED;
    reply->why = "the server asks to stop";
  } else if (status == 429) {
    reply->verdict = TTI_REPLY_EARLY;
    reply->why = "the server finds it too early";
    if (reply->wait_us == 0) {
      int64_t after_s = tti_http_retry_after_s(answer, WAIT_MAX_S);
      reply->wait_us = after_s > 0 ? after_s * 1000000 : 0;
    }
  } else if (!taken) {
    reply->verdict = TTI_REPLY_FAILED;
    reply->why = "the server refuses it";
  }
}

tti_reply tti_reply_of(const tti_http_answer *answer) {
  static const tti_slice names[FIELDS] = {
      {"next_update", 11},  {"stop", 4},         {"error", 5},
      {"disable_keys", 12}, {"enable_keys", 11},
  };
  tti_json_names table;
  tti_json_value fields[FIELDS];
  tti_slice body = tti_buf_slice(&answer->body);
  if (answer->status == 410)
    return plain(TTI_REPLY_ENDED, "upgrade required", body);
  if (answer->status == 451)
    return plain(TTI_REPLY_ENDED,
                 "not available for legal reasons: consult the project website",
                 body);
  tti_json_names_init(&table, names, FIELDS);
  if (!is_json(answer) || tti_json_check_fields(body, &table, fields, NULL))
    return plain(TTI_REPLY_FAILED, "the answer is not JSON", body);
  tti_reply reply = {.verdict = TTI_REPLY_ACCEPTED};
  reply.wait_us = next_update_us(&fields[NEXT_UPDATE]);
  reply.enable_keys = array_of(&fields[ENABLE_KEYS]);
  reply.disable_keys = array_of(&fields[DISABLE_KEYS]);
  if (fields[ERROR].type == TTI_JSON_STRING)
    reply.said = shortened(tti_json_inside(fields[ERROR].text));
  judge(&reply, answer, fields[STOP].type == TTI_JSON_TRUE);
  return reply;
}

void tti_reply_keys(tti_slice array, void (*each)(void *context, tti_slice key),
                    void *context) {
  tti_json_scan scan;
  tti_json_value value;
  if (!array.ptr)
    return;
  char *text = malloc(array.len); /* for one that has escapes */
  tti_json_scan_init(&scan, array);
  if (!text || !tti_json_scan_open_array(&scan))
    goto out;
  while (tti_json_scan_item(&scan) && tti_json_scan_value(&scan, &value)) {
    size_t len;
    if (value.type == TTI_JSON_STRING &&
        !tti_json_decode(value.text, text, &len, NULL))
      each(context, tti_slice_trim((tti_slice){text, len}));
  }
out:
  free(text);
}
