#include "server/io/log.h"
#include "tests/unit.h"

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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_logfmt_quotes),
      cmocka_unit_test(test_json_escapes),
      cmocka_unit_test(test_minimum_and_long_lines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
