#ifndef IO_TLS_H
#define IO_TLS_H

#include "lib/base/buf.h"
#include <telltale/error.h>
#include <uv.h>

/* TLS 1.2 and 1.3, the server's side, over bytes in memory: whoever owns the
 * socket moves them. HTTP/1.1 by ALPN, no renegotiation, no compression. */

/* Paths of PEM files, borrowed for the call. */
typedef struct tls_options {
  const char *cert;      /* the certificate, then its intermediates */
  const char *key;       /* not encrypted */
  const char *client_ca; /* who signs clients' certificates; NULL or "": no
                            client is asked for one */
} tls_options;

/* A certificate with its key, and whose clients' certificates are good. Any
 * thread. */
typedef struct tls_certificate tls_certificate;

/* TT_EINVAL with a sentence that names option and file in *out_error;
 * TT_ENOMEM. An expired certificate, or a key that everybody may read, is a
 * warning in the log. */
tt_error tls_certificate_load(const tls_options *options, tti_buf *out_error,
                              tls_certificate **out_certificate);
void tls_certificate_free(tls_certificate *certificate);

/* What new connections begin with. Any thread. */
typedef struct tls tls;

/* Takes the certificate, also when it fails. TT_ENOMEM. */
tt_error tls_new(tls_certificate *certificate, tls **out_tls);
void tls_free(tls *t);

/* Takes another one, and gives back the one before. Sessions that began with
 * that go on; tickets of theirs are not taken any more. */
tls_certificate *tls_replace(tls *t, tls_certificate *certificate);

/* When the certificate ends, Unix seconds. */
int64_t tls_expires_s(tls *t);

/* ---- One connection; one thread ---- */

typedef struct tls_session tls_session;

/* NULL: out of memory. */
tls_session *tls_session_new(tls *t);
void tls_session_free(tls_session *s);

typedef enum tls_result {
  TLS_DATA,
  TLS_MORE, /* all input is taken */
  TLS_EOF,  /* the client says that no more will come */
  TLS_FAILED
} tls_result;

/* Takes encrypted bytes off *in and gives plain ones, at most a record's, to be
 * called until it is not TLS_DATA. Appends to `out` what the client is to be
 * sent, an alert when it failed included. Shakes hands first. */
tls_result tls_session_read(tls_session *s, tti_slice *in, char *plain,
                            size_t room, size_t *out_len, tti_buf *out);

/* The most that one call of tls_session_write encrypts. */
#define TLS_RECORD ((size_t)16 << 10)

/* Encrypts the first bytes of `bufs` as one record. How many bytes were taken;
 * 0: it failed. After the handshake only. */
size_t tls_session_write(tls_session *s, const uv_buf_t *bufs, unsigned count,
                         tti_buf *out);

/* Says that no more will come from here. */
void tls_session_close(tls_session *s, tti_buf *out);

bool tls_session_is_open(const tls_session *s);  /* hands are shaken */
bool tls_session_has_part(const tls_session *s); /* of a record; it keeps it */

/* Who the client is, if it has shown a certificate: "cert-" and a digest of
 * subject and issuer, the same after a renewal; "" if it has not. */
const char *tls_session_peer(const tls_session *s);

/* Why it failed. Static, or the session's. */
const char *tls_session_problem(const tls_session *s);

#endif
