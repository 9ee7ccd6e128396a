#ifndef TELLTALE_LOGGER_H
#define TELLTALE_LOGGER_H

#include <stdarg.h>
#include <telltale/emitter.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Log lines by an emitter: they take the way of its events and never block or
 * fail either. Over HTTP they go to the log route of the server, which is the
 * events URL with "log" for its last segment.
 *
 *   tt_log_warn(emitter, "db", "query took %d ms", ms);
 *   tt_log_with(emitter, TT_LEVEL_WARN, "db",
 *               tt_log_fields(tt_int("rows", 3)), "query took %d ms", ms);
 *
 * `logger` names the part of the program that speaks, such as "db"; NULL: none.
 * The rest is as with printf. The line also tells the file (without its
 * folders) and line of the call. */
#define tt_log_debug(emitter, logger, ...)                                     \
  tt_log_with(emitter, TT_LEVEL_DEBUG, logger, NULL, __VA_ARGS__)
#define tt_log_info(emitter, logger, ...)                                      \
  tt_log_with(emitter, TT_LEVEL_INFO, logger, NULL, __VA_ARGS__)
#define tt_log_warn(emitter, logger, ...)                                      \
  tt_log_with(emitter, TT_LEVEL_WARN, logger, NULL, __VA_ARGS__)
#define tt_log_error(emitter, logger, ...)                                     \
  tt_log_with(emitter, TT_LEVEL_ERROR, logger, NULL, __VA_ARGS__)
#define tt_log_fatal(emitter, logger, ...)                                     \
  tt_log_with(emitter, TT_LEVEL_FATAL, logger, NULL, __VA_ARGS__)

/* With a level of the caller's, and fields: tt_log_fields(...) or NULL. */
#define tt_log_with(emitter, level, logger, fields, ...)                       \
  tt_log_write(emitter, level, logger, fields, __FILE__, __LINE__, __VA_ARGS__)

/* A log line's fields; what they borrow is needed for the call only. */
#ifndef __cplusplus
#define tt_log_fields(...) ((const tt_field[]){__VA_ARGS__, TT_END})
#endif

/* What the macros call, and for a program's own logging functions. `fields`
 * ends with TT_END, or is NULL; so may be `file`, and then the line tells no
 * place. A message that there is no memory for is cut at 1,023 bytes, and its
 * fields are left out. */
TELLTALE_API void tt_log_write(tt_emitter *emitter, tt_level level,
                               const char *logger, const tt_field *fields,
                               const char *file, int line, const char *format,
                               ...) TELLTALE_PRINTF(7, 8);
TELLTALE_API void tt_log_vwrite(tt_emitter *emitter, tt_level level,
                                const char *logger, const tt_field *fields,
                                const char *file, int line, const char *format,
                                va_list args) TELLTALE_PRINTF(7, 0);

#ifdef __cplusplus
}

/* The array that a C++ expression cannot make in place. */
template <unsigned Count> struct tt_log_field_list {
  tt_field fields[Count];
  operator const tt_field *() const {
    return fields;
  }
};
template <typename... Fields>
inline tt_log_field_list<sizeof...(Fields) + 1>
tt_log_fields(Fields... fields) {
  return {{fields..., tt_end()}};
}
#endif
#endif
