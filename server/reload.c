#include "server/reload.h"

#include "server/io/log.h"

#include <stdlib.h>

void reload_log(const config *c) {
  server_log_configure(strcmp(c->log_format, "json") == 0 ? SERVER_LOG_JSON
                                                          : SERVER_LOG_LOGFMT,
                       tti_level_parse(tti_slice_of(c->log_level)));
}

tt_error reload_rules_new(const config *c, auth_rules **out_rules) {
  size_t count = 0;
  while (c->trusted_proxies && c->trusted_proxies[count])
    count++;
  auth_rules *rules = calloc(1, sizeof(*rules) + count * sizeof(http_network));
  if (!rules)
    return TT_ENOMEM;
  http_network *networks = (http_network *)(rules + 1);
  for (size_t i = 0; i < count; i++) /* were checked as they were read */
    http_network_parse(tti_slice_of(c->trusted_proxies[i]), &networks[i]);
  *rules = (auth_rules){
      .hosts = (const char *const *)c->hosts,
      .cors_origins = (const char *const *)c->cors_origins,
      .proxies = {networks, count},
      .open_rate = c->open_rate,
      .open_burst = c->open_burst,
  };
  for (char *const *name = c->open; name && *name; name++)
    rules->open |=
        strcmp(*name, "fleet") == 0 ? AUTH_OPEN_FLEET : AUTH_OPEN_INGEST;
  *out_rules = rules;
  return TT_OK;
}

fleet_settings reload_fleet_settings(const config *c) {
  return (fleet_settings){.next_update_ms = c->fleet_next_update,
                          .min_interval_ms = c->fleet_min_interval,
                          .retain_ms = c->fleet_retain_updates,
                          .retain_bytes = c->fleet_retain_bytes,
                          .new_instances = c->fleet_new_instances,
                          .max_instances = c->fleet_max_instances};
}

tt_error reload_certificate(const config *c, tti_buf *out_error,
                            tls_certificate **out_certificate) {
  tls_options options = {c->tls_cert, c->tls_key, c->tls_client_ca};
  *out_certificate = NULL;
  if (!*c->tls_cert && !*c->tls_key && !*c->tls_client_ca)
    return TT_OK;
  return tls_certificate_load(&options, out_error, out_certificate);
}

/* What a reload needs and what it leaves behind. */
typedef struct change {
  config config; /* the new one, then what it replaced */
  tls_certificate *certificate;
  auth_rules *rules;
  access_target access;
  deliver_rules *reach;
  loop_retired *retired;
} change;

static void change_free(void *what) {
  change *c = what;
  if (!c)
    return;
  config_fini(&c->config);
  tls_certificate_free(c->certificate);
  access_target_drop(&c->access);
  deliver_rules_free(c->reach);
  free(c->rules);
  free(c);
}

static tt_error prepare_certificate(const server *s, change *c,
                                    tti_buf *error) {
  tt_error result = reload_certificate(&c->config, error, &c->certificate);
  if (result != TT_OK || !s->tls == !c->certificate)
    return result;
  tti_buf_printf(error, "tls.cert turns TLS o%s, which needs a restart",
                 s->tls ? "ff" : "n");
  return TT_EINVAL;
}

/* Everything that can fail: afterwards nothing has changed yet. */
static tt_error prepare(server *s, int argc, char **argv, tti_buf *error,
                        change **out_change) {
  change *c = calloc(1, sizeof(*c));
  if (!c)
    return TT_ENOMEM;
  c->access.fd = -1;
  tt_error result = config_load(argc, argv, error, &c->config);
  if (result == TT_OK)
    result = reload_rules_new(&c->config, &c->rules);
  if (result == TT_OK)
    result = prepare_certificate(s, c, error);
  if (result == TT_OK)
    result = access_log_prepare(s->access, c->config.access_log,
                                c->config.access_log_file, error, &c->access);
  if (result == TT_OK)
    c->reach = deliver_rules_new(c->config.allow_cidrs);
  if (result == TT_OK)
    result =
        c->reach ? loop_retired_new(s->loop_count, &c->retired) : TT_ENOMEM;
  if (result != TT_OK) {
    change_free(c);
    return result;
  }
  *out_change = c;
  return TT_OK;
}

static void say_certificate(const server *s) {
  char until[TTI_RFC3339_MAX];
  tti_rfc3339_format(tls_expires_s(s->tls) * 1000000, until);
  server_log(TT_LEVEL_INFO, "config",
             "SIGHUP: new connections get the certificate in %s, which is good "
             "until %s",
             s->config.tls_cert, until);
}

/* Puts it in force: nothing here can fail. */
static void apply(server *s, change *c, tti_buf *changed, tti_buf *restart) {
  config_adopt(&s->config, &c->config, changed, restart);
  reload_log(&s->config);
  relay_set_log_min_level(
      s->relay, tti_level_parse(tti_slice_of(s->config.log_min_level)));
  if (c->certificate) {
    c->certificate = tls_replace(s->tls, c->certificate);
    say_certificate(s);
  }
  http_server_set_max_connections(s->http, (unsigned)s->config.max_connections);
  store_retain(s->store, (int64_t)s->config.retain * 1000,
               s->config.retain_bytes);
  fleet_settings settings = reload_fleet_settings(&s->config);
  fleet_set(s->fleet, &settings);
  sinks_apply(s->sinks, s->config.sinks, s->config.sink_count);
  deliver_use(s->deliver, c->reach);
  c->reach = NULL;
  access_log_use(s->access, &c->access);
  c->access.fd = -1;
  auth_rules *earlier = s->rules;
  s->rules = c->rules;
  c->rules = earlier;
  auth_set_rules(s->auth, s->rules);
  auth_tokens tokens = {c->config.token_ingest, c->config.token_read,
                        c->config.token_admin};
  if (auth_set_tokens(s->auth, &tokens))
    tti_buf_printf(changed, "%stokens of the environment",
                   changed->len ? ", " : "");
  loop_retire(c->retired, s->loops, change_free, c);
}

static void outcome(server *s, bool good) {
  tt_metrics_set(s->metrics, TT_METRIC_CONFIG_RELOAD_OK, good, NULL, NULL);
  tt_metrics_add(s->metrics, TT_METRIC_CONFIG_RELOADS, 1,
                 good ? "ok" : "failed", NULL);
}

static void say(const char *what, const tti_buf *keys) {
  if (keys->len)
    server_log(TT_LEVEL_INFO, "config", "SIGHUP: %s: %.*s", what,
               (int)keys->len, keys->data);
}

void reload(server *s, int argc, char **argv) {
  tti_buf error, changed, restart;
  change *c;
  tti_buf_init(&error, 8192);
  tti_buf_init(&changed, 8192);
  tti_buf_init(&restart, 8192);
  tt_error result = prepare(s, argc, argv, &error, &c);
  if (result == TT_OK)
    apply(s, c, &changed, &restart);
  outcome(s, result == TT_OK);
  if (result == TT_OK) {
    say("changed", &changed);
    if (restart.len)
      server_log(TT_LEVEL_WARN, "config",
                 "SIGHUP: these changed but need a restart: %.*s",
                 (int)restart.len, restart.data);
    if (!changed.len && !restart.len)
      server_log(TT_LEVEL_INFO, "config", "SIGHUP: no setting changed");
  } else {
    server_log(TT_LEVEL_ERROR, "config",
               "SIGHUP: nothing was changed: %.*s; correct it and send SIGHUP "
               "again; `telltale config check` shows what is read",
               error.len ? (int)error.len : 100,
               error.len ? error.data : tt_error_message(result));
  }
  tti_buf_fini(&error);
  tti_buf_fini(&changed);
  tti_buf_fini(&restart);
}
