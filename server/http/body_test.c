#include "server/http/testing.h"

#include <zlib.h>
#include <zstd.h>

/* Bodies: what is read, what is refused before it is read, what is decoded. */

static void count(http_request *r, void *context) {
  (void)context;
  tti_slice body = http_request_body(r);
  unsigned long sum = crc32(0, (const Bytef *)body.ptr, (uInt)body.len);
  char text[64];
  int len = snprintf(text, sizeof(text), "%zu bytes %08lx.", body.len,
                     body.len ? sum : 0);
  http_reply(r, 200, "text/plain", text, (size_t)len);
}

static void weigh(http_request *r, void *context);

static const http_route routes[] = {
    {HTTP_POST_, "/small", "small", count, NULL, 1000, true, .scope = 0},
    {HTTP_POST_, "/big", "big", count, NULL, 8u << 20, true, .scope = 0},
    {HTTP_POST_, "/closed", "closed", count, NULL, 1000, true, .scope = 1},
    {HTTP_POST_, "/weigh", "weigh", weigh, NULL, 8u << 20, true, .scope = 0},
    {HTTP_GET_, "/none", "none", count, NULL, 0, false, .scope = 0},
};

static bool gate(http_request *r, const http_route *route, void *context) {
  (void)context;
  if (route->scope == 0)
    return true;
  http_reply_error(r, 401, "unauthorized", "not you");
  return false;
}

static const http_options options = {.routes = routes,
                                     .route_count = 5,
                                     .gate = gate,
                                     .budget_bytes = 20u << 20};

static fixture server;

/* Whether all of the body that a handler has counts against the budget. */
static void weigh(http_request *r, void *context) {
  (void)context;
  http_usage usage;
  http_server_usage(server.server, &usage);
  const char *text =
      usage.body_bytes >= http_request_body(r).len ? "counted" : "too little";
  http_reply(r, 200, "text/plain", text, strlen(text));
}

static int start(void **state) {
  (void)state;
  fixture_start(&server, &options, 1);
  return 0;
}

static int stop(void **state) {
  (void)state;
  fixture_stop(&server);
  return 0;
}

static size_t gzip(const void *bytes, size_t len, char *out, size_t room) {
  z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)len};
  assert_int_equal(
      deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  z.next_out = (Bytef *)out;
  z.avail_out = (uInt)room;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  deflateEnd(&z);
  return z.total_out;
}

/* One POST; the answer must start with `status` and hold `part`. */
static void post(const char *path, const char *headers, const void *body,
                 size_t len, const char *status, const char *part) {
  char *request = malloc(len + 1000), answer[4096], line[32];
  int head = snprintf(request, 1000,
                      "POST %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                      "Content-Length: %zu\r\n%s\r\n",
                      path, len, headers);
  memcpy(request + head, body, len);
  client_exchange(&server, request, (size_t)head + len, answer, sizeof(answer));
  snprintf(line, sizeof(line), "HTTP/1.1 %s", status);
  if (strncmp(answer, line, strlen(line)) != 0 || !strstr(answer, part))
    fail_msg("wanted %s … %s, got:\n%s", status, part, answer);
  free(request);
}

#define GZIP "Content-Encoding: gzip\r\n"

static void test_gzip(void **state) {
  (void)state;
  char packed[400], text[1001], want[64];
  memset(text, 'x', sizeof(text));
  size_t len = gzip(text, 1000, packed, sizeof(packed));
  snprintf(want, sizeof(want), "1000 bytes %08lx.",
           crc32(0, (Bytef *)text, 1000));
  post("/small", GZIP, packed, len, "200", want);
  post("/small", "Content-Encoding: X-GZIP\r\n", packed, len, "200", want);
  post("/small", "Content-Encoding: identity\r\n", "abc", 3, "200", "3 bytes");
  post("/small", GZIP, packed, len - 1, "400", "ends too early");
  post("/small", GZIP, packed, 5, "400", "ends too early");
  post("/small", GZIP, "hello world", 11, "400", "not valid gzip");
  memcpy(packed + len, "\0\0", 2);
  post("/small", GZIP, packed, len + 2, "400", "bytes follow the end");
  packed[len - 6] ^= 1; /* its checksum */
  post("/small", GZIP, packed, len, "400", "not valid gzip");
  len = gzip(text, 1001, packed, sizeof(packed));
  post("/small", GZIP, packed, len, "413", "takes 1000 decoded bytes");
  len = gzip("", 0, packed, sizeof(packed));
  post("/small", GZIP, packed, len, "200", "0 bytes");
  len = gzip("abc", 3, packed, sizeof(packed));
  len += gzip("def", 3, packed + len, sizeof(packed) - len);
  snprintf(want, sizeof(want), "6 bytes %08lx.",
           crc32(0, (const Bytef *)"abcdef", 6));
  post("/small", GZIP, packed, len, "200", want);
  post("/small", "Content-Encoding: br\r\n", "x", 1, "415",
       "Accept-Encoding: gzip, zstd\r\n");
  post("/small", "Content-Encoding: gzip, gzip\r\n", "x", 1, "415", "gzip");
}

static void test_decoded_bytes_count(void **state) {
  (void)state;
  static const size_t sizes[] = {100, 60000, 65536, 65537, 5000000};
  size_t room = 1 << 20;
  char *packed = malloc(room), *text = calloc(1, 5000000);
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    /* Enough of it that it does not expand too much. */
    for (uint32_t at = 0, x = 1; at < sizes[i]; at += 99)
      text[at] = (char)((x = x * 1664525u + 1013904223u) >> 24);
    post("/weigh", GZIP, packed, gzip(text, sizes[i], packed, room), "200",
         "counted");
  }
  http_usage usage;
  do
    http_server_usage(server.server, &usage);
  while (usage.connections);
  assert_int_equal(usage.body_bytes, 0);
  free(packed);
  free(text);
}

#define ZSTD "Content-Encoding: zstd\r\n"

static size_t zstd(const void *bytes, size_t len, char *out, size_t room) {
  size_t packed = ZSTD_compress(out, room, bytes, len, 3);
  assert_false(ZSTD_isError(packed));
  return packed;
}

static void test_zstd(void **state) {
  (void)state;
  char packed[400], text[1001], want[64];
  memset(text, 'x', sizeof(text));
  size_t len = zstd(text, 1000, packed, sizeof(packed));
  snprintf(want, sizeof(want), "1000 bytes %08lx.",
           crc32(0, (Bytef *)text, 1000));
  post("/small", ZSTD, packed, len, "200", want);
  post("/small", "Content-Encoding: ZStd\r\n", packed, len, "200", want);
  post("/small", ZSTD, packed, len - 1, "400", "ends too early");
  for (size_t cut = 1; cut < len; cut++)
    post("/small", ZSTD, packed, cut, "400", "ends too early (at byte ");
  post("/small", ZSTD, "hello world", 11, "400", "not valid zstd (at byte 0)");
  snprintf(want, sizeof(want),
           "bytes follow the end of the zstd body (at "
           "byte %zu)",
           len);
  memcpy(packed + len, "\0\0", 2);
  post("/small", ZSTD, packed, len + 2, "400", want);
  len = zstd(text, 1001, packed, sizeof(packed));
  post("/small", ZSTD, packed, len, "413", "takes 1000 decoded bytes");
  len = zstd("", 0, packed, sizeof(packed));
  post("/small", ZSTD, packed, len, "200", "0 bytes");
  /* Frames, one of them to be skipped, are one body. */
  len = zstd("abc", 3, packed, sizeof(packed));
  memcpy(packed + len, "\x52\x2a\x4d\x18\x02\0\0\0??", 10);
  len += 10;
  len += zstd("def", 3, packed + len, sizeof(packed) - len);
  snprintf(want, sizeof(want), "6 bytes %08lx.",
           crc32(0, (const Bytef *)"abcdef", 6));
  post("/small", ZSTD, packed, len, "200", want);
  post("/small", "Content-Encoding: zstd, gzip\r\n", packed, len, "415",
       "gzip, zstd and identity");
}

/* A few bytes that ask for 2 GiB get a refusal, not the memory. */
static void test_zstd_window(void **state) {
  (void)state;
  static const char frame[] = "\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00";
  post("/small", ZSTD, frame, sizeof(frame) - 1, "400",
       "window of more than 8 MiB (at byte 0)");
  /* 8 MiB is allowed; its memory is given back. */
  static const char largest[] = "\x28\xb5\x2f\xfd\x00\x68\x01\x00\x00";
  http_usage usage;
  for (int i = 0; i < 5; i++)
    post("/small", ZSTD, largest, sizeof(largest) - 1, "200", "0 bytes");
  do
    http_server_usage(server.server, &usage);
  while (usage.connections);
  assert_int_equal(usage.body_bytes, 0);
}

/* Over 64 KiB the pool decodes; the bytes are the same. */
static void test_big_zstd(void **state) {
  (void)state;
  size_t size = 5u << 20, room = ZSTD_compressBound(6u << 20);
  char *text = malloc(size), *packed = malloc(room), want[64];
  for (uint32_t i = 0, x = 1; i < size; i++) {
    x = x * 1664525u + 1013904223u;
    text[i] = "0123456789abcdef"[x >> 28];
  }
  size_t first = zstd(text, 100000, packed, room);
  /* A frame that wants a larger window after one that wants little. */
  size_t len =
      first + zstd(text + 100000, size - 100000, packed + first, room - first);
  snprintf(want, sizeof(want), "%zu bytes %08lx.", size,
           crc32(0, (Bytef *)text, (uInt)size));
  post("/big", ZSTD, packed, len, "200", want);
  packed[len / 2] ^= 0x55;
  packed[len / 2 + 1] ^= 0x55;
  post("/big", ZSTD, packed, len - 5000, "400", "(at byte ");
  memset(text, 0, size);
  len = zstd(text, size, packed, room);
  assert_true(len < size / 200);
  post("/big", ZSTD, packed, len, "413", "expands too much");
  free(text);
  free(packed);
}

/* Over 64 KiB the pool decodes; the bytes are the same. */
static void test_big_gzip(void **state) {
  (void)state;
  size_t size = 5u << 20;
  char *text = malloc(size), *packed = malloc(size), want[64];
  for (uint32_t i = 0, x = 1; i < size; i++) {
    x = x * 1664525u + 1013904223u;
    text[i] = "0123456789abcdef"[x >> 28];
  }
  for (size_t of = 100000; of <= size; of += size - 100000) {
    size_t len = gzip(text, of, packed, size);
    snprintf(want, sizeof(want), "%zu bytes %08lx.", of,
             crc32(0, (Bytef *)text, (uInt)of));
    post("/big", GZIP, packed, len, "200", want);
  }
  memset(text, 0, size);
  size_t len = gzip(text, size, packed, size);
  assert_true(len < size / 200);
  post("/big", GZIP, packed, len, "413", "expands too much");
  free(text);
  free(packed);
}

/* Refused by its Content-Length: the answer comes without the body, and a
 * client that goes on sending still gets to read it. */
static void test_too_large(void **state) {
  (void)state;
  char answer[2048];
  int fd = client_open(&server);
  client_text(fd, "POST /small HTTP/1.1\r\nHost: a\r\n"
                  "Content-Length: 5000000\r\n\r\n");
  client_until(fd, "}\n", 1, answer, sizeof(answer));
  assert_memory_equal(answer, "HTTP/1.1 413 ", 13);
  assert_non_null(strstr(answer, "larger than the 1000 bytes"));
  assert_non_null(strstr(answer, "Connection: close\r\n"));
  /* Half-closed: the end can be read, and sending goes on to work. */
  assert_int_equal(client_rest(fd, answer, sizeof(answer)), 0);
  char junk[10000] = {0};
  for (int i = 0; i < 100; i++)
    assert_int_equal(send(fd, junk, sizeof(junk), MSG_NOSIGNAL), sizeof(junk));
  close(fd);
  post("/none", "", "", 0, "405", "Allow: GET");
  char *body = calloc(1, 3000000);
  post("/small", "", body, 3000000, "413", "1000 bytes");
  free(body);
}

static void test_chunked_too_large(void **state) {
  (void)state;
  char request[4000], answer[2048];
  int len = snprintf(request, sizeof(request),
                     "POST /small HTTP/1.1\r\nHost: a\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n7d0\r\n%02000d\r\n",
                     1);
  int fd = client_open(&server);
  client_send(fd, request, (size_t)len);
  client_rest(fd, answer, sizeof(answer));
  assert_memory_equal(answer, "HTTP/1.1 413 ", 13);
  close(fd);
}

static void test_get_with_a_body(void **state) {
  (void)state;
  char answer[2048];
  const char *get = "GET /none HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
                    "ab";
  client_exchange(&server, get, strlen(get), answer, sizeof(answer));
  assert_memory_equal(answer, "HTTP/1.1 413 ", 13);
  assert_non_null(strstr(answer, "takes no body"));
}

static void test_expect(void **state) {
  (void)state;
  char answer[2048];
  const char *head = "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                     "Expect: 100-continue\r\n\r\n";
  int fd = client_open(&server);
  client_text(fd, head);
  client_until(fd, "\r\n\r\n", 1, answer, sizeof(answer));
  assert_string_equal(answer, "HTTP/1.1 100 Continue\r\n\r\n");
  client_text(fd, "abc");
  client_until(fd, "3 bytes", 1, answer, sizeof(answer));
  assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
  /* The body is here already: nothing to wait for. */
  client_text(fd, head);
  client_until(fd, "\r\n\r\n", 1, answer, sizeof(answer));
  client_text(fd, "abc");
  client_until(fd, "3 bytes", 1, answer, sizeof(answer));
  /* The gate comes first. */
  client_text(fd, "POST /closed HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                  "Expect: 100-continue\r\n\r\n");
  client_rest(fd, answer, sizeof(answer));
  assert_memory_equal(answer, "HTTP/1.1 401 ", 13);
  close(fd);
  post("/small", "Expect: a-miracle\r\n", "abc", 3, "417", "100-continue");
}

/* A short body that nobody wants does not end the connection. */
static void test_refused_body_is_passed_over(void **state) {
  (void)state;
  char answer[4096];
  const char *both = "POST /closed HTTP/1.1\r\nHost: a\r\n"
                     "Content-Length: 31\r\n\r\n"
                     "GET /none HTTP/1.1\r\nHost: x\r\n\r\n"
                     "POST /small HTTP/1.1\r\nHost: a\r\n"
                     "Content-Length: 3\r\n\r\nabc";
  client_exchange(&server, both, strlen(both), answer, sizeof(answer));
  assert_memory_equal(answer, "HTTP/1.1 401 ", 13);
  assert_non_null(strstr(answer, "3 bytes"));
  assert_null(strstr(answer, "0 bytes"));
}

/* Over the budget: 503 before the body is read, and it recovers. */
static void test_budget(void **state) {
  (void)state;
  char answer[2048];
  const char *head = "POST /big HTTP/1.1\r\nHost: a\r\n"
                     "Content-Length: 8000000\r\n\r\n";
  http_usage usage;
  int fds[3];
  for (int i = 0; i < 3; i++) {
    fds[i] = client_open(&server);
    client_text(fds[i], head);
    /* Two fit; their heads are read before the next is sent. */
    do {
      http_server_usage(server.server, &usage);
    } while (i < 2 && usage.body_bytes < (size_t)(i + 1) * 8000000);
  }
  client_rest(fds[2], answer, sizeof(answer));
  assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
  assert_non_null(strstr(answer, "Retry-After: 1\r\n"));
  for (int i = 0; i < 3; i++)
    close(fds[i]);
  do
    http_server_usage(server.server, &usage);
  while (usage.connections);
  assert_int_equal(usage.body_bytes, 0);
  post("/big", "", "abc", 3, "200", "3 bytes");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gzip),
      cmocka_unit_test(test_big_gzip),
      cmocka_unit_test(test_decoded_bytes_count),
      cmocka_unit_test(test_zstd),
      cmocka_unit_test(test_zstd_window),
      cmocka_unit_test(test_big_zstd),
      cmocka_unit_test(test_too_large),
      cmocka_unit_test(test_chunked_too_large),
      cmocka_unit_test(test_get_with_a_body),
      cmocka_unit_test(test_expect),
      cmocka_unit_test(test_refused_body_is_passed_over),
      cmocka_unit_test(test_budget),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
