/* A program that emits, driven by lines on its standard input:
 *
 *   emit FIRST COUNT    events whose data.i counts from FIRST
 *   flush MS            waits for them, at most so long
 *   stats
 *   free                frees the emitter, and ends
 *
 * Each line is answered by one of JSON: how long it took in milliseconds, and
 * the statistics (after `free`, those of the line before).
 *
 *   emit_run URL [SPOOL [SPOOL_BYTES]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <telltale/emitter.h>
#include <time.h>

static double now_ms(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void on_log(void *context, tt_level level, const char *message) {
  (void)context;
  (void)level;
  fprintf(stderr, "%s\n", message);
}

static void answer(tt_emitter *emitter, double took_ms) {
  static tt_emitter_stats s;
  uint64_t dropped = 0;
  if (emitter)
    tt_emitter_stats_get(emitter, &s);
  printf("{\"ms\":%.1f,\"emitted\":%llu,\"adopted\":%llu,\"sent\":%llu,"
         "\"queued\":%llu,\"spooled\":%llu,\"drops\":{",
         took_ms, (unsigned long long)s.emitted, (unsigned long long)s.adopted,
         (unsigned long long)s.sent, (unsigned long long)s.queued,
         (unsigned long long)s.spooled);
  for (int i = 0; i < TT_DROP_REASON_COUNT; i++) {
    dropped += s.dropped[i];
    printf("%s\"%s\":%llu", i ? "," : "",
           tt_drop_reason_name((tt_drop_reason)i),
           (unsigned long long)s.dropped[i]);
  }
  printf("},\"dropped\":%llu}\n", (unsigned long long)dropped);
  fflush(stdout);
}

int main(int argc, char **argv) {
  tt_emitter *emitter = NULL;
  char line[100];
  tt_emitter_options options = {.url = argc > 1 ? argv[1] : NULL,
                                .source = "run",
                                .request_timeout_ms = 3000,
                                .spool_directory = argc > 2 ? argv[2] : NULL,
                                .log = {.log = on_log}};
  if (argc > 3)
    options.spool_bytes = strtoul(argv[3], NULL, 10);
  if (tt_emitter_new(&options, &emitter))
    return 2;
  while (fgets(line, sizeof(line), stdin)) {
    int first = 0, count = 0;
    double began = now_ms();
    if (sscanf(line, "emit %d %d", &first, &count) == 2) {
      for (int i = first; i < first + count; i++)
        tt_emit(emitter, "run", tt_int("i", i), tt_str("text", "some more"));
    } else if (sscanf(line, "flush %d", &count) == 1) {
      tt_emitter_flush(emitter, count);
    } else if (strncmp(line, "free", 4) == 0) {
      tt_emitter_free(emitter);
      emitter = NULL;
    }
    answer(emitter, now_ms() - began);
    if (!emitter)
      return 0;
  }
  tt_emitter_free(emitter);
  return 0;
}
