#include "cli/send_stdin.h"
#include "cli/options.h"
#include "cli/split.h"
#include "lib/base/random.h"
#include "lib/base/time.h"
#include "lib/event/parse.h"
#include "lib/json/scan.h"

#include <time.h>
#include <unistd.h>

#define BATCH_EVENTS     1000
#define BATCH_BYTES      ((size_t)1 << 20)
#define ITEM_MAX_BYTES   ((size_t)16 << 20)
#define RETRY_FOR_US     ((int64_t)60 * 1000000)
#define PROGRESS_EACH_US 200000

/* The keys of an event that the options can fill. */
enum { KEY_COUNT = 7 };
static const tti_slice key_names[KEY_COUNT] = {
    {"source", 6},   {"channel", 7},      {"action", 6}, {"level", 5},
    {"agent_id", 8}, {"duration_ms", 11}, {"data", 4}};

typedef struct sender {
  client *client;
  tti_json_value defaults[KEY_COUNT]; /* by key; type NONE: none given */
  tti_json_names keys;
  tti_buf batch; /* a JSON array without its closing bracket */
  size_t batch_events;
  uint64_t sent_events;
  uint64_t sent_batches;
  char producer[TTI_UUID_TEXT];
  bool progress;
  int64_t shown_us;
  client_answer answer;
} sender;

static void show_progress(sender *s, bool last) {
  int64_t now = tti_monotonic_us(&tti_clock_system);
  if (!s->progress || (!last && now - s->shown_us < PROGRESS_EACH_US))
    return;
  s->shown_us = now;
  fprintf(stderr, "\r%llu events sent%s", (unsigned long long)s->sent_events,
          last ? "\n" : "");
}

static bool worth_another_try(const client_answer *answer) {
  return answer->status == 0 || answer->status == 429 || answer->status == 503;
}

static void wait_before_retry(const client_answer *answer, unsigned tries) {
  unsigned ms = 200u << (tries < 5 ? tries : 5);
  if (answer->retry_after_s > 0 && answer->retry_after_s < 30)
    ms = (unsigned)answer->retry_after_s * 1000;
  ms += (unsigned)tti_random_below(ms / 4 + 1);
  struct timespec wait = {ms / 1000, (long)(ms % 1000) * 1000000};
  nanosleep(&wait, NULL);
}

/* The server counts from the start of the batch; say where in the input. Its
 * reader of events is ours too, so it finds the same place. */
static void report_place(const sender *s) {
  tti_batch parsed;
  tti_parse_error error;
  tti_parse_options options = {.form = TTI_PARSE_ARRAY};
  tti_batch_init(&parsed, BATCH_EVENTS, 4 * ITEM_MAX_BYTES);
  tt_error result =
      tti_parse_relay(tti_buf_slice(&s->batch), &options, &parsed, &error);
  tti_batch_fini(&parsed);
  if (s->answer.status == 400 && result == TT_EPARSE)
    fprintf(stderr,
            "telltale send: that is the input's event %llu, counted from 1\n",
            (unsigned long long)(s->sent_events + error.index + 1));
  fprintf(stderr,
          "telltale send: the input's first %llu events are stored; send the "
          "rest again\n",
          (unsigned long long)s->sent_events);
}

static int send_batch(sender *s) {
  if (s->batch_events == 0)
    return CLI_OK;
  char key[TTI_UUID_TEXT + 24];
  snprintf(key, sizeof(key), "%s/%llu", s->producer,
           (unsigned long long)++s->sent_batches);
  tti_buf_append_char(&s->batch, ']');
  client_request request = {.method = "POST",
                            .path = "/events/batch",
                            .content_type = "application/json",
                            .body = tti_buf_slice(&s->batch),
                            .idempotency_key = key};
  int64_t until = tti_monotonic_us(&tti_clock_system) + RETRY_FOR_US;
  for (unsigned tries = 0;; tries++) {
    client_call(s->client, &request, &s->answer);
    if (!worth_another_try(&s->answer) ||
        tti_monotonic_us(&tti_clock_system) >= until)
      break;
    /* Nothing was ever there: a mistyped URL should not take a minute. */
    if (s->answer.status == 0 && s->sent_events == 0 && tries >= 2)
      break;
    wait_before_retry(&s->answer, tries);
  }
  int status = client_report("send", &s->answer);
  if (status) {
    report_place(s);
    return status;
  }
  s->sent_events += s->batch_events;
  s->batch_events = 0;
  tti_buf_clear(&s->batch);
  show_progress(s, false);
  return CLI_OK;
}

/* Whether an object, text of which the brace is the first byte, has members. */
static bool has_members(tti_slice object) {
  tti_slice inside = {object.ptr + 1, object.len - 1};
  inside = tti_slice_trim(inside);
  return inside.len > 0 && inside.ptr[0] != '}';
}

/* The event, with the defaults that it does not name spliced in behind its
 * brace. One that is not JSON goes out as it is: the server says what is wrong.
 */
static void append_with_defaults(sender *s, tti_slice item) {
  tti_json_value given[KEY_COUNT];
  const char *comma = "";
  bool right = tti_json_check_fields(item, &s->keys, given, NULL) == TT_OK;
  tti_buf_append_char(&s->batch, '{');
  for (size_t i = 0; right && i < KEY_COUNT; i++) {
    if (s->defaults[i].type == TTI_JSON_NONE || given[i].type != TTI_JSON_NONE)
      continue;
    tti_buf_printf(&s->batch, "%s\"%s\":", comma, key_names[i].ptr);
    tti_buf_append_slice(&s->batch, s->defaults[i].text);
    comma = ",";
  }
  if (*comma && has_members(item))
    tti_buf_append_char(&s->batch, ',');
  tti_buf_append(&s->batch, item.ptr + 1, item.len - 1);
}

static int add_item(sender *s, tti_slice item) {
  if (s->batch_events && (s->batch_events == BATCH_EVENTS ||
                          s->batch.len + item.len > BATCH_BYTES)) {
    int status = send_batch(s);
    if (status)
      return status;
  }
  tti_buf_append_char(&s->batch, s->batch_events ? ',' : '[');
  append_with_defaults(s, item);
  s->batch_events++;
  if (s->batch.error) {
    fprintf(stderr, "telltale send: event %llu: %s\n",
            (unsigned long long)(s->sent_events + s->batch_events - 1),
            tt_error_message(s->batch.error));
    return CLI_FAILED;
  }
  return CLI_OK;
}

static int send_all(sender *s, FILE *in, splitter *split) {
  static char bytes[65536];
  size_t got;
  while ((got = fread(bytes, 1, sizeof(bytes), in)) > 0) {
    tti_slice rest = {bytes, got};
    split_result result;
    while ((result = splitter_take(split, &rest)) == SPLIT_ITEM) {
      int status = add_item(s, tti_buf_slice(&split->item));
      if (status)
        return status;
      splitter_next(split);
    }
    if (result == SPLIT_BAD || split->item.error) {
      fprintf(stderr, "telltale send: standard input: %s after event %llu\n",
              split->item.error ? "an event over 16 MiB"
                                : "neither an object nor an array of objects",
              (unsigned long long)(s->sent_events + s->batch_events));
      return CLI_FAILED;
    }
  }
  if (ferror(in) || !splitter_at_end(split)) {
    fprintf(stderr,
            "telltale send: standard input ends in the middle, after event "
            "%llu\n",
            (unsigned long long)(s->sent_events + s->batch_events));
    return CLI_FAILED;
  }
  return send_batch(s);
}

int send_stdin(client *c, FILE *in, tti_slice defaults, bool json) {
  sender s = {.client = c, .progress = isatty(STDERR_FILENO) && !json};
  splitter split;
  tti_buf object;
  splitter_init(&split, ITEM_MAX_BYTES);
  tti_buf_init(&s.batch, 2 * ITEM_MAX_BYTES);
  tti_buf_init(&object, 2 * ITEM_MAX_BYTES);
  client_answer_init(&s.answer);
  tti_uuid4(s.producer);
  tti_buf_append_char(&object, '{');
  tti_buf_append_slice(&object, defaults);
  tti_buf_append_char(&object, '}');
  tti_json_names_init(&s.keys, key_names, KEY_COUNT);
  tt_error error = object.error;
  if (!error)
    error = tti_json_check_fields(tti_buf_slice(&object), &s.keys, s.defaults,
                                  NULL);
  if (error)
    fprintf(stderr, "telltale send: the options are no part of an event: %s\n",
            tt_error_message(error));
  int status = error ? CLI_FAILED : send_all(&s, in, &split);
  if (s.progress)
    show_progress(&s, true);
  if (json)
    printf("{\"sent\":%llu}\n", (unsigned long long)s.sent_events);
  else if (!s.progress)
    fprintf(stderr, "sent %llu events\n", (unsigned long long)s.sent_events);
  client_answer_fini(&s.answer);
  tti_buf_fini(&object);
  tti_buf_fini(&s.batch);
  splitter_fini(&split);
  return status;
}
