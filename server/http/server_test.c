#include "server/http/testing.h"

/* Routes that show what the server does with a request. */

static void echo(http_request *r, void *context) {
  (void)context;
  tti_slice body = http_request_body(r);
  http_reply(r, 200, "text/plain", body.ptr, body.len);
}

static void hello(http_request *r, void *context) {
  http_reply(r, 200, "text/plain", context, strlen(context));
}

static void param(http_request *r, void *context) {
  (void)context;
  tti_slice id = http_request_param(r, "id");
  char *copy = malloc(id.len + 1);
  memcpy(copy, id.ptr, id.len);
  http_reply_header(r, "X-Bad", "a\r\nSet-Cookie: b");
  http_reply_header(r, "X-Good", "yes");
  http_reply_take(r, 201, "text/plain", copy, id.len);
}

static void query(http_request *r, void *context) {
  (void)context;
  tti_slice value;
  if (http_query_get(r, "q", &value))
    http_reply(r, 200, "text/plain", value.ptr, value.len);
  else
    http_reply_error(r, 400, "no_q", "q is missing in \"%s\"", "\xff");
}

static char hello_text[] = "hello", gone_text[] = "gone";

static const http_route routes[] = {
    {HTTP_POST_ | HTTP_PUT_, "/echo", "echo", echo, NULL, 100000, true,
     .scope = 0},
    {HTTP_GET_, "/", "root", hello, hello_text, 0, false, .scope = 0},
    {HTTP_GET_, "/items/{id}", "item", param, NULL, 0, false, .scope = 0},
    {HTTP_DELETE_, "/items/{id}", "item", hello, gone_text, 0, false,
     .scope = 0},
    {HTTP_GET_, "/query", "query", query, NULL, 0, false, .scope = 0},
};

static const http_options options = {
    .routes = routes, .route_count = sizeof(routes) / sizeof(routes[0])};

static fixture server;

static int start(void **state) {
  (void)state;
  fixture_start(&server, &options, 2);
  return 0;
}

static int stop(void **state) {
  (void)state;
  fixture_stop(&server);
  return 0;
}

static void expect(const char *request, const char *status, const char *part) {
  char answer[8192];
  client_exchange(&server, request, strlen(request), answer, sizeof(answer));
  char line[64];
  snprintf(line, sizeof(line), "HTTP/1.1 %s", status);
  if (strncmp(answer, line, strlen(line)) != 0 || !strstr(answer, part))
    fail_msg("request:\n%s\nanswer:\n%s\nwanted: %s … %s", request, answer,
             status, part);
}

static void test_simple_answers(void **state) {
  (void)state;
  expect("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK\r\nDate: ",
         "GMT\r\nX-Content-Type-Options: nosniff\r\nContent-Type: "
         "text/plain\r\nContent-Length: 5\r\n\r\nhello");
  expect("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
         "200 OK", "\r\n\r\nabc");
  expect("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: r\r\n\r\n",
         "200 OK", "\r\n\r\nabc0123456789");
  expect("GET /items/a%2Fb%20c HTTP/1.1\r\nHost: a\r\n\r\n", "201 Created",
         "X-Good: yes\r\nContent-Length: 5\r\n\r\na/b c");
  expect("GET /query?a=1&q=x+%26%zz HTTP/1.1\r\nHost: a\r\n\r\n", "200",
         "\r\n\r\nx &%zz");
  expect("GET /query HTTP/1.1\r\nHost: a\r\n\r\n", "400 Bad Request",
         "{\"code\":\"no_q\",\"message\":\"q is missing in "
         "\\\"\xef\xbf\xbd\\\"\"}");
  expect("GET http://a/query?q=1 HTTP/1.1\r\nHost: a\r\n\r\n", "200", "\n1");
}

static void test_header_injection_is_refused(void **state) {
  (void)state;
  char answer[2048];
  const char *get = "GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n";
  client_exchange(&server, get, strlen(get), answer, sizeof(answer));
  assert_null(strstr(answer, "Set-Cookie"));
}

static void test_no_route(void **state) {
  (void)state;
  expect("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", "404 Not Found",
         "there is nothing at /nothing");
  expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
         "405 Method Not Allowed", "Allow: GET, HEAD, OPTIONS\r\n");
  expect("PROPFIND /items/1 HTTP/1.1\r\nHost: a\r\n\r\n", "405",
         "Allow: GET, HEAD, DELETE, OPTIONS\r\n");
  expect("OPTIONS /echo HTTP/1.1\r\nHost: a\r\n\r\n", "204 No Content",
         "Allow: POST, PUT, OPTIONS\r\n");
  expect("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "204", "Allow: OPTIONS");
  expect("OPTIONS /nothing HTTP/1.1\r\nHost: a\r\n\r\n", "404", "nothing");
  expect("DELETE /items/ HTTP/1.1\r\nHost: a\r\n\r\n", "404", "nothing");
}

static void test_head_has_no_body(void **state) {
  (void)state;
  char answer[4096];
  const char *two = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
                    "HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n"
                    "HEAD /items/7 HTTP/1.1\r\nHost: a\r\n\r\n"
                    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  client_exchange(&server, two, strlen(two), answer, sizeof(answer));
  assert_null(strstr(answer, "there is"));
  assert_non_null(strstr(answer, "Content-Length: 5\r\n\r\nHTTP/1.1 404"));
  assert_non_null(strstr(answer, "Content-Length: 1\r\n\r\nHTTP/1.1 200"));
  assert_string_equal(answer + strlen(answer) - 9, "\r\n\r\nhello");
}

static void test_keep_alive(void **state) {
  (void)state;
  char answer[4096];
  int fd = client_open(&server);
  for (int i = 0; i < 3; i++) {
    client_text(fd, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client_until(fd, "hello", 1, answer, sizeof(answer));
    assert_null(strstr(answer, "Connection:"));
  }
  client_text(fd, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  client_until(fd, "hello", 1, answer, sizeof(answer));
  assert_non_null(strstr(answer, "Connection: keep-alive"));
  client_text(fd, "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n");
  client_rest(fd, answer, sizeof(answer));
  assert_non_null(strstr(answer, "Connection: close"));
  close(fd);
  fd = client_open(&server);
  client_text(fd, "GET / HTTP/1.0\r\n\r\n");
  client_rest(fd, answer, sizeof(answer));
  assert_non_null(strstr(answer, "Connection: close"));
  close(fd);
}

/* However the bytes are cut, the answers are the same. */
static void test_every_split(void **state) {
  (void)state;
  const char *request =
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd"
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "2\r\nef\r\n0\r\n\r\n"
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  size_t len = strlen(request);
  char answer[4096];
  for (size_t cut = 1; cut < len; cut++) {
    int fd = client_open(&server);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof(on));
    client_send(fd, request, cut);
    sched_yield();
    client_send(fd, request + cut, len - cut);
    client_rest(fd, answer, sizeof(answer));
    close(fd);
    const char *first = strstr(answer, "\r\n\r\nabcdHTTP/1.1 200");
    assert_non_null(first);
    assert_non_null(strstr(first, "\r\n\r\nefHTTP/1.1 200"));
    assert_non_null(strstr(first, "hello"));
  }
}

static void test_big_body_comes_back(void **state) {
  (void)state;
  enum { SIZE = 99999 };
  char *all = malloc(SIZE + 4096), *answer = malloc(SIZE + 4096);
  for (int chunked = 0; chunked < 2; chunked++) {
    int head = snprintf(all, 4096, "POST /echo HTTP/1.1\r\nHost: a\r\n%s\r\n",
                        chunked ? "Transfer-Encoding: chunked\r\n\r\n1869f"
                                : "Content-Length: 99999\r\n");
    for (int i = 0; i < SIZE; i++)
      all[head + i] = (char)('a' + i % 23);
    memcpy(all + head + SIZE, "\r\n0\r\n\r\n", 7);
    size_t got =
        client_exchange(&server, all, (size_t)head + SIZE + (chunked ? 7 : 0),
                        answer, SIZE + 4096);
    assert_true(got > SIZE);
    assert_memory_equal(answer + got - SIZE, all + head, SIZE);
  }
  free(all);
  free(answer);
}

static void test_drain_ends_idle_connections(void **state) {
  (void)state;
  fixture f;
  char answer[64];
  fixture_start(&f, &options, 2);
  int fd = client_open(&f);
  client_text(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  client_until(fd, "hello", 1, (char[512]){0}, 512);
  http_server_close(f.server, fixture_drained, &f);
  assert_int_equal(client_rest(fd, answer, sizeof(answer)), 0);
  sem_wait(&f.drained);
  close(fd);
  for (size_t i = 0; i < 2; i++)
    loop_stop(f.loops[i]);
  http_server_free(f.server);
  for (size_t i = 0; i < 2; i++)
    loop_free(f.loops[i]);
}

static void test_port_in_use(void **state) {
  (void)state;
  http_server *second;
  tti_buf why;
  tti_buf_init(&why, 1000);
  assert_int_equal(http_server_new(&options, server.loops, 2, "127.0.0.1",
                                   http_server_port(server.server), &why,
                                   &second),
                   TT_EBUSY);
  assert_non_null(memmem(why.data, why.len, "127.0.0.1 port", 14));
  assert_int_equal(
      http_server_new(&options, server.loops, 2, "nowhere", 0, NULL, &second),
      TT_EINVAL);
  tti_buf_fini(&why);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_simple_answers),
      cmocka_unit_test(test_header_injection_is_refused),
      cmocka_unit_test(test_no_route),
      cmocka_unit_test(test_head_has_no_body),
      cmocka_unit_test(test_keep_alive),
      cmocka_unit_test(test_every_split),
      cmocka_unit_test(test_big_body_comes_back),
      cmocka_unit_test(test_drain_ends_idle_connections),
      cmocka_unit_test(test_port_in_use),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
