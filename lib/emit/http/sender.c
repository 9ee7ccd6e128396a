#include "lib/emit/http/sender.h"

#include "lib/base/log.h"
#include "lib/base/random.h"
#include "lib/base/time.h"
#include "lib/emit/http/post.h"
#include "lib/emit/http/verdict.h"
#include "lib/http/client.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH_EVENTS    1000
#define BATCH_BYTES     ((size_t)1024 * 1024)
#define GZIP_FROM_BYTES 1024
#define FIRST_DELAY_MS  100
#define LAST_DELAY_MS   30000
#define RETRY_AFTER_S   60
/* A flush cuts a delay short, but not below this. */
#define LEAST_DELAY_MS   100
#define LEARNED_FOR_US   ((int64_t)5 * 60 * 1000000)
#define LOG_EVERY_US     ((int64_t)10 * 1000000)
#define USER_AGENT       "telltale/" TELLTALE_VERSION
#define HEADERS_MAX      6
#define DROPS_TEXT_BYTES 256

/* Each has its own share of lines: trouble that passes must not hide a loss. */
enum { LOG_TROUBLE, LOG_LOSS, LOG_KINDS };
enum { THREAD_NONE, THREAD_STARTING, THREAD_RUNNING };

struct tti_sender {
  const tti_sender_config *config;
  tti_queue *queue;
  tti_http_client *client;
  pid_t pid;
  atomic_int thread_state;
  pthread_t thread;

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
  int64_t single_until_us; /* the server has no batch route */
  bool gzip_accepted;
  bool gzip_refused;
  unsigned failures; /* in a row, over all posts: the delay grows with them */
  struct {
    int64_t at_us;
    uint64_t held_back;
  } logged[LOG_KINDS];
};

/* -- Log lines: at most one of a kind every ten seconds. -- */

static void complain(tti_sender *s, int kind, const char *what,
                     const char *detail) {
  int64_t now = tti_monotonic_us(&tti_clock_system);
  int64_t at = s->logged[kind].at_us;
  if (at && now - at < LOG_EVERY_US) {
    s->logged[kind].held_back++;
    return;
  }
  char more[64] = "";
  if (s->logged[kind].held_back)
    snprintf(more, sizeof(more), " (%llu more like it)",
             (unsigned long long)s->logged[kind].held_back);
  tti_log(&s->config->log, TT_LEVEL_WARN, "emitter to %s: %s: %s%s",
          s->config->shown_url, what, detail, more);
  s->logged[kind].at_us = now;
  s->logged[kind].held_back = 0;
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

static bool is_single(const tti_sender *s) {
  return tti_monotonic_us(&tti_clock_system) < s->single_until_us;
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
      .url = single ? s->config->url : s->config->batch_url,
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

/* Capped, exponential, jittered between half and all of it. */
static int64_t delay_ms(const tti_sender *s) {
  unsigned doublings = s->failures > 1 ? s->failures - 1 : 0;
  int64_t delay = doublings < 9 ? FIRST_DELAY_MS << doublings : LAST_DELAY_MS;
  if (delay > LAST_DELAY_MS)
    delay = LAST_DELAY_MS;
  delay = delay / 2 + (int64_t)tti_random_below((uint64_t)delay / 2 + 1);
  int64_t asked = asked_ms(s);
  return asked > delay ? asked : delay;
}

/* Waits until the next attempt is due, or less when a flush comes or waits: it
 * is to learn at once of a server that is back. One that asked for time is
 * asked again once a flush, not more. */
static void back_off(tti_sender *s, int64_t due_us) {
  int64_t begin = tti_monotonic_us(&tti_clock_system);
  int64_t early = begin + LEAST_DELAY_MS * 1000;
  bool hurry = tti_queue_is_flushing(s->queue) && asked_ms(s) == 0;
  for (;;) {
    int64_t until = hurry && early < due_us ? early : due_us;
    int64_t left_us = until - tti_monotonic_us(&tti_clock_system);
    if (left_us <= 0)
      return;
    tti_pause how = tti_queue_pause(s->queue, (left_us + 999) / 1000);
    if (how == TTI_PAUSE_STOPPED)
      return;
    hurry = hurry || how == TTI_PAUSE_NUDGED;
  }
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
      while (tti_queue_pause(s->queue, LAST_DELAY_MS) != TTI_PAUSE_STOPPED)
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
      s->single_until_us = tti_monotonic_us(&tti_clock_system) + LEARNED_FOR_US;
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
  bool single = is_single(s);
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

static void *run(void *context) {
  tti_sender *s = context;
  while (tti_queue_wait(s->queue)) {
    tti_slice taken = tti_queue_take(s->queue);
    while (taken.len && !tti_queue_stopped(s->queue))
      send_some(s, &taken);
    tti_post_trim(&s->post);
  }
  /* Here, where signals are blocked: the end of a TLS session may be written to
   * a connection that is gone, and a SIGPIPE would end the host. */
  tti_http_client_free(s->client);
  s->client = NULL;
  return NULL;
}

/* -- Life. -- */

tti_sender *tti_sender_new(const tti_sender_config *config) {
  tti_sender *s = calloc(1, sizeof(*s));
  if (!s)
    return NULL;
  s->config = config;
  s->pid = getpid();
  s->max_events = BATCH_EVENTS;
  s->max_bytes = BATCH_BYTES;
  tti_uuid4(s->producer);
  tti_post_init(&s->post);
  tti_http_answer_init(&s->answer);
  s->queue = tti_queue_new(config->queue_events, config->queue_bytes);
  if (!s->queue || tti_http_client_new(USER_AGENT, &s->client)) {
    tti_sender_free(s, 0);
    return NULL;
  }
  return s;
}

bool tti_sender_is_ours(const tti_sender *sender) {
  return sender->pid == getpid();
}

tti_queue *tti_sender_queue(tti_sender *sender) {
  return sender->queue;
}

/* The host's signals are for the host's threads: ours blocks them all. */
static bool start_thread(tti_sender *s) {
  sigset_t all, before;
  sigfillset(&all);
  if (pthread_sigmask(SIG_SETMASK, &all, &before))
    return false;
  bool ok = pthread_create(&s->thread, NULL, run, s) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (ok)
    pthread_setname_np(s->thread, "telltale-emit");
  return ok;
}

bool tti_sender_start(tti_sender *sender) {
  /* Relaxed: the new thread is ordered by its creation; others only need to
   * know that it is not for them to create it. */
  int state = atomic_load_explicit(&sender->thread_state, memory_order_relaxed);
  if (state != THREAD_NONE)
    return true;
  if (!atomic_compare_exchange_strong_explicit(
          &sender->thread_state, &state, THREAD_STARTING, memory_order_relaxed,
          memory_order_relaxed))
    return true;
  bool ok = start_thread(sender);
  atomic_store_explicit(&sender->thread_state,
                        ok ? THREAD_RUNNING : THREAD_NONE,
                        memory_order_relaxed);
  return ok;
}

tt_error tti_sender_flush(tti_sender *sender, int timeout_ms) {
  if (tti_queue_flush(sender->queue, 0) == TT_OK)
    return TT_OK;
  return tti_sender_start(sender) ? tti_queue_flush(sender->queue, timeout_ms)
                                  : TT_ETIMEOUT;
}

void tti_sender_free(tti_sender *sender, int timeout_ms) {
  if (sender->queue && sender->client) {
    tti_sender_flush(sender, timeout_ms < 0 ? 0 : timeout_ms);
    bool running = atomic_load_explicit(&sender->thread_state,
                                        memory_order_relaxed) == THREAD_RUNNING;
    /* In this order: once it is stopped, the thread frees its client. */
    tti_http_cancel(sender->client);
    tti_queue_stop(sender->queue);
    if (running)
      pthread_join(sender->thread, NULL);
    uint64_t left = tti_queue_abandon(sender->queue);
    if (left)
      tti_log(&sender->config->log, TT_LEVEL_WARN,
              "emitter to %s: %llu events dropped at shutdown",
              sender->config->shown_url, (unsigned long long)left);
  }
  tti_queue_free(sender->queue);
  tti_http_client_free(sender->client);
  tti_http_answer_fini(&sender->answer);
  tti_post_fini(&sender->post);
  free(sender);
}
