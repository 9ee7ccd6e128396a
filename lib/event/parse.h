#ifndef TTI_EVENT_PARSE_H
#define TTI_EVENT_PARSE_H

#include "lib/event/record.h"

/* Where and why a text was refused. `reason` is one clause without a full stop,
 * fit for an answer to the client, such as "source is required". */
typedef struct tti_parse_error {
  size_t offset; /* byte in the text that was handed in */
  size_t index;  /* item of the batch, from 0 */
  char reason[200];
} tti_parse_error;

/* What a text holds: one object, a JSON array of them, or one a line, where
 * blank lines are skipped. */
typedef enum tti_parse_form {
  TTI_PARSE_ONE,
  TTI_PARSE_ARRAY,
  TTI_PARSE_LINES
} tti_parse_form;

/* The categories that there are, at most TTI_VOCABULARY_MAX, and the types that
 * belong to one whatever the producer says. All borrowed. */
#define TTI_VOCABULARY_MAX 64
typedef struct tti_vocabulary {
  const tti_slice *categories;
  size_t category_count;
  const struct tti_known_type {
    tti_slice type;
    unsigned category; /* its place in `categories` */
  } * types;           /* in the order of tti_slice_compare */
  size_t type_count;
} tti_vocabulary;

/* The category's place; -1: there is none of that name. */
int tti_vocabulary_find(const tti_vocabulary *v, tti_slice category);

/* What a capture session does with an event. */
typedef struct tti_capture {
  const tti_vocabulary *vocabulary;
  tti_slice session_id; /* borrowed; stamped on what is captured */
  uint64_t captured;    /* a bit for each category of the vocabulary */
  unsigned category;    /* out: the last event's */
} tti_capture;

typedef struct tti_parse_options {
  int64_t now_us; /* ts of events that bring none */
  tti_parse_form form;
  tt_level log_min_level; /* log lines below it are counted and left out */
  tti_capture *capture;   /* for tti_parse_envelope */
} tti_parse_options;

/* Many encoded records, back to back. */
typedef struct tti_batch {
  tti_buf bytes;     /* the records */
  uint32_t *lengths; /* owned; bytes of each, `count` of them */
  size_t count;
  size_t capacity;
  size_t max_count; /* ceiling; more is TT_ETOOBIG */
  size_t truncated; /* how many lost their data for size */
  size_t gated;     /* left out: log lines for their level, events for their
                       category */
} tti_batch;

void tti_batch_init(tti_batch *batch, size_t max_count, size_t max_bytes);
void tti_batch_fini(tti_batch *batch);

/* Encodes one record at the end. TT_ENOMEM, TT_ETOOBIG; the batch is then as it
 * was. */
tt_error tti_batch_add(tti_batch *batch, const tti_record *record);

/* Relay event objects, as POST /events takes them, into the batch, all or
 * nothing. Unknown fields are ignored; what must hold: UTF-8, depth at most
 * 128, no trailing bytes, a non-blank source, data an object, the event's own
 * keys given once.
 *
 * `level` is case-folded when it is one of the five; null stands for a field
 * that is not there; duration_ms may be written 12.0 or 1e3; a ts of the year
 * 1's first instant is what Go sends for "not set". session_id, seq and
 * truncated are the server's to give: ignored. An event too large is truncated
 * (tti_record_truncate) and counted.
 *
 * Any error fills *out_error and leaves the batch as it was: TT_EPARSE;
 * TT_ETOOBIG for a ceiling of the batch; TT_ENOMEM. The text is read, never
 * kept. */
tt_error tti_parse_relay(tti_slice text, const tti_parse_options *options,
                         tti_batch *batch, tti_parse_error *out_error);

/* The same for log lines, as POST /log takes them: level, message, logger,
 * fields (an object), caller, ts, and source and agent_id, none of them
 * required. A line becomes a record of kind log: its category is "log", its
 * type the logger, its data {"message", "fields", "caller"} (the last two where
 * the line has them) with the producer's own bytes. Without a source it has the
 * logger for one, or else "log". */
tt_error tti_parse_log(tti_slice text, const tti_parse_options *options,
                       tti_batch *batch, tti_parse_error *out_error);

/* The same for events in the form of the envelope view, as POST
 * /telemetry/events takes them: {ts, type, category, source: {kind, event,
 * metadata}, data}; `ts` is unix microseconds or RFC 3339, `data` any value. A
 * type that the vocabulary knows has its category there; of others the category
 * must be given and be one of the vocabulary's. source.kind is
 * "local_process" when it is not given, and not "kernel_api", which is
 * reserved. In metadata `level`, `agent_id` and `duration_ms` are the event's
 * own; telemetry_session_id is the server's to give: ignored. What is not
 * captured is counted as gated. */
tt_error tti_parse_envelope(tti_slice text, const tti_parse_options *options,
                            tti_batch *batch, tti_parse_error *out_error);

#endif
