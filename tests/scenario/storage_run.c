/* A program that forwards a stream to S2, driven by lines on its standard
 * input:
 *
 *   publish COUNT
 *   start           opens, and answers a line
 *   stop MS         drains, flushes and closes within the time, and ends
 *
 * It takes its settings from S2_* and keeps its position in the file it is
 * given. Publishing is deterministic: a second run publishes what the first
 * did, from seq 1 on, as a stream with a memory would have it.
 *
 *   storage_run POSITION */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <telltale/storage.h>

static tt_error load(void *self, uint64_t *out_seq) {
  unsigned long long seq;
  FILE *file = fopen(self, "re");
  if (!file)
    return TT_ENOTFOUND;
  int got = fscanf(file, "%llu", &seq);
  fclose(file);
  *out_seq = seq;
  return got == 1 ? TT_OK : TT_ENOTFOUND;
}

static tt_error save(void *self, uint64_t seq) {
  FILE *file = fopen(self, "we");
  if (!file)
    return TT_EIO;
  fprintf(file, "%llu\n", (unsigned long long)seq);
  return fclose(file) ? TT_EIO : TT_OK;
}

static void on_log(void *context, tt_level level, const char *message) {
  (void)context;
  (void)level;
  fprintf(stderr, "%s\n", message);
}

static bool publish(tt_stream *stream, int count) {
  for (int i = 0; i < count; i++) {
    tt_event event = {.source = "run",
                      .type = "tick",
                      .category = "api",
                      .data = "{\"text\":\"\\u00e9 \\\"quoted\\\"\"}"};
    if (tt_stream_publish(stream, &event, NULL))
      return false;
  }
  return true;
}

static void report(tt_storage_writer *writer, tt_error error) {
  tt_storage_writer_stats s;
  tt_storage_writer_stats_get(writer, &s);
  printf("{\"error\":\"%s\",\"position\":%llu,\"appended\":%llu,"
         "\"rejected\":%llu,\"given_up\":%llu,\"failures\":%llu}\n",
         tt_error_name(error), (unsigned long long)s.position,
         (unsigned long long)s.appended, (unsigned long long)s.rejected,
         (unsigned long long)s.given_up, (unsigned long long)s.failures);
  fflush(stdout);
}

int main(int argc, char **argv) {
  static const tt_position_ops position = {1, load, save};
  tt_storage_writer_options options = {.position = &position,
                                       .position_self = argv[1],
                                       .retry_first_ms = 10,
                                       .log = {.log = on_log}};
  tt_stream *stream = NULL;
  tt_storage *storage = NULL;
  tt_storage_writer *writer = NULL;
  char problem[TELLTALE_PROBLEM_MAX] = "", line[100];
  if (argc != 2 || tt_stream_new(NULL, &stream))
    return 2;
  tt_error error = tt_storage_s2_new(NULL, problem, &storage);
  if (!error)
    error = tt_storage_writer_new(stream, storage, &options, &writer);
  if (error)
    fprintf(stderr, "%s: %s\n", tt_error_name(error), problem);
  while (!error && fgets(line, sizeof(line), stdin)) {
    int number = 0;
    if (strcmp(line, "start\n") == 0) {
      error = tt_storage_writer_start(writer);
      report(writer, error);
    } else if (sscanf(line, "publish %d", &number) == 1) {
      if (!publish(stream, number))
        break;
    } else if (sscanf(line, "stop %d", &number) == 1) {
      report(writer, tt_storage_writer_stop(writer, number));
      break;
    }
  }
  tt_storage_writer_free(writer);
  tt_stream_free(stream);
  return error ? 1 : 0;
}
