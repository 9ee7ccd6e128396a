/* An emitter over TLS: trusts one CA, and shows a certificate instead of a
 * token. usage: secure URL CA [CERT KEY] */
#include <stdio.h>
#include <telltale/emitter.h>

static void print_log(void *context, tt_level level, const char *message) {
  (void)context;
  (void)level;
  fprintf(stderr, "%s\n", message);
}

int main(int argc, char **argv) {
  tt_emitter *emitter = NULL;
  tt_emitter_stats stats;
  tt_emitter_options options = {.source = "secure", .log = {.log = print_log}};
  if (argc != 3 && argc != 5) {
    fprintf(stderr, "usage: %s URL CA [CERT KEY]\n", argv[0]);
    return 2;
  }
  options.url = argv[1];
  options.ca_file = argv[2];
  options.cert_file = argc == 5 ? argv[3] : NULL;
  options.key_file = argc == 5 ? argv[4] : NULL;
  if (tt_emitter_new(&options, &emitter) != TT_OK)
    return 1;
  for (int i = 0; i < 1000; i++)
    tt_emit(emitter, "count", tt_int("n", i));
  tt_emitter_flush(emitter, 2000);
  tt_emitter_stats_get(emitter, &stats);
  tt_emitter_free(emitter);
  printf("%llu of %llu events sent\n", (unsigned long long)stats.sent,
         (unsigned long long)stats.emitted);
  return stats.sent == stats.emitted ? 0 : 1;
}
