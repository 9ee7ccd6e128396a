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
  if (options)
    *outbox = (tt_outbox){options->metrics, options->log};
  *out_outbox = outbox;
  return TT_OK;
}

void tt_outbox_free(tt_outbox *outbox) {
  free(outbox);
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
