#include "server/config/option.h"

#include "server/config/value.h"
#include "server/http/address.h"
#include <stdlib.h>

const config_option config_options[] = {
#define START false
#define LIVE  true
#define X(field, type, when, key, env, flag, value, help)                      \
  {CONFIG_TYPE_##type,     when, key, env, flag, value, help,                  \
   offsetof(config, field)},
    CONFIG_OPTION_MAP(X)
#undef X
#undef LIVE
#undef START
};
const size_t config_option_count =
    sizeof(config_options) / sizeof(config_options[0]);

const config_table config_main = {
    config_options, sizeof(config_options) / sizeof(config_options[0])};

/* What a value may be, beyond its type. */
typedef struct limit {
  const char *key;
  const char *const *words; /* one of these, NULL-terminated; NULL: any */
  uint64_t min, max;
} limit;

static const char *const access_logs[] = {"off", "logfmt", "json", NULL};
static const char *const buses[] = {"local", NULL};
static const char *const durabilities[] = {"memory", "commit", "sync", NULL};
static const char *const fsyncs[] = {"flush", "always", "never", NULL};
static const char *const froms[] = {"oldest", "tail", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};
static const char *const log_levels[] = {"debug", "info",  "warn",
                                         "error", "fatal", NULL};
static const char *const metrics_tags[] = {"none", "dogstatsd", NULL};
static const char *const metrics_types[] = {"log", "otlp", "statsd", NULL};
static const char *const sink_types[] = {"jsonl", "s2", "otlp", NULL};

#define KIB UINT64_C(1024)
#define GIB (KIB * KIB * KIB)
#define DAY UINT64_C(86400000)
static const limit limits[] = {
    {"access_log", access_logs, 0, 0},
    {"bus", buses, 0, 0},
    {"durability", durabilities, 0, 0},
    {"fleet.max_instances", NULL, 1, 1000000000},
    {"fleet.min_interval", NULL, 0, DAY},
    {"fleet.new_instances", NULL, 0, 1000000000},
    {"fleet.next_update", NULL, 1000, 365 * DAY},
    {"fleet.retain_aggregates", NULL, 8 * DAY, 36500 * DAY},
    {"fleet.retain_updates", NULL, 1000, 36500 * DAY},
    {"fleet.retain_updates_bytes", NULL, 0, 1024 * 1024 * GIB},
    {"log_format", log_formats, 0, 0},
    {"log_level", log_levels, 0, 0},
    {"log_min_level", log_levels, 0, 0},
    {"loops", NULL, 0, 256},
    {"retain", NULL, 1000, 36500 * DAY},
    {"retain_bytes", NULL, KIB *KIB, 1024 * 1024 * GIB},
    {"ring.entries", NULL, 16, 1u << 28},
    {"ring.bytes", NULL, 64 * KIB, 1024 * GIB},
    {"limits.body", NULL, KIB, GIB},
    {"limits.batch_body", NULL, KIB, GIB},
    {"limits.batch", NULL, 1, 1000000},
    {"limits.budget", NULL, KIB *KIB, 1024 * GIB},
    {"limits.connections", NULL, 1, 1000000},
    {"limits.stall", NULL, 1, DAY},
    {"limits.open_rate", NULL, 1, 1000000},
    {"limits.open_burst", NULL, 1, 1000000},
    {"metrics.interval", NULL, 0, 3600000},
    {"metrics.tags", metrics_tags, 0, 0},
    {"metrics.timeout", NULL, 0, 600000},
    {"metrics.type", metrics_types, 0, 0},
    {"shutdown_timeout", NULL, 0, DAY},
    {"sinks.dead_letters_max", NULL, KIB, 1024 * GIB},
    {"sinks.from", froms, 0, 0},
    {"sinks.fsync", fsyncs, 0, 0},
    {"sinks.keep", NULL, 0, 1000000},
    {"sinks.max_age", NULL, 0, 36500 * DAY},
    {"sinks.max_bytes", NULL, KIB, 1024 * GIB},
    {"sinks.timeout", NULL, 0, 600000},
    {"sinks.type", sink_types, 0, 0},
    {"watchdog", NULL, 100, DAY},
    {"watchdog_exit", NULL, 0, DAY},
};

static const limit *limit_of(const config_option *option) {
  for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
    if (strcmp(limits[i].key, option->key) == 0)
      return &limits[i];
  return NULL;
}

const char *const *config_option_words(const config_option *option) {
  const limit *l = limit_of(option);
  return l ? l->words : NULL;
}

const config_option *config_table_find(const config_table *table,
                                       tti_slice key) {
  for (size_t i = 0; i < table->count; i++)
    if (tti_slice_eq(key, tti_slice_of(table->options[i].key)))
      return &table->options[i];
  return NULL;
}

const config_option *config_option_by_flag(tti_slice flag) {
  for (size_t i = 0; i < config_option_count; i++)
    if (tti_slice_eq(flag, tti_slice_of(config_options[i].flag)))
      return &config_options[i];
  return NULL;
}

static const char *nearest(const config_table *table, tti_slice text,
                           bool flags) {
  tti_nearest near = tti_nearest_to(text);
  for (size_t i = 0; i < table->count; i++) {
    const config_option *o = &table->options[i];
    tti_nearest_try(&near, tti_slice_of(flags ? o->flag : o->key));
  }
  return near.name.ptr;
}

const char *config_table_nearest(const config_table *table, tti_slice key) {
  return nearest(table, key, false);
}

const char *config_nearest_flag(tti_slice flag) {
  return nearest(&config_main, flag, true);
}

static char *copy(tti_slice text) {
  char *bytes = malloc(text.len + 1);
  if (bytes) {
    memcpy(bytes, text.ptr, text.len);
    bytes[text.len] = '\0';
  }
  return bytes;
}

static int shown(tti_slice text) {
  return text.len > 100 ? 100 : (int)text.len;
}

static tt_error refuse(tti_buf *out_error, const char *where,
                       const config_option *option, tti_slice text,
                       const char *allowed) {
  tti_buf_printf(out_error, "%s: %s cannot be \"%.*s\"; allowed: %s", where,
                 option->key, shown(text), text.len ? text.ptr : "", allowed);
  return TT_EINVAL;
}

static bool in_words(const limit *l, tti_slice text) {
  for (const char *const *word = l->words; *word; word++)
    if (tti_slice_eq(text, tti_slice_of(*word)))
      return true;
  return false;
}

static void join_words(const limit *l, char *out, size_t size) {
  size_t len = 0;
  out[0] = '\0';
  for (const char *const *word = l->words; *word; word++) {
    const char *glue = word == l->words ? "" : word[1] ? ", " : " or ";
    int n = snprintf(out + len, size - len, "%s%s", glue, *word);
    if (n > 0 && (size_t)n < size - len)
      len += (size_t)n;
  }
}

static bool is_store(tti_slice text) {
  static const char prefix[] = "sqlite:";
  size_t n = sizeof(prefix) - 1;
  return text.len == 0 || tti_slice_eq(text, TTI_SLICE("memory")) ||
         (text.len > n && memcmp(text.ptr, prefix, n) == 0);
}

static tt_error set_string(const config_option *option, tti_slice text,
                           const char *where, tti_buf *out_error,
                           char **field) {
  const limit *l = limit_of(option);
  char allowed[200];
  if (memchr(text.len ? text.ptr : "", '\0', text.len))
    return refuse(out_error, where, option, text, "text without a NUL byte");
  if (l && l->words && !in_words(l, text)) {
    join_words(l, allowed, sizeof(allowed));
    return refuse(out_error, where, option, text, allowed);
  }
  char *value = copy(text);
  if (!value)
    return TT_ENOMEM;
  char address[64];
  uint16_t port;
  tt_error error = TT_OK;
  if (strcmp(option->key, "listen") == 0 &&
      config_listen(value, address, &port) != TT_OK)
    error = refuse(out_error, where, option, text,
                   "ADDRESS:PORT such as 127.0.0.1:6060, [::1]:0 or :6060 "
                   "(an IP address or localhost, port 0 to 65535)");
  else if (strcmp(option->key, "store") == 0 && !is_store(text))
    error = refuse(out_error, where, option, text, "sqlite:PATH or memory");
  if (error != TT_OK) {
    free(value);
    return error;
  }
  free(*field);
  *field = value;
  return TT_OK;
}

static void free_list(char **list) {
  for (char **item = list; item && *item; item++)
    free(*item);
  free(list);
}

static size_t list_length(char *const *list) {
  size_t n = 0;
  while (list && list[n])
    n++;
  return n;
}

/* The ceiling keeps a hostile file from growing a list without end. */
enum { LIST_MAX = 256 };

static tt_error list_add(char ***list, tti_slice item) {
  size_t n = list_length(*list);
  if (n >= LIST_MAX)
    return TT_ETOOBIG;
  char **grown = realloc(*list, (n + 2) * sizeof(*grown));
  if (!grown)
    return TT_ENOMEM;
  *list = grown;
  grown[n] = copy(item);
  grown[n + 1] = NULL;
  return grown[n] ? TT_OK : TT_ENOMEM;
}

/* A name as it stands in a Host header, without the port, which is not looked
 * at. */
static bool is_host_name(tti_slice name) {
  bool v6 = name.len > 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']';
  for (size_t i = v6; i < name.len - v6; i++) {
    unsigned char c = (unsigned char)name.ptr[i];
    bool word =
        (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    if (!word && (c == '\0' || !strchr(v6 ? ":." : ".-_", c)))
      return false;
  }
  return true;
}

/* "https://app.example:8443", as a browser sends it. Neither "*" nor "null",
 * which every sandboxed page sends. */
static bool is_origin(tti_slice origin) {
  static const char *const schemes[] = {"http://", "https://"};
  for (size_t i = 0; i < 2; i++) {
    size_t n = strlen(schemes[i]);
    if (origin.len <= n || memcmp(origin.ptr, schemes[i], n) != 0)
      continue;
    tti_slice host = {origin.ptr + n, origin.len - n};
    size_t end = host.len;
    while (end > 0 && host.ptr[end - 1] >= '0' && host.ptr[end - 1] <= '9')
      end--;
    bool port = end > 1 && end < host.len && host.ptr[end - 1] == ':';
    return host.ptr[0] != ':' &&
           is_host_name((tti_slice){host.ptr, port ? end - 1 : host.len});
  }
  return false;
}

static bool is_category(tti_slice name) {
  for (size_t i = 0; i < name.len; i++) {
    unsigned char c = (unsigned char)name.ptr[i];
    if (!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
        c != '.' && c != '_' && c != '-')
      return false;
  }
  return name.len > 0 && name.len <= 64;
}

static bool is_type(tti_slice text) {
  const char *equals = memchr(text.ptr, '=', text.len);
  if (!equals || equals == text.ptr)
    return false;
  size_t behind = (size_t)(equals - text.ptr) + 1;
  return is_category((tti_slice){equals + 1, text.len - behind});
}

/* What an item of the list may be; NULL: the item is fine. */
static const char *list_wants(const config_option *option, tti_slice item) {
  if (strcmp(option->key, "hosts") == 0 && !is_host_name(item))
    return "host names without a port, such as telltale.example or [::1]";
  if (strcmp(option->key, "cors_origins") == 0 && !is_origin(item))
    return "origins as browsers send them, such as https://app.example or "
           "http://localhost:3000, without a path";
  http_network network;
  if ((strcmp(option->key, "trusted_proxies") == 0 ||
       strcmp(option->key, "webhooks.allow_cidrs") == 0) &&
      !http_network_parse(item, &network))
    return "addresses and networks, such as 127.0.0.1 or 10.0.0.0/8, with no "
           "bit set behind the prefix";
  if (strcmp(option->key, "outboxes") == 0 &&
      (item.len <= 7 || memcmp(item.ptr, "sqlite:", 7) != 0))
    return "sqlite: and the path of a database, such as "
           "sqlite:/var/lib/shop/app.db";
  if (strcmp(option->key, "categories") == 0 && !is_category(item))
    return "names of 1 to 64 letters, digits and . _ -";
  if (strcmp(option->key, "types") == 0 && !is_type(item))
    return "TYPE=CATEGORY, such as console_error=console";
  if (strcmp(option->key, "sinks.filter.kinds") == 0 &&
      !tti_slice_eq(item, TTI_SLICE("relay")) &&
      !tti_slice_eq(item, TTI_SLICE("session")) &&
      !tti_slice_eq(item, TTI_SLICE("published")) &&
      !tti_slice_eq(item, TTI_SLICE("log")))
    return "relay, session, published and log";
  if (strcmp(option->key, "fleet.dimensions") == 0 && item.len > 64)
    return "keys of at most 64 bytes, such as version";
  if (strcmp(option->key, "open") == 0 &&
      !tti_slice_eq(item, TTI_SLICE("ingest")) &&
      !tti_slice_eq(item, TTI_SLICE("fleet")))
    return "ingest and fleet";
  return NULL;
}

static tt_error set_list(const config_option *option, tti_slice text,
                         bool append, const char *where, tti_buf *out_error,
                         char ***field) {
  if (!append) {
    free_list(*field);
    *field = NULL;
  }
  while (text.len) {
    const char *comma = memchr(text.ptr, ',', text.len);
    size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
    tti_slice item = tti_slice_trim((tti_slice){text.ptr, len});
    len += comma != NULL;
    text = (tti_slice){text.ptr + len, text.len - len};
    if (!item.len)
      continue;
    const char *allowed = list_wants(option, item);
    if (allowed)
      return refuse(out_error, where, option, item, allowed);
    tt_error error = list_add(field, item);
    if (error == TT_ETOOBIG)
      return refuse(out_error, where, option, item, "at most 256 values");
    if (error != TT_OK)
      return error;
  }
  return TT_OK;
}

static tt_error set_number(const config_option *option, tti_slice text,
                           const char *where, tti_buf *out_error,
                           uint64_t *field) {
  const limit *l = limit_of(option);
  char allowed[200];
  unsigned long long count;
  uint64_t value = 0;
  bool good;
  if (option->type == CONFIG_TYPE_SIZE) {
    good = config_parse_size(text, &value);
    snprintf(allowed, sizeof(allowed),
             "a size such as 64MiB or 5GB, from %llu to %llu bytes",
             (unsigned long long)l->min, (unsigned long long)l->max);
  } else if (option->type == CONFIG_TYPE_DURATION_MS) {
    good = config_parse_duration(text, &value);
    snprintf(allowed, sizeof(allowed),
             "a duration such as 500ms, 10s, 2h or 7d, from %llums to %llud",
             (unsigned long long)l->min, (unsigned long long)(l->max / DAY));
  } else {
    good = tti_slice_to_u64(text, &count);
    value = good ? count : 0;
    snprintf(allowed, sizeof(allowed), "a whole number from %llu to %llu",
             (unsigned long long)l->min, (unsigned long long)l->max);
  }
  if (!good || value < l->min || value > l->max)
    return refuse(out_error, where, option, text, allowed);
  *field = value;
  return TT_OK;
}

static tt_error set_field(const config_option *option, tti_slice text,
                          bool append, const char *where, tti_buf *out_error,
                          void *field) {
  switch (option->type) {
  case CONFIG_TYPE_STRING:
    return set_string(option, text, where, out_error, field);
  case CONFIG_TYPE_LIST:
    return set_list(option, text, append, where, out_error, field);
  case CONFIG_TYPE_BOOL:
    if (!config_parse_bool(text, field))
      return refuse(out_error, where, option, text, "true or false");
    return TT_OK;
  case CONFIG_TYPE_SIZE:
  case CONFIG_TYPE_COUNT:
  case CONFIG_TYPE_DURATION_MS:
    return set_number(option, text, where, out_error, field);
  }
  return TT_EINVAL;
}

tt_error config_field_set(const config_option *option, tti_slice text,
                          bool append, const char *where, tti_buf *out_error,
                          void *base) {
  return set_field(option, tti_slice_trim(text), append, where, out_error,
                   (char *)base + option->offset);
}

tt_error config_option_set(const config_option *option, tti_slice text,
                           bool append, const char *where, tti_buf *out_error,
                           config *c) {
  tt_error error = config_field_set(option, text, append, where, out_error, c);
  if (error != TT_OK)
    return error;
  char *origin = copy(tti_slice_of(where));
  if (!origin)
    return TT_ENOMEM;
  free(c->origins[option - config_options]);
  c->origins[option - config_options] = origin;
  return TT_OK;
}

void config_field_print(const config_option *option, const void *base,
                        tti_buf *out) {
  const void *field = (const char *)base + option->offset;
  char text[CONFIG_VALUE_MAX] = "";
  switch (option->type) {
  case CONFIG_TYPE_STRING:
    tti_buf_append_text(out, *(char *const *)field);
    break;
  case CONFIG_TYPE_LIST:
    for (char *const *item = *(char **const *)field; item && *item; item++)
      tti_buf_printf(out, "%s%s", item == *(char **const *)field ? "" : ",",
                     *item);
    break;
  case CONFIG_TYPE_BOOL:
    tti_buf_append_text(out, *(const bool *)field ? "true" : "false");
    break;
  case CONFIG_TYPE_COUNT:
    tti_buf_append_u64(out, *(const uint64_t *)field);
    break;
  case CONFIG_TYPE_SIZE:
    config_format_size(*(const uint64_t *)field, text);
    break;
  case CONFIG_TYPE_DURATION_MS:
    config_format_duration(*(const uint64_t *)field, text);
    break;
  }
  tti_buf_append_text(out, text);
}

void config_fields_free(const config_table *table, void *base) {
  for (size_t i = 0; i < table->count; i++) {
    void *field = (char *)base + table->options[i].offset;
    if (table->options[i].type == CONFIG_TYPE_STRING)
      free(*(char **)field);
    else if (table->options[i].type == CONFIG_TYPE_LIST)
      free_list(*(char ***)field);
  }
}

void config_fini(config *c) {
  config_fields_free(&config_main, c);
  for (size_t i = 0; i < config_option_count; i++)
    free(c->origins[i]);
  for (size_t i = 0; i < config_list_count; i++)
    config_list_free(&config_lists[i], c);
  free(c->token_ingest);
  free(c->token_read);
  free(c->token_admin);
  free(c->test_control);
  free(c->config_path);
  free(c->warnings);
  *c = (config){0};
}

const char *config_option_kind(const config_option *option) {
  static const char *const kinds[] = {
      [CONFIG_TYPE_STRING] = "TEXT",   [CONFIG_TYPE_BOOL] = "",
      [CONFIG_TYPE_SIZE] = "SIZE",     [CONFIG_TYPE_COUNT] = "N",
      [CONFIG_TYPE_DURATION_MS] = "T", [CONFIG_TYPE_LIST] = "A,B",
  };
  return kinds[option->type];
}

void config_help(tti_buf *out) {
  for (size_t i = 0; i < config_option_count; i++) {
    const config_option *o = &config_options[i];
    char name[64];
    snprintf(name, sizeof(name), "%s %s", o->flag, config_option_kind(o));
    tti_buf_printf(out, "  %-24s %s", name, o->help);
    if (o->value[0] && o->type != CONFIG_TYPE_BOOL)
      tti_buf_printf(out, " (%s)", o->value);
    tti_buf_printf(out, "%s\n", o->live ? " *" : "");
  }
}
