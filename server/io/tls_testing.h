#ifndef IO_TLS_TESTING_H
#define IO_TLS_TESTING_H

/* For unit tests: certificates made on the spot, in a folder of their own. */

#include "server/io/tls.h"
#include "tests/unit.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct testing_folder {
  char path[64];
} testing_folder;

static inline void testing_folder_make(testing_folder *f) {
  strcpy(f->path, "/tmp/telltale-tls-XXXXXX");
  assert_non_null(mkdtemp(f->path));
}

/* The path of a file in it; one of four places that are used in turn. */
static inline const char *testing_path(const testing_folder *f,
                                       const char *name) {
  static char paths[4][128];
  static unsigned next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof(paths[0]), "%s/%s", f->path, name);
  return path;
}

static inline void testing_folder_remove(const testing_folder *f) {
  static const char *const names[] = {"a.crt",  "a.key",  "b.crt", "b.key",
                                      "ca.crt", "ca.key", "other"};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    unlink(testing_path(f, names[i]));
  assert_int_equal(rmdir(f->path), 0);
}

static inline void testing_write(const testing_folder *f, const char *name,
                                 const char *text) {
  FILE *file = fopen(testing_path(f, name), "we");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(fclose(file), 0);
}

static inline EVP_PKEY *testing_read_key(const testing_folder *f,
                                         const char *name) {
  char file_name[32];
  snprintf(file_name, sizeof(file_name), "%s.key", name);
  FILE *file = fopen(testing_path(f, file_name), "re");
  assert_non_null(file);
  EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
  fclose(file);
  assert_non_null(key);
  return key;
}

static inline X509_NAME *testing_name(const char *text) {
  X509_NAME *name = X509_NAME_new();
  assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                              (const unsigned char *)text, -1,
                                              -1, 0),
                   1);
  return name;
}

/* NAME.crt and NAME.key, for the subject NAME, good for `days` from now (or
 * ended before now), signed by `issuer`, which was made before, or by itself.
 */
static inline void testing_certificate(const testing_folder *f,
                                       const char *name, const char *issuer,
                                       int days) {
  char file_name[32];
  EVP_PKEY *key = EVP_EC_gen("P-256");
  EVP_PKEY *signer = issuer ? testing_read_key(f, issuer) : key;
  X509 *cert = X509_new();
  X509_NAME *subject = testing_name(name);
  X509_NAME *above = testing_name(issuer ? issuer : name);
  X509_set_version(cert, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), rand());
  X509_gmtime_adj(X509_getm_notBefore(cert), -86400L * 100);
  X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * days);
  X509_set_subject_name(cert, subject);
  X509_set_issuer_name(cert, above);
  X509_set_pubkey(cert, key);
  X509_EXTENSION *ca = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
                                           issuer ? "CA:FALSE" : "CA:TRUE");
  X509_add_ext(cert, ca, -1);
  assert_true(X509_sign(cert, signer, EVP_sha256()) > 0);

  snprintf(file_name, sizeof(file_name), "%s.crt", name);
  FILE *file = fopen(testing_path(f, file_name), "we");
  PEM_write_X509(file, cert);
  fclose(file);
  snprintf(file_name, sizeof(file_name), "%s.key", name);
  file = fopen(testing_path(f, file_name), "we");
  PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
  fclose(file);
  chmod(testing_path(f, file_name), 0600);

  X509_EXTENSION_free(ca);
  X509_NAME_free(subject);
  X509_NAME_free(above);
  X509_free(cert);
  if (signer != key)
    EVP_PKEY_free(signer);
  EVP_PKEY_free(key);
}

/* The server's part of NAME.crt and NAME.key. */
static inline tls *testing_tls(const testing_folder *f, const char *name,
                               const char *client_ca) {
  char cert[32], key[32];
  tls_certificate *certificate;
  tls *made;
  tti_buf error;
  tti_buf_init(&error, 1000);
  snprintf(cert, sizeof(cert), "%s.crt", name);
  snprintf(key, sizeof(key), "%s.key", name);
  tls_options options = {testing_path(f, cert), testing_path(f, key),
                         client_ca ? testing_path(f, client_ca) : ""};
  assert_int_equal(tls_certificate_load(&options, &error, &certificate), TT_OK);
  tti_buf_fini(&error);
  assert_int_equal(tls_new(certificate, &made), TT_OK);
  return made;
}

/* A client that trusts NAME.crt and shows `identity` (NULL: none). */
static inline SSL_CTX *testing_client(const testing_folder *f, const char *name,
                                      const char *identity) {
  char file_name[32];
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  snprintf(file_name, sizeof(file_name), "%s.crt", name);
  assert_int_equal(SSL_CTX_load_verify_file(ctx, testing_path(f, file_name)),
                   1);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
  if (identity) {
    snprintf(file_name, sizeof(file_name), "%s.crt", identity);
    assert_int_equal(
        SSL_CTX_use_certificate_chain_file(ctx, testing_path(f, file_name)), 1);
    snprintf(file_name, sizeof(file_name), "%s.key", identity);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(
                         ctx, testing_path(f, file_name), SSL_FILETYPE_PEM),
                     1);
  }
  return ctx;
}

#endif
