#ifndef TTI_EMIT_HTTP_DELIVERY_H
#define TTI_EMIT_HTTP_DELIVERY_H

#include "lib/base/random.h"
#include "lib/emit/http/post.h"
#include "lib/emit/http/sender.h"
#include "lib/emit/http/verdict.h"
#include "lib/emit/retry.h"
#include "lib/http/client.h"

/* Each has its own share of lines: trouble that passes must not hide a loss. */
typedef enum tti_trouble {
  TTI_TROUBLE_PASSES,
  TTI_TROUBLE_LOSS,
  TTI_TROUBLE_SPOOL,
  TTI_TROUBLES
} tti_trouble;

#define TTI_DROPS_TEXT_BYTES 512

/* One request after the other: its body and key, how it goes over the wire, and
 * what the server said. Used by one thread, but for the client's cancel. */
typedef struct tti_delivery {
  const tti_sender_config *config;
  tti_http_client *client;
  tti_post post;
  bool single; /* one event, to the route for one */
  char producer[TTI_UUID_TEXT];
  uint64_t number;
  char drops[TTI_DROPS_TEXT_BYTES]; /* a header line, or empty */
  void (*waiting)(void *context);   /* see tti_http_request */
  void *context;
  tti_http_answer answer;
  bool gzip_accepted;
  bool gzip_refused;
  tti_log_ration complaints[TTI_TROUBLES];
} tti_delivery;

/* False: no memory. */
bool tti_delivery_init(tti_delivery *delivery, const tti_sender_config *config);
void tti_delivery_fini(tti_delivery *delivery);

/* Makes the request. TT_ECANCELLED, or TT_OK with what its answer, or that
 * there is none, means. */
tt_error tti_delivery_make(tti_delivery *delivery, tti_verdict *out_verdict);

/* What the server asked for with its last answer, 0 for nothing. */
int64_t tti_delivery_asked_ms(const tti_delivery *delivery);

void tti_delivery_complain(tti_delivery *delivery, tti_trouble kind,
                           const char *what, const char *detail);

/* With the answer's status and the beginning of its body, in one line. */
void tti_delivery_complain_of_answer(tti_delivery *delivery, tti_trouble kind,
                                     const char *what);

#endif
