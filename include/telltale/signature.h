#ifndef TELLTALE_SIGNATURE_H
#define TELLTALE_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>
#include <telltale/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Signatures of webhooks: made by who sends one, checked by who receives it.
 * Part of libtelltale-http. Every function is thread-safe and does not block.
 *
 *   tt_signature_options options = {.secrets = {secret}};
 *   tt_webhook received = {.id = header("webhook-id"),
 *                          .timestamp = header("webhook-timestamp"),
 *                          .signature = header("webhook-signature"),
 *                          .body = body, .body_len = body_len};
 *   const char *problem;
 *   if (tt_signature_verify(&options, &received, &problem))
 *     return answer(401, problem);
 */
typedef enum tt_signature_scheme {
  /* Standard Webhooks: headers webhook-id, webhook-timestamp (unix seconds) and
   * webhook-signature, which is "v1," and base64 of the HMAC-SHA256 of
   * "id.timestamp.body"; several are separated by a space. A secret is "whsec_"
   * and base64 of 24 to 64 bytes, which are the key. */
  TT_SIGNATURE_STANDARD = 0,
  /* e2a: one header, "t=<unix seconds>,v1=<hex>", of "t.body"; several have a
   * v1 each. A secret is any text, and as it stands, its "whsec_" included, the
   * key. */
  TT_SIGNATURE_E2A
} tt_signature_scheme;

#define TELLTALE_SECRETS_MAX 4

/* All zero but the first secret is a good default. All is borrowed. */
typedef struct tt_signature_options {
  tt_signature_scheme scheme;
  /* Up to the first NULL. While a secret is replaced there are two: both sign,
   * and either is enough to verify. */
  const char *secrets[TELLTALE_SECRETS_MAX];
  int64_t tolerance_s; /* how far a timestamp may be from now; 0: 300 */
  int64_t now_s;       /* unix seconds; 0: the system's clock */
} tt_signature_options;

/* What arrived. The texts are the headers' values as they came; NULL where one
 * is missing. All is borrowed. */
typedef struct tt_webhook {
  const char *id;        /* not used by e2a */
  const char *timestamp; /* not used by e2a, which has it in the signature */
  const char *signature;
  const void *body; /* the bytes as they came, before any parsing */
  size_t body_len;
} tt_webhook;

/* Checks that one of the secrets signed these bytes, and when. *out_problem
 * (may be NULL) is set on failure to a static sentence that names the part at
 * fault. It is safe to send back: whether a signature outside of the tolerance
 * would have been right is not told, nor how far a wrong one agrees.
 * Repetitions are the receiver's to see: the id stays the same however often it
 * is sent. TT_ESIGNATURE: no signature of a secret, or a timestamp outside of
 * the tolerance; TT_EPARSE: a header is missing or malformed; TT_EINVAL: no
 * secret, or one that is malformed; TT_ENOMEM. */
TELLTALE_API tt_error tt_signature_verify(const tt_signature_options *options,
                                          const tt_webhook *webhook,
                                          const char **out_problem);

/* Bytes for a signature header's value by all of the secrets, its NUL included.
 */
#define TELLTALE_SIGNATURE_SIZE 320

/* Writes the value of the signature header for a body that is sent at `at_s`,
 * unix seconds, which the timestamp header must repeat. The id (not used by
 * e2a) must not be empty or hold a '.'. TT_EINVAL (also for a malformed secret
 * or a negative time), TT_ENOMEM. */
TELLTALE_API tt_error
tt_signature_sign(const tt_signature_options *options, const char *id,
                  int64_t at_s, const void *body, size_t body_len,
                  char out_signature[TELLTALE_SIGNATURE_SIZE]);

#define TELLTALE_SECRET_SIZE 51

/* A new secret of 256 random bits, for either scheme; NUL-terminated. */
TELLTALE_API void
tt_signature_secret_new(char out_secret[TELLTALE_SECRET_SIZE]);

#ifdef __cplusplus
}
#endif
#endif
