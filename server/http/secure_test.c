#include "server/http/testing.h"
#include "server/io/tls_testing.h"

#include <openssl/err.h>
#include <signal.h>

/* A server with a certificate, and what its clients trust. */
typedef struct secure {
  fixture fixture;
  testing_folder folder;
  tls *tls;
  SSL_CTX *ctx;
} secure;

static void echo(http_request *request, void *context) {
  tti_slice body = http_request_body(request);
  (void)context;
  assert_true(http_request_is_tls(request));
  http_reply(request, 200, "text/plain", body.ptr ? body.ptr : "", body.len);
}

#define LONG_BYTES ((size_t)8 << 20)

static void reply_long(http_request *request, void *context) {
  char *body = malloc(LONG_BYTES);
  (void)context;
  memset(body, 'x', LONG_BYTES);
  http_reply_take(request, 200, "text/plain", body, LONG_BYTES);
}

static const http_route routes[] = {
    {HTTP_POST_, "/echo", "echo", echo, NULL, 1 << 20, .scope = 0},
    {HTTP_GET_, "/long", "long", reply_long, NULL, 0, .scope = 0}};

static void start(secure *s, uint64_t head_timeout_ms, size_t budget) {
  testing_folder_make(&s->folder);
  testing_certificate(&s->folder, "a", NULL, 1);
  s->tls = testing_tls(&s->folder, "a", NULL);
  s->ctx = testing_client(&s->folder, "a", NULL);
  http_options options = {.routes = routes,
                          .route_count = 2,
                          .head_timeout_ms = head_timeout_ms,
                          .body_timeout_ms = 300,
                          .budget_bytes = budget,
                          .tls = s->tls};
  fixture_start(&s->fixture, &options, 1);
}

static void stop(secure *s) {
  fixture_stop(&s->fixture);
  SSL_CTX_free(s->ctx);
  tls_free(s->tls);
  testing_folder_remove(&s->folder);
}

static SSL *client_tls(secure *s) {
  SSL *ssl = SSL_new(s->ctx);
  SSL_set_fd(ssl, client_open(&s->fixture));
  assert_int_equal(SSL_connect(ssl), 1);
  return ssl;
}

static void client_leave(SSL *ssl) {
  close(SSL_get_fd(ssl));
  SSL_free(ssl);
  ERR_clear_error();
}

static http_usage usage_of(const secure *s) {
  http_usage usage;
  http_server_usage(s->fixture.server, &usage);
  return usage;
}

/* Until the server holds so much; it counts on its own thread. */
static void wait_held(const secure *s, size_t least, size_t most) {
  size_t held;
  for (int i = 0; (held = usage_of(s).body_bytes) < least || held > most; i++) {
    if (i == 5000)
      fail_msg("%zu bytes are held", held);
    poll(NULL, 0, 2);
  }
}

static void test_bodies_come_and_go_whole(void **state) {
  static char body[300000], request[300100], answer[300200];
  secure s;
  (void)state;
  start(&s, 0, 0);
  SSL *ssl = client_tls(&s);
  for (size_t i = 0; i < sizeof(body); i++)
    body[i] = (char)('a' + i % 23);
  size_t len = (size_t)snprintf(request, sizeof(request),
                                "POST /echo HTTP/1.1\r\nHost: localhost\r\n"
                                "Content-Length: %zu\r\n\r\n",
                                sizeof(body));
  memcpy(request + len, body, sizeof(body));
  len += sizeof(body);
  assert_int_equal(SSL_write(ssl, request, (int)len), len);
  size_t have = 0;
  const char *start_of_body = NULL;
  while (!start_of_body ||
         have < (size_t)(start_of_body - answer) + sizeof(body)) {
    int got = SSL_read(ssl, answer + have, (int)(sizeof(answer) - 1 - have));
    assert_true(got > 0);
    have += (size_t)got;
    answer[have] = '\0';
    start_of_body = strstr(answer, "\r\n\r\n");
    start_of_body = start_of_body ? start_of_body + 4 : NULL;
  }
  assert_memory_equal(start_of_body, body, sizeof(body));
  wait_held(&s, 0, 0);
  client_leave(ssl);
  assert_int_equal(usage_of(&s).tls_opened, 1);
  stop(&s);
}

static void test_handshakes_end_in_time(void **state) {
  static const struct {
    const char *bytes;
    size_t len;
  } cases[] = {{"", 0}, {"\x16\x03\x01\x02\x00\x01\x00", 7}};
  char rest[100];
  secure s;
  (void)state;
  start(&s, 100, 0);
  for (size_t i = 0; i < 2; i++) {
    int fd = client_open(&s.fixture);
    client_send(fd, cases[i].bytes, cases[i].len);
    assert_int_equal(client_rest(fd, rest, sizeof(rest)), 0);
    close(fd);
    assert_int_equal(usage_of(&s).tls_failed[HTTP_TLS_TIMEOUT], i + 1);
  }
  wait_held(&s, 0, 0);
  stop(&s);
}

static void test_plain_http_is_answered(void **state) {
  char answer[2000];
  secure s;
  (void)state;
  start(&s, 0, 0);
  const char *request = "GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n";
  client_exchange(&s.fixture, request, strlen(request), answer, sizeof(answer));
  assert_non_null(strstr(answer, "HTTP/1.1 400 "));
  assert_non_null(strstr(answer, "tls_required"));
  assert_int_equal(usage_of(&s).tls_failed[HTTP_TLS_PLAIN], 1);
  stop(&s);
}

/* Both the part of a record and what was encrypted for one who does not read
 * count; the first is let go when the record is whole, the second when the
 * connection is closed for it. */
static void test_what_is_held_counts(void **state) {
  secure s;
  (void)state;
  start(&s, 0, 0);
  SSL *ssl = client_tls(&s);
  wait_held(&s, 0, 0);
  client_send(SSL_get_fd(ssl), "\x17\x03\x03\x40\x00half", 9);
  wait_held(&s, TLS_RECORD, 2 * TLS_RECORD);
  client_leave(ssl);
  wait_held(&s, 0, 0);

  ssl = client_tls(&s);
  const char *request = "GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n";
  SSL_write(ssl, request, (int)strlen(request));
  wait_held(&s, LONG_BYTES, LONG_BYTES + 4 * TLS_RECORD);
  wait_held(&s, 0, 0); /* the body's time without progress is over */
  client_leave(ssl);
  stop(&s);
}

static void test_no_room_for_another_handshake(void **state) {
  char rest[100];
  secure s;
  (void)state;
  start(&s, 0, 50000);
  int first = client_open(&s.fixture), second = client_open(&s.fixture);
  client_send(first, "\x16\x03\x01\x02\x00\x01\x00", 7);
  wait_held(&s, 1, 50000);
  client_send(second, "\x16\x03\x01\x02\x00\x01\x00", 7);
  assert_int_equal(client_rest(second, rest, sizeof(rest)), 0);
  assert_int_equal(usage_of(&s).tls_failed[HTTP_TLS_OVERLOADED], 1);
  close(first);
  close(second);
  wait_held(&s, 0, 0);
  SSL *ssl = client_tls(&s);
  client_leave(ssl);
  stop(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bodies_come_and_go_whole),
      cmocka_unit_test(test_handshakes_end_in_time),
      cmocka_unit_test(test_plain_http_is_answered),
      cmocka_unit_test(test_what_is_held_counts),
      cmocka_unit_test(test_no_room_for_another_handshake),
  };
  signal(SIGPIPE, SIG_IGN);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
