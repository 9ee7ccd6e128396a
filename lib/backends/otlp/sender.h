#ifndef TTI_BACKENDS_OTLP_SENDER_H
#define TTI_BACKENDS_OTLP_SENDER_H

#include "lib/backends/otlp/settings.h"

/* Sends one request after the other to where the settings say. */
typedef struct tti_otlp_sender {
  tti_otlp_settings settings;
  tti_http_client *client;
  tti_arena arena; /* of the request being built */
  tti_buf request;
  tti_buf compressed;
  tti_http_answer answer;
  char *authorization; /* the header's line; NULL: there is no token file */
} tti_otlp_sender;

/* Initialises a sender that is all zero but for the settings' signal and path.
 * Requests are at most `max_bytes` before they are compressed. `problem` has
 * TELLTALE_PROBLEM_MAX bytes. On failure too it is to be finished. TT_EINVAL,
 * TT_ENOMEM. */
tt_error tti_otlp_sender_init(tti_otlp_sender *sender,
                              const tt_storage_otlp_options *options,
                              size_t max_bytes, char *problem);
void tti_otlp_sender_fini(tti_otlp_sender *sender);

/* Posts `request`, compressed if so set. `timeout_ms`: how much time there is,
 * if less than the settings give; < 0: that. The answer's status is to be read
 * then. An error of tti_http_post, with a sentence in `problem`. */
tt_error tti_otlp_send(tti_otlp_sender *sender, int timeout_ms, char *problem);

/* After an answer that is not 2xx: says so in `problem`; the milliseconds of
 * Retry-After, 0: none. */
int tti_otlp_refusal(tti_otlp_sender *sender, char *problem);

/* After a 2xx: how many of what was sent were not taken, and why. */
int64_t tti_otlp_rejected(tti_otlp_sender *sender, char *problem);

#endif
