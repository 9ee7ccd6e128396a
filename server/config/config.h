#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "lib/base/buf.h"
#include "server/metrics/spec.h"
#include "server/outbox/rules.h"
#include "server/sinks/spec.h"
#include "server/store/store.h"

/* The one option table: each option's type, whether SIGHUP re-reads it, its
 * YAML key, environment variable, flag, default and help. Default < YAML file <
 * environment < flags. X(field, type, when, key, env, flag, default, help);
 * types are STRING, BOOL, SIZE ("64MiB"), COUNT, DURATION_MS ("10s"), LIST;
 * `when` is LIVE where a change needs no restart, else START. */
#define CONFIG_OPTION_MAP(X)                                                   \
  X(listen, STRING, START, "listen", "TELLTALE_LISTEN", "--listen",            \
    "127.0.0.1:6060",                                                          \
    "address and port to listen on; port 0 picks a free one")                  \
  X(store, STRING, START, "store", "TELLTALE_STORE", "--store", "",            \
    "sqlite:PATH or memory; default: an SQLite file in the XDG state folder")  \
  X(bus, STRING, START, "bus", "TELLTALE_BUS", "--bus", "local",               \
    "the log that assigns sequence numbers: local")                            \
  X(durability, STRING, START, "durability", "TELLTALE_DURABILITY",            \
    "--durability", "sync", "when a 2xx is sent: memory, commit or sync")      \
  X(tls_cert, STRING, LIVE, "tls.cert", "TELLTALE_TLS_CERT", "--tls-cert", "", \
    "serve HTTPS with the certificate in this PEM file")                       \
  X(tls_key, STRING, LIVE, "tls.key", "TELLTALE_TLS_KEY", "--tls-key", "",     \
    "PEM file of the certificate's private key")                               \
  X(tls_client_ca, STRING, LIVE, "tls.client_ca", "TELLTALE_TLS_CLIENT_CA",    \
    "--tls-client-ca", "",                                                     \
    "PEM file of who signs the client certificates that may send events")      \
  X(insecure, BOOL, START, "insecure", "TELLTALE_INSECURE", "--insecure",      \
    "false", "listen beyond loopback without a token")                         \
  X(hosts, LIST, LIVE, "hosts", "TELLTALE_HOSTS", "--host", "",                \
    "further Host names that the server answers to")                           \
  X(cors_origins, LIST, LIVE, "cors_origins", "TELLTALE_CORS_ORIGINS",         \
    "--cors-origin", "",                                                       \
    "origins whose pages may use this server, such as https://app.example")    \
  X(trusted_proxies, LIST, LIVE, "trusted_proxies",                            \
    "TELLTALE_TRUSTED_PROXIES", "--trusted-proxy", "",                         \
    "networks whose X-Forwarded-For or Forwarded is believed, such as "        \
    "10.0.0.0/8")                                                              \
  X(open, LIST, LIVE, "open", "TELLTALE_OPEN", "--open", "",                   \
    "what may be sent without a token: ingest, fleet")                         \
  X(open_rate, COUNT, LIVE, "limits.open_rate", "TELLTALE_OPEN_RATE",          \
    "--open-rate", "10", "requests a second an address without a token")       \
  X(open_burst, COUNT, LIVE, "limits.open_burst", "TELLTALE_OPEN_BURST",       \
    "--open-burst", "100", "... and so many at once")                          \
  X(log_format, STRING, LIVE, "log_format", "TELLTALE_LOG_FORMAT",             \
    "--log-format", "logfmt", "the server's own log lines: logfmt or json")    \
  X(log_level, STRING, LIVE, "log_level", "TELLTALE_LOG_LEVEL", "--log-level", \
    "info", "lowest level of the server's own log lines")                      \
  X(log_min_level, STRING, LIVE, "log_min_level", "TELLTALE_LOG_MIN_LEVEL",    \
    "--log-min-level", "debug",                                                \
    "lowest level of the log lines that are kept of POST /log")                \
  X(access_log, STRING, LIVE, "access_log", "TELLTALE_ACCESS_LOG",             \
    "--access-log", "off", "a line for each request: off, logfmt or json")     \
  X(access_log_file, STRING, LIVE, "access_log_file",                          \
    "TELLTALE_ACCESS_LOG_FILE", "--access-log-file", "",                       \
    "file for the access log; default: standard error")                        \
  X(categories, LIST, START, "categories", "TELLTALE_CATEGORIES",              \
    "--category", "", "categories of capture sessions beyond the six")         \
  X(outboxes, LIST, START, "outboxes", "TELLTALE_OUTBOXES", "--outbox", "",    \
    "databases of applications whose outbox is delivered, such as "            \
    "sqlite:/var/lib/shop/app.db")                                             \
  X(allow_cidrs, LIST, LIVE, "webhooks.allow_cidrs", "TELLTALE_ALLOW_CIDRS",   \
    "--allow-cidr", "",                                                        \
    "networks that webhooks may reach though they are not public, such as "    \
    "127.0.0.0/8")                                                             \
  X(types, LIST, START, "types", "TELLTALE_TYPES", "--type", "",               \
    "TYPE=CATEGORY: events of the type belong to that category")               \
  X(loops, COUNT, START, "loops", "TELLTALE_LOOPS", "--loops", "0",            \
    "event loops; 0: one a core")                                              \
  X(retain, DURATION_MS, LIVE, "retain", "TELLTALE_RETAIN", "--retain", "7d",  \
    "how long history is kept")                                                \
  X(retain_bytes, SIZE, LIVE, "retain_bytes", "TELLTALE_RETAIN_BYTES",         \
    "--retain-bytes", "5GB", "how large history may grow")                     \
  X(ring_entries, COUNT, START, "ring.entries", "TELLTALE_RING_ENTRIES",       \
    "--ring-entries", "65536", "envelopes kept in memory")                     \
  X(ring_bytes, SIZE, START, "ring.bytes", "TELLTALE_RING_BYTES",              \
    "--ring-bytes", "64MiB", "bytes of envelopes kept in memory")              \
  X(max_body, SIZE, START, "limits.body", "TELLTALE_MAX_BODY", "--max-body",   \
    "1MiB", "largest body of one event")                                       \
  X(max_batch_body, SIZE, START, "limits.batch_body",                          \
    "TELLTALE_MAX_BATCH_BODY", "--max-batch-body", "16MiB",                    \
    "largest body of a batch")                                                 \
  X(max_batch, COUNT, START, "limits.batch", "TELLTALE_MAX_BATCH",             \
    "--max-batch", "10000", "most events in a batch")                          \
  X(budget, SIZE, START, "limits.budget", "TELLTALE_BUDGET", "--budget",       \
    "256MiB", "memory for bodies, requests and answers in progress")           \
  X(max_connections, COUNT, LIVE, "limits.connections",                        \
    "TELLTALE_MAX_CONNECTIONS", "--max-connections", "20000",                  \
    "most open client connections")                                            \
  X(stall_timeout, DURATION_MS, START, "limits.stall",                         \
    "TELLTALE_STALL_TIMEOUT", "--stall-timeout", "60s",                        \
    "longest time that the client of a stream may take nothing")               \
  X(fleet_next_update, DURATION_MS, LIVE, "fleet.next_update",                 \
    "TELLTALE_FLEET_NEXT_UPDATE", "--fleet-next-update", "1h",                 \
    "when installed programs report again, where no rule says")                \
  X(fleet_min_interval, DURATION_MS, LIVE, "fleet.min_interval",               \
    "TELLTALE_FLEET_MIN_INTERVAL", "--fleet-min-interval", "10s",              \
    "an update that comes sooner after the last one is refused")               \
  X(fleet_retain_updates, DURATION_MS, LIVE, "fleet.retain_updates",           \
    "TELLTALE_FLEET_RETAIN_UPDATES", "--fleet-retain-updates", "30d",          \
    "how long updates are kept as they came")                                  \
  X(fleet_retain_bytes, SIZE, LIVE, "fleet.retain_updates_bytes",              \
    "TELLTALE_FLEET_RETAIN_UPDATES_BYTES", "--fleet-retain-updates-bytes",     \
    "5GB", "... and how many bytes of them")                                   \
  X(fleet_retain_aggregates, DURATION_MS, START, "fleet.retain_aggregates",    \
    "TELLTALE_FLEET_RETAIN_AGGREGATES", "--fleet-retain-aggregates", "400d",   \
    "how long what updates add up to is kept")                                 \
  X(fleet_dimensions, LIST, START, "fleet.dimensions",                         \
    "TELLTALE_FLEET_DIMENSIONS", "--fleet-dimension", "version,os,arch",       \
    "texts of instances by which updates are added up apart")                  \
  X(fleet_new_instances, COUNT, LIVE, "fleet.new_instances",                   \
    "TELLTALE_FLEET_NEW_INSTANCES", "--fleet-new-instances", "600",            \
    "new instances a minute that come without a token")                        \
  X(fleet_max_instances, COUNT, LIVE, "fleet.max_instances",                   \
    "TELLTALE_FLEET_MAX_INSTANCES", "--fleet-max-instances", "10000000",       \
    "most instances that are known")                                           \
  X(shutdown_timeout, DURATION_MS, LIVE, "shutdown_timeout",                   \
    "TELLTALE_SHUTDOWN_TIMEOUT", "--shutdown-timeout", "10s",                  \
    "longest ordered shutdown")                                                \
  X(watchdog, DURATION_MS, START, "watchdog", "TELLTALE_WATCHDOG",             \
    "--watchdog", "30s",                                                       \
    "a worker that has work and makes no progress for so long is stuck")       \
  X(watchdog_exit, DURATION_MS, START, "watchdog_exit",                        \
    "TELLTALE_WATCHDOG_EXIT", "--watchdog-exit", "5m",                         \
    "... and ends the server after so long; 0: never")

typedef char *config_STRING;
typedef bool config_BOOL;
typedef uint64_t config_SIZE;
typedef uint64_t config_COUNT;
typedef uint64_t config_DURATION_MS;
typedef char **config_LIST; /* NULL-terminated */

enum {
#define X(field, type, when, key, env, flag, value, help)                      \
  CONFIG_ORDINAL_##field,
  CONFIG_OPTION_MAP(X)
#undef X
      CONFIG_OPTION_COUNT
};

typedef struct config {
#define X(field, type, when, key, env, flag, value, help) config_##type field;
  CONFIG_OPTION_MAP(X)
#undef X
  /* Where each value comes from, in the order of the table: "default",
   * "telltale.yaml:3", "TELLTALE_LISTEN", "--listen". */
  char *origins[CONFIG_OPTION_COUNT];
  char *token_ingest; /* TELLTALE_TOKEN_INGEST or …_FILE; never in YAML */
  char *token_read;
  char *token_admin;
  sink_spec *sinks; /* `sinks:`, from the file only */
  size_t sink_count;
  metrics_spec *metrics; /* `metrics:`, likewise */
  size_t metrics_count;
  outbox_rule_spec *routes; /* `routes:`, likewise */
  size_t route_count;
  char *test_control; /* --test-control PATH, in the test build only */
  char *config_path;  /* the file that was read, or NULL */
  char *warnings;     /* lines for the log, such as a token file that everyone
                         may read; NULL: none */
} config;

/* Reads the defaults, the file (--config FILE, else TELLTALE_CONFIG, else
 * $XDG_CONFIG_HOME/telltale/telltale.yaml where it exists), the environment and
 * the flags. On failure *out_error has a sentence naming file, line, key and
 * the nearest known one. */
tt_error config_load(int argc, char **argv, tti_buf *out_error,
                     config *out_config);
void config_fini(config *c);

/* Takes the LIVE settings of `fresh` over into `current` and leaves the earlier
 * ones in `fresh`, to be freed once nobody looks at them any more. Both texts
 * get the keys whose value changed, as a comma list: those taken over, and
 * those that need a restart. */
void config_adopt(config *current, config *fresh, tti_buf *out_changed,
                  tti_buf *out_restart);

/* One line an option, for --help. */
void config_help(tti_buf *out);

/* The listen option, taken apart: "[::1]:80", "127.0.0.1:0", ":6060". */
tt_error config_listen(const char *text, char out_address[64],
                       uint16_t *out_port);
/* The path of the store, as config_store_path has it, without making
 * anything. */
tt_error config_store_place(const config *c, tti_buf *out_error,
                            char **out_path);
/* Where the store is: TT_OK and the path ("" for memory). The folder of the
 * default place is made with mode 0700. */
tt_error config_store_path(const config *c, tti_buf *out_error,
                           char **out_path);

#endif
