#ifndef IO_LOG_H
#define IO_LOG_H

#include "lib/base/log.h"

typedef enum server_log_format {
  SERVER_LOG_LOGFMT,
  SERVER_LOG_JSON
} server_log_format;

/* The server's own log lines, to standard error, one write a line. A line that
 * would have to wait (for a pipe that nobody reads, say) is lost, and the next
 * one that is not tells how many were. */
void server_log_configure(server_log_format format, tt_level minimum);

/* One line: `module` is the folder's name; the message says what, where and
 * what to do. Thread-safe. Never a secret. */
void server_log(tt_level level, const char *module, const char *format, ...)
    TELLTALE_PRINTF(3, 4);

/* A hook for the library's parts that ends in server_log. */
tt_log_hook server_log_hook(const char *module);

#endif
