/* Signs or verifies the webhook whose body is on its standard input:
 *
 *   signature-run sign standard|e2a ID SECONDS SECRET...
 *   signature-run verify standard|e2a ID SECONDS SIGNATURE SECRET...
 *
 * Prints the signature's header, or what is wrong with it (status 1). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <telltale/signature.h>

int main(int argc, char **argv) {
  static char body[1 << 20];
  size_t body_len = fread(body, 1, sizeof(body), stdin);
  bool sign = argc > 1 && strcmp(argv[1], "sign") == 0;
  int first = sign ? 5 : 6;
  if (argc <= first || argc > first + TELLTALE_SECRETS_MAX)
    return 2;
  tt_signature_options options = {.scheme = strcmp(argv[2], "e2a") == 0
                                                ? TT_SIGNATURE_E2A
                                                : TT_SIGNATURE_STANDARD};
  for (int i = first; i < argc; i++)
    options.secrets[i - first] = argv[i];
  char signature[TELLTALE_SIGNATURE_SIZE];
  const char *problem = "";
  tt_error error;
  if (sign) {
    error = tt_signature_sign(&options, argv[3], strtoll(argv[4], NULL, 10),
                              body, body_len, signature);
  } else {
    tt_webhook webhook = {argv[3], argv[4], argv[5], body, body_len};
    error = tt_signature_verify(&options, &webhook, &problem);
  }
  if (error)
    printf("%s %s\n", tt_error_name(error), problem);
  else
    puts(sign ? signature : "right");
  return error ? 1 : 0;
}
