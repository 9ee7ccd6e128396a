#include "server/io/log.h"
#include "tests/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What `log` wrote to standard error, in `out`. */
static void captured(server_log_format format, tt_level minimum, tt_level level,
                     const char *message, char *out, size_t room) {
  int ends[2];
  int kept = dup(STDERR_FILENO);
  assert_int_equal(pipe(ends), 0);
  dup2(ends[1], STDERR_FILENO);
  server_log_configure(format, minimum);
  server_log(level, "http", "%s", message);
  dup2(kept, STDERR_FILENO);
  close(ends[1]);
  close(kept);
  ssize_t got = read(ends[0], out, room - 1);
  out[got > 0 ? got : 0] = '\0';
  close(ends[0]);
}

static void test_logfmt_quotes(void **state) {
  (void)state;
  char line[1024];
  captured(SERVER_LOG_LOGFMT, TT_LEVEL_INFO, TT_LEVEL_WARN,
           "a \"b\" level=fatal\nx", line, sizeof(line));
  assert_memory_equal(line, "ts=", 3);
  assert_non_null(strstr(line, " level=warn module=http "
                               "msg=\"a \\\"b\\\" level=fatal\\nx\"\n"));
}

static void test_json_escapes(void **state) {
  (void)state;
  char line[1024];
  captured(SERVER_LOG_JSON, TT_LEVEL_INFO, TT_LEVEL_ERROR, "\x01 \xff \\", line,
           sizeof(line));
  assert_non_null(strstr(line, "\"level\":\"error\",\"module\":\"http\","
                               "\"message\":\"\\u0001 \xef\xbf\xbd \\\\\"}\n"));
}

static void test_minimum_and_long_lines(void **state) {
  (void)state;
  char line[16384];
  captured(SERVER_LOG_LOGFMT, TT_LEVEL_WARN, TT_LEVEL_INFO, "x", line,
           sizeof(line));
  assert_string_equal(line, "");
  char *many = malloc(5001);
  memset(many, 1, 5000);
  many[5000] = '\0';
  captured(SERVER_LOG_LOGFMT, TT_LEVEL_WARN, TT_LEVEL_FATAL, many, line,
           sizeof(line));
  assert_string_equal(line + strlen(line) - 8, "\\u0001\"\n");
  free(many);
}

/* A pipe that nobody reads holds nobody up. */
static void test_lost_lines_are_told(void **state) {
  (void)state;
  enum { LINES = 500 };
  char bytes[65536], told[64];
  int ends[2], kept = dup(STDERR_FILENO), there = 0;
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, 8192), 8192);
  dup2(ends[1], STDERR_FILENO);
  server_log_configure(SERVER_LOG_LOGFMT, TT_LEVEL_INFO);
  for (int i = 0; i < LINES; i++)
    server_log(TT_LEVEL_INFO, "http", "one of many");
  ssize_t got = read(ends[0], bytes, sizeof(bytes) - 1);
  server_log(TT_LEVEL_INFO, "http", "last");
  dup2(kept, STDERR_FILENO);
  close(kept);
  close(ends[1]);
  assert_true(got > 0);
  bytes[got] = '\0';
  for (const char *at = bytes; (at = strstr(at, "one of many\"\n")); at++)
    there++;
  got = read(ends[0], bytes, sizeof(bytes) - 1);
  close(ends[0]);
  bytes[got > 0 ? got : 0] = '\0';
  assert_in_range(there, 1, LINES - 1);
  snprintf(told, sizeof(told), "\"%d lines before this were lost",
           LINES - there);
  assert_non_null(strstr(bytes, told));
  assert_non_null(strstr(bytes, "\"last\""));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_logfmt_quotes),
      cmocka_unit_test(test_json_escapes),
      cmocka_unit_test(test_minimum_and_long_lines),
      cmocka_unit_test(test_lost_lines_are_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
