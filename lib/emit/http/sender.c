#include "lib/emit/http/sender.h"

#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/emit/http/delivery.h"
#include "lib/emit/pack.h"
#include "lib/emit/spool/spool.h"
#include <stdio.h>
#include <stdlib.h>

#define BATCH_EVENTS 1000
#define BATCH_BYTES  ((size_t)1024 * 1024)
#define LEARNED_US   ((int64_t)5 * 60 * 1000000)
/* How often to look for what other processes left in the spool; and how long
 * after some of it has been sent, since our own events come in between. */
#define ADOPT_EVERY_US ((int64_t)5 * 1000000)
#define ADOPT_MORE_US  100000
/* A spool that takes nothing is asked again so much later. */
#define SPOOL_AGAIN_MS 1000
/* A request under way for so long makes its events go to the spool. */
#define SLOW_US  1000000
#define EARLY_US 100000

struct tti_sender {
  const tti_sender_config *config;
  tti_queue *queue;

  /* From here on the thread's own, but for the cancel of its client. */
  tti_delivery delivery; /* of the oldest events there are, when `loaded` */
  bool loaded;
  bool in_spool;   /* they are the head of the spool, else of `taken` */
  tti_slice taken; /* from the queue and not settled */
  int attempts;    /* at them */
  int64_t due_us;  /* when the next attempt is one of the schedule */
  int64_t began_us;
  unsigned failures; /* in a row, over all posts: the delay grows with them */

  char producer[TTI_UUID_TEXT];             /* of what is sent directly */
  uint64_t posts;                           /* the number of its last key */
  uint64_t reporting[TT_DROP_REASON_COUNT]; /* with the post on its way */
  uint64_t reported[TT_DROP_REASON_COUNT];
  size_t max_events; /* halved by a bad event, doubled by a success */
  size_t max_bytes;  /* halved by a 413 */
  int64_t max_bytes_until_us;
  int64_t single_until_us[2]; /* the server has no batch route (for logs) */

  tti_spool *spool;   /* NULL: none */
  tti_post spooling;  /* what goes into it, while a delivery is under way */
  uint32_t part_most; /* ceiling of the next part of its head */
  int64_t adopt_us;   /* when to look for what others left in it */
  int64_t again_us;   /* not to be asked before */
  uint64_t damaged;   /* files that have been told of */
};

static int64_t now_us(void) {
  return tti_monotonic_us(&tti_clock_system);
}

static bool is_backlogged(const tti_sender *s) {
  return s->spool && !tti_spool_is_empty(s->spool);
}

/* Flushes wait for the spool while the server takes it. */
static void tell_draining(tti_sender *s) {
  tti_queue_drain(s->queue, is_backlogged(s) && s->failures == 0);
}

/* -- What became of events. -- */

static void advance(tti_sender *s, size_t bytes) {
  s->taken.ptr += bytes;
  s->taken.len -= bytes;
}

static void unload(tti_sender *s) {
  s->loaded = false;
  s->attempts = 0;
}

static void tell_damaged(tti_sender *s) {
  uint64_t damaged = tti_spool_set_aside(s->spool);
  if (damaged == s->damaged)
    return;
  s->damaged = damaged;
  tti_queue_spool_damaged(s->queue, damaged);
  tti_delivery_complain(&s->delivery, TTI_TROUBLE_SPOOL,
                        "a part of the spool cannot be read",
                        "set aside in a file with the ending .bad");
}

/* The delivery's events are settled in the spool. */
static void leave_spool(tti_sender *s) {
  tti_spool_settle(s->spool, (uint32_t)s->delivery.post.events);
  s->part_most = UINT32_MAX;
  s->again_us = 0; /* there may be room again */
  if (tti_spool_is_empty(s->spool))
    s->adopt_us = now_us() + ADOPT_MORE_US;
  tell_damaged(s);
}

static void drop(tti_sender *s, tt_drop_reason reason, const char *what) {
  const tti_post *post = &s->delivery.post;
  tti_delivery_complain_of_answer(&s->delivery, TTI_TROUBLE_LOSS, what);
  if (s->in_spool) {
    leave_spool(s);
    tti_queue_spool_dropped(s->queue, reason, post->events);
  } else {
    tti_queue_dropped(s->queue, reason, post->events, post->packed_bytes);
    advance(s, post->packed_bytes);
  }
  unload(s);
}

static void acknowledge(tti_sender *s) {
  const tti_post *post = &s->delivery.post;
  if (s->in_spool) {
    leave_spool(s);
    tti_queue_spool_sent(s->queue, post->events);
  } else {
    tti_queue_sent(s->queue, post->events, post->packed_bytes);
    advance(s, post->packed_bytes);
  }
  unload(s);
  memcpy(s->reported, s->reporting, sizeof(s->reported));
  s->failures = 0;
  s->due_us = 0;
  s->max_events =
      s->max_events < BATCH_EVENTS / 2 ? s->max_events * 2 : BATCH_EVENTS;
}

/* -- Into the spool. -- */

/* The first events of those taken, as `post` has them, go into the spool. */
static bool keep(tti_sender *s, const tti_record_head *record,
                 const tti_post *post) {
  int64_t now = now_us();
  int error = tti_spool_put(s->spool, record, tti_buf_slice(&post->json));
  tti_queue_full_for(s->queue, error == TTI_SPOOL_FULL ? TT_DROP_SPOOL_FULL
                               : error                 ? TT_DROP_SPOOL_ERROR
                                                       : TT_DROP_QUEUE_FULL);
  if (error) {
    s->again_us = now + (int64_t)SPOOL_AGAIN_MS * 1000;
    tti_delivery_complain(&s->delivery, TTI_TROUBLE_SPOOL,
                          "the spool takes no events", tti_spool_error(error));
    return false;
  }
  tti_queue_spooled(s->queue, post->events, post->packed_bytes);
  advance(s, post->packed_bytes);
  return true;
}

/* The delivery, which may be under way or have reached the server, goes into
 * the empty spool under its key, as the last one of its producer. */
static bool divert(tti_sender *s) {
  tti_record_head record = {.is_log = s->delivery.post.is_log,
                            .number = s->delivery.number,
                            .events = (uint32_t)s->delivery.post.events};
  tti_slice body;
  uint64_t lost;
  memcpy(record.producer, s->delivery.producer, sizeof(record.producer));
  if (now_us() < s->again_us || !keep(s, &record, &s->delivery.post))
    return false;
  tti_uuid4(s->producer);
  s->posts = 0;
  s->in_spool = true;
  if (tti_spool_head(s->spool, &record, &body, &lost)) {
    /* What was just written cannot be read: load() will tell. */
    unload(s);
  }
  return true;
}

static void drop_unbuilt(tti_sender *s, tt_error error, const tti_post *post) {
  tti_queue_dropped(s->queue,
                    error == TT_ENOMEM ? TT_DROP_NO_MEMORY : TT_DROP_TOO_LARGE,
                    post->events, post->packed_bytes);
  advance(s, post->packed_bytes);
}

static void tell_repaired(tti_sender *s, const tti_post *post) {
  if (post->repaired)
    tti_delivery_complain(&s->delivery, TTI_TROUBLE_LOSS,
                          "data that is no JSON", "left out of an event");
}

/* The first events of those taken. */
static bool absorb_some(tti_sender *s) {
  tti_post *post = &s->spooling;
  tt_error error =
      tti_post_build(post, s->taken, BATCH_EVENTS, s->max_bytes, false);
  if (error) {
    drop_unbuilt(s, error, post);
    return true;
  }
  tti_record_head record = {.is_log = post->is_log,
                            .events = (uint32_t)post->events};
  if (!keep(s, &record, post))
    return false;
  tell_repaired(s, post);
  return true;
}

/* All events that are in the queue now go into the spool, those that are taken
 * already first, as far as it takes them. */
static void absorb(tti_sender *s) {
  if (now_us() < s->again_us)
    return;
  for (int side = 0; side < 2; side++) {
    if (!s->taken.len)
      s->taken = tti_queue_take_grouped(s->queue);
    while (s->taken.len && absorb_some(s))
      ;
  }
  tti_post_trim(&s->spooling);
}

/* While a request is under way: callers shall not find the queue full because a
 * server does not answer. */
static void while_waiting(void *context) {
  tti_sender *s = context;
  bool slow = now_us() - s->began_us >= SLOW_US;
  bool ripe = tti_queue_is_ripe(s->queue);
  if (slow)
    tti_queue_drain(s->queue, false);
  if (!s->in_spool && (slow || ripe) && !divert(s))
    return;
  if (s->in_spool && ripe)
    absorb(s);
}

/* -- What is to be sent next. -- */

/* Writes the Telltale-Dropped header: what was dropped since the last report
 * that was acknowledged. It stays the same in every attempt, as the key does,
 * so that an answer that got lost makes no server count twice. */
static void prepare_drops(tti_sender *s) {
  tt_emitter_stats stats;
  char *drops = s->delivery.drops;
  tti_queue_stats(s->queue, &stats);
  size_t len = 0;
  for (int i = 0; i < TT_DROP_REASON_COUNT; i++) {
    s->reporting[i] = stats.dropped[i];
    if (stats.dropped[i] == s->reported[i])
      continue;
    len += (size_t)snprintf(
        drops + len, TTI_DROPS_TEXT_BYTES - len, "%s%s=%llu",
        len ? "," : "Telltale-Dropped: ",
        tt_drop_reason_name((tt_drop_reason)i),
        (unsigned long long)(stats.dropped[i] - s->reported[i]));
  }
  drops[len] = '\0';
}

static void loaded(tti_sender *s, bool in_spool) {
  prepare_drops(s);
  s->loaded = true;
  s->in_spool = in_spool;
}

/* Whether events or log lines go one by one, there being no batch route. */
static bool is_single(const tti_sender *s, bool is_log) {
  return now_us() < s->single_until_us[is_log];
}

/* The first events of those taken. */
static void load_taken(tti_sender *s) {
  tti_delivery *d = &s->delivery;
  tti_slice taken = s->taken;
  tti_packed first;
  d->single = tti_unpack(&taken, &first) && is_single(s, first.is_log);
  tt_error error = tti_post_build(&d->post, s->taken, s->max_events,
                                  s->max_bytes, d->single);
  if (error) {
    drop_unbuilt(s, error, &d->post);
    return;
  }
  tell_repaired(s, &d->post);
  memcpy(d->producer, s->producer, sizeof(d->producer));
  d->number = ++s->posts;
  loaded(s, false);
}

/* The next part of the spool's head. */
static void load_spooled(tti_sender *s) {
  tti_delivery *d = &s->delivery;
  tti_record_head record;
  tti_slice body;
  uint64_t lost = 0;
  tt_error error = tti_spool_head(s->spool, &record, &body, &lost);
  tell_damaged(s);
  if (error == TT_ECORRUPT) {
    tti_delivery_complain(d, TTI_TROUBLE_LOSS, "events lost",
                          "a file of the spool can no longer be read");
    tti_queue_spool_dropped(s->queue, TT_DROP_SPOOL_ERROR, lost);
  }
  if (error == TT_OK) {
    bool single = body.ptr[0] != '[' || is_single(s, record.is_log);
    uint32_t events = tti_record_part_size(record.events, record.settled,
                                           single ? 1 : s->part_most);
    d->single = single;
    tti_record_part(body, record.settled, events, single, &d->post.json);
    tti_buf_clear(&d->post.gzip);
    d->post.events = events;
    d->post.is_log = record.is_log;
    memcpy(d->producer, record.producer, sizeof(d->producer));
    d->number = record.number + record.settled;
    error = d->post.json.error;
  }
  if (error == TT_OK)
    loaded(s, true);
  else if (error == TT_ENOMEM)
    tti_queue_pause(s->queue, SPOOL_AGAIN_MS);
}

static void adopt(tti_sender *s) {
  uint64_t events;
  int error = tti_spool_adopt(s->spool, &events);
  if (error)
    tti_delivery_complain(&s->delivery, TTI_TROUBLE_SPOOL,
                          "the spool cannot be read", tti_spool_error(error));
  tti_queue_adopted(s->queue, events);
  tell_damaged(s);
  s->adopt_us = now_us() + ADOPT_EVERY_US;
}

/* Waits for something to send and makes a delivery of it, unless it answers
 * too early. */
static void load(tti_sender *s) {
  if (now_us() >= s->max_bytes_until_us)
    s->max_bytes = BATCH_BYTES;
  if (s->spool && !is_backlogged(s) && now_us() >= s->adopt_us)
    adopt(s);
  tell_draining(s);
  if (is_backlogged(s)) {
    load_spooled(s);
    return;
  }
  tti_queue_full_for(s->queue, TT_DROP_QUEUE_FULL);
  if (!s->taken.len) {
    tti_post_trim(&s->delivery.post);
    if (tti_queue_wait(s->queue, s->spool ? s->adopt_us : TTI_QUEUE_FOREVER))
      s->taken = tti_queue_take_grouped(s->queue);
  }
  if (s->taken.len)
    load_taken(s);
}

/* -- What follows from the answer. -- */

/* Waits for the next attempt, while the queue goes into the spool. */
static void back_off_spooled(tti_sender *s, bool hurry) {
  int64_t early = now_us() + EARLY_US;
  while (!tti_queue_stopped(s->queue)) {
    int64_t until = hurry && early < s->due_us ? early : s->due_us;
    int64_t left = until - now_us();
    bool nudged;
    if (left <= 0)
      return;
    if (s->taken.len) { /* the spool took no more */
      int64_t pause = left / 1000 + 1;
      nudged = tti_queue_pause(
                   s->queue, pause < SPOOL_AGAIN_MS ? pause : SPOOL_AGAIN_MS) ==
               TTI_PAUSE_NUDGED;
    } else {
      nudged = tti_queue_ripen(s->queue, until);
    }
    hurry = hurry || nudged;
    if (nudged || s->taken.len || tti_queue_is_ripe(s->queue))
      absorb(s);
  }
}

/* A server that asked for time is asked again once a flush, not more. */
static void back_off(tti_sender *s) {
  bool hurry = tti_queue_is_flushing(s->queue) &&
               tti_delivery_asked_ms(&s->delivery) == 0;
  if (s->in_spool) {
    absorb(s);
    back_off_spooled(s, hurry);
  } else {
    tti_retry_wait(s->queue, s->due_us, hurry);
  }
}

/* Attempts that flushes bring forward come on top of the schedule: or a program
 * that flushes often would soon use them up. And the spool waits for a server
 * that is away, but not for one that breaks at this request. */
static void retry(tti_sender *s) {
  tti_delivery *d = &s->delivery;
  tti_delivery_complain_of_answer(d, TTI_TROUBLE_PASSES,
                                  "delivery failed, trying again");
  int64_t now = now_us();
  bool scheduled = now >= s->due_us;
  if (scheduled) {
    s->failures++;
    int64_t delay = tti_retry_delay_ms(s->failures);
    int64_t asked = tti_delivery_asked_ms(d);
    s->due_us = now + (asked > delay ? asked : delay) * 1000;
  }
  if (s->spool && !s->in_spool)
    divert(s);
  tell_draining(s);
  s->attempts += scheduled && (!s->in_spool || d->answer.status == 500);
  if (s->attempts >= s->config->max_attempts)
    drop(s, TT_DROP_RETRIES, "giving up on events");
  back_off(s);
}

static void shrink(tti_sender *s, tti_verdict verdict) {
  const tti_post *post = &s->delivery.post;
  if (s->in_spool)
    s->part_most = (uint32_t)post->events - 1;
  else if (verdict == TTI_VERDICT_SPLIT)
    s->max_events = post->events / 2;
  if (verdict == TTI_VERDICT_SMALLER) {
    s->max_bytes = post->json.len / 2;
    s->max_bytes_until_us = now_us() + LEARNED_US;
  }
  unload(s); /* to be built anew */
}

static void attempt(tti_sender *s) {
  tti_verdict verdict;
  s->began_us = now_us();
  if (tti_delivery_make(&s->delivery, &verdict)) {
    while (tti_queue_pause(s->queue, TTI_RETRY_LAST_MS) != TTI_PAUSE_STOPPED)
      ;
    return;
  }
  if (!s->loaded)
    return; /* the spool lost it meanwhile */
  switch (verdict) {
  case TTI_VERDICT_SENT:
    acknowledge(s);
    return;
  case TTI_VERDICT_SMALLER:
  case TTI_VERDICT_SPLIT:
    shrink(s, verdict);
    return;
  case TTI_VERDICT_SINGLE:
    s->single_until_us[s->delivery.post.is_log] = now_us() + LEARNED_US;
    unload(s);
    return;
  case TTI_VERDICT_IDENTITY:
    return;
  case TTI_VERDICT_TOO_LARGE:
    drop(s, TT_DROP_TOO_LARGE, "the server refuses an event for its size");
    return;
  case TTI_VERDICT_REJECTED:
    drop(s, TT_DROP_REJECTED, "the server refuses events");
    return;
  case TTI_VERDICT_RETRY:
    retry(s);
    return;
  }
}

/* What is left goes into the spool, the request that was broken off included.
 */
static void put_away(tti_sender *s) {
  if (!s->spool)
    return;
  s->again_us = 0;
  if (!s->loaded || s->in_spool || divert(s))
    absorb(s);
}

void tti_sender_run(tti_sender *sender) {
  while (!tti_queue_stopped(sender->queue)) {
    if (sender->loaded)
      attempt(sender);
    else
      load(sender);
  }
  put_away(sender);
  /* Here, where signals are blocked: the end of a TLS session may be written to
   * a connection that is gone, and a SIGPIPE would end the host. */
  tti_http_client_free(sender->delivery.client);
  sender->delivery.client = NULL;
}

/* -- Life. -- */

tti_sender *tti_sender_new(const tti_sender_config *config, tti_queue *queue) {
  tti_sender *s = calloc(1, sizeof(*s));
  if (!s)
    return NULL;
  s->config = config;
  s->queue = queue;
  s->max_events = BATCH_EVENTS;
  s->max_bytes = BATCH_BYTES;
  s->part_most = UINT32_MAX;
  tti_uuid4(s->producer);
  tti_post_init(&s->spooling);
  bool ok = tti_delivery_init(&s->delivery, config);
  if (ok && config->spool_directory) {
    s->spool = tti_spool_new(config->spool_directory, config->spool_bytes,
                             config->destination);
    s->delivery.waiting = while_waiting;
    s->delivery.context = s;
    ok = s->spool != NULL;
  }
  if (ok)
    return s;
  tti_sender_free(s, 0);
  return NULL;
}

void tti_sender_cancel(tti_sender *sender) {
  tti_http_cancel(sender->delivery.client);
}

void tti_sender_free(tti_sender *sender, uint64_t left) {
  if (left)
    tti_log(&sender->config->log, TT_LEVEL_WARN,
            "emitter to %s: %llu events dropped at shutdown",
            sender->config->shown_url, (unsigned long long)left);
  tti_spool_free(sender->spool);
  tti_delivery_fini(&sender->delivery);
  tti_post_fini(&sender->spooling);
  free(sender);
}
