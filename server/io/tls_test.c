#include "server/io/tls_testing.h"

#include <openssl/err.h>
#include <time.h>

/* A client and the session it talks to, with nothing but memory between. */
typedef struct pair {
  SSL *client;
  tls_session *session;
  BIO *to_client, *from_client; /* the client's */
  tls_result result;            /* of the last read */
  char got[64];                 /* what the session has read */
  size_t got_len;
} pair;

static void pair_init(pair *p, tls *t, SSL_CTX *ctx) {
  *p = (pair){.client = SSL_new(ctx), .session = tls_session_new(t)};
  assert_non_null(p->client);
  assert_non_null(p->session);
  p->to_client = BIO_new(BIO_s_mem());
  p->from_client = BIO_new(BIO_s_mem());
  SSL_set_bio(p->client, p->to_client, p->from_client);
  SSL_set_connect_state(p->client);
}

static void pair_fini(pair *p) {
  SSL_free(p->client);
  tls_session_free(p->session);
  ERR_clear_error();
}

/* Gives the session what the client has sent, `step` bytes at a time, and the
 * client what the session answers. */
static void serve(pair *p, size_t step) {
  char bytes[512];
  tti_buf out;
  int len;
  tti_buf_init(&out, 1 << 20);
  step = step < sizeof(bytes) ? step : sizeof(bytes);
  while ((len = BIO_read(p->from_client, bytes, (int)step)) > 0) {
    tti_slice in = {bytes, (size_t)len};
    do {
      size_t got = 0;
      p->result = tls_session_read(p->session, &in, p->got + p->got_len,
                                   sizeof(p->got) - p->got_len, &got, &out);
      p->got_len += got;
    } while (p->result == TLS_DATA);
    assert_true(in.len == 0 || p->result != TLS_MORE);
    if (out.len)
      BIO_write(p->to_client, out.data, (int)out.len);
    tti_buf_clear(&out);
  }
  tti_buf_fini(&out);
}

/* Both sides until the client is through or has failed. */
static bool shake(pair *p, size_t step) {
  for (int i = 0; i < 10; i++) {
    int done = SSL_do_handshake(p->client);
    int error = SSL_get_error(p->client, done);
    serve(p, step);
    if (done == 1)
      return tls_session_is_open(p->session);
    if (error != SSL_ERROR_WANT_READ)
      return false;
  }
  return false;
}

/* The session's words, as the client reads them. */
static void answer(pair *p, const char *text) {
  tti_buf out;
  char got[64] = "";
  uv_buf_t bufs[2] = {
      uv_buf_init((char *)(uintptr_t)text, 1),
      uv_buf_init((char *)(uintptr_t)text + 1, (unsigned)strlen(text) - 1)};
  tti_buf_init(&out, 1 << 20);
  assert_int_equal(tls_session_write(p->session, bufs, 2, &out), strlen(text));
  BIO_write(p->to_client, out.data, (int)out.len);
  tti_buf_fini(&out);
  assert_int_equal(SSL_read(p->client, got, sizeof(got) - 1), strlen(text));
  assert_string_equal(got, text);
}

static void ask(pair *p, const char *text) {
  size_t before = p->got_len, len = strlen(text);
  assert_int_equal(SSL_write(p->client, text, (int)len), len);
  serve(p, 512);
  assert_int_equal(p->got_len, before + len);
  assert_memory_equal(p->got + before, text, len);
}

static void test_versions(void **state) {
  static const struct {
    int version;
    bool good;
  } cases[] = {
      {TLS1_1_VERSION, false}, {TLS1_2_VERSION, true}, {TLS1_3_VERSION, true}};
  testing_folder f;
  (void)state;
  testing_folder_make(&f);
  testing_certificate(&f, "a", NULL, 1);
  tls *t = testing_tls(&f, "a", NULL);
  SSL_CTX *ctx = testing_client(&f, "a", NULL);
  SSL_CTX_set_security_level(ctx, 0); /* or it would not offer TLS 1.1 */
  for (size_t i = 0; i < 3; i++) {
    for (size_t step = 1; step <= 512; step += 511) {
      pair p;
      pair_init(&p, t, ctx);
      SSL_set_min_proto_version(p.client, cases[i].version);
      SSL_set_max_proto_version(p.client, cases[i].version);
      assert_int_equal(shake(&p, step), cases[i].good);
      if (cases[i].good) {
        ask(&p, "question");
        answer(&p, "answer");
        ask(&p, "another");
        assert_false(tls_session_has_part(p.session));
        assert_string_equal(tls_session_peer(p.session), "");
      } else {
        assert_int_equal(p.result, TLS_FAILED);
        assert_non_null(strstr(tls_session_problem(p.session), "protocol"));
      }
      pair_fini(&p);
    }
  }
  SSL_CTX_free(ctx);
  tls_free(t);
  testing_folder_remove(&f);
}

static void test_part_of_a_record_is_told(void **state) {
  testing_folder f;
  pair p;
  char record[256];
  tti_buf out;
  size_t got;
  (void)state;
  testing_folder_make(&f);
  testing_certificate(&f, "a", NULL, 1);
  tls *t = testing_tls(&f, "a", NULL);
  SSL_CTX *ctx = testing_client(&f, "a", NULL);
  pair_init(&p, t, ctx);
  assert_true(shake(&p, 512));
  SSL_write(p.client, "hello", 5);
  int len = BIO_read(p.from_client, record, sizeof(record));
  assert_true(len > 10);
  tti_buf_init(&out, 1000);
  tti_slice in = {record, 10};
  assert_int_equal(
      tls_session_read(p.session, &in, p.got, sizeof(p.got), &got, &out),
      TLS_MORE);
  assert_true(tls_session_has_part(p.session));
  in = (tti_slice){record + 10, (size_t)len - 10};
  assert_int_equal(
      tls_session_read(p.session, &in, p.got, sizeof(p.got), &got, &out),
      TLS_DATA);
  assert_int_equal(got, 5);
  assert_false(tls_session_has_part(p.session));
  tti_buf_fini(&out);
  pair_fini(&p);
  SSL_CTX_free(ctx);
  tls_free(t);
  testing_folder_remove(&f);
}

static void test_protocols(void **state) {
  static const struct {
    const char *offer;
    bool good;
    const char *chosen;
  } cases[] = {{"\x02h2\x08http/1.1", true, "http/1.1"},
               {"\x02h2", false, ""},
               {"", true, ""}};
  testing_folder f;
  (void)state;
  testing_folder_make(&f);
  testing_certificate(&f, "a", NULL, 1);
  tls *t = testing_tls(&f, "a", NULL);
  SSL_CTX *ctx = testing_client(&f, "a", NULL);
  for (size_t i = 0; i < 3; i++) {
    pair p;
    const unsigned char *chosen;
    unsigned len;
    pair_init(&p, t, ctx);
    SSL_set_alpn_protos(p.client, (const unsigned char *)cases[i].offer,
                        (unsigned)strlen(cases[i].offer));
    assert_int_equal(shake(&p, 512), cases[i].good);
    SSL_get0_alpn_selected(p.client, &chosen, &len);
    assert_int_equal(len, strlen(cases[i].chosen));
    assert_memory_equal(len ? (const char *)chosen : "", cases[i].chosen, len);
    pair_fini(&p);
  }
  SSL_CTX_free(ctx);
  tls_free(t);
  testing_folder_remove(&f);
}

static void test_no_renegotiation(void **state) {
  testing_folder f;
  pair p;
  (void)state;
  testing_folder_make(&f);
  testing_certificate(&f, "a", NULL, 1);
  tls *t = testing_tls(&f, "a", NULL);
  SSL_CTX *ctx = testing_client(&f, "a", NULL);
  SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
  pair_init(&p, t, ctx);
  assert_true(shake(&p, 512));
  SSL_renegotiate(p.client);
  SSL_do_handshake(p.client);
  serve(&p, 512);
  assert_true(SSL_do_handshake(p.client) != 1);
  assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()),
                   SSL_R_NO_RENEGOTIATION);
  pair_fini(&p);
  SSL_CTX_free(ctx);
  tls_free(t);
  testing_folder_remove(&f);
}

static void test_both_ends_are_told_of_the_end(void **state) {
  testing_folder f;
  pair p;
  tti_buf out;
  char byte;
  (void)state;
  testing_folder_make(&f);
  testing_certificate(&f, "a", NULL, 1);
  tls *t = testing_tls(&f, "a", NULL);
  SSL_CTX *ctx = testing_client(&f, "a", NULL);
  pair_init(&p, t, ctx);
  assert_true(shake(&p, 512));
  tti_buf_init(&out, 1000);
  tls_session_close(p.session, &out);
  BIO_write(p.to_client, out.data, (int)out.len);
  tti_buf_fini(&out);
  int done = SSL_read(p.client, &byte, 1);
  assert_int_equal(SSL_get_error(p.client, done), SSL_ERROR_ZERO_RETURN);
  SSL_shutdown(p.client);
  serve(&p, 512);
  assert_int_equal(p.result, TLS_EOF);
  pair_fini(&p);
  SSL_CTX_free(ctx);
  tls_free(t);
  testing_folder_remove(&f);
}

/* ---- Tickets, and another certificate ---- */

static SSL_SESSION *kept;

static int keep_session(SSL *ssl, SSL_SESSION *session) {
  (void)ssl;
  SSL_SESSION_free(kept);
  kept = session;
  return 1;
}

static SSL_CTX *resuming_client(const testing_folder *f, const char *name) {
  SSL_CTX *ctx = testing_client(f, name, NULL);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
  SSL_CTX_sess_set_new_cb(ctx, keep_session);
  return ctx;
}

static void test_replacing(void **state) {
  testing_folder f;
  pair before, again, after;
  tls_certificate *other;
  tti_buf error;
  (void)state;
  testing_folder_make(&f);
  testing_certificate(&f, "a", NULL, 1);
  testing_certificate(&f, "b", NULL, 2);
  tls *t = testing_tls(&f, "a", NULL);
  SSL_CTX *trusts_a = resuming_client(&f, "a");
  pair_init(&before, t, trusts_a);
  assert_true(shake(&before, 512));
  answer(&before, "one"); /* reads the ticket on the way */
  assert_non_null(kept);

  pair_init(&again, t, trusts_a);
  SSL_set_session(again.client, kept);
  assert_true(shake(&again, 512));
  assert_true(SSL_session_reused(again.client));

  int64_t expires_s = tls_expires_s(t);
  tls_options options = {testing_path(&f, "b.crt"), testing_path(&f, "b.key"),
                         NULL};
  tti_buf_init(&error, 1000);
  assert_int_equal(tls_certificate_load(&options, &error, &other), TT_OK);
  tti_buf_fini(&error);
  tls_certificate_free(tls_replace(t, other));
  assert_int_equal(tls_expires_s(t) / 3600, expires_s / 3600 + 24);

  ask(&before, "still here");
  answer(&before, "as before");
  pair_init(&after, t, trusts_a);
  SSL_set_session(after.client, kept);
  assert_false(shake(&after, 512)); /* it trusts a, and got b */
  pair_fini(&after);
  SSL_CTX *trusts_b = resuming_client(&f, "b");
  pair_init(&after, t, trusts_b);
  assert_true(shake(&after, 512));

  pair_fini(&before);
  pair_fini(&again);
  pair_fini(&after);
  SSL_SESSION_free(kept);
  kept = NULL;
  SSL_CTX_free(trusts_a);
  SSL_CTX_free(trusts_b);
  tls_free(t);
  testing_folder_remove(&f);
}

static void test_client_certificates(void **state) {
  testing_folder f;
  pair p;
  char peer[64];
  (void)state;
  testing_folder_make(&f);
  testing_certificate(&f, "a", NULL, 1);
  testing_certificate(&f, "ca", NULL, 1);
  testing_certificate(&f, "b", "ca", 1);
  tls *t = testing_tls(&f, "a", "ca.crt");

  SSL_CTX *ctx = testing_client(&f, "a", "b");
  pair_init(&p, t, ctx);
  assert_true(shake(&p, 512));
  snprintf(peer, sizeof(peer), "%s", tls_session_peer(p.session));
  assert_int_equal(strlen(peer), strlen("cert-") + 32);
  pair_fini(&p);
  SSL_CTX_free(ctx);

  testing_certificate(&f, "b", "ca", 2); /* renewed, with another key */
  ctx = testing_client(&f, "a", "b");
  pair_init(&p, t, ctx);
  assert_true(shake(&p, 512));
  assert_string_equal(tls_session_peer(p.session), peer);
  pair_fini(&p);
  SSL_CTX_free(ctx);

  ctx = testing_client(&f, "a", NULL);
  pair_init(&p, t, ctx);
  assert_true(shake(&p, 512));
  assert_string_equal(tls_session_peer(p.session), "");
  pair_fini(&p);
  SSL_CTX_free(ctx);

  static const struct {
    const char *issuer;
    int days;
    const char *problem;
  } bad[] = {{NULL, 1, "self-signed"}, {"ca", -1, "expired"}};
  for (size_t i = 0; i < 2; i++) {
    testing_certificate(&f, "b", bad[i].issuer, bad[i].days);
    ctx = testing_client(&f, "a", "b");
    pair_init(&p, t, ctx);
    shake(&p, 512); /* a client of TLS 1.3 is through before it is judged */
    assert_int_equal(p.result, TLS_FAILED);
    assert_non_null(strstr(tls_session_problem(p.session), bad[i].problem));
    assert_string_equal(tls_session_peer(p.session), "");
    pair_fini(&p);
    SSL_CTX_free(ctx);
  }
  tls_free(t);
  testing_folder_remove(&f);
}

/* ---- Files ---- */

static void encrypt_key(const testing_folder *f) {
  EVP_PKEY *key = testing_read_key(f, "a");
  FILE *file = fopen(testing_path(f, "other"), "we");
  assert_int_equal(PEM_write_PKCS8PrivateKey(file, key, EVP_aes_128_cbc(),
                                             "secret", 6, NULL, NULL),
                   1);
  fclose(file);
  EVP_PKEY_free(key);
}

static void test_bad_files(void **state) {
  static const struct {
    const char *cert, *key, *ca;
    const char *names, *says;
  } cases[] = {
      {"none", "a.key", "", "--tls-cert ", "No such file"},
      {".", "a.key", "", "--tls-cert ", "directory"},
      {"a.key", "a.key", "", "--tls-cert ", "no certificate in PEM"},
      {"a.crt", "none", "", "--tls-key ", "No such file"},
      {"a.crt", "a.crt", "", "--tls-key ", "no private key in PEM"},
      {"a.crt", "b.key", "", "--tls-key ", "not the key of the certificate"},
      {"a.crt", "other", "", "--tls-key ", "openssl pkey -in"},
      {"a.crt", "a.key", "none", "--tls-client-ca ", "No such file"},
      {"a.crt", "a.key", "a.key", "--tls-client-ca ", "no certificate in PEM"},
  };
  testing_folder f;
  (void)state;
  testing_folder_make(&f);
  testing_certificate(&f, "a", NULL, 1);
  testing_certificate(&f, "b", NULL, 1);
  encrypt_key(&f);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    tls_certificate *certificate = NULL;
    tti_buf error;
    tls_options options = {testing_path(&f, cases[i].cert),
                           testing_path(&f, cases[i].key),
                           *cases[i].ca ? testing_path(&f, cases[i].ca) : ""};
    tti_buf_init(&error, 1000);
    assert_int_equal(tls_certificate_load(&options, &error, &certificate),
                     TT_EINVAL);
    char *text = tti_buf_take(&error, NULL);
    assert_non_null(text);
    if (!strstr(text, cases[i].names) || !strstr(text, f.path) ||
        !strstr(text, cases[i].says))
      fail_msg("case %zu says: %s", i, text);
    free(text);
    assert_null(certificate);
    tti_buf_fini(&error);
  }
  testing_folder_remove(&f);
}

static void test_missing_options(void **state) {
  static const tls_options cases[] = {
      {"x.crt", "", ""}, {"", "x.key", ""}, {"", "", "ca.crt"}};
  static const char *const says[] = {
      "--tls-cert is given without --tls-key",
      "--tls-key is given without --tls-cert",
      "--tls-client-ca is given without --tls-cert"};
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    tls_certificate *certificate;
    tti_buf error;
    tti_buf_init(&error, 1000);
    assert_int_equal(tls_certificate_load(&cases[i], &error, &certificate),
                     TT_EINVAL);
    char *text = tti_buf_take(&error, NULL);
    assert_non_null(strstr(text, says[i]));
    free(text);
    tti_buf_fini(&error);
  }
}

static void test_an_expired_certificate_is_a_warning(void **state) {
  testing_folder f;
  char text[1000] = "";
  (void)state;
  testing_folder_make(&f);
  testing_certificate(&f, "a", NULL, -1);
  int kept_stderr = dup(STDERR_FILENO);
  FILE *log = fopen(testing_path(&f, "other"), "w+e");
  dup2(fileno(log), STDERR_FILENO);
  tls *t = testing_tls(&f, "a", NULL);
  dup2(kept_stderr, STDERR_FILENO);
  close(kept_stderr);
  rewind(log);
  assert_true(fread(text, 1, sizeof(text) - 1, log) > 0);
  fclose(log);
  assert_non_null(strstr(text, "level=warn"));
  assert_non_null(strstr(text, "a.crt: the certificate has expired"));
  assert_true(tls_expires_s(t) < time(NULL));
  tls_free(t);
  testing_folder_remove(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_versions),
      cmocka_unit_test(test_part_of_a_record_is_told),
      cmocka_unit_test(test_protocols),
      cmocka_unit_test(test_no_renegotiation),
      cmocka_unit_test(test_both_ends_are_told_of_the_end),
      cmocka_unit_test(test_replacing),
      cmocka_unit_test(test_client_certificates),
      cmocka_unit_test(test_bad_files),
      cmocka_unit_test(test_missing_options),
      cmocka_unit_test(test_an_expired_certificate_is_a_warning),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
