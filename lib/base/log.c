#include "lib/base/log.h"

#include <stdarg.h>
#include <stdio.h>

void tti_log(const tt_log_hook *hook, tt_level level, const char *format, ...) {
  if (!hook || !hook->log)
    return;
  char line[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof(line), format, args);
  va_end(args);
  hook->log(hook->context, level, line);
}
