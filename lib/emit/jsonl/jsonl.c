#include "lib/base/slice.h"
#include "lib/emit/jsonl/writer.h"
#include "lib/emit/queued.h"
#include <stdlib.h>

#define MAX_ATTEMPTS 10

static void *open_writer(const void *config, tti_queue *queue) {
  return tti_writer_new(config, queue);
}

static void run_writer(void *worker) {
  tti_writer_run(worker);
}

static tt_error flushed(void *worker) {
  return tti_writer_flushed(worker);
}

static void close_writer(void *worker, uint64_t left) {
  tti_writer_free(worker, left);
}

static void free_config(void *context) {
  tti_writer_config *config = context;
  free(config->path);
  free(config);
}

static bool is_blank(const char *text) {
  return !text || tti_slice_trim(tti_slice_of(text)).len == 0;
}

tt_error tt_emitter_jsonl_new(const tt_jsonl_options *options,
                              tt_emitter **out_emitter) {
  static const tti_queued_ops ops = {.open = open_writer,
                                     .run = run_writer,
                                     .flushed = flushed,
                                     .close = close_writer,
                                     .free_config = free_config};
  if (!options || !out_emitter)
    return TT_EINVAL;
  if (is_blank(options->path))
    return tt_emitter_noop_new(out_emitter);
  if (is_blank(options->source) || options->max_attempts < 0 ||
      options->free_timeout_ms < 0)
    return TT_EINVAL;
  tti_writer_config *config = calloc(1, sizeof(*config));
  if (!config)
    return TT_ENOMEM;
  config->max_attempts =
      options->max_attempts ? options->max_attempts : MAX_ATTEMPTS;
  config->fsync_on_flush = options->fsync_on_flush;
  config->log = options->log;
  config->path = strdup(options->path);
  tt_error error = TT_ENOMEM;
  if (config->path)
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
