#include "server/fleet/read_internal.h"

#include "lib/json/write.h"
#include "server/io/clock.h"
#include <stdlib.h>

/* GET /api/v1/fleet/aggregate: merges the buckets of one series, or of each
 * value of a dimension, in pieces of a few milliseconds. */

enum {
  PIECE_US = 4000,
  STEPS_MAX = 1000,  /* of one item */
  CELLS_MAX = 20000, /* steps of all items */
  SERIES_MAX = FLEET_DIMENSION_VALUES_MAX + 1,
  VALUE_MAX = FLEET_TEXT_MAX
};
enum { KEY, BY, STEP, LIMIT };

/* A series that is asked for. */
typedef struct part {
  int64_t n;
  bool other;
  int64_t first_us, last_us;
  uint64_t updates;
  size_t value_len;
  char value[VALUE_MAX];
} part;

typedef struct question {
  api_call call;
  fleet_read *r;
  tti_slice key, by;
  bool has_since;
  fleet_span span;
  int64_t first, end; /* buckets, from and before */
  uint64_t step;      /* buckets; 0: not asked for */
  unsigned long long limit;
  /* Owned; of the reading threads, one after the other. */
  part *parts;
  size_t count;
  int64_t behind;
  size_t at;     /* the part that is being read */
  int64_t place; /* … from this bucket on */
  size_t items;
  fleet_aggregate total;
  fleet_aggregate *steps;
  size_t step_count;
  int64_t other_first_us, other_last_us;
} question;

static void clear_sums(question *q) {
  fleet_aggregate_fini(&q->total);
  for (size_t i = 0; q->steps && i < q->step_count; i++)
    fleet_aggregate_fini(&q->steps[i]);
}

static void release(api_call *call) {
  question *q = (question *)call;
  clear_sums(q);
  free(q->steps);
  free(q->parts);
}

/* ---- Writing ---- */

static double within(double value, const fleet_aggregate *a) {
  return value < a->min ? a->min : value > a->max ? a->max : value;
}

static void put_number(tti_buf *out, const char *name, double value) {
  tti_buf_printf(out, ",\"%s\":", name);
  tti_json_write_double(out, value);
}

static void put_values(tti_buf *out, fleet_values *values, size_t limit) {
  uint64_t other = values->other;
  fleet_values_rank(values);
  tti_buf_append_text(out, ",\"values\":[");
  for (size_t i = 0; i < values->count; i++) {
    if (i >= limit) {
      other += values->items[i].count;
      continue;
    }
    tti_buf_append_text(out, i ? ",{\"value\":" : "{\"value\":");
    tti_json_write_string(out, values->items[i].text);
    tti_buf_printf(out, ",\"count\":%llu}",
                   (unsigned long long)values->items[i].count);
  }
  tti_buf_printf(out, "],\"values_other\":%llu", (unsigned long long)other);
}

static void put_sums(tti_buf *out, fleet_aggregate *a, size_t limit) {
  static const struct {
    const char *name;
    double share;
  } quantiles[] = {{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}};
  tti_buf_printf(out, ",\"updates\":%llu,\"instances\":%llu",
                 (unsigned long long)a->updates,
                 (unsigned long long)fleet_distinct_count(&a->instances));
  if (a->numbers) {
    tti_buf_printf(out, ",\"count\":%llu", (unsigned long long)a->numbers);
    put_number(out, "sum", a->sum);
    put_number(out, "min", a->min);
    put_number(out, "max", a->max);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++)
      put_number(
          out, quantiles[i].name,
          within(fleet_sketch_quantile(&a->sketch, quantiles[i].share), a));
  }
  if (limit && (a->values.count || a->values.other))
    put_values(out, &a->values, limit);
}

static void put_buckets(question *q, tti_buf *out) {
  tti_buf_append_text(out, ",\"buckets\":[");
  for (size_t i = 0; i < q->step_count; i++) {
    char text[TTI_RFC3339_MAX];
    tti_rfc3339_format(
        fleet_bucket_begin_us(q->span, q->first + (int64_t)(i * q->step)),
        text);
    tti_buf_printf(out, "%s{\"at\":\"%s\"", i ? "," : "", text);
    put_sums(out, &q->steps[i], q->by.ptr ? 0 : (size_t)q->limit);
    tti_buf_append_char(out, '}');
  }
  tti_buf_append_char(out, ']');
}

/* What was merged is an item. `p` NULL: all others. */
static void put_item(question *q, const part *p) {
  tti_buf *out = &q->call.body;
  if (!q->total.updates)
    return;
  tti_buf_append_text(out, q->items++ ? ",{" : "{");
  if (p && q->by.ptr) {
    tti_buf_append_text(out, "\"value\":");
    tti_json_write_string(out, (tti_slice){p->value, p->value_len});
  } else {
    tti_buf_printf(out, "\"other\":%s", p ? "false" : "true");
  }
  api_put_time(out, "first_at", p ? p->first_us : q->other_first_us);
  api_put_time(out, "last_at", p ? p->last_us : q->other_last_us);
  put_sums(out, &q->total, (size_t)q->limit);
  if (q->step)
    put_buckets(q, out);
  tti_buf_append_char(out, '}');
}

static void put_head(question *q, tti_buf *out) {
  tti_buf_append_text(out, "{\"key\":");
  tti_json_write_string(out, q->key);
  if (q->by.ptr)
    api_put_text(out, "by", q->by);
  if (q->count) {
    api_put_time(out, "since", fleet_bucket_begin_us(q->span, q->first));
    api_put_time(out, "until", fleet_bucket_begin_us(q->span, q->end));
  }
  tti_buf_printf(out, ",\"behind\":%lld,\"items\":[", (long long)q->behind);
}

/* ---- Reading ---- */

static int by_updates(const void *a, const void *b) {
  const part *left = a, *right = b;
  if (left->other != right->other)
    return left->other ? 1 : -1;
  return left->updates < right->updates     ? 1
         : left->updates > right->updates   ? -1
         : left->first_us < right->first_us ? -1
                                            : 1;
}

static tt_error find_parts(question *q, store_tx *tx) {
  fleet_series series;
  sqlite3_stmt *stmt =
      fleet_series_of(tx, q->key, q->by.ptr ? q->by : TTI_SLICE(""));
  while (q->count < SERIES_MAX && fleet_series_next(tx, stmt, &series)) {
    part *p = &q->parts[q->count++];
    *p = (part){.n = series.n,
                .other = series.other,
                .first_us = series.first_us,
                .last_us = series.last_us,
                .value_len = series.value.len < VALUE_MAX ? series.value.len
                                                          : VALUE_MAX};
    if (p->value_len)
      memcpy(p->value, series.value.ptr, p->value_len);
  }
  return tx_end(tx, stmt);
}

/* A question without `since` begins with the first update. */
static void set_bounds(question *q) {
  int64_t first_us = INT64_MAX;
  for (size_t i = 0; i < q->count; i++)
    if (q->parts[i].first_us < first_us)
      first_us = q->parts[i].first_us;
  int64_t first = q->count ? fleet_bucket_of(q->span, first_us) : 0;
  if (!q->has_since && first > q->first)
    q->first = first;
  if (q->end < q->first)
    q->end = q->first;
}

/* TT_ETOOBIG: more than is answered. */
static tt_error make_steps(question *q) {
  uint64_t buckets = (uint64_t)(q->end - q->first);
  size_t items = q->count < q->limit ? q->count : (size_t)q->limit;
  if (!q->step || !q->count)
    return TT_OK;
  q->step_count = (size_t)((buckets + q->step - 1) / q->step);
  if (q->step_count > STEPS_MAX || q->step_count * items > CELLS_MAX) {
    q->step_count = 0;
    return TT_ETOOBIG;
  }
  q->steps = calloc(q->step_count + 1, sizeof *q->steps);
  return q->steps ? TT_OK : TT_ENOMEM;
}

static tt_error prepare(question *q, store_tx *tx) {
  q->parts = calloc(SERIES_MAX, sizeof *q->parts);
  tt_error error = q->parts ? fleet_shards_behind(tx, &q->behind) : TT_ENOMEM;
  if (!error)
    error = find_parts(q, tx);
  if (!error) {
    set_bounds(q);
    error = make_steps(q);
  }
  for (size_t i = 0; !error && i < q->count; i++)
    error = fleet_buckets_updates(tx, q->parts[i].n, q->span, q->first, q->end,
                                  &q->parts[i].updates);
  if (error)
    return error;
  qsort(q->parts, q->count, sizeof *q->parts, by_updates);
  q->place = q->first;
  q->other_first_us = INT64_MAX;
  put_head(q, &q->call.body);
  return TT_OK;
}

static tt_error add_bucket(question *q, const fleet_bucket *bucket) {
  tt_error error = fleet_aggregate_read(&q->total, bucket);
  if (!error && q->step)
    error = fleet_aggregate_read(
        &q->steps[(uint64_t)(bucket->bucket - q->first) / q->step], bucket);
  return error;
}

/* Whether the part is one of those that are answered by themselves. */
static bool stands_alone(const question *q, size_t at) {
  return at < q->limit && !q->parts[at].other;
}

/* Reads on in the part; *out_ended: to its end. */
static tt_error read_part(question *q, store_tx *tx, int64_t until_us,
                          bool *out_ended) {
  tt_error error = TT_OK;
  fleet_bucket bucket;
  sqlite3_stmt *stmt =
      fleet_buckets(tx, q->parts[q->at].n, q->span, q->place, q->end);
  *out_ended = true;
  while (!error && *out_ended && fleet_buckets_next(tx, stmt, &bucket)) {
    error = add_bucket(q, &bucket);
    q->place = bucket.bucket + 1;
    *out_ended = tti_monotonic_us(&tti_clock_system) < until_us;
  }
  tt_error end = tx_end(tx, stmt);
  return error ? error : end;
}

static void end_part(question *q) {
  const part *p = &q->parts[q->at];
  if (stands_alone(q, q->at)) {
    put_item(q, p);
    clear_sums(q);
  } else {
    if (p->updates && p->first_us < q->other_first_us)
      q->other_first_us = p->first_us;
    if (p->updates && p->last_us > q->other_last_us)
      q->other_last_us = p->last_us;
  }
  q->at++;
  q->place = q->first;
}

static tt_error read_answer(store_read *read, store_tx *tx) {
  question *q = read->owner;
  int64_t until_us = tti_monotonic_us(&tti_clock_system) + PIECE_US;
  tt_error error = q->parts ? TT_OK : prepare(q, tx);
  bool ended = true;
  while (!error && ended && q->at < q->count) {
    error = read_part(q, tx, until_us, &ended);
    if (!error && ended)
      end_part(q);
    ended = ended && tti_monotonic_us(&tti_clock_system) < until_us;
  }
  if (!error && q->at == q->count) {
    put_item(q, NULL);
    tti_buf_append_text(&q->call.body, "],\"next_cursor\":null}");
  }
  return error;
}

/* ---- The request ---- */

static void answer(api_call *call) {
  question *q = (question *)call;
  if (!call->read.error && q->at < q->count) {
    api_call_read(call, q->r->store);
    return;
  }
  release(call);
  if (call->read.error == TT_ETOOBIG)
    api_call_refuse(call, 400, "invalid_step",
                    "step: it makes more than %d steps of an item, or %d of "
                    "all; ask for a longer step, less time or a lower limit",
                    STEPS_MAX, CELLS_MAX);
  else
    api_call_reply(call, 200);
}

/* "6h", "1d"; false: answered. */
static bool get_step(http_request *request, question *q) {
  tti_slice text = http_parameter_get(request, &fleet_question[STEP]);
  unsigned long long number = 0;
  char unit = text.len ? text.ptr[text.len - 1] : 0;
  if (!text.ptr)
    return true;
  if ((unit != 'h' && unit != 'd') ||
      !tti_slice_to_u64((tti_slice){text.ptr, text.len - 1}, &number) ||
      number < 1 || number > 100000) {
    http_reply_error(request, 400, "invalid_step",
                     "step: has to be hours or days, such as 6h or 1d");
    return false;
  }
  q->span = unit == 'h' ? FLEET_HOURS : FLEET_DAYS;
  q->step = number;
  return true;
}

static bool get_by(http_request *request, question *q) {
  const fleet_dimensions *d = fleet_follow_dimensions(q->r->follow);
  char known[300] = "";
  tti_slice by = http_parameter_get(request, &fleet_question[BY]);
  q->by = by;
  if (!by.ptr)
    return true;
  for (size_t i = 0; i < d->count; i++) {
    size_t len = strlen(known);
    if (tti_slice_eq(by, d->names[i]))
      return true;
    snprintf(known + len, sizeof known - len, "%s%.*s", i ? ", " : "",
             (int)d->names[i].len, d->names[i].ptr);
  }
  http_reply_error(request, 400, "invalid_by",
                   "by: has to be a dimension (%s); the setting "
                   "fleet.dimensions names them",
                   d->count ? known : "there is none");
  return false;
}

static bool get_bounds(http_request *request, question *q) {
  int64_t now_us = server_wall_us(), since_us = 0, until_us = now_us;
  if (!fleet_bounds_get(request, &since_us, &until_us))
    return false;
  q->has_since = since_us > 0;
  if (!q->step && since_us > now_us - FLEET_HOURS_RETAIN_US)
    q->span = FLEET_HOURS;
  else if (!q->step)
    q->span = FLEET_DAYS;
  if (q->span == FLEET_HOURS && since_us < now_us - FLEET_HOURS_RETAIN_US)
    since_us = now_us - FLEET_HOURS_RETAIN_US;
  q->first = fleet_bucket_of(q->span, since_us);
  /* A bucket that has begun before `until` is in. */
  q->end = fleet_bucket_of(q->span, until_us - 1) + 1;
  return true;
}

void fleet_aggregate_show_serve(http_request *request, void *context) {
  question *q = api_call_new(request, sizeof *q, answer);
  if (!q)
    return;
  q->r = context;
  q->call.failed = release;
  q->key = http_parameter_get(request, &fleet_question[KEY]);
  if (!q->key.ptr)
    q->key = TTI_SLICE("");
  if (!http_parameter_number(request, &fleet_question[LIMIT], &q->limit) ||
      !get_step(request, q) || !get_by(request, q) || !get_bounds(request, q))
    return;
  q->call.read.run = read_answer;
  api_call_read(&q->call, q->r->store);
}
