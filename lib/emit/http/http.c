#include "lib/emit/fork.h"
#include "lib/emit/http/sender.h"
#include "lib/http/client.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <telltale/emitter.h>

#define QUEUE_EVENTS       8192
#define QUEUE_BYTES        ((size_t)8 * 1024 * 1024)
#define REQUEST_TIMEOUT_MS 10000
#define MAX_ATTEMPTS       10

/* In fork memory: a child finds no sender and makes its own at its first emit.
 * What it inherits of its parent's (a queue, a connection) it neither uses nor
 * frees: the pages are shared, and closing a TLS session in the child would end
 * the parent's. */
typedef struct shared {
  _Atomic(tti_sender *) sender;
  atomic_uint_least64_t lost; /* emitted when there was no memory for one */
} shared;

typedef struct http_emitter {
  tti_sender_config config;
  bool wiped;
  shared *shared;
} http_emitter;

/* This process's sender, or NULL when it has none. */
static tti_sender *sender_of(http_emitter *e) {
  /* Acquire: with the pointer we see what it points to. */
  tti_sender *s =
      atomic_load_explicit(&e->shared->sender, memory_order_acquire);
  if (!s || e->wiped || tti_sender_is_ours(s))
    return s;
  /* If another thread was first, s becomes NULL or its new one. */
  return atomic_compare_exchange_strong_explicit(&e->shared->sender, &s, NULL,
                                                 memory_order_acquire,
                                                 memory_order_acquire)
             ? NULL
             : s;
}

static tti_sender *make_sender(http_emitter *e) {
  tti_sender *fresh = tti_sender_new(&e->config);
  tti_sender *winner = NULL;
  if (!fresh || atomic_compare_exchange_strong_explicit(
                    &e->shared->sender, &winner, fresh, memory_order_acq_rel,
                    memory_order_acquire))
    return fresh;
  tti_sender_free(fresh, 0);
  return winner;
}

static void http_emit(void *self, const tt_event *event,
                      const tt_field *fields) {
  http_emitter *e = self;
  tti_sender *s = sender_of(e);
  if (!s)
    s = make_sender(e);
  if (!s) {
    atomic_fetch_add_explicit(&e->shared->lost, 1, memory_order_relaxed);
    return;
  }
  tti_queue_push(tti_sender_queue(s), event, fields);
  tti_sender_start(s);
}

static tt_error http_flush(void *self, int timeout_ms) {
  tti_sender *s = sender_of(self);
  return s ? tti_sender_flush(s, timeout_ms) : TT_OK;
}

static void http_stats(void *self, tt_emitter_stats *out_stats) {
  http_emitter *e = self;
  tti_sender *s = sender_of(e);
  *out_stats = (tt_emitter_stats){0};
  if (s)
    tti_queue_stats(tti_sender_queue(s), out_stats);
  uint64_t lost = atomic_load_explicit(&e->shared->lost, memory_order_relaxed);
  out_stats->emitted += lost;
  out_stats->dropped[TT_DROP_NO_MEMORY] += lost;
}

static void http_free(void *self, int timeout_ms) {
  http_emitter *e = self;
  if (!e)
    return;
  tti_sender *s = e->shared ? sender_of(e) : NULL;
  if (s)
    tti_sender_free(s, timeout_ms);
  tti_fork_memory_free(e->shared, sizeof(*e->shared));
  free(e->config.authorization);
  free(e->config.shown_url);
  free(e->config.batch_url);
  free(e->config.url);
  free(e);
}

static bool is_blank(const char *text) {
  return !text || tti_slice_trim(tti_slice_of(text)).len == 0;
}

/* Header lines end at a control character: none may come from a token. */
static bool is_token(const char *text) {
  for (; *text; text++) {
    if ((unsigned char)*text <= ' ' || *text == 0x7f)
      return false;
  }
  return true;
}

static bool are_valid(const tt_emitter_options *o) {
  return !is_blank(o->source) && (!o->token || is_token(o->token)) &&
         o->request_timeout_ms >= 0 && o->max_attempts >= 0 &&
         o->free_timeout_ms >= 0;
}

static tt_error configure(tti_sender_config *config,
                          const tt_emitter_options *o) {
  config->queue_events = o->queue_events ? o->queue_events : QUEUE_EVENTS;
  config->queue_bytes = o->queue_bytes ? o->queue_bytes : QUEUE_BYTES;
  config->request_timeout_ms =
      o->request_timeout_ms ? o->request_timeout_ms : REQUEST_TIMEOUT_MS;
  config->max_attempts = o->max_attempts ? o->max_attempts : MAX_ATTEMPTS;
  config->log = o->log;
  tt_error error = tti_http_url(o->url, "", &config->url);
  if (!error)
    error = tti_http_url(o->url, "/batch", &config->batch_url);
  if (!error)
    error = tti_http_url_shown(o->url, &config->shown_url);
  if (!error && o->token && *o->token) {
    size_t size = sizeof("Authorization: Bearer ") + strlen(o->token);
    config->authorization = malloc(size);
    if (config->authorization)
      snprintf(config->authorization, size, "Authorization: Bearer %s",
               o->token);
    else
      error = TT_ENOMEM;
  }
  return error;
}

tt_error tt_emitter_new(const tt_emitter_options *options,
                        tt_emitter **out_emitter) {
  if (!options || !out_emitter)
    return TT_EINVAL;
  if (is_blank(options->url))
    return tt_emitter_noop_new(out_emitter);
  if (!are_valid(options))
    return TT_EINVAL;
  tt_error error = TT_ENOMEM;
  http_emitter *e = calloc(1, sizeof(*e));
  if (!e)
    return error;
  e->shared = tti_fork_memory_new(sizeof(*e->shared), &e->wiped);
  if (!e->shared)
    goto out;
  error = configure(&e->config, options);
  if (error)
    goto out;
  error = TT_ENOMEM;
  if (!make_sender(e)) /* all but its thread, to spare the first emit */
    goto out;
  tt_emitter_ops ops = {.version = 1,
                        .emit = http_emit,
                        .flush = http_flush,
                        .stats = http_stats,
                        .free = http_free,
                        .free_timeout_ms = options->free_timeout_ms};
  tt_emitter *emitter;
  error = tt_emitter_from_ops(&ops, e, options->source, &emitter);
  if (error)
    goto out;
  tt_emitter_set_agent_id(emitter, options->agent_id);
  *out_emitter = emitter;
  return TT_OK;

out:
  http_free(e, 0);
  return error;
}
