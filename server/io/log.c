#include "server/io/log.h"

#include "lib/json/write.h"
#include "server/io/clock.h"
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define MESSAGE_MAX 2048
#define LINE_LIMIT  (MESSAGE_MAX * 6 + 256) /* a byte may become \u00xx */

static atomic_int chosen_format = SERVER_LOG_LOGFMT;
static atomic_int chosen_minimum = TT_LEVEL_INFO;
static atomic_ulong lost; /* lines since the last one that was written */

void server_log_configure(server_log_format format, tt_level minimum) {
  /* Relaxed: a line more or less in the old form harms nobody. */
  atomic_store_explicit(&chosen_format, (int)format, memory_order_relaxed);
  atomic_store_explicit(&chosen_minimum, (int)minimum, memory_order_relaxed);
}

/* A pipe that poll calls writable takes a page at once; files always do. */
static bool is_writable(void) {
  struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
  return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static void put_line(const tti_buf *line) {
  if (line->error || !is_writable() ||
      write(STDERR_FILENO, line->data, line->len) < 0)
    atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
}

static void log_line(tt_level level, const char *module, tti_slice message) {
  char time[TTI_RFC3339_MAX];
  bool json = atomic_load_explicit(&chosen_format, memory_order_relaxed) ==
              SERVER_LOG_JSON;
  tti_buf line;
  tti_buf_init(&line, LINE_LIMIT);
  tti_rfc3339_format(server_wall_us(), time);
  tti_buf_printf(&line,
                 json ? "{\"ts\":\"%s\",\"level\":\"%s\",\"module\":"
                        "\"%.64s\",\"message\":"
                      : "ts=%s level=%s module=%.64s msg=",
                 time, tt_level_name(level), module);
  tti_json_write_string(&line, message);
  tti_buf_append_text(&line, json ? "}\n" : "\n");
  put_line(&line);
  tti_buf_fini(&line);
}

static void tell_lost(void) {
  char message[64];
  if (atomic_load_explicit(&lost, memory_order_relaxed) == 0 || !is_writable())
    return;
  unsigned long count =
      atomic_exchange_explicit(&lost, 0, memory_order_relaxed);
  if (count == 0)
    return; /* another thread was first */
  int len =
      snprintf(message, sizeof(message),
               "%lu lines before this were lost: nobody took them", count);
  log_line(TT_LEVEL_WARN, "log", (tti_slice){message, (size_t)len});
}

void server_log(tt_level level, const char *module, const char *format, ...) {
  if ((int)level < atomic_load_explicit(&chosen_minimum, memory_order_relaxed))
    return;
  char message[MESSAGE_MAX];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(message, sizeof(message), format, args);
  va_end(args);
  if (len < 0)
    return;
  size_t kept =
      (size_t)len < sizeof(message) ? (size_t)len : sizeof(message) - 1;
  tell_lost();
  log_line(level, module, (tti_slice){message, kept});
}

static void hook(void *context, tt_level level, const char *message) {
  server_log(level, context, "%s", message);
}

tt_log_hook server_log_hook(const char *module) {
  /* The name is a literal and only read. */
  return (tt_log_hook){hook, (void *)(uintptr_t)module};
}
