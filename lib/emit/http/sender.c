#include "lib/emit/http/sender.h"

#include "lib/base/log.h"
#include "lib/base/random.h"
#include "lib/base/time.h"
#include "lib/emit/http/post.h"
#include "lib/emit/http/verdict.h"
#include "lib/emit/pack.h"
#include "lib/emit/retry.h"
#include "lib/http/client.h"
#include <stdio.h>
#include <stdlib.h>

#define BATCH_EVENTS     1000
#define BATCH_BYTES      ((size_t)1024 * 1024)
#define GZIP_FROM_BYTES  1024
#define RETRY_AFTER_S    60
#define LEARNED_FOR_US   ((int64_t)5 * 60 * 1000000)
#define USER_AGENT       "telltale/" TELLTALE_VERSION
#define HEADERS_MAX      6
#define DROPS_TEXT_BYTES 256

/* Each has its own share of lines: trouble that passes must not hide a loss. */
enum { LOG_TROUBLE, LOG_LOSS, LOG_KINDS };

struct tti_sender {
  const tti_sender_config *config;
  tti_queue *queue;
  tti_http_client *client;

  /* From here on the thread's own. */
  tti_post post;
  tti_http_answer answer;
  char producer[TTI_UUID_TEXT];
  uint64_t posts; /* the number of the last key */
  char drops[DROPS_TEXT_BYTES];
  uint64_t reporting[TT_DROP_REASON_COUNT]; /* with the post on its way */
  uint64_t reported[TT_DROP_REASON_COUNT];
  size_t max_events; /* halved by a bad event, doubled by a success */
  size_t max_bytes;  /* halved by a 413 */
  int64_t max_bytes_until_us;
  int64_t single_until_us[2]; /* the server has no batch route (for logs) */
  bool gzip_accepted;
  bool gzip_refused;
  unsigned failures; /* in a row, over all posts: the delay grows with them */
  tti_log_ration complaints[LOG_KINDS];
};

static void complain(tti_sender *s, int kind, const char *what,
                     const char *detail) {
  tti_complain(&s->complaints[kind], &s->config->log, s->config->shown_url,
               what, detail);
}

/* The answer's status and the beginning of its body, in one line. */
static void complain_of_answer(tti_sender *s, int kind, const char *what) {
  char detail[TTI_HTTP_TEXT_MAX];
  const tti_http_answer *a = &s->answer;
  if (!a->status) {
    complain(s, kind, what, a->problem);
    return;
  }
  snprintf(detail, sizeof(detail), "status %d %.*s", a->status,
           (int)(a->body.len < 200 ? a->body.len : 200),
           a->body.len ? a->body.data : "");
  for (char *c = detail; *c; c++) {
    if ((unsigned char)*c < ' ')
      *c = ' ';
  }
  complain(s, kind, what, detail);
}

/* -- One request. -- */

/* Writes the Telltale-Dropped header: what was dropped since the last report
 * that was acknowledged. It stays the same in every attempt, as the key does,
 * so that an answer that got lost makes no server count twice. */
static void prepare_drops(tti_sender *s) {
  tt_emitter_stats stats;
  tti_queue_stats(s->queue, &stats);
  size_t len = 0;
  for (int i = 0; i < TT_DROP_REASON_COUNT; i++) {
    s->reporting[i] = stats.dropped[i];
    if (stats.dropped[i] == s->reported[i])
      continue;
    len += (size_t)snprintf(
        s->drops + len, sizeof(s->drops) - len, "%s%s=%llu",
        len ? "," : "Telltale-Dropped: ",
        tt_drop_reason_name((tt_drop_reason)i),
        (unsigned long long)(stats.dropped[i] - s->reported[i]));
  }
  s->drops[len] = '\0';
}

/* Whether the first of what was taken goes by itself, there being no batch
 * route. */
static bool is_single(const tti_sender *s, tti_slice taken) {
  tti_packed first;
  return tti_unpack(&taken, &first) &&
         tti_monotonic_us(&tti_clock_system) < s->single_until_us[first.is_log];
}

static bool wants_gzip(const tti_sender *s) {
  return s->gzip_accepted && !s->gzip_refused &&
         s->post.json.len > GZIP_FROM_BYTES;
}

static tt_error post(tti_sender *s, bool single) {
  const char *headers[HEADERS_MAX];
  size_t count = 0;
  char key[64];
  snprintf(key, sizeof(key), "Idempotency-Key: %s/%llu", s->producer,
           (unsigned long long)s->posts);
  headers[count++] = "Content-Type: application/json";
  headers[count++] = key;
  if (s->config->authorization)
    headers[count++] = s->config->authorization;
  if (s->drops[0])
    headers[count++] = s->drops;
  if (s->post.gzip.len)
    headers[count++] = "Content-Encoding: gzip";
  tti_http_request request = {
      .url = (single ? s->config->urls : s->config->batch_urls)[s->post.is_log],
      .body = tti_buf_slice(s->post.gzip.len ? &s->post.gzip : &s->post.json),
      .headers = headers,
      .header_count = count,
      .timeout_ms = s->config->request_timeout_ms,
  };
  tt_error error = tti_http_post(s->client, &request, &s->answer);
  if (error == TT_OK)
    s->gzip_accepted = tti_http_list_has(
        tti_http_header(&s->answer, "Accept-Encoding"), "gzip");
  return error;
}

/* -- What follows from the answer. -- */

static void drop(tti_sender *s, tt_drop_reason reason, const char *what) {
  complain_of_answer(s, LOG_LOSS, what);
  tti_queue_dropped(s->queue, reason, s->post.events, s->post.packed_bytes);
}

static void acknowledge(tti_sender *s) {
  tti_queue_sent(s->queue, s->post.events, s->post.packed_bytes);
  memcpy(s->reported, s->reporting, sizeof(s->reported));
  s->failures = 0;
  s->max_events =
      s->max_events < BATCH_EVENTS / 2 ? s->max_events * 2 : BATCH_EVENTS;
}

/* What the server asked for with its last answer. It can only lengthen. */
static int64_t asked_ms(const tti_sender *s) {
  int64_t asked_s =
      s->answer.status ? tti_http_retry_after_s(&s->answer, RETRY_AFTER_S) : -1;
  return asked_s > 0 ? asked_s * 1000 : 0;
}

static int64_t delay_ms(const tti_sender *s) {
  int64_t delay = tti_retry_delay_ms(s->failures);
  int64_t asked = asked_ms(s);
  return asked > delay ? asked : delay;
}

/* A server that asked for time is asked again once a flush, not more. */
static void back_off(tti_sender *s, int64_t due_us) {
  tti_retry_wait(s->queue, due_us,
                 tti_queue_is_flushing(s->queue) && asked_ms(s) == 0);
}

static void shrink(tti_sender *s, tti_verdict verdict) {
  if (verdict == TTI_VERDICT_SPLIT) {
    s->max_events = s->post.events / 2;
  } else {
    s->max_bytes = s->post.json.len / 2;
    s->max_bytes_until_us =
        tti_monotonic_us(&tti_clock_system) + LEARNED_FOR_US;
  }
}

/* Sends what was built until its fate is known. How many of its events are
 * settled: all or none (then it is to be built anew). */
static bool settle(tti_sender *s, bool single) {
  int attempts = 0;
  int64_t due_us = 0; /* when the next attempt is one of the schedule */
  for (;;) {
    if (tti_queue_stopped(s->queue))
      return false;
    if (!wants_gzip(s) || !tti_post_compress(&s->post))
      tti_buf_clear(&s->post.gzip);
    tt_error error = post(s, single);
    if (error == TT_ECANCELLED) {
      while (tti_queue_pause(s->queue, TTI_RETRY_LAST_MS) != TTI_PAUSE_STOPPED)
        ;
      return false;
    }
    tti_verdict verdict = error
                              ? TTI_VERDICT_RETRY
                              : tti_verdict_of(s->answer.status, s->post.events,
                                               !single, s->post.gzip.len > 0);
    switch (verdict) {
    case TTI_VERDICT_SENT:
      acknowledge(s);
      return true;
    case TTI_VERDICT_SMALLER:
    case TTI_VERDICT_SPLIT:
      shrink(s, verdict);
      return false;
    case TTI_VERDICT_SINGLE:
      s->single_until_us[s->post.is_log] =
          tti_monotonic_us(&tti_clock_system) + LEARNED_FOR_US;
      return false;
    case TTI_VERDICT_IDENTITY:
      s->gzip_refused = true;
      break;
    case TTI_VERDICT_TOO_LARGE:
      drop(s, TT_DROP_TOO_LARGE, "the server refuses an event for its size");
      return true;
    case TTI_VERDICT_REJECTED:
      drop(s, TT_DROP_REJECTED, "the server refuses events");
      return true;
    case TTI_VERDICT_RETRY: {
      complain_of_answer(s, LOG_TROUBLE, "delivery failed, trying again");
      /* Attempts that flushes bring forward come on top of the schedule: or a
       * program that flushes often would soon use them up. */
      int64_t now = tti_monotonic_us(&tti_clock_system);
      if (now >= due_us) {
        s->failures++;
        attempts++;
        due_us = now + delay_ms(s) * 1000;
      }
      bool last = attempts >= s->config->max_attempts;
      if (last)
        drop(s, TT_DROP_RETRIES, "giving up on events");
      back_off(s, due_us);
      if (last)
        return true;
      break;
    }
    }
  }
}

/* Sends the first events of those taken and moves beyond what is settled. */
static void send_some(tti_sender *s, tti_slice *taken) {
  bool single = is_single(s, *taken);
  if (tti_monotonic_us(&tti_clock_system) >= s->max_bytes_until_us)
    s->max_bytes = BATCH_BYTES;
  tt_error error =
      tti_post_build(&s->post, *taken, s->max_events, s->max_bytes, single);
  bool settled = true;
  if (error) {
    tti_queue_dropped(
        s->queue, error == TT_ENOMEM ? TT_DROP_NO_MEMORY : TT_DROP_TOO_LARGE,
        s->post.events, s->post.packed_bytes);
  } else {
    if (s->post.repaired)
      complain(s, LOG_LOSS, "data that is no JSON", "left out of an event");
    s->posts++;
    prepare_drops(s);
    settled = settle(s, single);
  }
  if (settled) {
    taken->ptr += s->post.packed_bytes;
    taken->len -= s->post.packed_bytes;
  }
}

void tti_sender_run(tti_sender *sender) {
  while (tti_queue_wait(sender->queue)) {
    tti_slice taken = tti_queue_take(sender->queue);
    while (taken.len && !tti_queue_stopped(sender->queue))
      send_some(sender, &taken);
    tti_post_trim(&sender->post);
  }
  /* Here, where signals are blocked: the end of a TLS session may be written to
   * a connection that is gone, and a SIGPIPE would end the host. */
  tti_http_client_free(sender->client);
  sender->client = NULL;
}

/* -- Life. -- */

tti_sender *tti_sender_new(const tti_sender_config *config, tti_queue *queue) {
  tti_sender *s = calloc(1, sizeof(*s));
  if (!s)
    return NULL;
  if (tti_http_client_new(USER_AGENT, &s->client)) {
    free(s);
    return NULL;
  }
  s->config = config;
  s->queue = queue;
  s->max_events = BATCH_EVENTS;
  s->max_bytes = BATCH_BYTES;
  tti_uuid4(s->producer);
  tti_post_init(&s->post);
  tti_http_answer_init(&s->answer);
  return s;
}

void tti_sender_cancel(tti_sender *sender) {
  tti_http_cancel(sender->client);
}

void tti_sender_free(tti_sender *sender, uint64_t left) {
  if (left)
    tti_log(&sender->config->log, TT_LEVEL_WARN,
            "emitter to %s: %llu events dropped at shutdown",
            sender->config->shown_url, (unsigned long long)left);
  tti_http_client_free(sender->client);
  tti_http_answer_fini(&sender->answer);
  tti_post_fini(&sender->post);
  free(sender);
}
