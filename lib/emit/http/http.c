#include "lib/base/hash.h"
#include "lib/emit/http/sender.h"
#include "lib/emit/queued.h"
#include "lib/http/client.h"
#include <stdio.h>
#include <stdlib.h>

#define REQUEST_TIMEOUT_MS 10000
#define MAX_ATTEMPTS       10
#define SPOOL_BYTES        ((size_t)64 * 1024 * 1024)

static void *open_sender(const void *config, tti_queue *queue) {
  return tti_sender_new(config, queue);
}

static void run_sender(void *worker) {
  tti_sender_run(worker);
}

static void cancel_sender(void *worker) {
  tti_sender_cancel(worker);
}

static void close_sender(void *worker, uint64_t left) {
  tti_sender_free(worker, left);
}

static void free_config(void *context) {
  tti_sender_config *config = context;
  free(config->spool_directory);
  free(config->authorization);
  free(config->shown_url);
  for (int is_log = 0; is_log < 2; is_log++) {
    free(config->batch_urls[is_log]);
    free(config->urls[is_log]);
  }
  free(config->ca_file);
  free(config->cert_file);
  free(config->key_file);
  free(config);
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
         (is_blank(o->key_file) || !is_blank(o->cert_file)) &&
         o->request_timeout_ms >= 0 && o->max_attempts >= 0 &&
         o->free_timeout_ms >= 0;
}

/* What is meant for one server shall not go to another: but whoever sends it
 * may have another password. */
static uint64_t destination_of(const tti_sender_config *config) {
  const char *query = strchr(config->urls[0], '?');
  return tti_hash64(config->shown_url, strlen(config->shown_url)) ^
         (query ? tti_hash64(query, strlen(query)) : 0);
}

static tt_error configure_spool(tti_sender_config *config,
                                const tt_emitter_options *o) {
  if (!o->spool_directory || !*o->spool_directory)
    return TT_OK;
  config->spool_bytes = o->spool_bytes ? o->spool_bytes : SPOOL_BYTES;
  config->destination = destination_of(config);
  config->spool_directory = strdup(o->spool_directory);
  return config->spool_directory ? TT_OK : TT_ENOMEM;
}

/* "" becomes NULL. */
static bool copy_name(const char *name, char **out_copy) {
  if (is_blank(name))
    return true;
  *out_copy = strdup(name);
  return *out_copy;
}

static tt_error configure_tls(tti_sender_config *config,
                              const tt_emitter_options *o) {
  return copy_name(o->ca_file, &config->ca_file) &&
                 copy_name(o->cert_file, &config->cert_file) &&
                 copy_name(o->key_file, &config->key_file)
             ? TT_OK
             : TT_ENOMEM;
}

static tt_error configure(tti_sender_config *config,
                          const tt_emitter_options *o) {
  config->request_timeout_ms =
      o->request_timeout_ms ? o->request_timeout_ms : REQUEST_TIMEOUT_MS;
  config->max_attempts = o->max_attempts ? o->max_attempts : MAX_ATTEMPTS;
  config->log = o->log;
  tt_error error = tti_http_url(o->url, "", &config->urls[0]);
  if (!error)
    error = tti_http_url(o->url, "/batch", &config->batch_urls[0]);
  if (!error)
    error = tti_http_url(o->url, "log", &config->urls[1]);
  if (!error)
    error = tti_http_url(o->url, "log/batch", &config->batch_urls[1]);
  if (!error)
    error = tti_http_url_shown(o->url, &config->shown_url);
  if (!error)
    error = configure_tls(config, o);
  if (!error && o->token && *o->token) {
    size_t size = sizeof("Authorization: Bearer ") + strlen(o->token);
    config->authorization = malloc(size);
    if (config->authorization)
      snprintf(config->authorization, size, "Authorization: Bearer %s",
               o->token);
    else
      error = TT_ENOMEM;
  }
  return error ? error : configure_spool(config, o);
}

tt_error tt_emitter_new(const tt_emitter_options *options,
                        tt_emitter **out_emitter) {
  static const tti_queued_ops ops = {.open = open_sender,
                                     .run = run_sender,
                                     .cancel = cancel_sender,
                                     .close = close_sender,
                                     .free_config = free_config};
  if (!options || !out_emitter)
    return TT_EINVAL;
  if (is_blank(options->url))
    return tt_emitter_noop_new(out_emitter);
  if (!are_valid(options))
    return TT_EINVAL;
  tti_sender_config *config = calloc(1, sizeof(*config));
  if (!config)
    return TT_ENOMEM;
  tt_error error = configure(config, options);
  if (!error)
    error = tti_queued_new(
        &ops, config,
        &(tti_queued_options){.source = options->source,
                              .agent_id = options->agent_id,
                              .queue_events = options->queue_events,
                              .queue_bytes = options->queue_bytes,
                              .free_timeout_ms = options->free_timeout_ms},
        out_emitter);
  if (error)
    free_config(config);
  return error;
}
