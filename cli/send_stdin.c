#include "cli/send_stdin.h"
#include "cli/options.h"
#include "cli/split.h"
#include "lib/base/random.h"
#include "lib/base/time.h"

#include <jansson.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BATCH_EVENTS     1000
#define BATCH_BYTES      ((size_t)1 << 20)
#define ITEM_MAX_BYTES   ((size_t)16 << 20)
#define RETRY_FOR_US     ((int64_t)60 * 1000000)
#define PROGRESS_EACH_US 200000

typedef struct sender {
  client *client;
  tti_slice defaults;
  json_t *default_keys; /* an object of the defaults, or NULL */
  tti_buf batch;        /* a JSON array without its closing bracket */
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

/* The server counts from the start of the batch; say where in the input. */
static void report_place(const sender *s) {
  fprintf(stderr,
          "telltale send: stopped after %llu events; in the input, the batch "
          "that was refused begins at event %llu (counted from 0)\n",
          (unsigned long long)s->sent_events,
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

/* The defaults that an event does not name, spliced in behind its brace. An
 * event that is not JSON goes out as it is: the server says what is wrong. */
static void append_with_defaults(sender *s, tti_slice item) {
  json_t *event = s->default_keys
                      ? json_loadb(item.ptr, item.len, JSON_ALLOW_NUL, NULL)
                      : NULL;
  tti_buf_append_char(&s->batch, '{');
  const char *key;
  json_t *value;
  bool more = event && json_object_size(event) > 0;
  size_t left = 0;
  json_object_foreach(s->default_keys, key, value) {
    if (event && !json_object_get(event, key))
      left++;
  }
  json_object_foreach(s->default_keys, key, value) {
    if (!event || json_object_get(event, key))
      continue;
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (text)
      tti_buf_printf(&s->batch, "\"%s\":", key);
    if (text)
      tti_buf_append_text(&s->batch, text);
    free(text);
    if (--left || more)
      tti_buf_append_char(&s->batch, ',');
  }
  tti_buf_append(&s->batch, item.ptr + 1, item.len - 1);
  json_decref(event);
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
  sender s = {.client = c,
              .defaults = defaults,
              .progress = isatty(STDERR_FILENO) && !json};
  splitter split;
  splitter_init(&split, ITEM_MAX_BYTES);
  tti_buf_init(&s.batch, 2 * ITEM_MAX_BYTES);
  client_answer_init(&s.answer);
  tti_uuid4(s.producer);
  if (defaults.len) {
    tti_buf object;
    tti_buf_init(&object, ITEM_MAX_BYTES);
    tti_buf_printf(&object, "{%.*s}", (int)defaults.len, defaults.ptr);
    s.default_keys = json_loadb(object.data, object.len, JSON_ALLOW_NUL, NULL);
    tti_buf_fini(&object);
  }
  int status = send_all(&s, in, &split);
  if (s.progress)
    show_progress(&s, true);
  if (json)
    printf("{\"sent\":%llu}\n", (unsigned long long)s.sent_events);
  else if (!s.progress)
    fprintf(stderr, "sent %llu events\n", (unsigned long long)s.sent_events);
  json_decref(s.default_keys);
  client_answer_fini(&s.answer);
  tti_buf_fini(&s.batch);
  splitter_fini(&split);
  return status;
}
