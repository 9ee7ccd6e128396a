#include "cli/webhooks.h"

#include "cli/commands.h"
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <telltale/signature.h>

enum { BODY_MAX = 64 << 20 };

static int read_body(const char *file, tti_buf *out) {
  FILE *in = file && strcmp(file, "-") != 0 ? fopen(file, "rb") : stdin;
  int status = CLI_OK;
  char *place;
  if (!in)
    return cli_usage_error(&cli_webhooks, "%s: %s", file, strerror(errno));
  while ((place = tti_buf_reserve(out, 65536)) != NULL) {
    size_t len = fread(place, 1, 65536, in);
    out->len += len;
    if (len == 0)
      break;
  }
  if (ferror(in) || out->error)
    status = cli_usage_error(&cli_webhooks, "%s cannot be read%s",
                             file ? file : "standard input",
                             out->error ? ": it is too long" : "");
  if (in != stdin)
    fclose(in);
  return status;
}

int webhooks_verify(const webhooks_args *args) {
  const char *const *v = args->values;
  const char *problem = NULL;
  bool standard = v[WEBHOOKS_ID] || v[WEBHOOKS_TIMESTAMP];
  tt_signature_options options = {.scheme = standard ? TT_SIGNATURE_STANDARD
                                                     : TT_SIGNATURE_E2A,
                                  .secrets = {v[WEBHOOKS_SECRET]}};
  tt_webhook received = {.id = v[WEBHOOKS_ID],
                         .timestamp = v[WEBHOOKS_TIMESTAMP],
                         .signature = v[WEBHOOKS_SIGNATURE]};
  tti_buf body;
  if (!v[WEBHOOKS_SECRET] || !v[WEBHOOKS_SIGNATURE])
    return cli_usage_error(&cli_webhooks,
                           "verify needs --secret and --signature, and unless "
                           "it is a signature of e2a --id and --timestamp");
  tti_buf_init(&body, BODY_MAX);
  int status = read_body(args->id, &body);
  if (status == CLI_OK) {
    received.body = body.data ? body.data : "";
    received.body_len = body.len;
    tt_error error = tt_signature_verify(&options, &received, &problem);
    if (error)
      fprintf(stderr, "telltale webhooks: %s\n",
              problem ? problem : tt_error_message(error));
    else
      puts("the signature is right");
    status = error ? CLI_FAILED : CLI_OK;
  }
  tti_buf_fini(&body);
  return status;
}
