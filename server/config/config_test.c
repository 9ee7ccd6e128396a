#include "server/config/option.h"
#include "tests/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each test has a home of its own, an empty environment and one place for the
 * outcome of a load. */
typedef struct fixture {
  char home[64];
  char path[128]; /* of the YAML file in it */
  tti_buf error;
  config config;
  tt_error result;
} fixture;

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  strcpy(f->home, "/tmp/telltale-config-XXXXXX");
  if (!mkdtemp(f->home))
    return -1;
  clearenv();
  setenv("HOME", f->home, 1);
  snprintf(f->path, sizeof(f->path), "%s/telltale.yaml", f->home);
  tti_buf_init(&f->error, 4096);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  char command[128];
  config_fini(&f->config);
  tti_buf_fini(&f->error);
  snprintf(command, sizeof(command), "rm -rf %s", f->home);
  int failed = system(command);
  free(f);
  return failed;
}

static void write_file(const char *path, const char *text, mode_t mode) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
  chmod(path, mode);
}

static void load(fixture *f, const char *const *args) {
  char *argv[16] = {(char *)"serve"};
  int argc = 1;
  while (args && args[argc - 1]) {
    argv[argc] = (char *)args[argc - 1];
    argc++;
  }
  config_fini(&f->config);
  tti_buf_clear(&f->error);
  f->result = config_load(argc, argv, &f->error, &f->config);
  tti_buf_append_char(&f->error, '\0');
}

#define LOAD(f, ...) load(f, (const char *const[]){__VA_ARGS__, NULL})

static void load_yaml(fixture *f, const char *yaml) {
  write_file(f->path, yaml, 0600);
  LOAD(f, "--config", f->path);
}

static void assert_refused(fixture *f, const char *part) {
  assert_int_not_equal(f->result, TT_OK);
  if (!strstr(f->error.data, part))
    fail_msg("\"%s\" does not say \"%s\"", f->error.data, part);
}

static void nothing_given_is_the_documented_default(void **state) {
  fixture *f = *state;
  load(f, NULL);
  assert_int_equal(f->result, TT_OK);
  assert_string_equal(f->config.listen, "127.0.0.1:6060");
  assert_string_equal(f->config.durability, "sync");
  assert_int_equal(f->config.retain, UINT64_C(604800000));
  assert_int_equal(f->config.retain_bytes, UINT64_C(5000000000));
  assert_int_equal(f->config.max_batch, 10000);
  assert_false(f->config.insecure);
  assert_null(f->config.hosts);
  assert_null(f->config.config_path);
}

static void flags_win_over_environment_over_file(void **state) {
  fixture *f = *state;
  write_file(f->path,
             "durability: memory\nloops: 3\nring:\n  entries: 100\n"
             "  bytes: 1MiB\nhosts: [a.example, b.example]\n",
             0600);
  setenv("TELLTALE_CONFIG", f->path, 1);
  setenv("TELLTALE_LOOPS", "4", 1);
  setenv("TELLTALE_RING_ENTRIES", "200", 1);
  LOAD(f, "--ring-entries=300", "--insecure");
  assert_int_equal(f->result, TT_OK);
  assert_string_equal(f->config.durability, "memory");
  assert_int_equal(f->config.loops, 4);
  assert_int_equal(f->config.ring_entries, 300);
  assert_int_equal(f->config.ring_bytes, 1 << 20);
  assert_true(f->config.insecure);
  assert_string_equal(f->config.hosts[0], "a.example");
  assert_string_equal(f->config.hosts[1], "b.example");
  assert_null(f->config.hosts[2]);
  assert_string_equal(f->config.config_path, f->path);
  char line[160];
  snprintf(line, sizeof(line), "%s:1", f->path);
  char **origins = f->config.origins;
  assert_string_equal(origins[CONFIG_ORDINAL_durability], line);
  assert_string_equal(origins[CONFIG_ORDINAL_loops], "TELLTALE_LOOPS");
  assert_string_equal(origins[CONFIG_ORDINAL_ring_entries], "--ring-entries");
  assert_string_equal(origins[CONFIG_ORDINAL_listen], "default");
}

static void a_list_flag_given_twice_adds_and_replaces_the_file(void **state) {
  fixture *f = *state;
  write_file(f->path, "hosts: old.example\n", 0600);
  LOAD(f, "--config", f->path, "--host", "a.example", "--host=b.example,c");
  assert_int_equal(f->result, TT_OK);
  assert_string_equal(f->config.hosts[0], "a.example");
  assert_string_equal(f->config.hosts[1], "b.example");
  assert_string_equal(f->config.hosts[2], "c");
  assert_null(f->config.hosts[3]);
}

static void the_file_of_the_home_folder_is_read_where_it_exists(void **state) {
  fixture *f = *state;
  char path[128];
  setenv("XDG_CONFIG_HOME", f->home, 1);
  snprintf(path, sizeof(path), "%s/telltale", f->home);
  mkdir(path, 0700);
  snprintf(path, sizeof(path), "%s/telltale/telltale.yaml", f->home);
  write_file(path, "loops: 2\n", 0600);
  load(f, NULL);
  assert_int_equal(f->config.loops, 2);
}

static void an_unknown_key_names_file_line_and_the_nearest(void **state) {
  fixture *f = *state;
  load_yaml(f, "loops: 1\n\ndurabilty: sync\n");
  assert_refused(f, "telltale.yaml:3: unknown key \"durabilty\"; did you mean "
                    "\"durability\"?");
  load_yaml(f, "ring:\n  entires: 5\n");
  assert_refused(f, "telltale.yaml:2: unknown key \"ring.entires\"; did you "
                    "mean \"ring.entries\"?");
  load_yaml(f, "zzzzzzzzzz: 5\n");
  assert_refused(f, "telltale.yaml:1: unknown key \"zzzzzzzzzz\"; `telltale");
}

static void a_bad_value_names_its_place_and_what_is_allowed(void **state) {
  fixture *f = *state;
  load_yaml(f, "loops: 1\ndurability: fast\n");
  assert_refused(f, "telltale.yaml:2: durability cannot be \"fast\"; allowed: "
                    "memory, commit or sync");
  load_yaml(f, "ring:\n  bytes: lots\n");
  assert_refused(f, "telltale.yaml:2: ring.bytes cannot be \"lots\"; allowed: "
                    "a size such as 64MiB");
  LOAD(f, "--loops", "1000");
  assert_refused(f, "--loops: loops cannot be \"1000\"; allowed: a whole "
                    "number from 0 to 256");
  LOAD(f, "--retain=7");
  assert_refused(f, "--retain: retain cannot be \"7\"; allowed: a duration");
  setenv("TELLTALE_LISTEN", "nowhere", 1);
  load(f, NULL);
  assert_refused(f, "TELLTALE_LISTEN: listen cannot be \"nowhere\"");
  unsetenv("TELLTALE_LISTEN");
  LOAD(f, "--store", "postgres://localhost/x");
  assert_refused(f, "--store: store cannot be \"postgres://localhost/x\"; "
                    "allowed: sqlite:PATH or memory");
}

static void names_that_no_browser_would_send_are_refused(void **state) {
  fixture *f = *state;
  LOAD(f, "--cors-origin=https://app.example,http://[::1]:3000", "--host",
       "a.example,[fd00::1]");
  assert_int_equal(f->result, TT_OK);
  assert_string_equal(f->config.cors_origins[1], "http://[::1]:3000");
  assert_string_equal(f->config.hosts[1], "[fd00::1]");
  static const char *const origins[] = {
      "*",           "null",        "app.example", "https://app.example/",
      "https://a/b", "ftp://a",     "https://",    "https://:80",
      "https://a:",  "https://a:b", "https://u@a", "HTTPS://a b"};
  for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
    LOAD(f, "--cors-origin", origins[i]);
    assert_refused(f, "--cors-origin: cors_origins cannot be");
  }
  static const char *const hosts[] = {"a b", "a:80", "https://a", "[::1",
                                      "*.example"};
  for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
    LOAD(f, "--host", hosts[i]);
    assert_refused(f, "--host: hosts cannot be");
  }
}

static void what_yaml_allows_beyond_keys_and_values_is_refused(void **state) {
  fixture *f = *state;
  load_yaml(f, "listen: &a 127.0.0.1:0\nstore: *a\n");
  assert_refused(f, "anchors and aliases");
  load_yaml(f, "loops: !!int 1\n");
  assert_refused(f, "tags");
  load_yaml(f, "loops: 1\nloops: 2\n");
  assert_refused(f, "telltale.yaml:2: loops is given twice");
  load_yaml(f, "loops: 1\n---\nloops: 2\n");
  assert_refused(f, "one document");
  load_yaml(f, "- loops\n");
  assert_refused(f, "expected keys and values");
  load_yaml(f, "loops: [1]\n");
  assert_refused(f, "loops takes one value");
  load_yaml(f, "ring: 5\n");
  assert_refused(f, "ring takes keys below it");
  load_yaml(f, "loops: \"unfinished\n");
  assert_refused(f, "not valid YAML");
}

static void an_empty_file_is_fine(void **state) {
  fixture *f = *state;
  load_yaml(f, "");
  assert_int_equal(f->result, TT_OK);
  load_yaml(f, "# nothing\n---\n");
  assert_int_equal(f->result, TT_OK);
}

static void flags_are_refused_with_the_nearest(void **state) {
  fixture *f = *state;
  LOAD(f, "--durabilty", "sync");
  assert_refused(f, "unknown option --durabilty; did you mean --durability?");
  LOAD(f, "--listen");
  assert_refused(f, "--listen needs a value");
  LOAD(f, "stray");
  assert_refused(f, "unexpected argument \"stray\"");
  LOAD(f, "--config", "/nonexistent/telltale.yaml");
  assert_refused(f, "/nonexistent/telltale.yaml: cannot be read");
}

static void tokens_come_from_the_environment_or_a_file(void **state) {
  fixture *f = *state;
  char path[128];
  snprintf(path, sizeof(path), "%s/token", f->home);
  write_file(path, "tt_from_file\n", 0600);
  setenv("TELLTALE_TOKEN_INGEST", "tt_direct", 1);
  setenv("TELLTALE_TOKEN_ADMIN_FILE", path, 1);
  load(f, NULL);
  assert_int_equal(f->result, TT_OK);
  assert_string_equal(f->config.token_ingest, "tt_direct");
  assert_string_equal(f->config.token_admin, "tt_from_file");
  assert_null(f->config.token_read);
  assert_null(f->config.warnings);
  chmod(path, 0644);
  load(f, NULL);
  assert_non_null(strstr(f->config.warnings, path));
}

static void a_token_that_no_header_can_carry_is_refused(void **state) {
  fixture *f = *state;
  setenv("TELLTALE_TOKEN_READ", "two words", 1);
  load(f, NULL);
  assert_refused(f, "TELLTALE_TOKEN_READ: a token is");
  setenv("TELLTALE_TOKEN_READ", "", 1);
  load(f, NULL);
  assert_refused(f, "TELLTALE_TOKEN_READ: a token is");
  setenv("TELLTALE_TOKEN_READ", "x", 1);
  setenv("TELLTALE_TOKEN_READ_FILE", "/dev/null", 1);
  load(f, NULL);
  assert_refused(f, "are both set");
}

static void listen_takes_addresses_apart(void **state) {
  (void)state;
  static const struct {
    const char *text, *address;
    uint16_t port;
  } good[] = {{"127.0.0.1:0", "127.0.0.1", 0},
              {"[::1]:80", "::1", 80},
              {":6060", "0.0.0.0", 6060},
              {"localhost:65535", "127.0.0.1", 65535}};
  static const char *const bad[] = {"",        "6060",        "127.0.0.1",
                                    "::1:80",  "[::1]80",     "example.org:80",
                                    "1.2.3:4", "127.0.0.1:x", "[::1]:65536"};
  char address[64];
  uint16_t port;
  for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
    assert_int_equal(config_listen(good[i].text, address, &port), TT_OK);
    assert_string_equal(address, good[i].address);
    assert_int_equal(port, good[i].port);
  }
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    assert_int_equal(config_listen(bad[i], address, &port), TT_EINVAL);
}

static void the_default_store_is_in_a_private_state_folder(void **state) {
  fixture *f = *state;
  char *path = NULL, expected[160];
  struct stat info;
  load(f, NULL);
  assert_int_equal(config_store_path(&f->config, &f->error, &path), TT_OK);
  snprintf(expected, sizeof(expected), "%s/.local/state/telltale/telltale.db",
           f->home);
  assert_string_equal(path, expected);
  *strrchr(path, '/') = '\0';
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0700);
  free(path);

  LOAD(f, "--store", "memory");
  assert_int_equal(config_store_path(&f->config, &f->error, &path), TT_OK);
  assert_string_equal(path, "");
  free(path);
  LOAD(f, "--store", "sqlite:/x/y.db");
  assert_int_equal(config_store_path(&f->config, &f->error, &path), TT_OK);
  assert_string_equal(path, "/x/y.db");
  free(path);
}

static void what_is_adopted_is_what_the_table_calls_live(void **state) {
  fixture *f = *state;
  config fresh;
  tti_buf changed, restart;
  tti_buf_init(&changed, 1024);
  tti_buf_init(&restart, 1024);
  LOAD(f, "--retain", "1d", "--loops", "3", "--host", "a.example");
  fresh = f->config;
  f->config = (config){0};
  LOAD(f, "--retain", "2d", "--bus", "local");
  config_adopt(&f->config, &fresh, &changed, &restart);
  assert_true(
      tti_slice_eq(tti_buf_slice(&changed), TTI_SLICE("hosts, retain")));
  assert_true(tti_slice_eq(tti_buf_slice(&restart), TTI_SLICE("loops")));
  assert_int_equal(f->config.retain, 86400000);
  assert_string_equal(f->config.hosts[0], "a.example");
  assert_string_equal(f->config.origins[CONFIG_ORDINAL_hosts], "--host");
  assert_int_equal(f->config.loops, 0);
  assert_int_equal(fresh.retain, 2 * 86400000);
  assert_null(fresh.hosts);
  assert_int_equal(fresh.loops, 3);
  config_fini(&fresh);
  tti_buf_fini(&changed);
  tti_buf_fini(&restart);
}

static void help_has_a_line_for_every_option(void **state) {
  (void)state;
  tti_buf help;
  tti_buf_init(&help, 1 << 16);
  config_help(&help);
  tti_buf_append_char(&help, '\0');
  for (size_t i = 0; i < config_option_count; i++)
    assert_non_null(strstr(help.data, config_options[i].flag));
  tti_buf_fini(&help);
}

/* ---- Sinks ---- */

static void sinks_are_read_with_their_defaults(void **state) {
  fixture *f = *state;
  load_yaml(f, "sinks:\n"
               "  - name: archive\n"
               "    type: jsonl\n"
               "    path: /var/log/a.jsonl\n"
               "    max_bytes: 1MiB\n"
               "    filter:\n"
               "      level: \">=warn\"\n"
               "      kinds: [log, relay]\n"
               "  - {name: otel, type: otlp, endpoint: \"http://c:4318\"}\n"
               "retain: 1d\n");
  assert_int_equal(f->result, TT_OK);
  assert_int_equal(f->config.sink_count, 2);
  const sink_spec *archive = &f->config.sinks[0];
  assert_string_equal(archive->name, "archive");
  assert_int_equal(archive->kind, SINK_JSONL);
  assert_string_equal(archive->from, "oldest");
  assert_int_equal(archive->max_bytes, 1 << 20);
  assert_int_equal(archive->dead_letters_max, 64 << 20);
  assert_string_equal(archive->level, ">=warn");
  assert_string_equal(archive->kinds[0], "log");
  assert_string_equal(archive->kinds[1], "relay");
  assert_null(archive->kinds[2]);
  assert_string_equal(f->config.sinks[1].from, "tail");
  assert_string_equal(f->config.sinks[1].exclude[0], "screenshot");
  assert_int_equal(f->config.retain, 86400000);
}

static void wrong_sinks_name_file_line_and_what_to_do(void **state) {
  fixture *f = *state;
  static const struct {
    const char *text, *refusal;
  } cases[] = {
      {"sinks: 5\n", "telltale.yaml:1: sinks takes a list"},
      {"sinks:\n  - {name: a, type: jsonl, pth: x}\n",
       "telltale.yaml:2: unknown key \"sinks.pth\"; did you mean "
       "\"sinks.path\"?"},
      {"sinks:\n  - name: a\n    type: jsonl\n    path: x\n    filter:\n"
       "      sorce: b\n",
       "telltale.yaml:6: unknown key \"sinks.filter.sorce\"; did you mean "
       "\"sinks.filter.source\"?"},
      {"sinks:\n  - {name: a, type: kafka}\n",
       "telltale.yaml:2: sinks.type cannot be \"kafka\"; allowed: jsonl, s2 or "
       "otlp"},
      {"sinks:\n  - {name: a, type: jsonl}\n",
       "telltale.yaml:2: sink a: it has no path"},
      {"sinks:\n  - {name: a, type: jsonl, path: x, endpoint: y}\n",
       "telltale.yaml:2: sink a: a sink of type jsonl has no endpoint"},
      {"sinks:\n  - {name: A, type: jsonl, path: x}\n",
       "telltale.yaml:2: a sink needs a name of a-z"},
      {"sinks:\n  - {name: a, path: x}\n",
       "telltale.yaml:2: a sink needs a type"},
      {"sinks:\n  - {name: a, type: jsonl, path: x}\n"
       "  - {name: a, type: jsonl, path: y}\n",
       "telltale.yaml:3: sink a is there already, from "},
      {"sinks:\n  - {name: a, type: otlp}\n", "telltale.yaml:2: sink a: "},
      {"sinks:\n  - {name: a, type: otlp, endpoint: \"http://u:p@h\"}\n",
       "telltale.yaml:2: a password in the endpoint would be shown"},
      {"sinks:\n  - {name: a, type: s2, basin: b}\n",
       "telltale.yaml:2: sink a: "},
      {"sinks:\n  - {name: a, type: jsonl, path: x, filter: {level: "
       "\">=x\"}}\n",
       "telltale.yaml:2: sink a: filter.level cannot be \">=x\""},
      {"sinks:\n  - {name: a, type: jsonl, path: x, filter: {kinds: [x]}}\n",
       "telltale.yaml:2: sinks.filter.kinds cannot be \"x\"; allowed: relay"},
      {"sinks: []\nsinks:\n  - {name: a, type: jsonl, path: x, name: b}\n",
       "telltale.yaml:3: sinks.name is given twice"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    load_yaml(f, cases[i].text);
    assert_refused(f, cases[i].refusal);
  }
}

/* ---- Metrics ---- */

static void backends_of_metrics_are_read_with_their_defaults(void **state) {
  fixture *f = *state;
  load_yaml(f, "metrics:\n"
               "  - type: log\n"
               "  - type: statsd\n"
               "    address: unix:/run/dsd.socket\n"
               "    tags: dogstatsd\n"
               "    interval: 5s\n"
               "  - {type: otlp, endpoint: \"http://c:4318\"}\n"
               "  - {type: log, only: [\"events_*\", sessions]}\n"
               "retain: 1d\n");
  assert_int_equal(f->result, TT_OK);
  assert_int_equal(f->config.metrics_count, 4);
  const metrics_spec *all = f->config.metrics;
  assert_int_equal(all[0].kind, METRICS_LOG);
  assert_string_equal(all[0].only[0], "outbox_*");
  assert_int_equal(all[1].kind, METRICS_STATSD);
  assert_string_equal(all[1].address, "unix:/run/dsd.socket");
  assert_string_equal(all[1].prefix, "telltale.");
  assert_string_equal(all[1].tags, "dogstatsd");
  assert_int_equal(all[1].interval, 5000);
  assert_int_equal(all[2].kind, METRICS_OTLP);
  assert_string_equal(all[3].only[1], "sessions");
  assert_null(all[3].only[2]);
  assert_int_equal(f->config.retain, 86400000);
}

static void wrong_metrics_name_file_line_and_what_to_do(void **state) {
  fixture *f = *state;
  static const struct {
    const char *text, *refusal;
  } cases[] = {
      {"metrics: log\n",
       "telltale.yaml:1: metrics takes a list, an entry of which begins with "
       "\"- type: statsd\""},
      {"metrics:\n  - log\n",
       "telltale.yaml:2: an entry of metrics is keys and values"},
      {"metrics:\n  - {type: graphite}\n",
       "telltale.yaml:2: metrics.type cannot be \"graphite\"; allowed: log, "
       "otlp or statsd"},
      {"metrics:\n  - {address: \"udp://h:1\"}\n",
       "telltale.yaml:2: a backend of metrics needs a type"},
      {"metrics:\n  - {type: statsd, adress: x}\n",
       "telltale.yaml:2: unknown key \"metrics.adress\"; did you mean "
       "\"metrics.address\"?"},
      {"metrics:\n  - {type: log, interval: 1s}\n",
       "telltale.yaml:2: metrics of type log have no interval"},
      {"metrics:\n  - type: log\n  - {type: statsd, address: h}\n",
       "telltale.yaml:3: metrics of type statsd: address: it is neither"},
      {"metrics:\n  - {type: statsd, tags: datadog}\n",
       "telltale.yaml:2: metrics.tags cannot be \"datadog\"; allowed: none or "
       "dogstatsd"},
      {"metrics:\n  - {type: statsd, prefix: \"a b\"}\n",
       "telltale.yaml:2: metrics of type statsd: prefix: "},
      {"metrics:\n  - {type: log, only: [outbox]}\n",
       "telltale.yaml:2: metrics of type log: only: no instrument is called "
       "outbox"},
      {"metrics:\n  - {type: otlp}\n",
       "telltale.yaml:2: metrics of type otlp: OTEL_EXPORTER_OTLP_ENDPOINT: "
       "there is no endpoint"},
      {"metrics:\n  - {type: otlp, endpoint: \"http://u:p@h\"}\n",
       "telltale.yaml:2: a password in the endpoint would be shown"},
      {"metrics:\n  - {type: otlp, endpoint: \"http://h\", headers: x}\n",
       "telltale.yaml:2: metrics of type otlp: headers: "},
      {"metrics:\n  - {type: otlp, endpoint: \"http://h\", interval: 2h}\n",
       "telltale.yaml:2: metrics.interval cannot be \"2h\"; allowed: "},
      {"metrics:\n  - type: log\nmetrics:\n  - type: log\n",
       "telltale.yaml:4: metrics is given twice"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    load_yaml(f, cases[i].text);
    assert_refused(f, cases[i].refusal);
  }
}

static void a_place_for_otlp_in_the_environment_is_for_sessions(void **state) {
  fixture *f = *state;
  setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318", 1);
  load(f, NULL);
  assert_int_equal(f->result, TT_OK);
  assert_int_equal(f->config.sink_count, 1);
  assert_string_equal(f->config.sinks[0].name, "sessions");
  assert_true(f->config.sinks[0].sessions);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(nothing_given_is_the_documented_default),
      TEST(flags_win_over_environment_over_file),
      TEST(a_list_flag_given_twice_adds_and_replaces_the_file),
      TEST(the_file_of_the_home_folder_is_read_where_it_exists),
      TEST(an_unknown_key_names_file_line_and_the_nearest),
      TEST(sinks_are_read_with_their_defaults),
      TEST(wrong_sinks_name_file_line_and_what_to_do),
      TEST(backends_of_metrics_are_read_with_their_defaults),
      TEST(wrong_metrics_name_file_line_and_what_to_do),
      TEST(a_place_for_otlp_in_the_environment_is_for_sessions),
      TEST(a_bad_value_names_its_place_and_what_is_allowed),
      TEST(names_that_no_browser_would_send_are_refused),
      TEST(what_yaml_allows_beyond_keys_and_values_is_refused),
      TEST(an_empty_file_is_fine),
      TEST(flags_are_refused_with_the_nearest),
      TEST(tokens_come_from_the_environment_or_a_file),
      TEST(a_token_that_no_header_can_carry_is_refused),
      TEST(listen_takes_addresses_apart),
      TEST(the_default_store_is_in_a_private_state_folder),
      TEST(what_is_adopted_is_what_the_table_calls_live),
      TEST(help_has_a_line_for_every_option),
  };
#undef TEST
  return cmocka_run_group_tests(tests, NULL, NULL);
}
