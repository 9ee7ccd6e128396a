#include "lib/emit/emitter.h"
#include "lib/emit/render.h"
#include <stdio.h>
#include <stdlib.h>
#include <telltale/logger.h>

#define MESSAGE_BYTES    1024 /* most are shorter, and need no memory */
#define CALLER_BYTES     256
#define FIELDS_MAX_BYTES ((size_t)1024 * 1024)

static const char *format_message(char *room, const char *format, va_list args,
                                  char **out_owned) TELLTALE_PRINTF(2, 0);

/* Formats into `room`, or into memory of its own when that is too small (then
 * *out_owned, freed by the caller); cut when there is none. */
static const char *format_message(char *room, const char *format, va_list args,
                                  char **out_owned) {
  va_list again;
  va_copy(again, args);
  int len = vsnprintf(room, MESSAGE_BYTES, format, args);
  *out_owned = len >= MESSAGE_BYTES ? malloc((size_t)len + 1) : NULL;
  if (*out_owned)
    vsnprintf(*out_owned, (size_t)len + 1, format, again);
  va_end(again);
  return *out_owned ? *out_owned : len < 0 ? format : room;
}

void tt_log_vwrite(tt_emitter *emitter, tt_level level, const char *logger,
                   const tt_field *fields, const char *file, int line,
                   const char *format, va_list args) {
  if (!tti_emitter_keeps(emitter))
    return;
  char message[MESSAGE_BYTES], caller[CALLER_BYTES];
  char *owned;
  tti_buf rendered;
  tti_buf_init(&rendered, FIELDS_MAX_BYTES);
  tt_field data[4];
  size_t count = 0;
  data[count++] =
      tt_str("message", format_message(message, format, args, &owned));
  if (fields && fields->kind != TT_FIELD_END) {
    tti_render_fields(&rendered, fields);
    tti_buf_append_char(&rendered, '\0');
    if (!rendered.error)
      data[count++] = tt_json("fields", rendered.data);
  }
  if (file) {
    const char *slash = strrchr(file, '/');
    snprintf(caller, sizeof(caller), "%s:%d", slash ? slash + 1 : file, line);
    data[count++] = tt_str("caller", caller);
  }
  data[count] = tt_end();
  tti_emitter_emit(
      emitter,
      &(tt_event){
          .category = "log", .type = logger, .level = level, .is_log = true},
      data);
  tti_buf_fini(&rendered);
  free(owned);
}

void tt_log_write(tt_emitter *emitter, tt_level level, const char *logger,
                  const tt_field *fields, const char *file, int line,
                  const char *format, ...) {
  va_list args;
  va_start(args, format);
  tt_log_vwrite(emitter, level, logger, fields, file, line, format, args);
  va_end(args);
}
