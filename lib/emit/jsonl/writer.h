#ifndef TTI_EMIT_JSONL_WRITER_H
#define TTI_EMIT_JSONL_WRITER_H

#include "lib/emit/queue.h"

/* What the writers of one emitter are made from; outlives them. */
typedef struct tti_writer_config {
  char *path; /* owned by the emitter */
  int max_attempts;
  bool fsync_on_flush;
  tt_log_hook log;
} tti_writer_config;

/* Appends the events of a queue to a file, as lines. The functions below are
 * those of tti_queued_ops. */
typedef struct tti_writer tti_writer;

tti_writer *tti_writer_new(const tti_writer_config *config, tti_queue *queue);
void tti_writer_run(tti_writer *writer);
/* TT_EIO: the disk did not keep what was written. */
tt_error tti_writer_flushed(tti_writer *writer);
void tti_writer_free(tti_writer *writer, uint64_t left);

#endif
