#ifndef TTI_EMIT_HTTP_SENDER_H
#define TTI_EMIT_HTTP_SENDER_H

#include "lib/emit/queue.h"

/* What senders of one emitter are made from; outlives them. Strings owned by
 * the emitter. */
typedef struct tti_sender_config {
  /* For events and for log lines: takes one a request; takes an array. */
  char *urls[2], *batch_urls[2];
  char *shown_url;     /* without credentials and query, for log lines */
  char *authorization; /* a whole header line, or NULL */
  char *ca_file, *cert_file, *key_file; /* or NULL */
  int request_timeout_ms;
  int max_attempts;
  tt_log_hook log;
  char *spool_directory; /* NULL: no spool */
  size_t spool_bytes;
  uint64_t destination; /* the server and route, to the spool */
} tti_sender_config;

/* Sends the events of a queue, over a connection of its own. With a spool, what
 * the server does not take now goes there, and everything behind it too, so
 * that the order stays; when the spool has been sent, events go directly again.
 * The functions below are those of tti_queued_ops. */
typedef struct tti_sender tti_sender;

tti_sender *tti_sender_new(const tti_sender_config *config, tti_queue *queue);
void tti_sender_run(tti_sender *sender);
void tti_sender_cancel(tti_sender *sender);
void tti_sender_free(tti_sender *sender, uint64_t left);

#endif
