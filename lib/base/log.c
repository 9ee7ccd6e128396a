#include "lib/base/log.h"

#include "lib/base/time.h"
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

#define RATION_US ((int64_t)10 * 1000000)

void tti_log_rationed(tti_log_ration *ration, const tt_log_hook *hook,
                      tt_level level, const char *format, ...) {
  int64_t now = tti_monotonic_us(&tti_clock_system);
  if (ration->at_us && now - ration->at_us < RATION_US) {
    ration->held_back++;
    return;
  }
  char line[900], more[64] = "";
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof(line), format, args);
  va_end(args);
  if (ration->held_back)
    snprintf(more, sizeof(more), " (%llu more like it)",
             (unsigned long long)ration->held_back);
  tti_log(hook, level, "%s%s", line, more);
  ration->at_us = now;
  ration->held_back = 0;
}
