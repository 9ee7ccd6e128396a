#include "server/http/testing.h"

/* Pipelining: what is in progress together, and the order of answers. The
 * handlers keep their requests until the test lets them be answered. */

typedef struct waiting {
  loop_task task;
  http_request *held[100];
  unsigned count;
  unsigned from, step;
  sem_t arrived, answered;
} waiting;

static waiting w;

static void hold(http_request *r, void *context) {
  (void)context;
  w.held[w.count++] = r;
  sem_post(&w.arrived);
}

static void at_once(http_request *r, void *context) {
  (void)context;
  http_reply(r, 200, "text/plain", "now.", 4);
}

static const http_route routes[] = {
    {HTTP_POST_, "/hold", "hold", hold, NULL, 100000, true, .scope = 0},
    {HTTP_GET_, "/alone", "alone", hold, NULL, 0, false, .scope = 0},
    {HTTP_GET_, "/now", "now", at_once, NULL, 0, false, .scope = 0},
    {HTTP_POST_, "/quick", "quick", at_once, NULL, 100, true, .scope = 0},
};

static const http_options options = {.routes = routes, .route_count = 4};

static fixture server;

static int start(void **state) {
  (void)state;
  memset(&w, 0, sizeof(w));
  sem_init(&w.arrived, 0, 0);
  sem_init(&w.answered, 0, 0);
  fixture_start(&server, &options, 1);
  return 0;
}

static int stop(void **state) {
  (void)state;
  fixture_stop(&server);
  sem_destroy(&w.arrived);
  sem_destroy(&w.answered);
  return 0;
}

static void wait_for(unsigned count) {
  while (count--)
    sem_wait(&w.arrived);
}

/* On the loop: answers every held request, last first. */
static void answer_backwards(loop_task *task) {
  (void)task;
  while (w.count) {
    http_request *r = w.held[--w.count];
    tti_slice body = http_request_body(r);
    http_reply(r, 200, "text/plain", body.ptr, body.len);
  }
  sem_post(&w.answered);
}

static void answer_all(void) {
  w.task.run = answer_backwards;
  loop_post(server.loops[0], &w.task);
  sem_wait(&w.answered);
}

static void nothing(loop_task *task) {
  (void)task;
  sem_post(&w.answered);
}

/* After this the loop has seen what was sent before. */
static void settle(void) {
  for (int i = 0; i < 20; i++) {
    w.task.run = nothing;
    loop_post(server.loops[0], &w.task);
    sem_wait(&w.answered);
  }
}

static void send_hold(int fd, const char *body) {
  char request[256];
  int len = snprintf(request, sizeof(request),
                     "POST /hold HTTP/1.1\r\nHost: a\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     strlen(body), body);
  client_send(fd, request, (size_t)len);
}

static void test_answers_keep_the_order(void **state) {
  (void)state;
  char answer[8192];
  int fd = client_open(&server);
  for (char c = 'a'; c < 'k'; c++)
    send_hold(fd, (char[]){c, c, '.', 0});
  client_text(fd, "POST /quick HTTP/1.1\r\nHost: a\r\n\r\n");
  wait_for(10); /* all in progress together */
  answer_all();
  client_until(fd, "now.", 1, answer, sizeof(answer));
  const char *at = answer;
  for (char c = 'a'; c < 'k'; c++) {
    at = strstr(at, (char[]){c, c, '.', 0});
    assert_non_null(at);
  }
  close(fd);
}

/* A request that does not overlap waits for those before it, and those after
 * wait for it. */
static void test_alone_is_alone(void **state) {
  (void)state;
  char answer[8192];
  int fd = client_open(&server);
  send_hold(fd, "one");
  client_text(fd, "GET /alone HTTP/1.1\r\nHost: a\r\n\r\n");
  send_hold(fd, "two");
  wait_for(1);
  settle();
  assert_int_equal(w.count, 1);
  answer_all();
  wait_for(1);
  settle();
  assert_int_equal(w.count, 1);
  assert_string_equal(http_request_route(w.held[0])->name, "alone");
  answer_all();
  wait_for(1);
  assert_string_equal(http_request_route(w.held[0])->name, "hold");
  answer_all();
  client_until(fd, "two", 1, answer, sizeof(answer));
  close(fd);
}

static void test_at_most_64(void **state) {
  (void)state;
  static char answer[32768];
  int fd = client_open(&server);
  for (int i = 0; i < 90; i++)
    send_hold(fd, "x=");
  wait_for(64);
  settle();
  assert_int_equal(w.count, 64);
  answer_all();
  wait_for(26);
  answer_all();
  client_until(fd, "x=", 90, answer, sizeof(answer));
  close(fd);
}

/* Twelve bodies of 99,000 bytes are more than 1 MiB. */
static void test_at_most_a_mebibyte(void **state) {
  (void)state;
  enum { BODY = 99000 };
  char *request = malloc(BODY + 200), *answer = malloc(12 * (BODY + 300));
  int head = snprintf(request, 200,
                      "POST /hold HTTP/1.1\r\nHost: a\r\n"
                      "Content-Length: %d\r\n\r\n",
                      BODY);
  memset(request + head, 'b', BODY);
  request[head] = '@';
  int fd = client_open(&server);
  for (int i = 0; i < 11; i++)
    client_send(fd, request, (size_t)head + BODY);
  wait_for(11);
  client_send(fd, request, (size_t)head + BODY);
  settle();
  assert_int_equal(w.count, 11);
  answer_all();
  wait_for(1);
  answer_all();
  client_until(fd, "@", 12, answer, 12 * (BODY + 300));
  close(fd);
  free(request);
  free(answer);
}

/* The client is gone: its requests go on, and answering them is harmless. */
static void test_client_leaves(void **state) {
  (void)state;
  http_usage usage;
  int fd = client_open(&server);
  send_hold(fd, "one");
  send_hold(fd, "two");
  wait_for(2);
  struct linger reset = {.l_onoff = 1};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  close(fd);
  do
    http_server_usage(server.server, &usage);
  while (usage.connections);
  assert_true(tti_slice_eq(http_request_body(w.held[1]), TTI_SLICE("two")));
  answer_all();
  settle();
}

/* A client that has said all still gets its answers. */
static void test_half_closed_client(void **state) {
  (void)state;
  char answer[2048];
  int fd = client_open(&server);
  send_hold(fd, "one");
  client_text(fd, "GET /now HTTP/1.1\r\nHost: a\r\n\r\nGET /no");
  shutdown(fd, SHUT_WR);
  wait_for(1);
  settle();
  answer_all();
  client_rest(fd, answer, sizeof(answer));
  assert_non_null(strstr(answer, "one"));
  assert_non_null(strstr(answer, "now."));
  close(fd);
}

/* Draining: what is in progress is answered, then the connection ends. */
static void test_drain_waits_for_answers(void **state) {
  (void)state;
  char answer[2048];
  int fd = client_open(&server);
  send_hold(fd, "one");
  wait_for(1);
  http_server_close(server.server, fixture_drained, &server);
  settle();
  assert_int_equal(sem_trywait(&server.drained), -1);
  answer_all();
  client_rest(fd, answer, sizeof(answer));
  assert_non_null(strstr(answer, "Connection: close"));
  assert_non_null(strstr(answer, "one"));
  sem_wait(&server.drained);
  close(fd);
}

/* A broken request behind good ones: they are answered first. */
static void test_error_keeps_its_place(void **state) {
  (void)state;
  char answer[2048];
  int fd = client_open(&server);
  send_hold(fd, "one");
  client_text(fd, "BAD\r\n\r\n");
  wait_for(1);
  settle();
  answer_all();
  client_rest(fd, answer, sizeof(answer));
  assert_memory_equal(answer, "HTTP/1.1 200", 12);
  assert_non_null(strstr(answer, "oneHTTP/1.1 "));
  close(fd);
}

/* Aborting does not wait for handlers; their late answers do no harm. */
static void test_abort_with_requests_in_progress(void **state) {
  (void)state;
  char answer[64];
  int fd = client_open(&server);
  send_hold(fd, "one");
  wait_for(1);
  http_server_abort(server.server);
  assert_int_equal(client_rest(fd, answer, sizeof(answer)), 0);
  close(fd);
}

/* A client that never reads its answers stops being read. */
static void test_answers_nobody_reads(void **state) {
  (void)state;
  char block[36 * 100];
  int fd = client_open(&server);
  int small = 4096;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
  for (size_t i = 0; i < 100; i++)
    memcpy(block + i * 36, "GET /now HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n", 36);
  size_t sent = 0;
  for (;;) {
    ssize_t got = send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (got < 0 && poll(&ready, 1, 200) == 0)
      break;
    sent += got > 0 ? (size_t)got : 0;
    assert_true(sent < (size_t)200 << 20);
  }
  close(fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_answers_keep_the_order, start, stop),
      cmocka_unit_test_setup_teardown(test_alone_is_alone, start, stop),
      cmocka_unit_test_setup_teardown(test_at_most_64, start, stop),
      cmocka_unit_test_setup_teardown(test_at_most_a_mebibyte, start, stop),
      cmocka_unit_test_setup_teardown(test_client_leaves, start, stop),
      cmocka_unit_test_setup_teardown(test_half_closed_client, start, stop),
      cmocka_unit_test_setup_teardown(test_drain_waits_for_answers, start,
                                      stop),
      cmocka_unit_test_setup_teardown(test_error_keeps_its_place, start, stop),
      cmocka_unit_test_setup_teardown(test_abort_with_requests_in_progress,
                                      start, stop),
      cmocka_unit_test_setup_teardown(test_answers_nobody_reads, start, stop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
