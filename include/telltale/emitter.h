#ifndef TELLTALE_EMITTER_H
#define TELLTALE_EMITTER_H

#include <telltale/error.h>
#include <telltale/event.h>
#include <telltale/log.h>
#include <telltale/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The client side: fire and forget. Emitting never blocks and never fails; an
 * event that cannot be kept is counted by reason. Every call is thread-safe
 * and does nothing on a NULL emitter. */
typedef struct tt_emitter tt_emitter;

/* Why an event was not delivered. One table; names are what the server and the
 * statistics show. */
#define TELLTALE_DROP_REASON_MAP(X)                                            \
  X(TT_DROP_QUEUE_FULL, "queue_full")                                          \
  X(TT_DROP_TOO_LARGE, "too_large")                                            \
  X(TT_DROP_REJECTED, "rejected")                                              \
  X(TT_DROP_RETRIES, "retries")                                                \
  X(TT_DROP_SHUTDOWN, "shutdown")                                              \
  X(TT_DROP_NO_MEMORY, "no_memory")                                            \
  X(TT_DROP_IO, "io")                                                          \
  X(TT_DROP_SPOOL_FULL, "spool_full")                                          \
  X(TT_DROP_SPOOL_ERROR, "spool_error")

typedef enum tt_drop_reason {
#define X(id, name) id,
  TELLTALE_DROP_REASON_MAP(X)
#undef X
      TT_DROP_REASON_COUNT
} tt_drop_reason;

TELLTALE_API const char *tt_drop_reason_name(tt_drop_reason reason);

/* emitted + adopted = sent + queued + spooled + sum of dropped, always. */
typedef struct tt_emitter_stats {
  uint64_t emitted;
  uint64_t adopted; /* found in the spool, left there by another process */
  uint64_t sent;
  uint64_t queued;  /* in memory, waiting or on the way */
  uint64_t spooled; /* on disk, waiting or on the way */
  uint64_t dropped[TT_DROP_REASON_COUNT];
  uint64_t spool_damaged; /* files of the spool set aside, since a part of them
                             could not be read */
} tt_emitter_stats;

/* What an implementation provides; a NULL member does nothing. `emit` takes an
 * event whose source, ts and agent_id are already filled, and copies what it
 * keeps. With `fields` (ended by TT_FIELD_END, may be NULL) data is the object
 * of these fields, to be rendered when there is time; else event->data. flush
 * answers TT_OK, TT_ETIMEOUT or an error that the implementation tells of. free
 * flushes for at most `timeout_ms`. version is 1. */
typedef struct tt_emitter_ops {
  unsigned version;
  void (*emit)(void *self, const tt_event *event, const tt_field *fields);
  tt_error (*flush)(void *self, int timeout_ms);
  void (*stats)(void *self, tt_emitter_stats *out_stats);
  void (*free)(void *self, int timeout_ms);
  int free_timeout_ms; /* what tt_emitter_free gives to free; 0: 2,000 */
} tt_emitter_ops;

/* Wraps an implementation (taking `self` on success). `source` is copied and
 * fills events that name none. */
TELLTALE_API tt_error tt_emitter_from_ops(const tt_emitter_ops *ops, void *self,
                                          const char *source,
                                          tt_emitter **out_emitter);

/* An emitter that drops nothing because it keeps nothing. */
TELLTALE_API tt_error tt_emitter_noop_new(tt_emitter **out_emitter);

/* An emitter into an in-process stream, which must outlive it. */
TELLTALE_API tt_error tt_emitter_stream_new(tt_stream *stream,
                                            const char *source,
                                            tt_emitter **out_emitter);

/* An emitter into each of `emitters`, in their order. NULL ones are passed
 * over, so a part that could not be made takes nothing from the others. Every
 * part fills in its own source, and its own agent id unless the call or the tee
 * has one; all get the same time.
 *
 * On success the parts are the tee's: tt_emitter_free frees them, in no more
 * time than the longest free_timeout_ms of one. Until then each may still be
 * flushed and asked for its own statistics. On an error they stay the caller's.
 * TT_EINVAL: the same emitter twice; TT_ENOMEM.
 *
 * A flush gives all parts one time limit together. The statistics are the sums
 * of the parts', so an event counts once in each part. */
TELLTALE_API tt_error tt_emitter_tee_new(tt_emitter *const *emitters,
                                         size_t count,
                                         tt_emitter **out_emitter);

/* Options of the HTTP emitter (libtelltale-http). All zero but `source` is
 * fine; strings are copied. */
typedef struct tt_emitter_options {
  const char *url;        /* the events URL; NULL or "": a noop emitter */
  const char *source;     /* required with a URL */
  const char *agent_id;   /* default agent id */
  const char *token;      /* bearer token */
  size_t queue_events;    /* 0: 8,192 */
  size_t queue_bytes;     /* 0: 8 MiB */
  int request_timeout_ms; /* 0: 10,000 */
  int max_attempts;       /* tries a batch before its events are dropped;
                             0: 10 */
  int free_timeout_ms;    /* what tt_emitter_free may take; 0: 2,000 */
  tt_log_hook log;        /* may be all zero */
  /* A directory where events wait while the server does not take them, made if
   * its parent is there; NULL or "": they wait in memory only. Other processes
   * may use it too. */
  const char *spool_directory;
  size_t spool_bytes; /* what all files in it may take; 0: 64 MiB */
  /* For https. Files in PEM, read when a connection is made, so that renewed
   * ones are used from the next one on. */
  const char *ca_file;   /* whom to trust instead of the system's CAs */
  const char *cert_file; /* the certificate to show; NULL: none */
  const char *key_file;  /* its key; NULL: it is in cert_file */
} tt_emitter_options;

/* The HTTP emitter. Starts no thread until the first emit. TT_EINVAL for a URL
 * that is not http or https, a missing source, a token with spaces or control
 * characters, a key_file without a cert_file, or a negative option; TT_ENOMEM.
 * A child of fork may go on using it: it starts with an empty queue and zero
 * statistics, and starts a thread of its own at its first emit; what its parent
 * had queued, the parent sends. */
TELLTALE_API tt_error tt_emitter_new(const tt_emitter_options *options,
                                     tt_emitter **out_emitter);

/* Options of the emitter into a file. All zero but `path` and `source` is fine;
 * strings are copied. */
typedef struct tt_jsonl_options {
  const char *path;     /* a regular file; NULL or "": a noop emitter */
  const char *source;   /* required with a path */
  const char *agent_id; /* default agent id */
  size_t queue_events;  /* 0: 8,192 */
  size_t queue_bytes;   /* 0: 8 MiB */
  int max_attempts;     /* tries a batch before its events are dropped, for
                           `io`; 0: 10 */
  int free_timeout_ms;  /* what tt_emitter_free may take; 0: 2,000 */
  bool fsync_on_flush;  /* a flush also waits for the disk, for as long as that
                           takes, and is TT_EIO when the disk refuses */
  tt_log_hook log;      /* may be all zero */
} tt_jsonl_options;

/* An emitter that appends each event to a file, as one line of JSON, the object
 * that POST /events takes. A file that is not there is made with mode 0600, by
 * the thread that writes, at the first event; a file that cannot be opened or
 * written is tried again, as a server is. Lines are whole, whoever else appends
 * to the file. TT_EINVAL: a missing source or a negative option; TT_ENOMEM.
 * Threads and fork are as with tt_emitter_new. */
TELLTALE_API tt_error tt_emitter_jsonl_new(const tt_jsonl_options *options,
                                           tt_emitter **out_emitter);

/* The agent id of events that name none; NULL or "": none. Copied. Without
 * memory the earlier one stays. */
TELLTALE_API void tt_emitter_set_agent_id(tt_emitter *emitter,
                                          const char *agent_id);

/* Emits one event: `type` and any number of fields, level info. */
#ifndef __cplusplus
#define tt_emit(...)       tt_emit_(__VA_ARGS__, TT_END)
#define tt_emit_debug(...) tt_emit_level_(TT_LEVEL_DEBUG, __VA_ARGS__, TT_END)
#define tt_emit_info(...)  tt_emit_level_(TT_LEVEL_INFO, __VA_ARGS__, TT_END)
#define tt_emit_warn(...)  tt_emit_level_(TT_LEVEL_WARN, __VA_ARGS__, TT_END)
#define tt_emit_error(...) tt_emit_level_(TT_LEVEL_ERROR, __VA_ARGS__, TT_END)
/* For one call, an agent id: tt_emit_as(emitter, "agent-7", "type", …). */
#define tt_emit_as(emitter, agent, ...)                                        \
  tt_emit_as_(emitter, agent, __VA_ARGS__, TT_END)
#define tt_emit_(emitter, type, ...)                                           \
  tt_emit_fields(emitter, TT_LEVEL_INFO, NULL, type,                           \
                 (const tt_field[]){__VA_ARGS__})
#define tt_emit_level_(level, emitter, type, ...)                              \
  tt_emit_fields(emitter, level, NULL, type, (const tt_field[]){__VA_ARGS__})
#define tt_emit_as_(emitter, agent, type, ...)                                 \
  tt_emit_fields(emitter, TT_LEVEL_INFO, agent, type,                          \
                 (const tt_field[]){__VA_ARGS__})
#endif

/* A stretch of time that ends in an event: started, carried by value, and
 * emitted with the event's duration. Its members are the library's own. */
typedef struct tt_timer {
  tt_emitter *emitter;
  const char *type;
  int64_t started_us; /* of the monotonic clock */
} tt_timer;

/* Starts now. Emitter (NULL is fine) and type are borrowed until the last emit
 * of the timer; there is nothing to free. */
TELLTALE_API tt_timer tt_timer_start(tt_emitter *emitter, const char *type);

/* tt_timer_emit(&timer, fields...): tt_emit of the timer's type, with the time
 * since its start as duration_ms, in whole milliseconds, to the nearest. The
 * timer goes on: each emit tells the time since the same start. */
#ifndef __cplusplus
#define tt_timer_emit(...) tt_timer_emit_(__VA_ARGS__, TT_END)
#define tt_timer_emit_(timer, ...)                                             \
  tt_timer_emit_fields(timer, TT_LEVEL_INFO, (const tt_field[]){__VA_ARGS__})
#endif

/* What the macro calls, with a level. `fields` ends with TT_END. Nothing on
 * NULL. */
TELLTALE_API void tt_timer_emit_fields(const tt_timer *timer, tt_level level,
                                       const tt_field *fields);

/* What the macros call. `fields` ends with TT_END; agent_id NULL: the default.
 */
TELLTALE_API void tt_emit_fields(tt_emitter *emitter, tt_level level,
                                 const char *agent_id, const char *type,
                                 const tt_field *fields);

/* A fully specified event; fills source, ts and agent_id when empty. */
TELLTALE_API void tt_emit_full(tt_emitter *emitter, const tt_event *event);

/* Waits until everything emitted before this call is delivered, in the spool or
 * dropped, at most `timeout_ms` (TELLTALE_FOREVER: as long as that takes); and
 * for the spool as long as the server takes it. A delivery that waits to be
 * tried again is tried at once. TT_OK or TT_ETIMEOUT (or TT_EIO
 * of a file, see tt_jsonl_options); TT_OK on NULL. */
TELLTALE_API tt_error tt_emitter_flush(tt_emitter *emitter, int timeout_ms);

TELLTALE_API void tt_emitter_stats_get(tt_emitter *emitter,
                                       tt_emitter_stats *out_stats);

/* Flushes within its time, moves what is left to the spool if there is one,
 * else counts it as dropped, frees. NULL fine. */
TELLTALE_API void tt_emitter_free(tt_emitter *emitter);

#ifdef __cplusplus
}

template <typename... Fields>
inline void tt_emit(tt_emitter *emitter, const char *type, Fields... fields) {
  const tt_field all[] = {fields..., tt_end()};
  tt_emit_fields(emitter, TT_LEVEL_INFO, nullptr, type, all);
}
template <typename... Fields>
inline void tt_emit_as(tt_emitter *emitter, const char *agent_id,
                       const char *type, Fields... fields) {
  const tt_field all[] = {fields..., tt_end()};
  tt_emit_fields(emitter, TT_LEVEL_INFO, agent_id, type, all);
}
template <typename... Fields>
inline void tt_timer_emit(const tt_timer *timer, Fields... fields) {
  const tt_field all[] = {fields..., tt_end()};
  tt_timer_emit_fields(timer, TT_LEVEL_INFO, all);
}
#define TELLTALE_EMIT_LEVEL_(name, level)                                      \
  template <typename... Fields>                                                \
  inline void name(tt_emitter *emitter, const char *type, Fields... fields) {  \
    const tt_field all[] = {fields..., tt_end()};                              \
    tt_emit_fields(emitter, level, nullptr, type, all);                        \
  }
TELLTALE_EMIT_LEVEL_(tt_emit_debug, TT_LEVEL_DEBUG)
TELLTALE_EMIT_LEVEL_(tt_emit_info, TT_LEVEL_INFO)
TELLTALE_EMIT_LEVEL_(tt_emit_warn, TT_LEVEL_WARN)
TELLTALE_EMIT_LEVEL_(tt_emit_error, TT_LEVEL_ERROR)
#undef TELLTALE_EMIT_LEVEL_
#endif
#endif
