#ifndef TELLTALE_EVENT_H
#define TELLTALE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <telltale/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In rising order of weight but for TT_LEVEL_UNSET, which counts as info. */
typedef enum tt_level {
  TT_LEVEL_UNSET = 0,
  TT_LEVEL_DEBUG,
  TT_LEVEL_INFO,
  TT_LEVEL_WARN,
  TT_LEVEL_ERROR,
  TT_LEVEL_FATAL
} tt_level;

/* "debug", "info", "warn", "error", "fatal"; "info" for TT_LEVEL_UNSET. */
TELLTALE_API const char *tt_level_name(tt_level level);

/* The six categories of capture sessions. Any other text is a category too;
 * `system` events are always captured. */
#define TELLTALE_CATEGORY_CONSOLE     "console"
#define TELLTALE_CATEGORY_NETWORK     "network"
#define TELLTALE_CATEGORY_PAGE        "page"
#define TELLTALE_CATEGORY_INTERACTION "interaction"
#define TELLTALE_CATEGORY_API         "api"
#define TELLTALE_CATEGORY_SYSTEM      "system"

typedef struct tt_metadata {
  const char *key;
  const char *value;
} tt_metadata;

/* One record of something that happened. Made for designated initialisers;
 * all zero is a valid, empty event. Every pointer is borrowed for the length
 * of the call that takes the event; NULL is the same as "". */
typedef struct tt_event {
  int64_t ts_us;            /* unix microseconds; 0: now */
  const char *source;       /* who says it (envelope view: source.kind) */
  const char *source_event; /* what it was called there */
  const char *type;         /* what happened (relay view: action) */
  const char *category;     /* relay view: channel */
  tt_level level;
  const char *level_name; /* a level of the producer's own; ranks as info */
  const char *agent_id;
  const char *session_id;
  bool has_duration; /* tells a duration of 0 from none */
  int64_t duration_ms;
  const tt_metadata *metadata;
  size_t metadata_count;
  const char *data; /* any JSON value, kept byte for byte; NULL: none */
  size_t data_len;  /* bytes; 0 with data set: data is NUL-terminated */
  bool truncated;   /* data was cut because the envelope was too large */
  bool is_log; /* a log line: type is its logger, category "log", data an object
                  of message, fields and caller (<telltale/logger.h>) */
} tt_event;

/* An event plus what the pipeline gave it. */
typedef struct tt_envelope {
  uint64_t seq;
  int64_t received_us; /* unix microseconds, when the pipeline took it */
  tt_event event;
} tt_envelope;

typedef enum tt_field_kind {
  TT_FIELD_END = 0,
  TT_FIELD_STRING,
  TT_FIELD_INT,
  TT_FIELD_UINT,
  TT_FIELD_DOUBLE,
  TT_FIELD_BOOL,
  TT_FIELD_JSON,
  TT_FIELD_NULL
} tt_field_kind;

/* One member of the `data` object of an emitted event. Strings are borrowed
 * for the call. Made by the builders below. */
typedef struct tt_field {
  tt_field_kind kind;
  const char *key;
  union {
    const char *string;
    int64_t integer;
    uint64_t unsigned_integer;
    double real;
    bool boolean;
  } value;
} tt_field;

static inline tt_field tt_str(const char *key, const char *value) {
  tt_field f;
  f.kind = value ? TT_FIELD_STRING : TT_FIELD_NULL;
  f.key = key;
  f.value.string = value;
  return f;
}
static inline tt_field tt_int(const char *key, int64_t value) {
  tt_field f;
  f.kind = TT_FIELD_INT;
  f.key = key;
  f.value.integer = value;
  return f;
}
static inline tt_field tt_uint(const char *key, uint64_t value) {
  tt_field f;
  f.kind = TT_FIELD_UINT;
  f.key = key;
  f.value.unsigned_integer = value;
  return f;
}
/* NaN and the infinities have no JSON form and become null. */
static inline tt_field tt_double(const char *key, double value) {
  tt_field f;
  f.kind = TT_FIELD_DOUBLE;
  f.key = key;
  f.value.real = value;
  return f;
}
static inline tt_field tt_bool(const char *key, bool value) {
  tt_field f;
  f.kind = TT_FIELD_BOOL;
  f.key = key;
  f.value.boolean = value;
  return f;
}
/* `json` is one JSON value, used as it is; text that is not becomes null, and
 * the event is still sent. */
static inline tt_field tt_json(const char *key, const char *json) {
  tt_field f;
  f.kind = json ? TT_FIELD_JSON : TT_FIELD_NULL;
  f.key = key;
  f.value.string = json;
  return f;
}
static inline tt_field tt_end(void) {
  tt_field f;
  f.kind = TT_FIELD_END;
  f.key = 0;
  f.value.integer = 0;
  return f;
}
#define TT_END tt_end()

#ifdef __cplusplus
}
#endif
#endif
