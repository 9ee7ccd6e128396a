#include "lib/outbox/outbox.h"

#include "lib/base/log.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

tt_error tt_outbox_new(const tt_outbox_options *options,
                       tt_outbox **out_outbox) {
  if (!out_outbox)
    return TT_EINVAL;
  tt_outbox *outbox = calloc(1, sizeof(*outbox));
  if (!outbox)
    return TT_ENOMEM;
  if (pthread_mutex_init(&outbox->lock, NULL)) {
    free(outbox);
    return TT_ENOMEM;
  }
  if (options) {
    outbox->metrics = options->metrics;
    outbox->log = options->log;
  }
  *out_outbox = outbox;
  return TT_OK;
}

void tt_outbox_free(tt_outbox *outbox) {
  if (!outbox)
    return;
  while (outbox->attached) {
    tti_outbox_attached *next = outbox->attached->next;
    outbox->attached->free(outbox->attached);
    outbox->attached = next;
  }
  pthread_mutex_destroy(&outbox->lock);
  free(outbox);
}

void tti_outbox_keep(tt_outbox *outbox, tti_outbox_attached *attached) {
  pthread_mutex_lock(&outbox->lock);
  attached->next = outbox->attached;
  outbox->attached = attached;
  pthread_mutex_unlock(&outbox->lock);
}

/* Under the lock: where the connection's is linked in, or the end. */
static tti_outbox_attached **place_of(tt_outbox *outbox, const void *db) {
  tti_outbox_attached **at = &outbox->attached;
  while (*at && (*at)->db != db)
    at = &(*at)->next;
  return at;
}

tti_outbox_attached *tti_outbox_kept(tt_outbox *outbox, const void *db) {
  pthread_mutex_lock(&outbox->lock);
  tti_outbox_attached *found = *place_of(outbox, db);
  pthread_mutex_unlock(&outbox->lock);
  return found;
}

tti_outbox_attached *tti_outbox_take_out(tt_outbox *outbox, const void *db) {
  pthread_mutex_lock(&outbox->lock);
  tti_outbox_attached **at = place_of(outbox, db), *found = *at;
  if (found)
    *at = found->next;
  pthread_mutex_unlock(&outbox->lock);
  return found;
}

tt_error tti_outbox_failed(tt_outbox *outbox, tt_error error,
                           const char *format, ...) {
  char why[800];
  va_list args;
  va_start(args, format);
  vsnprintf(why, sizeof(why), format, args);
  va_end(args);
  tti_log(&outbox->log, TT_LEVEL_ERROR, "outbox: not published: %s", why);
  tt_metrics_add(outbox->metrics, TT_METRIC_OUTBOX_FAILURES, 1, "publish",
                 NULL);
  return error;
}
