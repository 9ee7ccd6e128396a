#include <telltale/signature.h>

#include "lib/base/hex.h"
#include "lib/base/random.h"
#include "lib/base/time.h"
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>

#define DIGEST_BYTES 32
#define BASE64_CHARS 44
#define HEX_CHARS    64
#define KEY_MIN      24
#define KEY_MAX      64
#define TOLERANCE_S  300
/* Of timestamps and options, so that their sums cannot overflow. */
#define SECONDS_MAX    999999999999999
#define SECONDS_DIGITS 15

static const tti_slice secret_prefix = {"whsec_", 6};

/* One signature in its text form, of the length of the scheme's. */
typedef struct signature_text {
  char text[HEX_CHARS + 1];
  size_t len;
} signature_text;

/* ---- Keys ---- */

typedef struct signing_key {
  unsigned char bytes[KEY_MAX + 2]; /* decoding writes whole triples */
  const unsigned char *key;
  size_t len;
} signing_key;

static const char bad_secret[] =
    "a secret is not \"whsec_\" and base64 of 24 to 64 bytes";

/* Base64 of RFC 4648, section 4, padded. OpenSSL's decoder forgives blanks and
 * counts padding as data, so both are looked at here. */
static bool decode_secret(const char *secret, signing_key *out_key) {
  tti_slice text = tti_slice_of(secret);
  if (text.len < secret_prefix.len ||
      memcmp(text.ptr, secret_prefix.ptr, secret_prefix.len) != 0)
    return false;
  const char *base64 = text.ptr + secret_prefix.len;
  size_t len = text.len - secret_prefix.len;
  size_t digits = strspn(base64, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/");
  size_t padding = len - digits;
  if (len / 4 * 3 > sizeof(out_key->bytes) || padding > 2 ||
      strspn(base64 + digits, "=") != padding)
    return false;
  int bytes =
      EVP_DecodeBlock(out_key->bytes, (const unsigned char *)base64, (int)len);
  if (bytes < 0)
    return false;
  out_key->key = out_key->bytes;
  out_key->len = (size_t)bytes - padding;
  return out_key->len >= KEY_MIN && out_key->len <= KEY_MAX;
}

static bool key_of(tt_signature_scheme scheme, const char *secret,
                   signing_key *out_key) {
  if (scheme == TT_SIGNATURE_STANDARD)
    return decode_secret(secret, out_key);
  out_key->key = (const unsigned char *)secret;
  out_key->len = strlen(secret);
  return out_key->len > 0;
}

/* ---- Making ---- */

/* HMAC-SHA256 of "id.timestamp.body", or of "timestamp.body". */
static bool digest_of(EVP_MAC_CTX *mac, const signing_key *key, tti_slice id,
                      tti_slice timestamp, tti_slice body,
                      unsigned char out_digest[DIGEST_BYTES]) {
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string("digest", (char *)"SHA256", 0),
      OSSL_PARAM_construct_end()};
  const tti_slice dot = TTI_SLICE(".");
  const tti_slice parts[] = {id, id.len ? dot : id, timestamp, dot, body};
  if (!EVP_MAC_init(mac, key->key, key->len, params))
    return false;
  for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
    if (parts[i].len &&
        !EVP_MAC_update(mac, (const unsigned char *)parts[i].ptr, parts[i].len))
      return false;
  size_t len;
  return EVP_MAC_final(mac, out_digest, &len, DIGEST_BYTES);
}

/* One signature a secret. TT_EINVAL: a secret is malformed, or there is none.
 */
static tt_error make_all(const tt_signature_options *options, tti_slice id,
                         tti_slice timestamp, tti_slice body,
                         signature_text out_all[TELLTALE_SECRETS_MAX],
                         size_t *out_count) {
  EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  EVP_MAC_CTX *mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
  signing_key key;
  size_t count = 0;
  tt_error error = mac ? TT_OK : TT_ENOMEM;
  while (!error && count < TELLTALE_SECRETS_MAX && options->secrets[count]) {
    unsigned char digest[DIGEST_BYTES];
    signature_text *out = &out_all[count];
    if (!key_of(options->scheme, options->secrets[count], &key)) {
      error = TT_EINVAL;
    } else if (!digest_of(mac, &key, id, timestamp, body, digest)) {
      error = TT_ENOMEM;
    } else if (options->scheme == TT_SIGNATURE_STANDARD) {
      EVP_EncodeBlock((unsigned char *)out->text, digest, DIGEST_BYTES);
      out->len = BASE64_CHARS;
    } else {
      tti_hex(digest, DIGEST_BYTES, out->text);
      out->len = HEX_CHARS;
    }
    count++;
  }
  OPENSSL_cleanse(&key, sizeof(key));
  EVP_MAC_CTX_free(mac);
  EVP_MAC_free(hmac);
  if (!error && count == 0)
    error = TT_EINVAL;
  if (!error)
    *out_count = count;
  return error;
}

static bool known_scheme(const tt_signature_options *options) {
  return options && (options->scheme == TT_SIGNATURE_STANDARD ||
                     options->scheme == TT_SIGNATURE_E2A);
}

/* A '.' in the id would let one signature stand for two messages: those of
 * "a" at 1 with the body "2.x" and of "a.1" at 2 with "x". */
static bool valid_id(const char *id) {
  return id && *id && !strchr(id, '.');
}

static bool in_range(int64_t seconds) {
  return seconds >= 0 && seconds <= SECONDS_MAX;
}

tt_error tt_signature_sign(const tt_signature_options *options, const char *id,
                           int64_t at_s, const void *body, size_t body_len,
                           char out_signature[TELLTALE_SIGNATURE_SIZE]) {
  if (!known_scheme(options) || !in_range(at_s) || (!body && body_len) ||
      !out_signature)
    return TT_EINVAL;
  bool standard = options->scheme == TT_SIGNATURE_STANDARD;
  if (standard && !valid_id(id))
    return TT_EINVAL;
  char timestamp[24];
  signature_text all[TELLTALE_SECRETS_MAX];
  size_t count;
  snprintf(timestamp, sizeof(timestamp), "%" PRId64, at_s);
  tt_error error = make_all(options, tti_slice_of(standard ? id : NULL),
                            tti_slice_of(timestamp),
                            (tti_slice){body, body_len}, all, &count);
  if (error)
    return error;
  size_t at = 0;
  if (!standard)
    at = (size_t)snprintf(out_signature, TELLTALE_SIGNATURE_SIZE, "t=%s",
                          timestamp);
  for (size_t i = 0; i < count; i++) {
    const char *before = !standard ? ",v1=" : i ? " v1," : "v1,";
    at += (size_t)snprintf(out_signature + at, TELLTALE_SIGNATURE_SIZE - at,
                           "%s%s", before, all[i].text);
  }
  return TT_OK;
}

/* ---- Checking ---- */

/* Takes what is before the next separator off the front of a list. */
static bool next_entry(tti_slice *list, char separator, tti_slice *out_entry) {
  if (!list->ptr)
    return false;
  const char *end = list->len ? memchr(list->ptr, separator, list->len) : NULL;
  *out_entry =
      (tti_slice){list->ptr, end ? (size_t)(end - list->ptr) : list->len};
  if (end)
    *list = (tti_slice){end + 1, list->len - out_entry->len - 1};
  else
    *list = (tti_slice){NULL, 0};
  return true;
}

/* What follows a prefix. */
static bool skip(tti_slice *entry, tti_slice prefix) {
  if (entry->len < prefix.len ||
      memcmp(entry->ptr, prefix.ptr, prefix.len) != 0)
    return false;
  entry->ptr += prefix.len;
  entry->len -= prefix.len;
  return true;
}

/* How the header of a scheme is written. */
typedef struct scheme_form {
  char separator;
  tti_slice version; /* before each signature that is looked at */
} scheme_form;

static const scheme_form forms[] = {
    [TT_SIGNATURE_STANDARD] = {' ', {"v1,", 3}},
    [TT_SIGNATURE_E2A] = {',', {"v1=", 3}},
};

static bool any_signature(const scheme_form *form, tti_slice header) {
  tti_slice entry;
  while (next_entry(&header, form->separator, &entry))
    if (skip(&entry, form->version))
      return true;
  return false;
}

/* Every signature is compared with every secret's, whatever the others gave, so
 * that the time tells neither which nor how much. Unknown versions are not
 * looked at. */
static bool any_matches(const scheme_form *form, tti_slice header,
                        const signature_text *all, size_t count) {
  unsigned matches = 0;
  tti_slice entry;
  while (next_entry(&header, form->separator, &entry)) {
    if (!skip(&entry, form->version))
      continue;
    for (size_t i = 0; i < count; i++)
      if (entry.len == all[i].len)
        matches += CRYPTO_memcmp(entry.ptr, all[i].text, entry.len) == 0;
  }
  return matches > 0;
}

/* e2a carries its time in the signature's header, once. */
static bool find_e2a_timestamp(tti_slice header, tti_slice *out_timestamp) {
  tti_slice entry;
  unsigned found = 0;
  while (next_entry(&header, ',', &entry))
    if (skip(&entry, TTI_SLICE("t="))) {
      *out_timestamp = entry;
      found++;
    }
  return found == 1;
}

static tt_error fail(tt_error error, const char *problem,
                     const char **out_problem) {
  if (out_problem)
    *out_problem = problem;
  return error;
}

/* The headers, without a look at what was signed. */
static tt_error check_headers(const tt_signature_options *options,
                              const tt_webhook *webhook,
                              tti_slice *out_timestamp,
                              const char **out_problem) {
  tti_slice signature = tti_slice_of(webhook->signature);
  unsigned long long seconds;
  if (options->scheme == TT_SIGNATURE_STANDARD) {
    if (!valid_id(webhook->id))
      return fail(TT_EPARSE,
                  webhook->id ? "webhook-id is empty or holds a '.'"
                              : "the header webhook-id is missing",
                  out_problem);
    if (!webhook->timestamp)
      return fail(TT_EPARSE, "the header webhook-timestamp is missing",
                  out_problem);
    *out_timestamp = tti_slice_of(webhook->timestamp);
  }
  if (!webhook->signature)
    return fail(TT_EPARSE, "the signature's header is missing", out_problem);
  if (options->scheme == TT_SIGNATURE_E2A &&
      !find_e2a_timestamp(signature, out_timestamp))
    return fail(TT_EPARSE, "the signature's header needs one t=", out_problem);
  if (out_timestamp->len > SECONDS_DIGITS ||
      !tti_slice_to_u64(*out_timestamp, &seconds))
    return fail(TT_EPARSE, "the timestamp is not a number of seconds",
                out_problem);
  if (!any_signature(&forms[options->scheme], signature))
    return fail(TT_EPARSE, "there is no signature of version v1", out_problem);

  int64_t now = options->now_s ? options->now_s
                               : tti_wall_us(&tti_clock_system) / 1000000;
  int64_t tolerance = options->tolerance_s ? options->tolerance_s : TOLERANCE_S;
  if ((int64_t)seconds < now - tolerance)
    return fail(TT_ESIGNATURE,
                "the timestamp is too old: sent again, or a clock is wrong",
                out_problem);
  if ((int64_t)seconds > now + tolerance)
    return fail(TT_ESIGNATURE,
                "the timestamp lies in the future: a clock is wrong",
                out_problem);
  return TT_OK;
}

tt_error tt_signature_verify(const tt_signature_options *options,
                             const tt_webhook *webhook,
                             const char **out_problem) {
  if (!known_scheme(options) || !in_range(options->tolerance_s) ||
      !in_range(options->now_s) || !webhook ||
      (!webhook->body && webhook->body_len))
    return fail(TT_EINVAL, "the options or the body are not valid",
                out_problem);
  if (!options->secrets[0])
    return fail(TT_EINVAL, "there is no secret to verify with", out_problem);
  tti_slice timestamp = {NULL, 0};
  tt_error error = check_headers(options, webhook, &timestamp, out_problem);
  if (error)
    return error;
  signature_text all[TELLTALE_SECRETS_MAX];
  size_t count;
  bool standard = options->scheme == TT_SIGNATURE_STANDARD;
  error =
      make_all(options, tti_slice_of(standard ? webhook->id : NULL), timestamp,
               (tti_slice){webhook->body, webhook->body_len}, all, &count);
  if (error)
    return fail(error, error == TT_EINVAL ? bad_secret : "out of memory",
                out_problem);
  bool right = any_matches(&forms[options->scheme],
                           tti_slice_of(webhook->signature), all, count);
  OPENSSL_cleanse(all, sizeof(all));
  return right ? TT_OK
               : fail(TT_ESIGNATURE,
                      "no signature matches: another secret, or other bytes",
                      out_problem);
}

void tt_signature_secret_new(char out_secret[TELLTALE_SECRET_SIZE]) {
  unsigned char bytes[32];
  tti_random_bytes(bytes, sizeof(bytes));
  memcpy(out_secret, secret_prefix.ptr, secret_prefix.len);
  EVP_EncodeBlock((unsigned char *)out_secret + secret_prefix.len, bytes,
                  sizeof(bytes));
  OPENSSL_cleanse(bytes, sizeof(bytes));
}
