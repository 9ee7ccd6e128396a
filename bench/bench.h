#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

/* What every bench program shares: the clock, the median, the options and the
 * one line of JSON that a measurement is printed as:
 *
 *   {"bench":"json_scan_250","value":0.91,"unit":"GB/s","peer":"jansson",
 *    "peer_value":0.1,"ratio":9.1,"runs":5,"min":0.9,"max":0.92}
 *
 * `value` and `peer_value` are medians of the runs; min and max are ours. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_RUNS_MIN 5
#define BENCH_RUNS_MAX 1001

static inline int64_t bench_clock_ns(clockid_t id) {
  struct timespec ts;
  clock_gettime(id, &ts);
  return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline int64_t bench_wall_ns(void) {
  return bench_clock_ns(CLOCK_MONOTONIC);
}

/* What this thread itself used: not disturbed by neighbours on the machine. */
static inline int64_t bench_thread_ns(void) {
  return bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* Tells the compiler that the memory behind `p` is read: a result that nobody
 * uses would otherwise let it drop the work. */
static inline void bench_keep(const void *p) {
  __asm__ volatile("" : : "r"(p) : "memory");
}

/* The figures of the runs of one measurement. All zero is empty. */
typedef struct bench_samples {
  double values[BENCH_RUNS_MAX];
  size_t count;
} bench_samples;

static inline void bench_add(bench_samples *samples, double value) {
  if (samples->count < BENCH_RUNS_MAX)
    samples->values[samples->count++] = value;
}

static inline int bench_compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The value below which a share `q` (0 to 1) of the samples lies. Sorts. 0
 * without samples. */
static inline double bench_quantile(bench_samples *samples, double q) {
  if (samples->count == 0)
    return 0;
  qsort(samples->values, samples->count, sizeof(double), bench_compare);
  return samples->values[(size_t)(q * (double)(samples->count - 1) + 0.5)];
}

/* `peer` may be NULL: then the peer's members are left out. Text is printed
 * as it is: names need no escaping. */
static inline void bench_print(const char *name, const char *unit,
                               bench_samples *ours, const char *peer,
                               bench_samples *theirs) {
  double value = bench_quantile(ours, 0.5);
  printf("{\"bench\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"", name, value, unit);
  if (peer) {
    double peer_value = bench_quantile(theirs, 0.5);
    printf(",\"peer\":\"%s\",\"peer_value\":%.6g,\"ratio\":%.4g", peer,
           peer_value, peer_value != 0 ? value / peer_value : 0);
  }
  printf(",\"runs\":%zu,\"min\":%.6g,\"max\":%.6g}\n", ours->count,
         bench_quantile(ours, 0), bench_quantile(ours, 1));
  fflush(stdout);
}

/* The value of `--name VALUE` or `--name=VALUE`, NULL when not given. */
static inline const char *bench_option(int argc, char **argv,
                                       const char *name) {
  size_t len = strlen(name);
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], "--", 2) != 0 || strncmp(argv[i] + 2, name, len) != 0)
      continue;
    if (argv[i][2 + len] == '=')
      return argv[i] + 3 + len;
    if (argv[i][2 + len] == '\0' && i + 1 < argc)
      return argv[i + 1];
  }
  return NULL;
}

/* `--name N`, a number above 0; ends the program with status 2 on another. */
static inline double bench_option_number(int argc, char **argv,
                                         const char *name, double fallback) {
  const char *text = bench_option(argc, argv, name);
  if (!text)
    return fallback;
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end || !(value > 0)) {
    fprintf(stderr, "%s: --%s wants a number above 0, not %s\n", argv[0], name,
            text);
    exit(2);
  }
  return value;
}

/* `--seconds N`: how long the whole program may measure; 2 when not given. */
static inline double bench_seconds(int argc, char **argv) {
  return bench_option_number(argc, argv, "seconds", 2);
}

/* Work that is done `times` times in a row. */
typedef void bench_work(void *context, size_t times);

/* One run: repeats until `ns` of this thread's time are used (at least once)
 * and answers the nanoseconds one repetition took. */
static inline double bench_run_ns(bench_work *work, void *context, int64_t ns) {
  size_t times = 1, done = 0;
  int64_t begin = bench_thread_ns(), used;
  do {
    work(context, times);
    done += times;
    used = bench_thread_ns() - begin;
    if (used < ns / 8)
      times *= 2;
  } while (used < ns);
  return (double)used / (double)done;
}

#endif
