#include "lib/fleet/cycle.h"

#include "lib/base/cond.h"
#include "lib/base/log.h"
#include "lib/base/random.h"
#include "lib/base/thread.h"
#include "lib/fleet/kept.h"
#include "lib/fleet/process.h"
#include "lib/fleet/reply.h"
#include "lib/fleet/update.h"
#include <inttypes.h>
#include <stdlib.h>

#define USER_AGENT "telltale/" TELLTALE_VERSION
#define SECOND_US  ((int64_t)1000000)
#define TRIES      4
/* When the server names no time, or none that makes sense. */
#define DEFAULT_US        (3600 * SECOND_US)
#define DEFAULT_JITTER_US (60 * SECOND_US)
#define LEAST_US          SECOND_US
/* Escapes may make what was counted larger. */
#define BODY_MAX_BYTES  ((size_t)32 * 1024 * 1024)
#define REPLY_MAX_BYTES ((size_t)256 * 1024)
/* Of the time to stop, for keeping what was not taken. */
#define KEEP_PART   8
#define KEEP_MAX_US 200000

struct tti_cycle {
  const tti_cycle_options *o;
  tti_collector *collector;
  pthread_t thread;
  bool joinable; /* of the starter and the freer alone */

  pthread_mutex_t lock;
  pthread_cond_t changed;
  /* From here on under the lock. */
  bool started, stopping, over;
  int64_t give_up_us; /* when stopping; of the system's clock */
  tt_error result;    /* when it is over */
  tti_cycle_stats stats;

  /* The thread's own. */
  tti_http_client *client; /* of the update on its way */
  tti_http_answer answer;
  tti_snapshot taken; /* and not delivered, when `holds` */
  int64_t taken_us;   /* wall */
  bool holds;
  char *kept; /* of an earlier process; NULL: none */
  size_t kept_len;
};

/* What came of an update. */
typedef enum outcome { DELIVERED, NOT_DELIVERED, INTERRUPTED, ENDED } outcome;

static int64_t system_us(void) {
  return tti_monotonic_us(&tti_clock_system);
}

static void system_wait(void *context, pthread_cond_t *condition,
                        pthread_mutex_t *lock, int64_t until_us) {
  (void)context;
  tti_cond_wait(condition, lock, until_us);
}

const tti_cycle_time tti_cycle_time_system = {.clock = &tti_clock_system,
                                              .wait = system_wait};

static bool is_stopping(tti_cycle *c) {
  pthread_mutex_lock(&c->lock);
  bool stopping = c->stopping;
  pthread_mutex_unlock(&c->lock);
  return stopping;
}

/* False: it is to stop. */
static bool wait_us(tti_cycle *c, int64_t for_us) {
  const tti_cycle_time *time = c->o->time;
  int64_t until = tti_monotonic_us(time->clock) + for_us;
  pthread_mutex_lock(&c->lock);
  while (!c->stopping && tti_monotonic_us(time->clock) < until)
    time->wait(time->context, &c->changed, &c->lock, until);
  bool stopping = c->stopping;
  pthread_mutex_unlock(&c->lock);
  return !stopping;
}

/* -- One request. -- */

/* Milliseconds that a request may take; 0: there is no time for one. */
static int time_for_request(tti_cycle *c) {
  int64_t left = INT64_MAX;
  pthread_mutex_lock(&c->lock);
  if (c->stopping && c->give_up_us != INT64_MAX)
    left = (c->give_up_us - system_us()) / 1000;
  pthread_mutex_unlock(&c->lock);
  return left <= 0                         ? 0
         : left < c->o->request_timeout_ms ? (int)left
                                           : c->o->request_timeout_ms;
}

/* While a request is on its way; it may have begun before the stop. */
static void while_waiting(void *context) {
  tti_cycle *c = context;
  if (time_for_request(c) == 0)
    tti_http_cancel(c->client);
}

/* The taken values, or what was kept; anew for each try, as the server may have
 * disabled some of it in its answer to the one before. */
static bool render(tti_cycle *c, tti_buf *out) {
  if (c->kept)
    return tti_kept_render(out, (tti_slice){c->kept, c->kept_len},
                           c->o->instance_id, c->collector);
  tti_collector_filter(c->collector, &c->taken);
  tti_update_render(out, c->o->instance_id, c->taken_us, &c->taken);
  return out->error == TT_OK;
}

static tt_error post(tti_cycle *c, tti_slice body) {
  const char *headers[3] = {"Content-Type: application/json",
                            "Connection: close", c->o->authorization};
  tti_http_request request = {.url = c->o->url,
                              .body = body,
                              .headers = headers,
                              .header_count = c->o->authorization ? 3 : 2,
                              .timeout_ms = time_for_request(c),
                              .waiting = while_waiting,
                              .context = c};
  if (request.timeout_ms == 0)
    return TT_ETIMEOUT;
  pthread_mutex_lock(&c->lock);
  c->stats.tries++;
  pthread_mutex_unlock(&c->lock);
  return tti_http_post(c->client, &request, &c->answer);
}

static void enable(void *context, tti_slice key) {
  tti_collector_enable(context, key);
}

static void disable(void *context, tti_slice key) {
  tti_collector_disable(context, key);
}

/* Posts it once and does what the reply asks for. */
static tti_reply try_once(tti_cycle *c) {
  tti_reply reply = {.verdict = TTI_REPLY_FAILED, .why = "no memory"};
  tti_buf body;
  tti_buf_init(&body, BODY_MAX_BYTES);
  if (render(c, &body)) {
    tt_error error = post(c, tti_buf_slice(&body));
    if (!error) {
      reply = tti_reply_of(&c->answer);
      tti_reply_keys(reply.enable_keys, enable, c->collector);
      tti_reply_keys(reply.disable_keys, disable, c->collector);
    } else {
      reply.why = tt_error_message(error);
      reply.said = tti_slice_of(c->answer.problem);
    }
  }
  tti_buf_fini(&body);
  return reply;
}

static void tell(const tti_cycle *c, tt_level level, const char *what,
                 const tti_reply *reply) {
  tti_log(&c->o->log, level, "fleet update to %s %s: %s%s%.*s", c->o->shown_url,
          what, reply->why, reply->said.len ? ": " : "", (int)reply->said.len,
          reply->said.ptr ? reply->said.ptr : "");
}

/* -- One update. -- */

/* Up to four tries; the last one of all has one. *out_next_us: when the next
 * update is due, as the server wishes. */
static outcome deliver(tti_cycle *c, bool last, int64_t *out_next_us) {
  tti_reply reply;
  for (int64_t i = 1;; i++) {
    reply = try_once(c);
    if (reply.verdict == TTI_REPLY_ACCEPTED) {
      *out_next_us = reply.wait_us;
      return DELIVERED;
    }
    if (reply.verdict == TTI_REPLY_ENDED) {
      tell(c, TT_LEVEL_WARN, "was the last", &reply);
      return ENDED;
    }
    if (last || i == TRIES)
      break;
    bool asked = reply.verdict == TTI_REPLY_EARLY && reply.wait_us > 0;
    int64_t steps = i + 1;
    if (!wait_us(c, asked ? reply.wait_us : steps * steps * steps * SECOND_US))
      return INTERRUPTED;
  }
  tell(c, TT_LEVEL_WARN, last ? "is not delivered" : "failed", &reply);
  return is_stopping(c) && !last ? INTERRUPTED : NOT_DELIVERED;
}

static void drop_taken(tti_cycle *c) {
  tti_snapshot_fini(&c->taken);
  c->holds = false;
}

static void drop_kept(tti_cycle *c) {
  free(c->kept);
  c->kept = NULL;
}

/* The client lives for one update: an hour passes until the next. */
static outcome deliver_held(tti_cycle *c, bool last, int64_t *out_next_us) {
  outcome result = NOT_DELIVERED;
  tti_http_files files = {.ca = c->o->ca_file};
  if (tti_http_client_new(USER_AGENT, &files, &c->client))
    return result;
  tti_http_answer_init(&c->answer);
  c->answer.body.max = REPLY_MAX_BYTES;
  result = deliver(c, last, out_next_us);
  tti_http_answer_fini(&c->answer);
  tti_http_client_free(c->client);
  c->client = NULL;
  if (result == DELIVERED) {
    pthread_mutex_lock(&c->lock);
    c->stats.updates++;
    pthread_mutex_unlock(&c->lock);
  }
  return result;
}

static bool take(tti_cycle *c) {
  tti_process_collect(c->collector);
  c->holds = tti_collector_take(c->collector, &c->taken) == TT_OK;
  c->taken_us = tti_wall_us(c->o->time->clock);
  return c->holds;
}

/* What an earlier process left comes first, and alone. */
static outcome update(tti_cycle *c, int64_t *out_next_us) {
  outcome result;
  if (c->kept) {
    result = deliver_held(c, false, out_next_us);
    if (result == DELIVERED || result == ENDED)
      drop_kept(c);
    return result;
  }
  if (!take(c))
    return NOT_DELIVERED;
  result = deliver_held(c, false, out_next_us);
  if (result == DELIVERED || result == ENDED)
    drop_taken(c);
  else
    tti_collector_merge(c->collector, &c->taken);
  c->holds = false;
  return result;
}

/* -- The end. -- */

static void keep(tti_cycle *c, tti_slice body) {
  int error = tti_kept_write(c->o->kept_path, body);
  if (error)
    tti_log(&c->o->log, TT_LEVEL_WARN,
            "fleet telemetry: what is left cannot be kept in %s: %s",
            c->o->kept_path, strerror(error));
}

/* The newest is kept: there is one place for it. */
static void keep_left(tti_cycle *c) {
  tti_buf body;
  tti_buf_init(&body, BODY_MAX_BYTES);
  if (!c->o->kept_path || (!c->kept && !c->holds))
    return;
  if (c->kept && c->holds) {
    drop_kept(c);
    tti_log(&c->o->log, TT_LEVEL_WARN,
            "fleet telemetry: an update of an earlier run is lost, it gives "
            "its place to one of this run");
  }
  if (render(c, &body))
    keep(c, tti_buf_slice(&body));
  tti_buf_fini(&body);
}

/* What is left, once; a kept one has had its turn. */
static tt_error finish(tti_cycle *c) {
  int64_t next_us;
  char *kept = c->kept;
  c->kept = NULL;
  outcome result = take(c) ? deliver_held(c, true, &next_us) : NOT_DELIVERED;
  c->kept = kept;
  if (result == ENDED)
    drop_kept(c);
  if (result == ENDED || result == DELIVERED)
    drop_taken(c);
  keep_left(c);
  return result == NOT_DELIVERED ? TT_EIO : TT_OK;
}

static void load_kept(tti_cycle *c) {
  tti_buf body;
  if (c->o->kept_path)
    c->kept = tti_kept_take(c->o->kept_path, &c->kept_len);
  if (!c->kept)
    return;
  tti_buf_init(&body, BODY_MAX_BYTES);
  if (!render(c, &body)) {
    tti_log(&c->o->log, TT_LEVEL_WARN,
            "fleet telemetry: %s is no update of this instance, and removed",
            c->o->kept_path);
    drop_kept(c);
  }
  tti_buf_fini(&body);
}

static int64_t interval_us(int64_t asked_us) {
  if (asked_us >= LEAST_US)
    return asked_us;
  return DEFAULT_US + (int64_t)tti_random_below(DEFAULT_JITTER_US);
}

static void *run(void *context) {
  tti_cycle *c = context;
  outcome result = NOT_DELIVERED;
  bool more = !is_stopping(c);
  load_kept(c);
  while (more) {
    int64_t next_us = 0;
    result = update(c, &next_us);
    more = result != ENDED && wait_us(c, interval_us(next_us));
  }
  tt_error error = result == ENDED ? TT_OK : finish(c);
  /* No update will follow: nothing is to be collected for one. */
  tti_collector_close(c->collector);
  drop_taken(c);
  drop_kept(c);
  pthread_mutex_lock(&c->lock);
  c->over = true;
  c->result = error;
  pthread_cond_broadcast(&c->changed);
  pthread_mutex_unlock(&c->lock);
  return NULL;
}

/* -- Life. -- */

tti_cycle *tti_cycle_new(const tti_cycle_options *options,
                         tti_collector *collector) {
  tti_cycle *c = calloc(1, sizeof(*c));
  if (!c)
    return NULL;
  c->o = options;
  c->collector = collector;
  if (pthread_mutex_init(&c->lock, NULL))
    goto no_lock;
  if (tti_cond_init(&c->changed) == 0)
    return c;
  pthread_mutex_destroy(&c->lock);
no_lock:
  free(c);
  return NULL;
}

tt_error tti_cycle_start(tti_cycle *cycle) {
  pthread_mutex_lock(&cycle->lock);
  bool may = !cycle->started && !cycle->stopping;
  cycle->started = cycle->started || may;
  pthread_mutex_unlock(&cycle->lock);
  if (!may)
    return TT_ESTATE;
  cycle->joinable = tti_thread_start(&cycle->thread, run, cycle);
  if (cycle->joinable) {
    pthread_setname_np(cycle->thread, "telltale-fleet");
    return TT_OK;
  }
  pthread_mutex_lock(&cycle->lock);
  cycle->started = false;
  pthread_mutex_unlock(&cycle->lock);
  return TT_ENOMEM;
}

/* Under the lock. */
static void ask_to_stop(tti_cycle *c, int64_t now_us, int timeout_ms) {
  int64_t timeout_us = (int64_t)timeout_ms * 1000;
  int64_t part = timeout_us / KEEP_PART;
  c->stopping = true;
  c->give_up_us =
      timeout_ms < 0
          ? INT64_MAX
          : now_us + timeout_us - (part < KEEP_MAX_US ? part : KEEP_MAX_US);
  pthread_cond_broadcast(&c->changed);
}

tt_error tti_cycle_stop(tti_cycle *cycle, int timeout_ms) {
  tti_cycle *c = cycle;
  int64_t now = system_us();
  int64_t until = now + (int64_t)timeout_ms * 1000;
  pthread_mutex_lock(&c->lock);
  bool started = c->started;
  if (started && !c->stopping)
    ask_to_stop(c, now, timeout_ms);
  while (started && !c->over && (timeout_ms < 0 || system_us() < until)) {
    if (timeout_ms < 0)
      pthread_cond_wait(&c->changed, &c->lock);
    else
      system_wait(NULL, &c->changed, &c->lock, until);
  }
  tt_error error = !started ? TT_OK : c->over ? c->result : TT_ETIMEOUT;
  pthread_mutex_unlock(&c->lock);
  return error;
}

void tti_cycle_free(tti_cycle *cycle) {
  if (!cycle)
    return;
  tti_cycle_stop(cycle, 0);
  if (cycle->joinable)
    pthread_join(cycle->thread, NULL);
  pthread_cond_destroy(&cycle->changed);
  pthread_mutex_destroy(&cycle->lock);
  free(cycle);
}

tti_cycle_stats tti_cycle_stats_of(tti_cycle *cycle) {
  pthread_mutex_lock(&cycle->lock);
  tti_cycle_stats stats = cycle->stats;
  pthread_mutex_unlock(&cycle->lock);
  return stats;
}

void tti_cycle_wake(tti_cycle *cycle) {
  pthread_mutex_lock(&cycle->lock);
  pthread_cond_broadcast(&cycle->changed);
  pthread_mutex_unlock(&cycle->lock);
}
