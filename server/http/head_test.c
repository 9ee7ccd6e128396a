#include "server/http/transcript.h"
#include "tests/unit.h"

#include <stdio.h>

/* What two readers could understand differently, and must be refused; and its
 * neighbours that must not. `want` begins the last line of the transcript. */
typedef struct smuggle {
  const char *bytes;
  const char *want;
  size_t len; /* 0: strlen */
} smuggle;

#define H      "Host: a\r\n"
#define POST   "POST /p HTTP/1.1\r\n" H
#define NUL(s) s, "ERROR 400", sizeof(s) - 1

static const smuggle cases[] = {
    /* the request line */
    {"GET / HTTP/1.1\r\n" H "\r\n", "GET /? 1", 0},
    {"\r\nGET / HTTP/1.1\r\n" H "\r\n", "GET /? 1", 0},
    {"\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {" GET / HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"get / HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET  / HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET /  HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET\t/ HTTP/1.1\r\n" H "\r\n", "ERROR", 0},
    {"GET /\tHTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1 \r\n" H "\r\n", "ERROR 400", 0},
    {"GET /\r\n" H "\r\n", "ERROR 400", 0},
    {"GET /aaaaaaa\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/0.9\r\n" H "\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.2\r\n" H "\r\n", "ERROR 400", 0},
    {"GET / HTTP/2.0\r\n" H "\r\n", "ERROR 400", 0},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "ERROR", 0},
    {"GET / http/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET / RTSP/1.0\r\n" H "\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.10\r\n" H "\r\n", "ERROR 400", 0},
    {"FOOBAR / HTTP/1.1\r\n" H "\r\n", "ERROR 501", 0},
    {"\x16\x03\x01\x02", "ERROR 400", 0},
    /* the target */
    {"GET /a#b HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET /a\x7f HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET /a\xff HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET /a%4 HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET /a%zz HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET /a%00 HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET /a%41?x=%zz HTTP/1.1\r\n" H "\r\n", "GET /a%41?x=%zz", 0},
    {"GET a HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET * HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"OPTIONS * HTTP/1.1\r\n" H "\r\n", "OPTIONS *?", 0},
    {"CONNECT a:80 HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET http://a/b?c HTTP/1.1\r\n" H "\r\n", "GET /b?c", 0},
    {"GET HTTP://A HTTP/1.1\r\n" H "\r\n", "GET /? ", 0},
    {"GET http://b/ HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET http://x@a/ HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET http:/// HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET ftp://a/ HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET file:///etc HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    /* the host */
    {"GET / HTTP/1.1\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.0\r\n\r\n", "GET /? 0", 0},
    {"GET / HTTP/1.1\r\n" H H "\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET /?", 0},
    {"GET / HTTP/1.1\r\nHost: [::ffff:127.0.0.1]\r\n\r\n", "GET /?", 0},
    {"GET / HTTP/1.1\r\nHost: a.b-c_d:65535\r\n\r\n", "GET /?", 0},
    {"GET / HTTP/1.1\r\nHost: a:\r\n\r\n", "GET /?", 0},
    {"GET / HTTP/1.1\r\nHost: [::1]b\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: []\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: a:80:81\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: a]\r\n\r\n", "ERROR 400", 0},
    {"GET http://a/ HTTP/1.0\r\n\r\n", "ERROR 400", 0},
    /* lines and characters of the head */
    {"GET / HTTP/1.1\n" H "\r\n", "ERROR 400 a line of the request head", 0},
    {"GET / HTTP/1.1\r\nHost: a\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A: b\rC: d\r\n\r\n", "ERROR 400 a CR without LF",
     0},
    {"GET / HTTP/1.1\r\n" H "A: b\r\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r" H "\r\n", "ERROR 400", 0},
    {NUL("GET / HTTP/1.1\r\n" H "A: \0b\r\n\r\n")},
    {NUL("GET /\0 HTTP/1.1\r\n" H "\r\n")},
    {"GET / HTTP/1.1\r\n" H "A: b\x01\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A: b\x7f\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n",
     "ERROR 400 a header line starts", 0},
    {"GET / HTTP/1.1\r\n" H "A: b\r\n\tc\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n A: b\r\n" H "\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A : b\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A\t: b\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A b: c\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H ": c\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A(b): c\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A\xc3\xa9: c\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A: \xc3\xa9 \t \r\n\r\n",
     "GET /? 2 001000 0|Host=a|A=\xc3\xa9 [", 0},
    {"GET / HTTP/1.1\r\n" H "A:\r\nB: \r\n\r\n",
     "GET /? 3 001000 0|Host=a|A=|B= [", 0},
    /* lengths */
    {POST "Content-Length: 2\r\n\r\nab",
     "POST /p? 2 001000 0|Host=a|"
     "Content-Length=2 [ab]",
     0},
    {POST "Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc", "ERROR 400", 0},
    {POST "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", "ERROR 400", 0},
    {POST "Content-Length: 2, 2\r\n\r\nab", "ERROR 400", 0},
    {POST "Content-Length: +2\r\n\r\nab", "ERROR 400", 0},
    {POST "Content-Length: -2\r\n\r\nab", "ERROR 400", 0},
    {POST "Content-Length: 0x2\r\n\r\nab", "ERROR 400", 0},
    {POST "Content-Length: 2 \r\n\r\nab", "POST /p? 2", 0},
    {POST "Content-Length: 1 2\r\n\r\nab", "ERROR 400", 0},
    {POST "Content-Length:\r\n\r\nab", "ERROR 400", 0},
    {POST "Content-Length: 99999999999999999999\r\n\r\n", "ERROR 400", 0},
    {POST "Content-Length: 18446744073709551618\r\n\r\nab", "ERROR 400", 0},
    {POST "Content-Length : 2\r\n\r\nab", "ERROR 400", 0},
    {POST "Content-Length: 2;\r\n\r\nab", "ERROR 400", 0},
    /* transfer codings */
    {POST "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
     "POST /p? 2 001100 0|Host=a|Transfer-Encoding=chunked [ab]", 0},
    {POST "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", "POST /p? 2", 0},
    {POST "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
     "ERROR 400", 0},
    {POST "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
     "ERROR 400", 0},
    {POST "Content-Length: 2\r\nTransfer-Encoding: identity\r\n\r\nab",
     "ERROR 400", 0},
    {POST "Transfer-Encoding: identity\r\n\r\n", "ERROR 400", 0},
    {POST "Transfer-Encoding: gzip, chunked\r\n\r\n", "ERROR 400", 0},
    {POST "Transfer-Encoding: chunked, chunked\r\n\r\n", "ERROR 400", 0},
    {POST "Transfer-Encoding: chunked, identity\r\n\r\n", "ERROR 400", 0},
    {POST "Transfer-Encoding: xchunked\r\n\r\n", "ERROR 400", 0},
    {POST "Transfer-Encoding: \"chunked\"\r\n\r\n", "ERROR 400", 0},
    {POST "Transfer-Encoding: chunked;a=b\r\n\r\n", "ERROR 400", 0},
    {POST "Transfer-Encoding:\x0b"
          "chunked\r\n\r\n",
     "ERROR 400", 0},
    {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
     "ERROR 400", 0},
    {POST "Transfer-Encoding:\r\n chunked\r\n\r\n", "ERROR 400", 0},
    {POST "Transfer-Encoding :chunked\r\n\r\n", "ERROR 400", 0},
    {"POST /p HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "ERROR 400", 0},
};

#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKS  "POST /p? 2 001100 0|Host=a|Transfer-Encoding=chunked ["

static const smuggle chunk_cases[] = {
    {CHUNKED "2;a=b\r\nab\r\n0;c\r\n\r\n", CHUNKS "ab]", 0},
    {CHUNKED "2\r\nab\r\n0\r\nA: b\r\nC:\r\n\r\n", CHUNKS "ab]", 0},
    {CHUNKED "000000000000002\r\nab\r\n0\r\n\r\n", CHUNKS "ab]", 0},
    {CHUNKED "\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED "g\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED "0x2\r\nab\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED "-2\r\nab\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED "+2\r\nab\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED " 2\r\nab\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED "2 \r\nab\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED "2\nab\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED "2\r\rab\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED "2;a\nab\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED "2;a\rb\r\nab\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED "2\r\nabc\r\n", CHUNKS "abERROR 400", 0},
    {CHUNKED "2\r\nab\n0\r\n\r\n", CHUNKS "abERROR 400", 0},
    {CHUNKED "2\r\nab0\r\n\r\n", CHUNKS "abERROR 400", 0},
    {CHUNKED "10000000000000000\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED "fffffffffffffffff\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED "0\r\n A: b\r\n\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED "0\r\nA b: c\r\n\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED "0\r\nA: b\n\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED "0\r\nA\r\n\r\n", CHUNKS "ERROR 400", 0},
    {CHUNKED "0\r\n\n", CHUNKS "ERROR 400", 0},
};

static char *transcribe(const char *bytes, size_t len, size_t cut) {
  transcript t;
  tti_buf out;
  tti_buf_init(&out, 1 << 20);
  transcript_init(&t, &out);
  transcript_feed(&t, bytes, cut);
  if (cut < len)
    transcript_feed(&t, bytes + cut, len - cut);
  transcript_fini(&t);
  char *text = tti_buf_take(&out, NULL);
  assert_non_null(text);
  return text;
}

static void check_cases(const smuggle *table, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const smuggle *c = &table[i];
    size_t len = c->len ? c->len : strlen(c->bytes);
    char *whole = transcribe(c->bytes, len, len);
    if (strncmp(whole, c->want, strlen(c->want)) != 0)
      fail_msg("case %zu\n%s\ngave %s\nnot %s", i, c->bytes, whole, c->want);
    for (size_t cut = 0; cut < len; cut++) {
      char *split = transcribe(c->bytes, len, cut);
      assert_string_equal(split, whole);
      free(split);
    }
    free(whole);
  }
}

static void test_heads(void **state) {
  (void)state;
  check_cases(cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_chunks(void **state) {
  (void)state;
  check_cases(chunk_cases, sizeof(chunk_cases) / sizeof(chunk_cases[0]));
}

/* What follows a request is the next request, to the byte. */
static void test_one_after_another(void **state) {
  (void)state;
  const char *three =
      CHUNKED "1\r\nx\r\n0\r\n\r\n" POST "Content-Length: 3\r\n\r\nGET"
              "\r\nHEAD /h HTTP/1.1\r\n" H "\r\n";
  char *text = transcribe(three, strlen(three), strlen(three));
  assert_string_equal(text, CHUNKS
                      "x]\nPOST /p? 2 001000 0|Host=a|Content-Length=3 [GET]\n"
                      "HEAD /h? 1 101000 0|Host=a []\n");
  free(text);
}

static void expect_long(const char *start, char fill, size_t count,
                        const char *end, const char *want) {
  size_t start_len = strlen(start), end_len = strlen(end);
  char *bytes = malloc(start_len + count + end_len);
  memcpy(bytes, start, start_len);
  memset(bytes + start_len, fill, count);
  memcpy(bytes + start_len + count, end, end_len);
  size_t len = start_len + count + end_len;
  char *text = transcribe(bytes, len, len);
  assert_memory_equal(text, want, strlen(want));
  char *split = transcribe(bytes, len, len / 2);
  assert_string_equal(split, text);
  free(split);
  free(text);
  free(bytes);
}

static void test_limits(void **state) {
  (void)state;
  const char *get = "GET / HTTP/1.1\r\n" H "A: ";
  expect_long(get, 'x', 65000, "\r\n\r\n", "GET /?");
  expect_long(get, 'x', 65536, "\r\n\r\n", "ERROR 431");
  expect_long("GET /", 'x', 70000, "", "ERROR 431");
  expect_long(CHUNKED "1;", 'x', 8000, "\r\na\r\n0\r\n\r\n", CHUNKS "a]");
  expect_long(CHUNKED "1;", 'x', 9000, "\r\na\r\n0\r\n\r\n",
              CHUNKS "ERROR 400");
  expect_long(CHUNKED "0\r\nA:", 'x', 9000, "\r\n\r\n", CHUNKS "ERROR 400");
  for (int count = 99; count <= 101; count += 2) {
    char many[4096] = "GET / HTTP/1.1\r\n" H;
    for (int i = 1; i < count; i++)
      strcat(many, "A: b\r\n");
    strcat(many, "\r\n");
    char *text = transcribe(many, strlen(many), strlen(many));
    assert_memory_equal(text, count < 100 ? "GET /? 99" : "ERROR 431", 9);
    free(text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_heads),
      cmocka_unit_test(test_chunks),
      cmocka_unit_test(test_one_after_another),
      cmocka_unit_test(test_limits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
