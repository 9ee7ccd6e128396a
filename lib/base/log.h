#ifndef TTI_BASE_LOG_H
#define TTI_BASE_LOG_H

#include <telltale/log.h>

/* Formats one line (cut at 1,024 bytes) and hands it to the hook, if any. */
void tti_log(const tt_log_hook *hook, tt_level level, const char *format, ...)
    TELLTALE_PRINTF(3, 4);

#endif
