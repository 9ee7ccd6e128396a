#include "cli/commands.h"
#include "cli/line.h"
#include "cli/options.h"
#include "server/auth/auth.h"
#include "server/config/option.h"
#include "server/reload.h"

#include <stdio.h>
#include <stdlib.h>

static int run(int argc, char **argv);

const cli_command cli_config = {
    .name = "config",
    .help = "check a configuration and print it",
    .run = run,
    .arguments = "check",
    .words = "check",
    .summary =
        "Reads the configuration as serve would, from the file, the "
        "environment\n"
        "and these options, and prints each setting and where it comes from. "
        "Exit\n"
        "status 2, and what is wrong, for one that serve would refuse. It does "
        "not\n"
        "open the store or a port.",
    .examples = "telltale config check --config new.yaml",
    .options = cli_no_options,
    .serve_options = true};

enum { WIDTH = 24 };

static void print_setting(const char *key, tti_slice value, const char *origin,
                          int width) {
  printf("%-18s ", key);
  cli_text_print(stdout, value);
  int pad = width - (int)value.len;
  printf("%*s (", pad > 0 ? pad : 0, "");
  cli_text_print(stdout, tti_slice_of(origin));
  printf(")\n");
}

static void print_options(const config *c) {
  tti_buf value;
  tti_buf_init(&value, 1 << 16);
  for (size_t i = 0; i < config_option_count; i++) {
    const config_option *o = &config_options[i];
    char *path = NULL;
    tti_buf_clear(&value);
    config_field_print(o, c, &value);
    if (i == CONFIG_ORDINAL_store && !value.len &&
        config_store_place(c, &value, &path) == TT_OK)
      tti_buf_printf(&value, "sqlite:%s", path);
    free(path);
    print_setting(o->key, tti_buf_slice(&value), c->origins[i], WIDTH);
  }
  tti_buf_fini(&value);
  const struct {
    const char *key, *token, *variable;
  } tokens[] = {
      {"token (ingest)", c->token_ingest, "TELLTALE_TOKEN_INGEST"},
      {"token (read)", c->token_read, "TELLTALE_TOKEN_READ"},
      {"token (admin)", c->token_admin, "TELLTALE_TOKEN_ADMIN"},
  };
  for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
    char origin[40];
    snprintf(origin, sizeof(origin), "%s%s", tokens[i].variable,
             getenv(tokens[i].variable) ? "" : "_FILE");
    if (tokens[i].token)
      print_setting(tokens[i].key, TTI_SLICE("****"), origin, WIDTH);
  }
}

/* Only what the entry's kind has (kinds NULL: there are none); an empty value
 * is one that is not set. */
static void print_entry(const config_table *table, const void *entry,
                        unsigned kind,
                        unsigned (*kinds)(const config_option *option),
                        const char *origin) {
  tti_buf value;
  tti_buf_init(&value, 1 << 16);
  putchar('\n');
  for (size_t i = 0; i < table->count; i++) {
    const config_option *o = &table->options[i];
    tti_buf_clear(&value);
    config_field_print(o, entry, &value);
    if (value.len && (!kinds || (kinds(o) & kind)))
      print_setting(o->key, tti_buf_slice(&value), origin, WIDTH);
  }
  tti_buf_fini(&value);
}

static void print_lists(const config *c) {
  for (size_t i = 0; i < c->sink_count; i++)
    print_entry(&config_sink, &c->sinks[i], c->sinks[i].kind, config_sink_types,
                c->sinks[i].origin);
  for (size_t i = 0; i < c->metrics_count; i++)
    print_entry(&config_metrics, &c->metrics[i], c->metrics[i].kind,
                config_metrics_types, c->metrics[i].origin);
  for (size_t i = 0; i < c->route_count; i++)
    print_entry(&config_route, &c->routes[i], 0, NULL, c->routes[i].origin);
}

/* What the settings alone cannot decide. */
static void print_notes(const config *c) {
  char address[64];
  uint16_t port;
  bool token = c->token_ingest || c->token_read || c->token_admin;
  if (c->warnings)
    fprintf(stderr, "telltale: %s", c->warnings);
  if (config_listen(c->listen, address, &port) == TT_OK &&
      !auth_is_loopback(address) && !c->insecure && !token)
    fprintf(stderr,
            "telltale: %s is beyond this machine: serve starts there only if "
            "the store has a token (telltale token create)\n",
            c->listen);
}

static int check(int argc, char **argv) {
  config c;
  tti_buf why;
  tti_buf_init(&why, 8192);
  tls_certificate *certificate = NULL;
  tt_error error = config_load(argc, argv, &why, &c);
  if (error == TT_OK &&
      (error = reload_certificate(&c, &why, &certificate)) != TT_OK)
    config_fini(&c);
  tls_certificate_free(certificate);
  if (error != TT_OK) {
    fputs("telltale: ", stderr);
    cli_text_print(stderr, why.len ? tti_buf_slice(&why)
                                   : tti_slice_of(tt_error_message(error)));
    fputc('\n', stderr);
    tti_buf_fini(&why);
    return CLI_USAGE;
  }
  tti_buf_fini(&why);
  fputs("file               ", stdout);
  cli_text_print(stdout, tti_slice_of(c.config_path ? c.config_path : "none"));
  putchar('\n');
  print_options(&c);
  print_lists(&c);
  print_notes(&c);
  config_fini(&c);
  return fflush(stdout) ? CLI_FAILED : CLI_OK;
}

static int run(int argc, char **argv) {
  if (argc < 2) {
    cli_help(&cli_config);
    return CLI_OK;
  }
  if (strcmp(argv[1], "check") != 0)
    return cli_usage_error(&cli_config, "%s is not check", argv[1]);
  return check(argc - 1, argv + 1);
}
