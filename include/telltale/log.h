#ifndef TELLTALE_LOG_H
#define TELLTALE_LOG_H

#include <telltale/event.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a part of the library reports what its caller cannot see in a return
 * value. `message` is one line without a line end, borrowed for the call. May
 * be called from the library's own threads, never under one of its locks. The
 * library prints nothing itself: without a hook the message is gone. */
typedef struct tt_log_hook {
  void (*log)(void *context, tt_level level, const char *message);
  void *context;
} tt_log_hook;

#ifdef __cplusplus
}
#endif
#endif
