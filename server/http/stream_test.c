#include "server/http/testing.h"

/* Endless answers: chunks shared and counted, slow readers, ends. */

typedef struct watched {
  loop_task task;
  http_stream *stream;
  unsigned writable, closed;
  sem_t opened, step, gone;
  http_chunk chunk;
  size_t freed;
  char *data;
} watched;

static watched w;

static void on_writable(http_stream *stream, void *context) {
  watched *at = context;
  assert_int_equal(http_stream_pending(stream), 0);
  at->writable++;
  sem_post(&at->step);
}

static void on_closed(http_stream *stream, void *context) {
  watched *at = context;
  (void)stream;
  at->closed++;
  at->stream = NULL;
  sem_post(&at->gone);
}

static const http_stream_events events = {on_writable, on_closed};

static void open_stream(http_request *r, void *context) {
  (void)context;
  http_reply_header(r, "Cache-Control", "no-cache");
  w.stream = http_stream_open(r, 200, "text/event-stream", &events, &w);
  sem_post(&w.opened);
}

/* Writes and ends before it returns. */
static void short_stream(http_request *r, void *context) {
  (void)context;
  http_stream *s = http_stream_open(r, 200, "text/plain", &events, &w);
  if (!s)
    return;
  http_stream_write_copy(s, "hello ", 6);
  http_stream_write_copy(s, "", 0);
  http_stream_write_copy(s, "world", 5);
  http_stream_end(s);
}

static const http_route routes[] = {
    {HTTP_GET_, "/stream", "stream", open_stream, NULL, 0, false, .scope = 0},
    {HTTP_GET_, "/short", "short", short_stream, NULL, 0, false, .scope = 0},
};

static fixture server;

static void free_shared(http_chunk *chunk) {
  (void)chunk;
  w.freed++;
}

static void start_with(http_options options) {
  memset(&w, 0, sizeof(w));
  sem_init(&w.opened, 0, 0);
  sem_init(&w.step, 0, 0);
  sem_init(&w.gone, 0, 0);
  w.data = malloc(1 << 20);
  memset(w.data, 'd', 1 << 20);
  w.chunk = (http_chunk){0, 1 << 20, free_shared, w.data};
  options.routes = routes;
  options.route_count = 2;
  fixture_start(&server, &options, 1);
}

static int start(void **state) {
  (void)state;
  start_with((http_options){.stall_timeout_ms = 0});
  return 0;
}

static int start_hasty(void **state) {
  (void)state;
  start_with((http_options){.stall_timeout_ms = 50});
  return 0;
}

static int start_small(void **state) {
  (void)state;
  start_with((http_options){.budget_bytes = 1 << 20});
  return 0;
}

static int stop(void **state) {
  (void)state;
  fixture_stop(&server);
  sem_destroy(&w.opened);
  sem_destroy(&w.step);
  sem_destroy(&w.gone);
  free(w.data);
  return 0;
}

static void on_loop(void (*run)(loop_task *task)) {
  w.task.run = run;
  loop_post(server.loops[0], &w.task);
  sem_wait(&w.step);
}

static int open_client(void) {
  int fd = client_open(&server);
  client_text(fd, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  sem_wait(&w.opened);
  return fd;
}

static void write_twice(loop_task *task) {
  (void)task;
  http_chunk *two[] = {&w.chunk, &w.chunk};
  w.chunk.len = 5;
  w.chunk.refs += 2;
  http_stream_write(w.stream, two, 2);
  assert_int_equal(http_stream_pending(w.stream), 0);
  sem_post(&w.step);
}

static void end_stream(loop_task *task) {
  (void)task;
  http_stream_end(w.stream);
  http_stream_write_copy(w.stream, "too late", 8);
  sem_post(&w.step);
}

static void test_shared_chunks(void **state) {
  (void)state;
  char answer[2048];
  int fd = open_client();
  on_loop(write_twice);
  client_until(fd, "ddddd\r\n", 1, answer, sizeof(answer));
  assert_non_null(strstr(answer, "Transfer-Encoding: chunked\r\n\r\n"
                                 "a\r\ndddddddddd\r\n"));
  assert_non_null(strstr(answer, "Cache-Control: no-cache\r\n"));
  assert_int_equal(w.freed, 1);
  on_loop(end_stream);
  client_until(fd, "0\r\n\r\n", 1, answer, sizeof(answer));
  sem_wait(&w.gone);
  assert_int_equal(w.writable, 0);
  /* The connection goes on. */
  client_text(fd, "GET /short HTTP/1.1\r\nHost: a\r\n\r\n");
  client_until(fd, "0\r\n\r\n", 1, answer, sizeof(answer));
  assert_non_null(strstr(answer, "\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0"));
  close(fd);
  sem_wait(&w.gone);
  assert_int_equal(w.closed, 2);
}

static void test_old_clients_and_head(void **state) {
  (void)state;
  char answer[2048];
  int fd = client_open(&server);
  client_text(fd, "HEAD /short HTTP/1.1\r\nHost: a\r\n\r\n"
                  "GET /short HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  client_rest(fd, answer, sizeof(answer));
  const char *second = strstr(answer, "\r\n\r\nHTTP/1.1 200 OK");
  assert_non_null(second);
  assert_null(strstr(second, "chunked"));
  assert_non_null(strstr(second, "Connection: close\r\n\r\nhello world"));
  sem_wait(&w.gone);
  close(fd);
}

static void write_much(loop_task *task) {
  (void)task;
  http_chunk *one = &w.chunk;
  w.chunk.len = 1 << 20;
  w.chunk.refs++; /* ours, so that it is not freed under way */
  for (int i = 0; i < 16; i++) {
    w.chunk.refs++;
    http_stream_write(w.stream, &one, 1);
  }
  assert_true(http_stream_pending(w.stream) > 1 << 20);
  sem_post(&w.step);
}

/* The reader that never reads costs the loop nothing; when it goes, every
 * reference is given back. */
static void test_reader_that_never_reads(void **state) {
  (void)state;
  char answer[2048];
  int fd = open_client();
  on_loop(write_much);
  int other = client_open(&server);
  client_text(other, "GET /short HTTP/1.1\r\nHost: a\r\n\r\n");
  client_until(other, "0\r\n\r\n", 1, answer, sizeof(answer));
  close(other);
  sem_wait(&w.gone);
  close(fd);
  sem_wait(&w.gone);
  assert_int_equal(w.chunk.refs, 1);
  assert_int_equal(w.freed, 0);
}

static void expect_cut_off(uint64_t stalled, uint64_t crowded) {
  http_usage usage;
  int fd = open_client();
  on_loop(write_much);
  sem_wait(&w.gone);
  http_server_usage(server.server, &usage);
  assert_int_equal(usage.stalled, stalled);
  assert_int_equal(usage.crowded, crowded);
  assert_int_equal(usage.stream_bytes, 0);
  assert_int_equal(w.chunk.refs, 1);
  close(fd);
}

/* A reader that takes nothing is sent away after a while. */
static void test_reader_that_stalls(void **state) {
  (void)state;
  expect_cut_off(1, 0);
}

/* … and at once, where what waits for such readers has no more room. */
static void test_no_room_for_what_waits(void **state) {
  (void)state;
  expect_cut_off(0, 1);
}

/* The slow reader gets every byte, and its stream is told to go on. */
static void test_slow_reader(void **state) {
  (void)state;
  int fd = open_client();
  on_loop(write_much);
  char *piece = malloc(100000);
  size_t letters = 0;
  while (letters < (size_t)16 << 20) {
    ssize_t got = recv(fd, piece, 100000, 0);
    assert_true(got > 0);
    for (ssize_t i = 0; i < got; i++)
      letters += piece[i] == 'd';
  }
  free(piece);
  sem_wait(&w.step);
  assert_int_equal(w.writable, 1);
  on_loop(end_stream);
  sem_wait(&w.gone);
  close(fd);
  assert_int_equal(w.closed, 1);
}

static void test_abort_closes_streams(void **state) {
  (void)state;
  char answer[1024];
  http_usage usage;
  int fd = open_client();
  http_server_usage(server.server, &usage);
  assert_int_equal(usage.streams, 1);
  http_server_close(server.server, fixture_drained, &server);
  client_until(fd, "\r\n\r\n", 1, answer, sizeof(answer));
  assert_int_equal(w.closed, 0);
  http_server_abort(server.server);
  sem_wait(&w.gone);
  client_rest(fd, answer, sizeof(answer));
  close(fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_shared_chunks, start, stop),
      cmocka_unit_test_setup_teardown(test_old_clients_and_head, start, stop),
      cmocka_unit_test_setup_teardown(test_reader_that_never_reads, start,
                                      stop),
      cmocka_unit_test_setup_teardown(test_reader_that_stalls, start_hasty,
                                      stop),
      cmocka_unit_test_setup_teardown(test_no_room_for_what_waits, start_small,
                                      stop),
      cmocka_unit_test_setup_teardown(test_slow_reader, start, stop),
      cmocka_unit_test_setup_teardown(test_abort_closes_streams, start, stop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
