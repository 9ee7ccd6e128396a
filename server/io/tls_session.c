#include "server/io/tls_internal.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define PEER_TEXT 40

struct tls_session {
  SSL *ssl;
  tti_slice *in; /* during a call; NULL between */
  tti_buf *out;  /* likewise */
  bool failed;
  char peer[PEER_TEXT];
  char problem[120];
};

/* ---- The bytes' two ends ---- */

static int take_in(BIO *bio, char *to, int room) {
  tls_session *s = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (!s->in || !s->in->len) {
    BIO_set_retry_read(bio);
    return -1;
  }
  size_t len = s->in->len < (size_t)room ? s->in->len : (size_t)room;
  memcpy(to, s->in->ptr, len);
  s->in->ptr += len;
  s->in->len -= len;
  return (int)len;
}

static int put_out(BIO *bio, const char *bytes, int len) {
  tls_session *s = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (!s->out)
    return -1;
  tti_buf_append(s->out, bytes, (size_t)len);
  return s->out->error == TT_OK ? len : -1;
}

static long control(BIO *bio, int command, long number, void *pointer) {
  (void)bio;
  (void)number;
  (void)pointer;
  return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

/* Never freed: it is the process's. */
static void make_method(void) {
  BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
                               "telltale connection");
  if (!m)
    return;
  BIO_meth_set_read(m, take_in);
  BIO_meth_set_write(m, put_out);
  BIO_meth_set_ctrl(m, control);
  method = m;
}

/* ---- Sessions ---- */

tls_session *tls_session_new(tls *t) {
  pthread_once(&method_once, make_method);
  tls_session *s = calloc(1, sizeof(*s));
  BIO *bio = method ? BIO_new(method) : NULL;
  if (!s || !bio || !(s->ssl = tls_ssl_new(t))) {
    BIO_free(bio);
    free(s);
    ERR_clear_error();
    return NULL;
  }
  BIO_set_data(bio, s);
  BIO_set_init(bio, 1);
  SSL_set_bio(s->ssl, bio, bio); /* takes it */
  SSL_set_accept_state(s->ssl);
  return s;
}

void tls_session_free(tls_session *s) {
  if (!s)
    return;
  SSL_free(s->ssl);
  free(s);
}

static void fail(tls_session *s, int ssl_error) {
  const char *reason = ERR_reason_error_string(ERR_peek_last_error());
  long verified = SSL_get_verify_result(s->ssl);
  s->failed = true;
  if (verified != X509_V_OK)
    snprintf(s->problem, sizeof(s->problem), "the client's certificate: %s",
             X509_verify_cert_error_string(verified));
  else if (reason)
    snprintf(s->problem, sizeof(s->problem), "%s", reason);
  else
    snprintf(s->problem, sizeof(s->problem), "error %d", ssl_error);
}

/* The verified certificate's owner. It was checked during the handshake (or
 * the one that the ticket is from). */
static void read_peer(tls_session *s) {
  unsigned char digest[EVP_MAX_MD_SIZE], *der = NULL;
  const X509 *cert = SSL_get0_peer_certificate(s->ssl);
  EVP_MD_CTX *hash = EVP_MD_CTX_new();
  const X509_NAME *names[2];
  if (!cert || !hash || SSL_get_verify_result(s->ssl) != X509_V_OK)
    goto out;
  names[0] = X509_get_issuer_name(cert);
  names[1] = X509_get_subject_name(cert);
  if (EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
    goto out;
  for (int i = 0; i < 2; i++) {
    int len = i2d_X509_NAME(names[i], &der);
    if (len < 0 || EVP_DigestUpdate(hash, der, (size_t)len) != 1)
      goto out;
    OPENSSL_free(der);
    der = NULL;
  }
  if (EVP_DigestFinal_ex(hash, digest, NULL) != 1)
    goto out;
  int at = snprintf(s->peer, sizeof(s->peer), "cert-");
  for (int i = 0; i < 16; i++)
    at +=
        snprintf(s->peer + at, sizeof(s->peer) - (size_t)at, "%02x", digest[i]);
out:
  OPENSSL_free(der);
  EVP_MD_CTX_free(hash);
}

tls_result tls_session_read(tls_session *s, tti_slice *in, char *plain,
                            size_t room, size_t *out_len, tti_buf *out) {
  bool was_open = tls_session_is_open(s);
  if (s->failed)
    return TLS_FAILED;
  ERR_clear_error();
  s->in = in;
  s->out = out;
  int done = SSL_read_ex(s->ssl, plain, room, out_len);
  int error = done == 1 ? SSL_ERROR_NONE : SSL_get_error(s->ssl, done);
  s->in = NULL;
  s->out = NULL;
  if (!was_open && tls_session_is_open(s))
    read_peer(s);
  switch (error) {
  case SSL_ERROR_NONE:
    return TLS_DATA;
  case SSL_ERROR_WANT_READ:
    return TLS_MORE;
  case SSL_ERROR_ZERO_RETURN:
    return TLS_EOF;
  default:
    fail(s, error);
    ERR_clear_error();
    return TLS_FAILED;
  }
}

size_t tls_session_write(tls_session *s, const uv_buf_t *bufs, unsigned count,
                         tti_buf *out) {
  char record[TLS_RECORD];
  size_t len = 0, written = 0;
  if (s->failed)
    return 0;
  /* Short pieces together: each record costs a tag and a pass of its own. */
  for (unsigned i = 0; i < count && len < sizeof(record); i++) {
    size_t left = sizeof(record) - len;
    size_t part = bufs[i].len < left ? bufs[i].len : left;
    memcpy(record + len, bufs[i].base, part);
    len += part;
  }
  ERR_clear_error();
  s->out = out;
  bool done = SSL_write_ex(s->ssl, record, len, &written) == 1;
  s->out = NULL;
  if (done && written == len)
    return len;
  fail(s, SSL_ERROR_SSL);
  ERR_clear_error();
  return 0;
}

void tls_session_close(tls_session *s, tti_buf *out) {
  if (s->failed || !tls_session_is_open(s))
    return;
  ERR_clear_error();
  s->out = out;
  SSL_shutdown(s->ssl);
  s->out = NULL;
  ERR_clear_error();
}

bool tls_session_is_open(const tls_session *s) {
  return SSL_is_init_finished(s->ssl);
}

bool tls_session_has_part(const tls_session *s) {
  return SSL_has_pending(s->ssl);
}

const char *tls_session_peer(const tls_session *s) {
  return s->peer;
}

const char *tls_session_problem(const tls_session *s) {
  return s->problem;
}
