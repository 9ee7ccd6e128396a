#ifndef TTI_BASE_LOG_H
#define TTI_BASE_LOG_H

#include <telltale/log.h>

/* Formats one line (cut at 1,024 bytes) and hands it to the hook, if any. */
void tti_log(const tt_log_hook *hook, tt_level level, const char *format, ...)
    TELLTALE_PRINTF(3, 4);

/* The fate of one kind of line: told at most once in ten seconds. Zero at
 * first; one thread at a time. */
typedef struct tti_log_ration {
  int64_t at_us;
  uint64_t held_back;
} tti_log_ration;

/* Logs, and says how many like it were held back, or counts that it did not. */
void tti_log_rationed(tti_log_ration *ration, const tt_log_hook *hook,
                      tt_level level, const char *format, ...)
    TELLTALE_PRINTF(4, 5);

#endif
