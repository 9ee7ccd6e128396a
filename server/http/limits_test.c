#include "server/http/testing.h"
#include "server/http/wheel.h"
#include "server/io/log.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

/* Time and number: who is too slow, and who is too many. */

static void hello(http_request *r, void *context) {
  (void)context;
  const char *who = http_request_is_local_admin(r) ? "admin" : "guest";
  http_reply(r, 200, "text/plain", who, 5);
}

#define LONG ((size_t)32 << 20)

static void long_answer(http_request *r, void *context) {
  (void)context;
  http_reply_take(r, 200, "text/plain", calloc(1, LONG), LONG);
}

static const http_route routes[] = {
    {HTTP_GET_ | HTTP_POST_, "/long", "long", long_answer, NULL, 0, false,
     .scope = 0},
    {HTTP_GET_ | HTTP_POST_, "/", "root", hello, NULL, 1000, false, .scope = 0},
};

static void start(fixture *f, http_options options) {
  options.routes = routes;
  options.route_count = 2;
  fixture_start(f, &options, 1);
}

static void test_slow_head(void **state) {
  (void)state;
  fixture f;
  char answer[1024];
  start(&f, (http_options){.head_timeout_ms = 30});
  int fd = client_open(&f);
  client_text(fd, "GET / HT");
  client_rest(fd, answer, sizeof(answer));
  assert_memory_equal(answer, "HTTP/1.1 408 ", 13);
  close(fd);
  fixture_stop(&f);
}

static void test_slow_body(void **state) {
  (void)state;
  fixture f;
  char answer[1024];
  start(&f, (http_options){.body_timeout_ms = 30});
  int fd = client_open(&f);
  client_text(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab");
  client_rest(fd, answer, sizeof(answer));
  assert_memory_equal(answer, "HTTP/1.1 408 ", 13);
  close(fd);
  fixture_stop(&f);
}

static void test_idle(void **state) {
  (void)state;
  fixture f;
  char answer[1024];
  start(&f, (http_options){.idle_timeout_ms = 30});
  int fresh = client_open(&f), used = client_open(&f);
  client_text(used, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  client_until(used, "guest", 1, answer, sizeof(answer));
  assert_int_equal(client_rest(fresh, answer, sizeof(answer)), 0);
  assert_int_equal(client_rest(used, answer, sizeof(answer)), 0);
  close(fresh);
  close(used);
  fixture_stop(&f);
}

static void test_too_many_connections(void **state) {
  (void)state;
  fixture f;
  char answer[1024];
  start(&f, (http_options){.max_connections = 2});
  int fds[3];
  for (int i = 0; i < 2; i++) {
    fds[i] = client_open(&f);
    client_text(fds[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client_until(fds[i], "guest", 1, answer, sizeof(answer));
  }
  fds[2] = client_open(&f);
  client_rest(fds[2], answer, sizeof(answer));
  assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
  const char *body = strstr(answer, "\r\n\r\n");
  assert_non_null(strstr(answer, "Content-Length: 66\r\n"));
  assert_int_equal(strlen(body + 4), 66);
  for (int i = 0; i < 3; i++)
    close(fds[i]);
  fixture_stop(&f);
}

/* Answers that nobody reads fill the budget, and give it back. */
static void test_unread_answers_are_counted(void **state) {
  (void)state;
  static const char get[] = "GET /long HTTP/1.1\r\nHost: a\r\n\r\n";
  static const char post[] = "POST /long HTTP/1.1\r\nHost: a\r\n\r\n";
  fixture f;
  http_usage usage;
  char answer[64] = "";
  start(&f, (http_options){.budget_bytes = LONG + LONG / 2});
  int first = client_open(&f), second = client_open(&f);
  client_text(first, get);
  assert_int_equal(recv(first, answer, 13, MSG_WAITALL), 13);
  assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
  http_server_usage(f.server, &usage);
  assert_true(usage.body_bytes >= LONG);

  client_text(second, get);
  assert_int_equal(recv(second, answer, 13, MSG_WAITALL), 13);
  assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
  close(second);
  /* What a POST did is told. */
  second = client_open(&f);
  client_text(second, post);
  assert_int_equal(recv(second, answer, 13, MSG_WAITALL), 13);
  assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
  close(first);
  close(second);
  do {
    usleep(1000);
    http_server_usage(f.server, &usage);
  } while (usage.connections > 0 || usage.body_bytes > 0);
  fixture_stop(&f);
}

static void test_unix_socket(void **state) {
  (void)state;
  fixture f;
  char dir[] = "/tmp/telltale-http-XXXXXX", answer[1024];
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  struct stat info;
  tti_buf why;
  tti_buf_init(&why, 1000);
  assert_non_null(mkdtemp(dir));
  snprintf(to.sun_path, sizeof(to.sun_path), "%s/socket", dir);
  start(&f, (http_options){.head_timeout_ms = 0});
  assert_int_equal(http_server_listen_unix(f.server, to.sun_path, &why), TT_OK);
  assert_int_equal(stat(to.sun_path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
  client_text(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  client_until(fd, "admin", 1, answer, sizeof(answer));
  close(fd);
  fixture second;
  start(&second, (http_options){.head_timeout_ms = 0});
  assert_int_equal(http_server_listen_unix(second.server, to.sun_path, &why),
                   TT_EBUSY);
  fixture_stop(&f);
  assert_int_equal(stat(to.sun_path, &info), -1);
  /* A file left behind by a server that died is no hindrance. */
  int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(dead, (struct sockaddr *)&to, sizeof(to)), 0);
  close(dead);
  assert_int_equal(http_server_listen_unix(second.server, to.sun_path, &why),
                   TT_OK);
  fixture_stop(&second);
  tti_buf_fini(&why);
  assert_int_equal(rmdir(dir), 0);
}

/* Out of descriptors: the connection waits in the kernel and is taken when one
 * is free again. */
static void test_out_of_descriptors(void **state) {
  (void)state;
  fixture f;
  char answer[1024];
  struct rlimit before, tight;
  start(&f, (http_options){.head_timeout_ms = 0});
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons(http_server_port(f.server)),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  tight = before;
  tight.rlim_cur = (rlim_t)fd + 1; /* all below are taken */
  int kept[64], count = 0;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
  while (count < 64 && (kept[count] = dup(fd)) >= 0)
    count++;
  server_log_configure(SERVER_LOG_LOGFMT, TT_LEVEL_ERROR);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
  client_text(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  struct pollfd ready = {.fd = fd, .events = POLLIN};
  assert_int_equal(poll(&ready, 1, 50), 0);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  client_until(fd, "guest", 1, answer, sizeof(answer));
  while (count)
    close(kept[--count]);
  close(fd);
  server_log_configure(SERVER_LOG_LOGFMT, TT_LEVEL_INFO);
  fixture_stop(&f);
}

/* A client that reads nothing of a long answer is let go. */
static void test_reads_nothing(void **state) {
  (void)state;
  fixture f;
  http_usage usage;
  start(&f, (http_options){.body_timeout_ms = 50});
  int fd = client_open(&f);
  client_text(fd, "GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
  do
    http_server_usage(f.server, &usage);
  while (usage.connections == 0);
  do
    http_server_usage(f.server, &usage);
  while (usage.connections);
  close(fd);
  fixture_stop(&f);
}

static unsigned expired;
static http_wheel wheel;

static void on_expired(http_wheel_item *item) {
  (void)item;
  expired++;
}

/* Deadlines come up at their tick, not before, also beyond one turn. */
static void test_wheel(void **state) {
  (void)state;
  http_wheel_item soon = {0}, late = {0}, moved = {0}, gone = {0};
  expired = 0;
  http_wheel_init(&wheel, 10, 1000);
  http_wheel_set(&wheel, &soon, 1025);
  http_wheel_set(&wheel, &late, 1000 + 10 * HTTP_WHEEL_SLOTS * 3);
  http_wheel_set(&wheel, &moved, 1030);
  http_wheel_set(&wheel, &moved, 1200);
  http_wheel_set(&wheel, &gone, 1030);
  http_wheel_remove(&gone);
  http_wheel_turn(&wheel, 1024, on_expired);
  assert_int_equal(expired, 0);
  http_wheel_turn(&wheel, 1040, on_expired);
  assert_int_equal(expired, 1);
  http_wheel_set(&wheel, &moved, 1100); /* forward again */
  http_wheel_turn(&wheel, 1099, on_expired);
  assert_int_equal(expired, 1);
  http_wheel_turn(&wheel, 1120, on_expired);
  assert_int_equal(expired, 2);
  http_wheel_turn(&wheel, 1000 + 10 * HTTP_WHEEL_SLOTS * 3 - 1, on_expired);
  assert_int_equal(expired, 2);
  http_wheel_turn(&wheel, 1020 + 10 * HTTP_WHEEL_SLOTS * 3, on_expired);
  assert_int_equal(expired, 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_slow_head),
      cmocka_unit_test(test_slow_body),
      cmocka_unit_test(test_idle),
      cmocka_unit_test(test_too_many_connections),
      cmocka_unit_test(test_out_of_descriptors),
      cmocka_unit_test(test_reads_nothing),
      cmocka_unit_test(test_unread_answers_are_counted),
      cmocka_unit_test(test_unix_socket),
      cmocka_unit_test(test_wheel),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
