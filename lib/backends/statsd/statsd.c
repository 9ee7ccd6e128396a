#include "lib/backends/statsd/address.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/random.h"
#include "lib/json/write.h"
#include "lib/metrics/internal.h"
#include "lib/metrics/tally.h"
#include "lib/metrics/ticker.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define INTERVAL_MS    10000
#define INTERVAL_MAX   3600000
#define PREFIX_MAX     100
#define LINE_MAX_BYTES 1000
#define TIMINGS        512
#define COUNTS         1024 /* in one packet: more than have room in it */

typedef struct timing {
  tt_metric id;
  const char *const *labels;
  double value;
} timing;

/* A uniform choice of what an interval has brought. */
typedef struct timings {
  uint64_t seen;
  timing kept[TIMINGS];
} timings;

/* A counter in the packet, which is told once the packet is gone. */
typedef struct told {
  uint64_t *mark;
  uint64_t count;
} told;

typedef struct statsd {
  tti_tally *tally;
  tti_statsd_address address;
  char prefix[PREFIX_MAX + 1];
  tt_metrics_push push;
  bool tags;
  size_t packet_max;
  tti_ticker *ticker;
  pthread_mutex_t mutex;
  timings now; /* under the mutex */

  /* The thread's own. */
  int fd; /* -1: none */
  timings sent;
  tti_buf packet, line;
  told in_packet[COUNTS];
  size_t in_packet_count;
  tti_log_ration complaint;
} statsd;

/* ---- Packets ---- */

static void fail(statsd *s, const char *why) {
  static const char backend[] = "statsd", reason[] = "unreachable";
  tti_tally_add(s->tally, TT_METRIC_EXPORT_FAILURES, 1, backend, reason);
  tt_metrics_add(s->push.failures, TT_METRIC_EXPORT_FAILURES, 1, backend,
                 reason);
  tti_log_rationed(&s->complaint, &s->push.log, TT_LEVEL_WARN,
                   "metrics to statsd at %s%s%s: not sent: %s", s->address.host,
                   s->address.is_unix ? "" : ":", s->address.port, why);
}

/* What an earlier packet met is told with this one, which was then not sent. */
static bool send_packet(statsd *s) {
  const char *why;
  for (int tries = 0; tries < 2; tries++) {
    if (s->fd < 0 && (s->fd = tti_statsd_connect(&s->address, &why)) < 0) {
      fail(s, why);
      return false;
    }
    if (send(s->fd, s->packet.data, s->packet.len, MSG_NOSIGNAL) >= 0)
      return true;
    why = strerror(errno);
    close(s->fd);
    s->fd = -1;
  }
  fail(s, why);
  return false;
}

/* Counters whose packet could not be sent go with the next ones. */
static void flush(statsd *s) {
  if (s->packet.len && send_packet(s))
    for (size_t i = 0; i < s->in_packet_count; i++)
      *s->in_packet[i].mark = s->in_packet[i].count;
  s->in_packet_count = 0;
  tti_buf_clear(&s->packet);
}

/* Moves the line, or lines that belong together, into a packet. */
static void put_line(statsd *s, uint64_t *mark, uint64_t count) {
  if (s->packet.len + 1 + s->line.len > s->packet_max ||
      s->in_packet_count == COUNTS)
    flush(s);
  if (s->packet.len)
    tti_buf_append_char(&s->packet, '\n');
  tti_buf_append_slice(&s->packet, tti_buf_slice(&s->line));
  if (s->line.error || s->packet.error) { /* no memory: the next time */
    tti_buf_clear(&s->packet);
    s->in_packet_count = 0;
  } else if (mark) {
    s->in_packet[s->in_packet_count++] = (told){mark, count};
  }
  tti_buf_clear(&s->line);
}

/* ---- Lines ---- */

static bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
         (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* Characters that mean something to the protocol, or to who reads dots as
 * levels, become '_'. */
static void append_clean(tti_buf *line, const char *value, bool tag) {
  for (; *value; value++) {
    bool fine = is_word(*value) || (tag && (unsigned char)*value > ' ' &&
                                    *value != 0x7f && !strchr(",|#", *value));
    tti_buf_append_char(line, fine ? *value : '_');
  }
}

static void append_name(statsd *s, const tt_metric_info *info,
                        const char *const *labels) {
  tti_buf_append_text(&s->line, s->prefix);
  tti_buf_append_text(&s->line, info->name);
  if (*info->unit) {
    tti_buf_append_char(&s->line, '_');
    tti_buf_append_text(&s->line, info->unit);
  }
  for (int i = 0; !s->tags && i < 2 && info->labels[i]; i++) {
    tti_buf_append_char(&s->line, '.');
    append_clean(&s->line, *labels[i] ? labels[i] : "none", false);
  }
  tti_buf_append_char(&s->line, ':');
}

static void append_tags(statsd *s, const tt_metric_info *info,
                        const char *const *labels) {
  const char *before = "|#";
  for (int i = 0; s->tags && i < 2 && info->labels[i]; i++) {
    if (!*labels[i])
      continue;
    tti_buf_append_text(&s->line, before);
    tti_buf_append_text(&s->line, info->labels[i]);
    tti_buf_append_char(&s->line, ':');
    append_clean(&s->line, labels[i], true);
    before = ",";
  }
}

static void append_gauge(statsd *s, const tt_metric_info *info,
                         const tti_sample *sample) {
  append_name(s, info, sample->labels);
  tti_json_write_plain(&s->line, sample->value);
  tti_buf_append_text(&s->line, "|g");
  append_tags(s, info, sample->labels);
}

static void on_sample(void *context, const tt_metric_info *info,
                      const tti_sample *sample) {
  statsd *s = context;
  if (info->kind == TT_METRIC_KIND_COUNTER && sample->count > *sample->mark) {
    append_name(s, info, sample->labels);
    tti_buf_append_u64(&s->line, sample->count - *sample->mark);
    tti_buf_append_text(&s->line, "|c");
    append_tags(s, info, sample->labels);
    put_line(s, sample->mark, sample->count);
  } else if (info->kind == TT_METRIC_KIND_GAUGE && isfinite(sample->value)) {
    /* Without tags the server may be one to which "-5" means five less. */
    if (!s->tags && sample->value < 0) {
      tti_sample zero = {.labels = sample->labels};
      append_gauge(s, info, &zero);
      tti_buf_append_char(&s->line, '\n');
    }
    append_gauge(s, info, sample);
    put_line(s, NULL, 0);
  }
}

/* In milliseconds, and with the rate at which they were chosen. */
static void put_timings(statsd *s) {
  const timings *t = &s->sent;
  size_t kept = t->seen < TIMINGS ? (size_t)t->seen : TIMINGS;
  for (size_t i = 0; i < kept; i++) {
    const timing *one = &t->kept[i];
    const tt_metric_info *info = tt_metric_lookup(one->id);
    bool seconds = strcmp(info->unit, "seconds") == 0;
    append_name(s, info, one->labels);
    tti_json_write_plain(&s->line, seconds ? one->value * 1000 : one->value);
    tti_buf_append_text(&s->line, seconds ? "|ms" : "|h");
    if (t->seen > kept) {
      tti_buf_append_text(&s->line, "|@");
      tti_json_write_plain(&s->line, (double)kept / (double)t->seen);
    }
    append_tags(s, info, one->labels);
    put_line(s, NULL, 0);
  }
}

static int64_t tick(void *context, bool last) {
  statsd *s = context;
  (void)last;
  if (s->push.collect)
    s->push.collect(s->push.context);
  pthread_mutex_lock(&s->mutex);
  memcpy(&s->sent, &s->now, sizeof(s->sent));
  s->now.seen = 0;
  pthread_mutex_unlock(&s->mutex);
  if (tti_tally_each(s->tally, on_sample, s) == TT_OK)
    put_timings(s);
  flush(s);
  return s->push.interval_ms;
}

/* ---- Counting ---- */

static void statsd_add(void *self, tt_metric id, uint64_t n,
                       const char *label_a, const char *label_b) {
  statsd *s = self;
  tti_tally_add(s->tally, id, n, label_a, label_b);
}

static void statsd_set(void *self, tt_metric id, double value,
                       const char *label_a, const char *label_b) {
  statsd *s = self;
  tti_tally_set(s->tally, id, value, label_a, label_b);
}

static void statsd_observe(void *self, tt_metric id, double value,
                           const char *label_a, const char *label_b) {
  statsd *s = self;
  if ((unsigned)id >= TT_METRIC_COUNT || !isfinite(value))
    return;
  timing one = {id, tti_tally_labels(s->tally, id, label_a, label_b), value};
  pthread_mutex_lock(&s->mutex);
  uint64_t at = s->now.seen++;
  if (at >= TIMINGS)
    at = tti_random_below(at + 1);
  if (at < TIMINGS)
    s->now.kept[at] = one;
  pthread_mutex_unlock(&s->mutex);
}

/* ---- Life ---- */

static void statsd_free(void *self) {
  statsd *s = self;
  if (!tti_ticker_stop(s->ticker))
    return;
  if (s->fd >= 0)
    close(s->fd);
  tti_buf_fini(&s->packet);
  tti_buf_fini(&s->line);
  tti_tally_free(s->tally);
  pthread_mutex_destroy(&s->mutex);
  free(s);
}

static tt_error refuse(char *problem, const char *text) {
  if (problem)
    snprintf(problem, TELLTALE_PROBLEM_MAX, "%s", text);
  return TT_EINVAL;
}

static tt_error set_options(statsd *s, const tt_metrics_statsd_options *options,
                            char *problem) {
  const char *address =
      options->address ? options->address : "udp://127.0.0.1:8125";
  const char *prefix = options->prefix ? options->prefix : "telltale.";
  int interval_ms = options->push.interval_ms;
  if (!tti_statsd_address_parse(address, &s->address))
    return refuse(problem, "address: it is neither udp://HOST:PORT, such as "
                           "udp://127.0.0.1:8125, nor unix:/PATH");
  if (strlen(prefix) > PREFIX_MAX)
    return refuse(problem, "prefix: it is longer than 100 bytes");
  for (const char *at = prefix; *at; at++)
    if (!is_word(*at) && *at != '.')
      return refuse(problem, "prefix: it has other characters than letters, "
                             "digits and . _ -");
  if (interval_ms < 0 || interval_ms > INTERVAL_MAX)
    return refuse(problem, "interval_ms: it is not 1 to 3600000");
  strcpy(s->prefix, prefix);
  s->push = options->push;
  s->push.interval_ms = interval_ms ? interval_ms : INTERVAL_MS;
  s->tags = options->tags == TT_STATSD_TAGS_DOGSTATSD;
  s->packet_max = s->address.is_unix ? TTI_STATSD_UNIX_MAX : TTI_STATSD_UDP_MAX;
  return TT_OK;
}

static tt_error start(statsd *s) {
  tti_ticker_options options = {
      .first_ms = s->push.interval_ms, .tick = tick, .context = s};
  s->tally = tti_tally_new();
  return s->tally ? tti_ticker_start(&options, &s->ticker) : TT_ENOMEM;
}

tt_error tt_metrics_statsd_new(const tt_metrics_statsd_options *options,
                               char *problem, tt_metrics **out_metrics) {
  static const tt_metrics_statsd_options defaults;
  static const tt_metrics_ops ops = {.version = 1,
                                     .add = statsd_add,
                                     .set = statsd_set,
                                     .observe = statsd_observe,
                                     .free = statsd_free};
  statsd *s = calloc(1, sizeof(*s));
  tt_metrics *metrics = s ? tti_metrics_new(&ops, s) : NULL;
  tt_error error = TT_ENOMEM;
  if (!metrics)
    goto undo;
  s->fd = -1;
  pthread_mutex_init(&s->mutex, NULL);
  tti_buf_init(&s->packet, TTI_STATSD_UNIX_MAX);
  tti_buf_init(&s->line, LINE_MAX_BYTES);
  error = set_options(s, options ? options : &defaults, problem);
  if (!error && out_metrics)
    error = start(s);
  if (error || !out_metrics)
    goto undo;
  *out_metrics = metrics;
  return TT_OK;

undo:
  if (metrics)
    statsd_free(s);
  else
    free(s);
  free(metrics);
  return error;
}
