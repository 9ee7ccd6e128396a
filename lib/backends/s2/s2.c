#include "lib/backends/s2/answer.h"
#include "lib/backends/s2/settings.h"
#include "lib/base/time.h"
#include "lib/event/view.h"
#include "lib/http/client.h"
#include "lib/json/write.h"
#include <stdio.h>
#include <stdlib.h>

#define USER_AGENT      "telltale/" TELLTALE_VERSION
#define TIMEOUT_MS      5000
#define MAX_RECORDS     50
#define LINGER_MS       100
#define METERED_MAX     ((size_t)1 << 20)
#define RETRY_AFTER_MAX 3600
/* A batch of one MiB, of which each byte may take six. */
#define REQUEST_BYTES ((size_t)8 << 20)
/* A record that is read back: one envelope, escaped once more. */
#define ANSWER_BYTES ((size_t)8 << 20)
#define METADATA_MAX ((size_t)16 << 20)
/* So often a call goes on behind another writer; then it is tried later. */
#define DISPLACED_MAX 8

/* A batch that was sent and perhaps appended. */
typedef struct doubt {
  size_t count; /* 0: none */
  uint64_t first_seq;
} doubt;

typedef struct s2 {
  tti_s2_settings settings;
  int timeout_ms;      /* of one request */
  int64_t deadline_us; /* of the call under way; < 0: none */
  tti_http_client *client;
  tti_http_answer answer;
  tti_buf request;
  tti_buf envelope;
  tti_buf metadata;
  uint64_t next; /* the stream's seq_num that the next record is meant for */
  doubt doubt;
} s2;

/* ---- Requests ---- */

/* A call may take several. */
static void set_deadline(s2 *s, int timeout_ms) {
  s->deadline_us = timeout_ms < 0 ? -1
                                  : tti_monotonic_us(&tti_clock_system) +
                                        (int64_t)timeout_ms * 1000;
}

/* At least 1: 0 would be no limit. */
static int left_ms(const s2 *s) {
  if (s->deadline_us < 0)
    return s->timeout_ms;
  int64_t left = (s->deadline_us - tti_monotonic_us(&tti_clock_system)) / 1000;
  return left < 1 ? 1 : left < s->timeout_ms ? (int)left : s->timeout_ms;
}

static tt_error ask(s2 *s, const char *url, bool get,
                    tt_append_report *report) {
  const char *headers[4];
  size_t count = 0;
  headers[count++] = s->settings.authorization;
  if (s->settings.basin)
    headers[count++] = s->settings.basin;
  if (!get)
    headers[count++] = "Content-Type: application/json";
  tti_http_request request = {.url = url,
                              .body = get ? TTI_SLICE("")
                                          : tti_buf_slice(&s->request),
                              .headers = headers,
                              .header_count = count,
                              .timeout_ms = left_ms(s)};
  tt_error error =
      (get ? tti_http_get : tti_http_post)(s->client, &request, &s->answer);
  if (error)
    snprintf(report->problem, sizeof(report->problem), "%.100s: %.150s",
             s->settings.shown,
             s->answer.problem[0] ? s->answer.problem
                                  : tt_error_message(error));
  return error;
}

/* An answer other than 200. What an operator can mend is tried again. */
static tt_error refused(s2 *s, tt_append_report *report) {
  int status = s->answer.status;
  int64_t wait_s = tti_http_retry_after_s(&s->answer, RETRY_AFTER_MAX);
  if (wait_s > 0)
    report->retry_after_ms = (int)wait_s * 1000;
  size_t len = s->answer.body.len < 120 ? s->answer.body.len : 120;
  snprintf(report->problem, sizeof(report->problem), "%.100s answers %d: %.*s",
           s->settings.shown, status, (int)len, len ? s->answer.body.data : "");
  if (status >= 500 || status == 401 || status == 403 || status == 404 ||
      status == 408 || status == 409 || status == 412 || status == 429)
    return TT_EIO;
  return status == 413 ? TT_ETOOBIG : TT_EINVAL;
}

static tt_error unexpected(s2 *s, tt_append_report *report) {
  snprintf(report->problem, sizeof(report->problem),
           "%.100s: the answer is not one of S2", s->settings.shown);
  return TT_EIO;
}

static tt_error get(s2 *s, const char *url, tt_append_report *report) {
  tt_error error = ask(s, url, true, report);
  return error || s->answer.status == 200 ? error : refused(s, report);
}

/* The `seq` of the record there; 0: it is none of ours. */
static tt_error seq_at(s2 *s, uint64_t seq_num, uint64_t *out_seq,
                       tt_append_report *report) {
  char *url = NULL;
  if (asprintf(&url, "%s?seq_num=%llu&count=1", s->settings.records,
               (unsigned long long)seq_num) < 0)
    return TT_ENOMEM;
  tt_error error = get(s, url, report);
  free(url);
  *out_seq = 0;
  if (!error)
    tti_s2_first_seq(tti_buf_slice(&s->answer.body), out_seq);
  return error;
}

/* Where the stream ends, and what of ours is last. */
static tt_error s2_open(void *self, int timeout_ms, uint64_t *out_seq,
                        tt_append_report *report) {
  s2 *s = self;
  uint64_t seq = 0;
  set_deadline(s, timeout_ms);
  tt_error error = get(s, s->settings.tail, report);
  if (error)
    return error;
  if (!tti_s2_position(tti_buf_slice(&s->answer.body), "tail", &s->next))
    return unexpected(s, report);
  if (s->next > 0)
    error = seq_at(s, s->next - 1, &seq, report);
  /* Behind the tail of a stream that was trimmed there is nothing. */
  if (error && s->answer.status == 416)
    error = TT_OK;
  if (!error)
    *out_seq = seq;
  return error;
}

/* ---- Appending ---- */

/* As many as one request takes, at least one. */
static tt_error build(s2 *s, const tt_envelope *envelopes, size_t count,
                      size_t *out_taken) {
  size_t metered = 0, taken = 0;
  tti_buf *out = &s->request;
  tti_buf_clear(out);
  tti_buf_append_text(out, "{\"records\":[");
  for (; taken < count; taken++) {
    char seq[24];
    const tt_envelope *e = &envelopes[taken];
    tti_buf_clear(&s->envelope);
    tt_error error =
        tti_view_render_event(&s->envelope, &s->metadata, e->seq, &e->event);
    if (error)
      return error;
    int digits = snprintf(seq, sizeof(seq), "%llu", (unsigned long long)e->seq);
    /* 8 bytes a record, 2 a header, and the texts. */
    metered += 8 + 2 + strlen("seq") + (size_t)digits + s->envelope.len;
    if (taken && metered > METERED_MAX)
      break;
    tti_buf_printf(out, "%s{\"headers\":[[\"seq\",\"%s\"]],\"body\":",
                   taken ? "," : "", seq);
    tti_json_write_string(out, tti_buf_slice(&s->envelope));
    tti_buf_append_char(out, '}');
  }
  tti_buf_printf(out, "],\"match_seq_num\":%llu}", (unsigned long long)s->next);
  *out_taken = taken;
  return out->error;
}

/* The stream does not end where we thought: either the batch in doubt is there,
 * or somebody else appended. TT_OK: the first; TT_EBUSY: the second, and the
 * next try is meant for the place after it. */
static tt_error resolve(s2 *s, tt_append_report *report) {
  uint64_t tail, seq = 0;
  if (!tti_s2_mismatch(tti_buf_slice(&s->answer.body), &tail))
    return refused(s, report);
  if (s->doubt.count && tail >= s->next + s->doubt.count) {
    tt_error error = seq_at(s, s->next, &seq, report);
    if (error)
      return error;
    if (seq == s->doubt.first_seq) {
      s->next += s->doubt.count;
      return TT_OK;
    }
  }
  snprintf(report->problem, sizeof(report->problem),
           "%.100s: another writer has appended", s->settings.shown);
  s->next = tail;
  s->doubt.count = 0;
  return TT_EBUSY;
}

/* One request; *out_stored records are there. */
static tt_error append_some(s2 *s, const tt_envelope *envelopes, size_t count,
                            size_t *out_stored, tt_append_report *report) {
  size_t taken;
  *out_stored = 0;
  /* A batch in doubt is sent again as it was, or not at all. */
  bool again = s->doubt.count && s->doubt.first_seq == envelopes[0].seq &&
               s->doubt.count <= count;
  tt_error error = build(s, envelopes, again ? s->doubt.count : count, &taken);
  if (error)
    return error;
  if (!again)
    s->doubt = (doubt){taken, envelopes[0].seq};
  error = ask(s, s->settings.records, false, report);
  if (error)
    return error;
  if (s->answer.status == 412) {
    error = resolve(s, report);
    if (error)
      return error;
  } else if (s->answer.status != 200) {
    return refused(s, report);
  } else if (!tti_s2_position(tti_buf_slice(&s->answer.body), "end",
                              &s->next)) {
    return unexpected(s, report);
  }
  *out_stored = s->doubt.count;
  s->doubt.count = 0;
  return TT_OK;
}

static tt_error s2_append(void *self, const tt_envelope *envelopes,
                          size_t count, int timeout_ms,
                          tt_append_report *report) {
  s2 *s = self;
  unsigned displaced = 0;
  set_deadline(s, timeout_ms);
  while (report->stored < count) {
    size_t stored;
    tt_error error = append_some(s, envelopes + report->stored,
                                 count - report->stored, &stored, report);
    if (error == TT_EBUSY && ++displaced < DISPLACED_MAX)
      continue; /* at its new place, once for each other writer's batch */
    if (error)
      return error;
    report->stored += stored;
  }
  return TT_OK;
}

static void s2_interrupt(void *self) {
  s2 *s = self;
  tti_http_cancel(s->client);
}

static void s2_free(void *self) {
  s2 *s = self;
  tti_http_client_free(s->client);
  tti_http_answer_fini(&s->answer);
  tti_buf_fini(&s->request);
  tti_buf_fini(&s->envelope);
  tti_buf_fini(&s->metadata);
  tti_s2_settings_fini(&s->settings);
  free(s);
}

static tt_error init(s2 *s, const tt_storage_s2_options *options,
                     char *problem) {
  tti_http_files files = {.ca = options->ca_file};
  tti_buf_init(&s->request, REQUEST_BYTES);
  tti_buf_init(&s->envelope, REQUEST_BYTES);
  tti_buf_init(&s->metadata, METADATA_MAX);
  tti_http_answer_init(&s->answer);
  s->answer.body.max = ANSWER_BYTES;
  s->timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
  tt_error error = tti_s2_settings_read(options, &s->settings, problem);
  return error ? error : tti_http_client_new(USER_AGENT, &files, &s->client);
}

tt_error tt_storage_s2_new(const tt_storage_s2_options *options, char *problem,
                           tt_storage **out_storage) {
  static const tt_storage_ops ops = {.version = 1,
                                     .max_records = MAX_RECORDS,
                                     .linger_ms = LINGER_MS,
                                     .open = s2_open,
                                     .append = s2_append,
                                     .interrupt = s2_interrupt,
                                     .free = s2_free};
  static const tt_storage_s2_options defaults;
  char unread[TELLTALE_PROBLEM_MAX], name[TELLTALE_PROBLEM_MAX];
  if (!out_storage || (options && options->timeout_ms < 0))
    return TT_EINVAL;
  s2 *s = calloc(1, sizeof(*s));
  if (!s)
    return TT_ENOMEM;
  tt_error error =
      init(s, options ? options : &defaults, problem ? problem : unread);
  if (!error) {
    snprintf(name, sizeof(name), "s2 %.200s", s->settings.shown);
    error = tt_storage_from_ops(&ops, s, name, out_storage);
  }
  if (error)
    s2_free(s);
  return error;
}
