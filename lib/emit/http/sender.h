#ifndef TTI_EMIT_HTTP_SENDER_H
#define TTI_EMIT_HTTP_SENDER_H

#include "lib/emit/queue.h"

/* What senders of one emitter are made from; outlives them. Strings owned by
 * the emitter. */
typedef struct tti_sender_config {
  char *url;           /* takes one event a request */
  char *batch_url;     /* its sibling, takes an array */
  char *shown_url;     /* without credentials and query, for log lines */
  char *authorization; /* a whole header line, or NULL */
  size_t queue_events;
  size_t queue_bytes;
  int request_timeout_ms;
  int max_attempts;
  tt_log_hook log;
} tti_sender_config;

/* A queue, the thread that empties it, and the connection it uses; belongs to
 * the process that made it. The thread is started by tti_sender_start. */
typedef struct tti_sender tti_sender;

/* NULL: no memory. `config` is borrowed. */
tti_sender *tti_sender_new(const tti_sender_config *config);

/* Whether the calling process made it: what a fork leaves in a child is a copy
 * without a thread. */
bool tti_sender_is_ours(const tti_sender *sender);

tti_queue *tti_sender_queue(tti_sender *sender);

/* Starts the thread unless it runs. False: not possible now; what is queued
 * waits for a later start. Thread-safe, cheap once it runs. */
bool tti_sender_start(tti_sender *sender);

/* tti_queue_flush, by a thread that is there if that is possible at all. */
tt_error tti_sender_flush(tti_sender *sender, int timeout_ms);

/* Flushes for at most timeout_ms, breaks off what is on its way, ends the
 * thread, counts the rest as dropped and frees. The last call. */
void tti_sender_free(tti_sender *sender, int timeout_ms);

#endif
