#include "bench/bench.h"
#include <pthread.h>
#include <telltale/fleet.h>

/* What counting costs: by key and by handle, one key and 64, on one thread and
 * on two at once. Each figure is CPU time a call of the thread that makes it,
 * so that waiting for another one's cache line is in it. */

#define KEYS 64

static tt_fleet *fleet;
static tt_fleet_counter *handles[KEYS];
static char keys[KEYS][24];

static void one_key(void *context, size_t times) {
  (void)context;
  for (size_t i = 0; i < times; i++)
    tt_fleet_increment(fleet, keys[0]);
}

static void all_keys(void *context, size_t times) {
  (void)context;
  for (size_t i = 0; i < times; i++)
    tt_fleet_increment(fleet, keys[i % KEYS]);
}

static void one_handle(void *context, size_t times) {
  (void)context;
  for (size_t i = 0; i < times; i++)
    tt_fleet_counter_add(handles[0], 1);
}

static void all_handles(void *context, size_t times) {
  (void)context;
  for (size_t i = 0; i < times; i++)
    tt_fleet_counter_add(handles[i % KEYS], 1);
}

typedef struct runner {
  bench_work *work;
  int64_t ns;
  double result;
  pthread_barrier_t *barrier;
} runner;

static void *run(void *context) {
  runner *r = context;
  pthread_barrier_wait(r->barrier);
  r->result = bench_run_ns(r->work, NULL, r->ns);
  return NULL;
}

/* The mean of two threads that do the same at once. */
static double run_two(bench_work *work, int64_t ns) {
  pthread_t threads[2];
  runner runners[2];
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, 2);
  for (int i = 0; i < 2; i++) {
    runners[i] = (runner){work, ns, 0, &barrier};
    if (pthread_create(&threads[i], NULL, run, &runners[i]))
      exit(1);
  }
  for (int i = 0; i < 2; i++)
    pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&barrier);
  return (runners[0].result + runners[1].result) / 2;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name, *name_two;
    bench_work *work;
  } rows[] = {
      {"fleet_increment", "fleet_increment_two", one_key},
      {"fleet_increment_64", "fleet_increment_64_two", all_keys},
      {"fleet_counter", "fleet_counter_two", one_handle},
      {"fleet_counter_64", "fleet_counter_64_two", all_handles},
  };
  enum { ROWS = sizeof(rows) / sizeof(*rows) };
  static bench_samples one[ROWS], two[ROWS];
  int64_t ns =
      (int64_t)(bench_seconds(argc, argv) * 1e9 / 2 / ROWS / BENCH_RUNS_MIN);
  tt_fleet_options options = {.url = "http://127.0.0.1:1/v1/update",
                              .instance_id =
                                  "6ba7b810-9dad-41d1-80b4-00c04fd430c8"};
  if (tt_fleet_new(&options, &fleet) || !fleet)
    return 1;
  for (int i = 0; i < KEYS; i++) {
    snprintf(keys[i], sizeof(keys[i]), "http_requests_%d", i);
    if (tt_fleet_increment(fleet, keys[i]) ||
        tt_fleet_counter_new(fleet, keys[i], &handles[i]))
      return 1;
  }
  for (int run = 0; run < BENCH_RUNS_MIN; run++) {
    for (int i = 0; i < ROWS; i++) {
      bench_add(&one[i], bench_run_ns(rows[i].work, NULL, ns));
      bench_add(&two[i], run_two(rows[i].work, ns));
    }
  }
  for (int i = 0; i < ROWS; i++) {
    bench_print(rows[i].name, "ns", &one[i], NULL, NULL);
    bench_print(rows[i].name_two, "ns", &two[i], "one thread", &one[i]);
  }
  for (int i = 0; i < KEYS; i++)
    tt_fleet_counter_free(handles[i]);
  tt_fleet_free(fleet);
  return 0;
}
