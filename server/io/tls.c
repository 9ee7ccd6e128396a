#include "server/io/tls_internal.h"

#include "server/io/log.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

struct tls_certificate {
  SSL_CTX *ctx; /* sessions hold references of their own */
  int64_t expires_s;
};

struct tls {
  pthread_mutex_t mutex;
  tls_certificate *certificate; /* under the mutex */
};

/* ---- Files ---- */

static tt_error refuse(tti_buf *out_error, const char *option, const char *path,
                       const char *what) {
  tti_buf_printf(out_error, "%s %s: %s", option, path, what);
  return TT_EINVAL;
}

/* With what OpenSSL says, for what has no sentence of ours. */
static tt_error refuse_as_told(tti_buf *out_error, const char *option,
                               const char *path, const char *what) {
  const char *reason = ERR_reason_error_string(ERR_peek_error());
  tti_buf_printf(out_error, "%s %s: %s: %s", option, path, what,
                 reason ? reason : "no reason given");
  return TT_EINVAL;
}

static FILE *open_file(tti_buf *out_error, const char *option,
                       const char *path) {
  struct stat info;
  FILE *file = fopen(path, "re");
  if (file && fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode)) {
    fclose(file);
    file = NULL;
    errno = EISDIR;
  }
  if (!file)
    tti_buf_printf(out_error, "%s %s: cannot be read: %s", option, path,
                   strerror(errno));
  return file;
}

static bool is_no_pem(void) {
  unsigned long error = ERR_peek_error(); /* the first, the rest follow */
  return ERR_GET_LIB(error) == ERR_LIB_PEM &&
         ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

static int64_t expiry_of(const X509 *cert) {
  struct tm end;
  return ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end) ? timegm(&end) : 0;
}

/* Both or none, and whose clients are checked must speak TLS. */
static tt_error check_names(const tls_options *o, tti_buf *out_error) {
  const char *missing = !*o->cert ? "--tls-cert" : "--tls-key";
  if (*o->cert && *o->key)
    return TT_OK;
  tti_buf_printf(out_error,
                 "%s is given without %s: TLS needs the certificate and its "
                 "key, two PEM files",
                 *o->cert  ? "--tls-cert"
                 : *o->key ? "--tls-key"
                           : "--tls-client-ca",
                 missing);
  return TT_EINVAL;
}

static tt_error use_cert(SSL_CTX *ctx, const char *path, tti_buf *out_error) {
  FILE *file = open_file(out_error, "--tls-cert", path);
  if (!file)
    return TT_EINVAL;
  fclose(file);
  if (SSL_CTX_use_certificate_chain_file(ctx, path) == 1)
    return TT_OK;
  if (is_no_pem())
    return refuse(out_error, "--tls-cert", path,
                  "holds no certificate in PEM (\"-----BEGIN "
                  "CERTIFICATE-----\"); `openssl x509 -inform DER -in FILE` "
                  "makes one from DER");
  return refuse_as_told(out_error, "--tls-cert", path,
                        "the certificate cannot be used");
}

/* OpenSSL would ask on the terminal. */
static int no_passphrase(char *to, int room, int writing, void *asked) {
  (void)to;
  (void)room;
  (void)writing;
  *(bool *)asked = true;
  return -1;
}

static tt_error read_key(const char *path, tti_buf *out_error,
                         EVP_PKEY **out_key) {
  struct stat info;
  bool encrypted = false;
  FILE *file = open_file(out_error, "--tls-key", path);
  if (!file)
    return TT_EINVAL;
  EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, no_passphrase, &encrypted);
  bool open = fstat(fileno(file), &info) == 0 && (info.st_mode & S_IROTH);
  fclose(file);
  if (key && open)
    server_log(TT_LEVEL_WARN, "tls",
               "%s is readable by everyone; `chmod 600 %s` keeps the key yours",
               path, path);
  *out_key = key;
  if (key)
    return TT_OK;
  if (encrypted)
    return refuse(out_error, "--tls-key", path,
                  "the key is encrypted, and nobody is there to type its "
                  "passphrase; write it plain, readable by the server alone, "
                  "with `openssl pkey -in FILE -out NEW`");
  return refuse_as_told(out_error, "--tls-key", path,
                        "no private key in PEM (\"-----BEGIN PRIVATE "
                        "KEY-----\") can be read from it");
}

static tt_error use_key(SSL_CTX *ctx, const tls_options *options,
                        tti_buf *out_error) {
  EVP_PKEY *key;
  tt_error error = read_key(options->key, out_error, &key);
  if (error != TT_OK)
    return error;
  if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1) {
    tti_buf_printf(out_error,
                   "--tls-key %s is not the key of the certificate in "
                   "--tls-cert %s; give the two that were made together",
                   options->key, options->cert);
    error = TT_EINVAL;
  } else if (SSL_CTX_use_PrivateKey(ctx, key) != 1) {
    error = refuse_as_told(out_error, "--tls-key", options->key,
                           "the key cannot be used");
  }
  EVP_PKEY_free(key);
  return error;
}

static tt_error use_client_ca(SSL_CTX *ctx, const char *path,
                              tti_buf *out_error) {
  if (!path || !*path)
    return TT_OK;
  FILE *file = open_file(out_error, "--tls-client-ca", path);
  if (!file)
    return TT_EINVAL;
  fclose(file);
  STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(path);
  if (!names || SSL_CTX_load_verify_file(ctx, path) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return refuse(out_error, "--tls-client-ca", path,
                  "holds no certificate in PEM of who signs clients' "
                  "certificates");
  }
  SSL_CTX_set_client_CA_list(ctx, names);
  /* A client without one goes on, and needs a token. */
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
  return TT_OK;
}

/* ---- What sessions begin with ---- */

/* RFC 7301: a client that names protocols and not ours is told so. */
static int choose_protocol(SSL *ssl, const unsigned char **out,
                           unsigned char *out_len, const unsigned char *in,
                           unsigned in_len, void *context) {
  static const unsigned char ours[] = "\x08http/1.1";
  unsigned char *chosen;
  (void)ssl;
  (void)context;
  if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in,
                            in_len) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

static bool set_rules(SSL_CTX *ctx) {
  static const unsigned char id[] = "telltale";
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE |
                               SSL_OP_PRIORITIZE_CHACHA);
  /* An idle connection keeps no buffer. */
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  /* Sessions come back by ticket alone: nothing is kept here for them. The key
   * of the tickets is this context's, so that a reload ends them. */
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ctx, 1);
  SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
  return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
         SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1) == 1;
}

static void warn_of_dates(const SSL_CTX *ctx, const char *path) {
  const X509 *cert = SSL_CTX_get0_certificate(ctx);
  bool past = X509_cmp_current_time(X509_get0_notAfter(cert)) < 0;
  if (past || X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
    server_log(TT_LEVEL_WARN, "tls",
               "--tls-cert %s: the certificate %s, clients will refuse it; "
               "renew it and send SIGHUP",
               path, past ? "has expired" : "is not valid yet");
}

tt_error tls_certificate_load(const tls_options *options, tti_buf *out_error,
                              tls_certificate **out_certificate) {
  tt_error error = check_names(options, out_error);
  if (error != TT_OK)
    return error;
  ERR_clear_error();
  tls_certificate *c = calloc(1, sizeof(*c));
  if (c)
    c->ctx = SSL_CTX_new(TLS_server_method());
  error = c && c->ctx && set_rules(c->ctx) ? TT_OK : TT_ENOMEM;
  if (error == TT_OK)
    error = use_cert(c->ctx, options->cert, out_error);
  if (error == TT_OK)
    error = use_key(c->ctx, options, out_error);
  if (error == TT_OK)
    error = use_client_ca(c->ctx, options->client_ca, out_error);
  ERR_clear_error();
  if (error != TT_OK) {
    tls_certificate_free(c);
    return error;
  }
  warn_of_dates(c->ctx, options->cert);
  c->expires_s = expiry_of(SSL_CTX_get0_certificate(c->ctx));
  *out_certificate = c;
  return TT_OK;
}

void tls_certificate_free(tls_certificate *certificate) {
  if (!certificate)
    return;
  SSL_CTX_free(certificate->ctx);
  free(certificate);
}

/* ---- What is in force ---- */

tt_error tls_new(tls_certificate *certificate, tls **out_tls) {
  tls *t = calloc(1, sizeof(*t));
  if (!t) {
    tls_certificate_free(certificate);
    return TT_ENOMEM;
  }
  pthread_mutex_init(&t->mutex, NULL);
  t->certificate = certificate;
  *out_tls = t;
  return TT_OK;
}

void tls_free(tls *t) {
  if (!t)
    return;
  tls_certificate_free(t->certificate);
  pthread_mutex_destroy(&t->mutex);
  free(t);
}

tls_certificate *tls_replace(tls *t, tls_certificate *certificate) {
  pthread_mutex_lock(&t->mutex);
  tls_certificate *earlier = t->certificate;
  t->certificate = certificate;
  pthread_mutex_unlock(&t->mutex);
  return earlier;
}

int64_t tls_expires_s(tls *t) {
  pthread_mutex_lock(&t->mutex);
  int64_t expires_s = t->certificate->expires_s;
  pthread_mutex_unlock(&t->mutex);
  return expires_s;
}

SSL *tls_ssl_new(tls *t) {
  pthread_mutex_lock(&t->mutex);
  SSL *ssl = SSL_new(t->certificate->ctx);
  pthread_mutex_unlock(&t->mutex);
  return ssl;
}
