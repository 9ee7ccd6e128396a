/* The headers of a webhook: id, timestamp and signature, one a line of the
 * input, then the body. What must hold for both schemes: nobody gets in without
 * the secret, every refusal says why, and what stands before a right signature
 * does no harm to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <telltale/signature.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW 1700000000

static void require(bool holds) {
  if (!holds)
    abort();
}

/* The next line as a text of its own size, so that ASan sees any overrun. A
 * line of one '-' stands for a header that is missing. */
static char *take_line(const char **at, size_t *left) {
  const char *end = *left ? memchr(*at, '\n', *left) : NULL;
  size_t len = end ? (size_t)(end - *at) : *left;
  char *line = len == 1 && **at == '-' ? NULL : strndup(*at, len);
  size_t used = end ? len + 1 : len;
  *at += used;
  *left -= used;
  return line;
}

/* What came, and behind it the right answer. */
static void verify_with_right(const tt_signature_options *options,
                              tt_webhook webhook) {
  static const char now[] = "1700000000";
  bool standard = options->scheme == TT_SIGNATURE_STANDARD;
  char right[TELLTALE_SIGNATURE_SIZE];
  if (tt_signature_sign(options, webhook.id, NOW, webhook.body,
                        webhook.body_len, right))
    return; /* not an id that can be signed */
  char *joined = NULL;
  /* e2a has its time in the header, where there may be only one. */
  if (!standard && webhook.signature && strstr(webhook.signature, "t="))
    return;
  if (asprintf(&joined, "%s%s%s", webhook.signature ? webhook.signature : "",
               standard ? " " : ",", right) < 0)
    return;
  webhook.timestamp = now;
  webhook.signature = joined;
  require(tt_signature_verify(options, &webhook, NULL) == TT_OK);
  free(joined);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *at = (const char *)data;
  size_t left = size;
  if (!data)
    return 0;
  char *id = take_line(&at, &left);
  char *timestamp = take_line(&at, &left);
  char *signature = take_line(&at, &left);
  for (int scheme = 0; scheme < 2; scheme++) {
    tt_signature_options options = {
        .scheme = (tt_signature_scheme)scheme,
        .secrets = {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        .now_s = NOW};
    tt_webhook webhook = {id, timestamp, signature, at, left};
    const char *problem = NULL;
    tt_error error = tt_signature_verify(&options, &webhook, &problem);
    require((error == TT_EPARSE || error == TT_ESIGNATURE) && problem);
    verify_with_right(&options, webhook);
  }
  free(id);
  free(timestamp);
  free(signature);
  return 0;
}
