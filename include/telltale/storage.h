#ifndef TELLTALE_STORAGE_H
#define TELLTALE_STORAGE_H

#include <telltale/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Somewhere that envelopes are kept for good: a file, an HTTP service, whatever
 * implements the interface below. A storage writer forwards a stream to it: in
 * order, at least once, so that whoever reads it removes what came twice by
 * seq. The stream's publishers never wait for it. */
typedef struct tt_storage tt_storage;
typedef struct tt_storage_writer tt_storage_writer;

/* What an implementation says of a call. All zero when the call begins. */
typedef struct tt_append_report {
  size_t stored;      /* with an error: how many from the front are there */
  size_t rejected;    /* with TT_OK: how many the other side took and threw
                         away; they are counted as rejected */
  int retry_after_ms; /* not before, with an error that may pass; 0: none */
  char problem[TELLTALE_PROBLEM_MAX]; /* for a person; one line */
} tt_append_report;

/* The interface that an implementation fills in; `version` is 1. One thread
 * calls it at a time, but for `interrupt`. Every function but append may be
 * NULL. An error that may pass (tt_error_retryable) is one of the whole: the
 * call is repeated. Any other is one of what was handed in. A timeout_ms below
 * 0 leaves it to the implementation, which must end a call some time. */
typedef struct tt_storage_ops {
  unsigned version;
  size_t max_records; /* in one append; 0: 256 */
  int linger_ms;      /* how long a batch that is not full may wait; 0: not */

  /* Opens what it writes to. *out_seq is 0; the last seq that is there already,
   * when the other side can tell, keeps it from being sent again. */
  tt_error (*open)(void *self, int timeout_ms, uint64_t *out_seq,
                   tt_append_report *report);
  /* Stores `count` envelopes (at least 1), in order; all is borrowed for the
   * call. TT_OK: all are settled. TT_ETOOBIG, or another error that does not
   * pass: the writer tries fewer, and rejects one that fails alone. */
  tt_error (*append)(void *self, const tt_envelope *envelopes, size_t count,
                     int timeout_ms, tt_append_report *report);
  /* Makes what was appended durable: when the stream is quiet, once a second
   * under load, and before close. After an error all that was appended since
   * the last flush is appended again. NULL: append does it. */
  tt_error (*flush)(void *self, int timeout_ms, tt_append_report *report);
  /* Ends the session with the other side. */
  tt_error (*close)(void *self, int timeout_ms, tt_append_report *report);
  /* From any thread: the call under way and all later ones end soon, with
   * TT_ECANCELLED; but close still releases what is open. */
  void (*interrupt)(void *self);
  void (*free)(void *self);
} tt_storage_ops;

/* Wraps an implementation, taking `self` on success; `name` is copied and used
 * in messages ("jsonl /var/log/x"). TT_EINVAL (no append, another version),
 * TT_ENOMEM. */
TELLTALE_API tt_error tt_storage_from_ops(const tt_storage_ops *ops, void *self,
                                          const char *name,
                                          tt_storage **out_storage);
/* Only for a storage that no writer was made of. NULL is fine. */
TELLTALE_API void tt_storage_free(tt_storage *storage);

/* Where a writer keeps how far it came, for its next life on the same stream.
 * `version` is 1. Both are called by the writer's thread. Without it, or with a
 * position that is ahead of the stream, a writer begins anew. A stream that a
 * new process makes numbers from 1: it needs a position of its own. */
typedef struct tt_position_ops {
  unsigned version;
  /* TT_ENOTFOUND: there is none yet. */
  tt_error (*load)(void *self, uint64_t *out_seq);
  /* Everything up to `seq` is settled. May keep it later than at once: a
   * position that is lost is sent twice. */
  tt_error (*save)(void *self, uint64_t seq);
} tt_position_ops;

/* Where a writer without a position begins. */
typedef enum tt_storage_from {
  TT_STORAGE_FROM_OLDEST = 0, /* all that the stream still holds */
  TT_STORAGE_FROM_TAIL        /* what is published after new */
} tt_storage_from;

/* All zero is a good default. Texts are copied. */
typedef struct tt_storage_writer_options {
  tt_storage_from from;
  const tt_position_ops *position; /* must outlive the writer; may be NULL */
  void *position_self;
  /* Envelopes that could not be stored are appended to this file, as lines of
   * JSON that say why. NULL: they are counted and gone. */
  const char *dead_letters;
  size_t dead_letters_max_bytes; /* 0: 64 MiB; more is counted and gone */
  int open_timeout_ms;           /* 0: 10,000 */
  int retry_first_ms;            /* delays grow from here; 0: 100 */
  int retry_last_ms;             /* to here; 0: 30,000 */
  tt_log_hook log;               /* may be all zero */
} tt_storage_writer_options;

/* A writer from `stream`, which must outlive it, to `storage`, which it owns
 * from here on, also when this fails. A stream that goes on while the storage
 * cannot take what came is no loss as long as the ring reaches back: what fails
 * is tried again until the ring overtakes it. What was overtaken is counted;
 * what the writer had in hand goes to the dead letters. TT_EINVAL, TT_ENOMEM.
 */
TELLTALE_API tt_error tt_storage_writer_new(
    tt_stream *stream, tt_storage *storage,
    const tt_storage_writer_options *options, tt_storage_writer **out_writer);

/* Stops as with a time of 0 what is under way, waits for its end, and frees.
 * NULL is fine. A child of fork has no such thread, so there it would wait for
 * ever: what a child inherits it leaves alone. */
TELLTALE_API void tt_storage_writer_free(tt_storage_writer *writer);

/* ---- On a thread of the caller's: run, then drain, then close ---- */

/* Opens the storage and forwards until `cancel` (may be NULL) is triggered
 * (TT_ECANCELLED) or the stream is closed and all of it forwarded (TT_ECLOSED).
 * Any other error is that of opening. TT_ESTATE: it ran before, or was
 * started. */
TELLTALE_API tt_error tt_storage_writer_run(tt_storage_writer *writer,
                                            tt_cancel *cancel);
/* Forwards what is in the stream by now. TT_ETIMEOUT: not all of it. TT_ESTATE:
 * run has not returned, or it is closed. */
TELLTALE_API tt_error tt_storage_writer_drain(tt_storage_writer *writer,
                                              int timeout_ms);
/* Flushes and closes the storage. TT_ESTATE as of drain. */
TELLTALE_API tt_error tt_storage_writer_close(tt_storage_writer *writer,
                                              int timeout_ms);

/* ---- On a thread of its own: start, then stop ---- */

/* Opens the storage, answering its error, and goes on to forward on a thread.
 * After an error it can be called again. TT_ESTATE: it was started, or ran. */
TELLTALE_API tt_error tt_storage_writer_start(tt_storage_writer *writer);
/* Ends the forwarding, and nothing else. Thread-safe. */
TELLTALE_API void tt_storage_writer_cancel(tt_storage_writer *writer);
/* Cancels, drains, flushes and closes within the time. TT_ETIMEOUT: what was
 * left in the stream is not stored; the storage is closed nevertheless, or was
 * told to end what it does. TT_ESTATE: not started. */
TELLTALE_API tt_error tt_storage_writer_stop(tt_storage_writer *writer,
                                             int timeout_ms);

/* ---- What became of it ---- */

/* Numbers since the writer was made. What was settled is appended + rejected +
 * given_up; `behind` never came to this writer. */
typedef struct tt_storage_writer_stats {
  uint64_t position; /* everything up to this seq is settled or lost */
  uint64_t lag;      /* sequence numbers from there to the stream's last */
  uint64_t appended;
  uint64_t rejected;     /* the storage will not have them */
  uint64_t given_up;     /* failing until the ring had overtaken them */
  uint64_t behind;       /* overwritten before this writer came to them */
  uint64_t dead_letters; /* of rejected and given_up: kept in the file */
  uint64_t failures;     /* calls that failed */
  bool failing;          /* the last call did */
  int64_t problem_us;    /* unix microseconds of the last failure; 0: none */
  char problem[TELLTALE_PROBLEM_MAX];
} tt_storage_writer_stats;

/* Thread-safe, never waits for the storage. */
TELLTALE_API void
tt_storage_writer_stats_get(const tt_storage_writer *writer,
                            tt_storage_writer_stats *out_stats);

/* Sends the dead letters in the file again, between batches of the writer, and
 * removes those that the storage took; the caller waits. What is rejected again
 * stays, with the new reason. *out_sent and *out_left (may be NULL) count
 * envelopes. TT_ESTATE: there is no file of dead letters, or the writer does
 * not run; TT_ETIMEOUT, or an error of the storage: what is left stays. */
TELLTALE_API tt_error tt_storage_writer_requeue(tt_storage_writer *writer,
                                                int timeout_ms,
                                                uint64_t *out_sent,
                                                uint64_t *out_left);

/* ---- A file of JSON lines ---- */

/* When the file is brought to disk. */
typedef enum tt_storage_fsync {
  TT_STORAGE_FSYNC_FLUSH = 0, /* at each flush: before a position is kept */
  TT_STORAGE_FSYNC_ALWAYS,    /* after each append */
  TT_STORAGE_FSYNC_NEVER      /* the system decides; the power takes some */
} tt_storage_fsync;

/* Texts are copied. */
typedef struct tt_storage_jsonl_options {
  const char *path;   /* made with mode 0600 when it is not there */
  uint64_t max_bytes; /* closed when it would be larger; 0: 100 MiB */
  int64_t max_age_s;  /* closed when its first line is older; 0: never */
  unsigned keep;      /* closed files that stay, the newest; 0: all */
  tt_storage_fsync fsync;
  /* Called with the path of each file that was closed, on a thread of the
   * storage's, one at a time; for files of an earlier life too, whose names do
   * not end in .gz. tt_gzip_file of libtelltale-http is one. NULL: none. */
  tt_error (*closed)(void *context, const char *path);
  void *context;
  tt_log_hook log; /* of that thread; may be all zero */
} tt_storage_jsonl_options;

/* Appends each envelope to a file, as a line of JSON in the envelope view. A
 * file that is full or old is renamed to PATH.<time>, such as
 * "events.jsonl.20260102T030405.000006Z", and a new one begun. One process
 * writes a file: another gets TT_EBUSY from start. TT_EINVAL (no path),
 * TT_ENOMEM. Part of libtelltale. */
TELLTALE_API tt_error tt_storage_jsonl_new(
    const tt_storage_jsonl_options *options, tt_storage **out_storage);

/* Replaces a file by PATH.gz; `context` is unused. An unfinished one is left as
 * it was. TT_EIO, TT_ENOSPACE, TT_ENOMEM. Part of libtelltale-http. */
TELLTALE_API tt_error tt_gzip_file(void *context, const char *path);

/* ---- OTLP over HTTP; part of libtelltale-http ---- */

/* What is left out is taken from the environment, as OpenTelemetry names it:
 * the same with _LOGS_ after OTLP wins. Texts are copied. */
typedef struct tt_storage_otlp_options {
  /* http or https; "/v1/logs" is added. OTEL_EXPORTER_OTLP_ENDPOINT, or
   * OTEL_EXPORTER_OTLP_LOGS_ENDPOINT, which is used as it is. */
  const char *endpoint;
  const char *headers; /* "name=value,…", percent-encoded; …_HEADERS */
  /* A file that holds a bearer token; read again before each request. */
  const char *token_file;
  const char *compression;         /* "gzip" or "none"; …_COMPRESSION */
  int timeout_ms;                  /* of one request; …_TIMEOUT; 10,000 */
  const char *service_name;        /* OTEL_SERVICE_NAME; "telltale" */
  const char *resource_attributes; /* as headers; OTEL_RESOURCE_ATTRIBUTES */
  /* PEM files, as of the emitter; …_CERTIFICATE, …_CLIENT_CERTIFICATE,
   * …_CLIENT_KEY. */
  const char *ca_file;
  const char *cert_file;
  const char *key_file;
  /* Categories that are not sent. NULL: screenshot and monitor. */
  const char *const *exclude;
  size_t exclude_count;
} tt_storage_otlp_options;

/* Sends envelopes as log records, in requests of at most 200 records and 4 MiB,
 * protobuf. Retry-After and partial success are honoured, redirects are not
 * followed. `problem` (may be NULL) has at least TELLTALE_PROBLEM_MAX bytes and
 * says which option is wrong. TT_EINVAL, TT_ENOMEM. */
TELLTALE_API tt_error
tt_storage_otlp_new(const tt_storage_otlp_options *options, char *problem,
                    tt_storage **out_storage);

/* ---- S2; part of libtelltale-http ---- */

/* What is NULL is taken from the environment variable named. Basin, token and
 * stream are given all three or not at all. Texts are copied. */
typedef struct tt_storage_s2_options {
  const char *basin;        /* S2_BASIN */
  const char *stream;       /* S2_STREAM; it must exist */
  const char *access_token; /* S2_ACCESS_TOKEN */
  /* Where the basin answers, in which "{basin}" stands for its name; a host of
   * one's own is told the basin in a header. S2_BASIN_ENDPOINT, or
   * https://{basin}.b.s2.dev. "/v1" is added where there is no path. */
  const char *endpoint;
  int timeout_ms; /* of one request; 0: 5,000 */
  const char *ca_file;
} tt_storage_s2_options;

/* Appends each envelope to an S2 stream, as a record with the envelope's JSON
 * and a header `seq`: batches of at most 50 records and 1 MiB, after at most
 * 100 ms. Each batch names the position it is meant for, so that one whose
 * outcome is not known is never appended twice, in this life or the next.
 * `problem` as of tt_storage_otlp_new. TT_EINVAL, TT_ENOMEM. */
TELLTALE_API tt_error tt_storage_s2_new(const tt_storage_s2_options *options,
                                        char *problem,
                                        tt_storage **out_storage);

#ifdef __cplusplus
}
#endif
#endif
