#include "lib/backends/otlp/sender.h"
#include <stdio.h>
#include <stdlib.h>

#define MAX_RECORDS   200
#define LINGER_MS     1000
#define REQUEST_BYTES ((size_t)4 << 20)

typedef struct otlp {
  tti_otlp_sender sender;
  const tt_envelope *sent[MAX_RECORDS]; /* of the batch, those not excluded */
} otlp;

static bool is_excluded(const otlp *o, const tt_event *event) {
  const tti_otlp_settings *settings = &o->sender.settings;
  for (size_t i = 0; i < settings->excluded_count; i++)
    if (strcmp(event->category ? event->category : "", settings->excluded[i]) ==
        0)
      return true;
  return false;
}

/* What the server did with the request. Refusals that an operator can mend are
 * tried again, as are failures of the server's own: what waits is not lost. */
static tt_error verdict(otlp *o, size_t count, tt_append_report *report) {
  int status = o->sender.answer.status;
  if (status >= 200 && status < 300) { /* some answer 202 or 204 */
    uint64_t rejected =
        (uint64_t)tti_otlp_rejected(&o->sender, report->problem);
    report->rejected = rejected < count ? (size_t)rejected : count;
    return TT_OK;
  }
  report->retry_after_ms = tti_otlp_refusal(&o->sender, report->problem);
  if (status >= 500 || status == 401 || status == 403 || status == 404 ||
      status == 408 || status == 429)
    return TT_EIO;
  return status == 413 ? TT_ETOOBIG : TT_EINVAL;
}

static tt_error otlp_append(void *self, const tt_envelope *envelopes,
                            size_t count, int timeout_ms,
                            tt_append_report *report) {
  otlp *o = self;
  tti_otlp_sender *sender = &o->sender;
  size_t sent = 0;
  for (size_t i = 0; i < count; i++)
    if (!is_excluded(o, &envelopes[i].event))
      o->sent[sent++] = &envelopes[i];
  if (sent == 0)
    return TT_OK;
  tti_buf_clear(&sender->request);
  tt_error error =
      tti_otlp_logs(&sender->arena, &sender->settings.resource, o->sent, sent,
                    &sender->request); /* TT_ETOOBIG: fewer will do */
  if (!error)
    error = tti_otlp_send(sender, timeout_ms, report->problem);
  return error ? error : verdict(o, sent, report);
}

static void otlp_interrupt(void *self) {
  otlp *o = self;
  tti_http_cancel(o->sender.client);
}

static void otlp_free(void *self) {
  otlp *o = self;
  tti_otlp_sender_fini(&o->sender);
  free(o);
}

tt_error tt_storage_otlp_new(const tt_storage_otlp_options *options,
                             char *problem, tt_storage **out_storage) {
  static const tt_storage_ops ops = {.version = 1,
                                     .max_records = MAX_RECORDS,
                                     .linger_ms = LINGER_MS,
                                     .append = otlp_append,
                                     .interrupt = otlp_interrupt,
                                     .free = otlp_free};
  static const tt_storage_otlp_options defaults;
  char unread[TELLTALE_PROBLEM_MAX], name[TELLTALE_PROBLEM_MAX];
  if (!out_storage)
    return TT_EINVAL;
  otlp *o = calloc(1, sizeof(*o));
  if (!o)
    return TT_ENOMEM;
  o->sender.settings.signal = "LOGS";
  o->sender.settings.path = "/v1/logs";
  tt_error error =
      tti_otlp_sender_init(&o->sender, options ? options : &defaults,
                           REQUEST_BYTES, problem ? problem : unread);
  if (!error) {
    snprintf(name, sizeof(name), "otlp %s", o->sender.settings.shown_url);
    error = tt_storage_from_ops(&ops, o, name, out_storage);
  }
  if (error)
    otlp_free(o);
  return error;
}
