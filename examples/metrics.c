/* Where a program's metrics go: into a backend of its own, which adds up what
 * matters to it, and to the statsd server whose address is given, if any:
 *
 *   example-metrics [udp://HOST:PORT | unix:/PATH] */
#include <stdatomic.h>
#include <stdio.h>
#include <telltale/metrics.h>

typedef struct failures {
  atomic_ulong count;
} failures;

/* May be called from any thread. An instrument that is of no interest here, or
 * that is younger than this program, is left alone. */
static void add(void *self, tt_metric id, uint64_t n, const char *label_a,
                const char *label_b) {
  failures *f = self;
  (void)label_b;
  if (id != TT_METRIC_OUTBOX_FAILURES)
    return;
  atomic_fetch_add(&f->count, n);
  printf("the outbox failed at %s\n", label_a);
}

int main(int argc, char **argv) {
  static const tt_metrics_ops ops = {.version = 1, .add = add};
  failures own = {0};
  tt_metrics *parts[2] = {NULL, NULL}, *metrics = NULL;
  char problem[TELLTALE_PROBLEM_MAX] = "out of memory";
  tt_metrics_statsd_options statsd = {.address = argc > 1 ? argv[1] : NULL};
  if (tt_metrics_new(&ops, &own, &parts[0]) ||
      (argc > 1 && tt_metrics_statsd_new(&statsd, problem, &parts[1])) ||
      tt_metrics_tee_new(parts, 2, &metrics)) {
    fprintf(stderr, "example-metrics: %s\n", problem);
    tt_metrics_free(parts[0]);
    tt_metrics_free(parts[1]);
    return 1;
  }
  /* Most programs hand `metrics` to tt_outbox_new, which then counts. */
  tt_metrics_add(metrics, TT_METRIC_OUTBOX_PUBLISHED, 3, "order.paid", NULL);
  tt_metrics_add(metrics, TT_METRIC_OUTBOX_FAILURES, 1, "publish", NULL);
  tt_metrics_free(metrics); /* sends what has not been sent */
  printf("%lu failures\n", atomic_load(&own.count));
  return 0;
}
