#include "server/outbox/internal.h"

#include "lib/event/record.h"
#include "lib/json/scan.h"
#include "lib/json/write.h"
#include "server/api/call.h"
#include "server/io/clock.h"
#include "server/testing/fault.h"

#include <openssl/sha.h>
#include <stddef.h>
#include <stdio.h>

/* POST /api/v1/events: the event, and its row of history, in one transaction.
 *
 *   loop: check, draft ─► bus_submit ─► writer: outbox row, history row
 *   any:  done() wakes the fan-out ─► loop: answers */
typedef struct publication {
  bus_publish publish;
  outbox *outbox;
  http_request *request;
  loop_task task;
  tti_outbox_draft draft;
  tti_buf metadata;
  unsigned char sha256[OUTBOX_SHA256]; /* of the body */
  /* By the run, each time anew: */
  bool kept;
  bool exists; /* its id was there, with the same body? */
  bool same;
  uint64_t earlier_seq;
} publication;

enum { METADATA_MAX = 16384, RECORD_MAX = 2 << 20 };

enum {
  F_TYPE,
  F_DATA,
  F_ID,
  F_SOURCE,
  F_AGENT_ID,
  F_SUBJECT,
  F_LABELS,
  F_CATEGORY,
  F_CHANNEL,
  F_LEVEL,
  FIELDS
};

static const tti_slice names[FIELDS] = {
    {"type", 4},     {"data", 4},    {"id", 2},     {"source", 6},
    {"agent_id", 8}, {"subject", 7}, {"labels", 6}, {"category", 8},
    {"channel", 7},  {"level", 5}};

#define ROUTE "POST /api/v1/events"

static bool refuse(http_request *request, const char *field,
                   const char *problem) {
  http_reply_error(request, 400, "invalid_event", "%s %s", field, problem);
  return false;
}

/* ---- Reading the body ---- */

/* A string, NUL-terminated and the request's; NULL for null and nothing. */
static bool read_text(http_request *request, const char *field,
                      const tti_json_value *value, const char **out_text) {
  size_t len;
  tti_json_error error;
  *out_text = NULL;
  if (value->type == TTI_JSON_NONE || value->type == TTI_JSON_NULL)
    return true;
  if (value->type != TTI_JSON_STRING)
    return refuse(request, field, "must be a string");
  char *text = http_request_alloc(request, value->text.len);
  if (!text)
    return refuse(request, field, "does not fit into memory now");
  if (tti_json_decode(value->text, text, &len, &error))
    return refuse(request, field, error.reason);
  text[len] = '\0'; /* the quotes left room */
  *out_text = text;
  return true;
}

static bool read_labels(http_request *request, const tti_json_value *value,
                        tt_outbox_event *out) {
  tti_json_scan scan;
  tti_json_value item;
  if (value->type == TTI_JSON_NONE || value->type == TTI_JSON_NULL)
    return true;
  if (value->type != TTI_JSON_ARRAY)
    return refuse(request, "labels", "must be an array of strings");
  /* One more than there may be, for the draft to refuse. */
  enum { MAX = TELLTALE_OUTBOX_LABELS_MAX + 1 };
  const char **labels = http_request_alloc(request, MAX * sizeof *labels);
  if (!labels)
    return refuse(request, "labels", "do not fit into memory now");
  tti_json_scan_init(&scan, value->text);
  tti_json_scan_open_array(&scan);
  while (out->label_count < MAX && tti_json_scan_item(&scan)) {
    const char **label = &labels[out->label_count];
    tti_json_scan_value(&scan, &item);
    if (!read_text(request, "labels", &item, label))
      return false;
    if (!*label)
      return refuse(request, "labels", "must be an array of strings");
    out->label_count++;
  }
  out->labels = labels;
  return true;
}

static bool read_level(http_request *request, const char *text, tt_level *out) {
  if (!text)
    return true;
  *out = tti_level_parse(tti_slice_of(text));
  return *out != TT_LEVEL_UNSET ||
         refuse(request, "level", "must be debug, info, warn, error or fatal");
}

static bool read_event(http_request *request, tti_slice body,
                       tt_outbox_event *out) {
  tti_json_names table;
  tti_json_value values[FIELDS];
  tti_json_error error;
  const char *channel, *level;
  *out = (tt_outbox_event){0};
  tti_json_names_init(&table, names, FIELDS);
  if (tti_json_check_fields(body, &table, values, &error)) {
    http_reply_error(request, 400, "invalid_event", "%s%s%s (at byte %zu)",
                     error.name >= 0 ? names[error.name].ptr : "",
                     error.name >= 0 ? ": " : "", error.reason, error.offset);
    return false;
  }
  if (!read_text(request, "type", &values[F_TYPE], &out->type) ||
      !read_text(request, "id", &values[F_ID], &out->id) ||
      !read_text(request, "source", &values[F_SOURCE], &out->source) ||
      !read_text(request, "agent_id", &values[F_AGENT_ID], &out->agent_id) ||
      !read_text(request, "subject", &values[F_SUBJECT], &out->subject) ||
      !read_text(request, "category", &values[F_CATEGORY], &out->category) ||
      !read_text(request, "channel", &values[F_CHANNEL], &channel) ||
      !read_text(request, "level", &values[F_LEVEL], &level) ||
      !read_level(request, level, &out->level) ||
      !read_labels(request, &values[F_LABELS], out))
    return false;
  if (channel && out->category && strcmp(channel, out->category) != 0)
    return refuse(request, "channel", "is another name for category: give one");
  if (channel)
    out->category = channel;
  if (values[F_DATA].type != TTI_JSON_NONE) {
    out->data = values[F_DATA].text.ptr;
    out->data_len = values[F_DATA].text.len;
  }
  return true;
}

/* ---- The rows ---- */

static bool see_earlier(void *context, const outbox_row *row) {
  publication *p = context;
  p->exists = true;
  p->earlier_seq = row->seq;
  p->same = row->request.len == sizeof p->sha256 &&
            memcmp(row->request.ptr, p->sha256, sizeof p->sha256) == 0;
  return true;
}

static tt_error insert(bus_publish *publish, store_job *job, store_tx *tx) {
  publication *p = (publication *)publish;
  outbox_row row = {.event = p->draft.row,
                    .seq = job->first_seq,
                    .request = {(const char *)p->sha256, sizeof p->sha256}};
  bool inserted;
  p->kept = p->exists = false;
  tt_error error = FAULT_POINT("outbox.publish") ? TT_EIO : TT_OK;
  if (!error)
    error = outbox_insert(tx, &row, &inserted);
  p->kept = !error && inserted;
  if (error || inserted)
    return error;
  error = outbox_get(tx, row.event.id, see_earlier, p);
  if (error)
    return error;
  job->verdict = STORE_EXISTS;
  return TT_ECONFLICT;
}

static void append_labels(tti_buf *metadata, const tt_outbox_event *event) {
  char joined[TELLTALE_OUTBOX_LABELS_MAX * 66];
  size_t len = 0;
  for (size_t i = 0; i < event->label_count; i++)
    len += (size_t)snprintf(joined + len, sizeof joined - len, "%s%s",
                            i ? "," : "", event->labels[i]);
  if (len)
    tti_metadata_append(metadata, TTI_SLICE("labels"),
                        (tti_slice){joined, len});
}

/* The event in history: what the record has no place for is metadata. */
static tt_error add_record(publication *p, const tt_outbox_event *event,
                           int64_t now_us) {
  const tti_outbox_row *row = &p->draft.row;
  tti_slice data = {event->data, event->data_len};
  tti_record record = {.kind = TTI_KIND_PUBLISHED,
                       .level = event->level ? event->level : TT_LEVEL_INFO,
                       .ts_us = now_us,
                       .source = row->source,
                       .type = row->type,
                       .category = row->category,
                       .agent_id = row->agent_id};
  tti_metadata_append(&p->metadata, TTI_SLICE("event_id"), row->id);
  if (row->subject.len)
    tti_metadata_append(&p->metadata, TTI_SLICE("subject"), row->subject);
  append_labels(&p->metadata, event);
  if (p->metadata.error)
    return p->metadata.error;
  record.metadata = tti_buf_slice(&p->metadata);
  tti_buf line;
  tti_buf_init(&line, RECORD_MAX);
  tti_json_write_one_line(&line, data);
  record.data = tti_buf_slice(&line);
  tti_record_truncate(&record);
  tt_error error =
      line.error ? line.error : tti_batch_add(&p->publish.batch, &record);
  tti_buf_fini(&line);
  return error;
}

/* ---- The answer ---- */

static void fini(publication *p) {
  tti_outbox_draft_fini(&p->draft);
  tti_buf_fini(&p->metadata);
  tti_batch_fini(&p->publish.batch);
}

static void answer_event(publication *p, int status, uint64_t seq) {
  tti_buf body;
  tti_buf_init(&body, 1024);
  tti_buf_append_text(&body, "{\"id\":");
  tti_json_write_string(&body, p->draft.row.id);
  if (seq)
    tti_buf_printf(&body, ",\"seq\":%llu", (unsigned long long)seq);
  tti_buf_append_text(&body, ",\"status\":\"pending\"}");
  fini(p);
  http_reply_json(p->request, status, &body);
}

static void fail(publication *p, int status, const char *code,
                 const char *message) {
  http_request *request = p->request;
  fini(p);
  if (status == 503)
    http_reply_header(request, "Retry-After", "1");
  http_reply_error(request, status, code, "%s", message);
}

static void failed(outbox *o) {
  tt_metrics_add(o->options.metrics, TT_METRIC_OUTBOX_FAILURES, 1, "publish",
                 NULL);
}

static void answer(loop_task *task) {
  publication *p = (publication *)((char *)task - offsetof(publication, task));
  char message[240];
  bus_verdict verdict = p->publish.verdict;
  /* Under durability memory the rows have their numbers before `insert`, and
   * stay when it fails. */
  if (verdict == BUS_ACCEPTED && !p->kept) {
    verdict = p->exists ? BUS_EXISTS : BUS_RETRY;
    snprintf(p->publish.reason, sizeof p->publish.reason,
             "the outbox could not take it");
  }
  switch (verdict) {
  case BUS_ACCEPTED:
    tt_metrics_add(p->outbox->options.metrics, TT_METRIC_OUTBOX_PUBLISHED, 1,
                   p->draft.row.type.ptr, NULL);
    answer_event(p, 201, p->publish.first_seq);
    break;
  case BUS_REPLAYED:
    http_reply_header(p->request, "Idempotency-Replayed", "true");
    answer_event(p, 201, p->publish.first_seq);
    break;
  case BUS_EXISTS:
    if (p->same)
      answer_event(p, 200, p->earlier_seq);
    else
      fail(p, 422, "event_exists",
           "an event with this id was published before, with another body; "
           "give new events new ids");
    break;
  case BUS_MISMATCH:
    fail(p, 422, "idempotency_mismatch",
         "this Idempotency-Key came before with another body; nothing was "
         "stored; use a new key for new events");
    break;
  case BUS_RETRY:
    failed(p->outbox);
    snprintf(message, sizeof message, "nothing was stored: %s; try again",
             p->publish.reason);
    fail(p, 503, "store_unavailable", message);
    break;
  }
}

static void done(bus_publish *publish) {
  publication *p = (publication *)publish;
  if (publish->verdict == BUS_ACCEPTED)
    outbox_wake(p->outbox);
  loop_post(http_request_loop(p->request), &p->task);
}

/* ---- The request ---- */

/* The same key names the same event. */
static bool take_key(publication *p, tt_outbox_event *event, char *id) {
  store_key *key = &p->publish.key;
  if (!api_key(p->request, ROUTE, (tti_slice){0}, key))
    return false;
  memcpy(key->body_sha256, p->sha256, sizeof p->sha256);
  if (!key->key.len || event->id)
    return true;
  char scope[256], text[256];
  snprintf(scope, sizeof scope, "%.*s", (int)key->scope.len, key->scope.ptr);
  snprintf(text, sizeof text, "%.*s", (int)key->key.len, key->key.ptr);
  if (tt_outbox_id_of((const char *const[]){scope, text}, 2, id) == TT_OK)
    event->id = id;
  return true;
}

static void refuse_draft(publication *p, tt_error error, const char *problem) {
  if (error == TT_ENOMEM)
    fail(p, 503, "out_of_memory", "out of memory; try again");
  else if (error == TT_ETOOBIG)
    fail(p, 413, "event_too_large", problem);
  else
    fail(p, 400, "invalid_event", problem);
}

static void submit(publication *p, tt_outbox_event *event) {
  const char *problem = "the event does not fit into a batch";
  int64_t now_us = server_wall_us();
  tt_error error = tti_outbox_draft_init(&p->draft, event, now_us, &problem);
  if (!error)
    error = add_record(p, event, now_us);
  if (error) {
    refuse_draft(p, error, problem);
    return;
  }
  error = bus_submit(p->outbox->options.bus, &p->publish);
  if (!error)
    return;
  failed(p->outbox);
  if (error == TT_ECLOSED)
    fail(p, 503, "shutting_down",
         "nothing was stored: the server is shutting down; try again");
  else
    fail(p, 503, "overloaded",
         "nothing was stored: the queue of the log is full; try again");
}

void outbox_serve_publish(http_request *request, void *context) {
  tt_outbox_event event;
  tti_slice body = http_request_body(request);
  publication *p = http_request_alloc(request, sizeof *p);
  char *id = http_request_alloc(request, TELLTALE_OUTBOX_ID_SIZE);
  if (!p || !id) {
    http_reply_error(request, 503, "out_of_memory", "out of memory; try again");
    return;
  }
  *p = (publication){.outbox = context,
                     .request = request,
                     .task.run = answer,
                     .publish = {.done = done, .run = insert}};
  if (!body.ptr)
    body = TTI_SLICE("");
  SHA256((const unsigned char *)body.ptr, body.len, p->sha256);
  if (!read_event(request, body, &event) || !take_key(p, &event, id))
    return;
  tti_buf_init(&p->metadata, METADATA_MAX);
  tti_batch_init(&p->publish.batch, 1, RECORD_MAX);
  submit(p, &event);
}
