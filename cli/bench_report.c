#include "cli/bench_report.h"

#include "cli/line.h"

#include <jansson.h>
#include <stdio.h>

static double ms(uint64_t us) {
  return (double)us / 1000;
}

/* The middle of a bucket may lie above what is in it. */
static uint64_t quantile(const bench_times *times, unsigned per_mille) {
  uint64_t us =
      times->sketch.count ? sketch_quantile(&times->sketch, per_mille) : 0;
  return us < times->max_us ? us : times->max_us;
}

static double quantile_ms(const bench_times *times, unsigned per_mille) {
  return ms(quantile(times, per_mille));
}

static double a_second(uint64_t count, int64_t us) {
  return us > 0 ? (double)count * 1e6 / (double)us : 0;
}

static uint64_t failures(const bench_result *r) {
  uint64_t count = r->unanswered;
  for (int i = 0; i < BENCH_STATUS_MAX; i++)
    if (i < 200 || i > 299)
      count += r->status[i];
  return count;
}

void bench_show_progress(void *context, int64_t elapsed_us,
                         const bench_result *so_far, uint64_t events,
                         const bench_times *answers) {
  (void)context;
  fprintf(stderr,
          "\r%4.0f s  %9llu events/s  p50 %.2f ms  p99 %.2f ms  %llu failed"
          "\033[K",
          (double)elapsed_us / 1e6, (unsigned long long)events,
          quantile_ms(answers, 500), quantile_ms(answers, 990),
          (unsigned long long)failures(so_far));
}

void bench_end_progress(void) {
  fputs("\r\033[K", stderr);
}

/* ---- For people ---- */

/* One row a doubling. */
static void print_histogram(const sketch *s) {
  enum { ROWS = 41, WIDTH = 40 };
  uint64_t rows[ROWS] = {0}, most = 0;
  int first = ROWS, last = 0;
  for (size_t i = 0; i < SKETCH_BUCKETS; i++) {
    int row = 0;
    while (sketch_middle(i) >> (row + 1) && row + 1 < ROWS)
      row++;
    if (!s->buckets[i])
      continue;
    rows[row] += s->buckets[i];
    most = rows[row] > most ? rows[row] : most;
    first = row < first ? row : first;
    last = row;
  }
  for (int row = first; row <= last; row++) {
    int width = (int)((rows[row] * WIDTH + most - 1) / most);
    printf("  < %10.3f ms  %-*.*s %llu\n", ms((uint64_t)2 << row), WIDTH, width,
           "########################################",
           (unsigned long long)rows[row]);
  }
}

static void print_times(const char *name, const bench_times *times) {
  if (!times->sketch.count)
    return;
  printf("\n%s: mean %.2f ms, p50 %.2f, p90 %.2f, p99 %.2f, p99.9 %.2f, max "
         "%.2f\n",
         name, ms(times->sum_us / times->sketch.count), quantile_ms(times, 500),
         quantile_ms(times, 900), quantile_ms(times, 990),
         quantile_ms(times, 999), ms(times->max_us));
  print_histogram(&times->sketch);
}

static void print_failure(const client_answer *failure) {
  json_t *body = json_loadb(failure->body.data ? failure->body.data : "",
                            failure->body.len, 0, NULL);
  const char *message = json_string_value(json_object_get(body, "message"));
  printf("  the first that failed: %d ", failure->status);
  cli_text_print(stdout, tti_slice_of(message ? message : "(no message)"));
  putchar('\n');
  json_decref(body);
}

void bench_print(const bench_options *options, const bench_result *r) {
  printf("%llu events stored in %.2f s: %.0f events/s, %.0f requests/s\n",
         (unsigned long long)r->events, (double)r->elapsed_us / 1e6,
         a_second(r->events, r->elapsed_us),
         a_second(r->requests, r->elapsed_us));
  for (int i = 0; i < BENCH_STATUS_MAX; i++)
    if (r->status[i])
      printf("  %d: %llu answers\n", i, (unsigned long long)r->status[i]);
  if (r->failure.status)
    print_failure(&r->failure);
  if (r->unanswered)
    printf("  no answer: %llu requests\n", (unsigned long long)r->unanswered);
  if (r->refused_connections)
    printf("  %llu connections could not be made: %s\n",
           (unsigned long long)r->refused_connections, r->failure.error);
  if (r->unsent)
    printf("  behind the rate: %llu events were due and not sent\n",
           (unsigned long long)r->unsent);
  print_times(options->rate ? "answer, from when the request was due"
                            : "answer, from when the request was sent",
              &r->answers);
  if (options->subscribers) {
    printf("\n%llu subscribers: %llu events delivered of %llu",
           options->subscribers, (unsigned long long)r->delivered,
           (unsigned long long)(r->events * options->subscribers));
    if (r->streams_ended)
      printf("; %llu streams ended", (unsigned long long)r->streams_ended);
    putchar('\n');
  }
  print_times("from the request to the subscriber", &r->delivery);
}

/* ---- For machines ---- */

static json_t *number(uint64_t value) {
  return json_integer((json_int_t)value);
}

static json_t *times_json(const bench_times *times) {
  static const struct {
    const char *name;
    unsigned per_mille;
  } quantiles[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"p999", 999}};
  const sketch *s = &times->sketch;
  json_t *out = json_object(), *buckets = json_array();
  json_object_set_new(out, "count", number(s->count));
  json_object_set_new(out, "mean",
                      number(s->count ? times->sum_us / s->count : 0));
  for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
    json_object_set_new(out, quantiles[i].name,
                        number(quantile(times, quantiles[i].per_mille)));
  json_object_set_new(out, "max", number(times->max_us));
  for (size_t i = 0; i < SKETCH_BUCKETS; i++)
    if (s->buckets[i])
      json_array_append_new(buckets,
                            json_pack("[I, I]", (json_int_t)sketch_middle(i),
                                      (json_int_t)s->buckets[i]));
  json_object_set_new(out, "buckets", buckets);
  return out;
}

void bench_print_json(const bench_options *options, const bench_result *r) {
  json_t *out = json_object(), *status = json_object();
  for (int i = 0; i < BENCH_STATUS_MAX; i++) {
    char key[8];
    snprintf(key, sizeof(key), "%d", i);
    if (r->status[i])
      json_object_set_new(status, key, number(r->status[i]));
  }
  json_object_set_new(out, "seconds", json_real((double)r->elapsed_us / 1e6));
  json_object_set_new(out, "events", number(r->events));
  json_object_set_new(out, "events_per_s",
                      json_real(a_second(r->events, r->elapsed_us)));
  json_object_set_new(out, "requests", number(r->requests));
  json_object_set_new(out, "status", status);
  json_object_set_new(out, "unanswered", number(r->unanswered));
  json_object_set_new(out, "unsent", number(r->unsent));
  json_object_set_new(out, "refused_connections",
                      number(r->refused_connections));
  json_object_set_new(out, "answer_us", times_json(&r->answers));
  if (options->subscribers) {
    json_object_set_new(out, "subscribers", number(options->subscribers));
    json_object_set_new(out, "delivered", number(r->delivered));
    json_object_set_new(out, "streams_ended", number(r->streams_ended));
    json_object_set_new(out, "delivery_us", times_json(&r->delivery));
  }
  json_dumpf(out, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
  putchar('\n');
  json_decref(out);
}
