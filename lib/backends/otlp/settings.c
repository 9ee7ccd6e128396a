#include "lib/backends/otlp/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS     10000
#define TIMEOUT_MAX_MS 600000

/* A setting and where it came from, for messages. */
typedef struct setting {
  const char *value; /* NULL: not set */
  char from[64];
  bool own; /* from the signal's own variable */
} setting;

static bool take_env(setting *s) {
  const char *value = getenv(s->from);
  s->value = value && *value ? value : NULL;
  return s->value != NULL;
}

/* The option, or the environment variable. */
static setting choose(const char *option, const char *name,
                      const char *variable) {
  setting s = {.value = option && *option ? option : NULL};
  snprintf(s.from, sizeof(s.from), "%s", option ? name : variable);
  if (!option)
    take_env(&s);
  return s;
}

/* The same of the variables for exporters: the signal's own one wins. */
static setting choose_export(const tti_otlp_settings *settings,
                             const char *option, const char *name,
                             const char *variable) {
  setting s = {0};
  char general[64];
  snprintf(general, sizeof(general), "OTEL_EXPORTER_OTLP_%s", variable);
  snprintf(s.from, sizeof(s.from), "OTEL_EXPORTER_OTLP_%s_%s", settings->signal,
           variable);
  s.own = !option && take_env(&s);
  return s.own ? s : choose(option, name, general);
}

static tt_error refuse(char *problem, const setting *s, const char *why) {
  snprintf(problem, TELLTALE_PROBLEM_MAX, "%s: %s", s->from, why);
  return TT_EINVAL;
}

static tt_error set_url(const tt_storage_otlp_options *options,
                        tti_otlp_settings *settings, char *problem) {
  setting s =
      choose_export(settings, options->endpoint, "endpoint", "ENDPOINT");
  if (!s.value)
    return refuse(problem, &s,
                  "there is no endpoint; give a URL such as "
                  "http://localhost:4318");
  const char *more = s.own ? "" : settings->path;
  tt_error error = tti_http_url(s.value, more, &settings->url);
  if (!error)
    error = tti_http_url_shown(settings->url, &settings->shown_url);
  return error == TT_EINVAL
             ? refuse(problem, &s, "it is not an http or https URL")
             : error;
}

static int hex_digit(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

/* Decodes %XX in place; false: a percent sign without two digits, or a
 * character that may not be in a header. */
static bool percent_decode(char *text) {
  char *out = text;
  for (char *in = text; *in; in++) {
    int high = *in == '%' ? hex_digit(in[1]) : -1;
    int low = high >= 0 ? hex_digit(in[2]) : -1;
    if (*in == '%' && low < 0)
      return false;
    *out = low < 0 ? *in : (char)(high << 4 | low);
    if (low >= 0)
      in += 2;
    if ((unsigned char)*out < ' ' || *out == 0x7f)
      return false;
    out++;
  }
  *out = '\0';
  return true;
}

static char *copy_slice(tti_slice s) {
  char *text = malloc(s.len + 1);
  if (!text)
    return NULL;
  if (s.len)
    memcpy(text, s.ptr, s.len);
  text[s.len] = '\0';
  return text;
}

typedef tt_error on_pair(tti_otlp_settings *settings, char *name, char *value);

/* "name=value,name=value" of W3C baggage, as OpenTelemetry has it. */
static tt_error each_pair(const setting *s, tti_otlp_settings *settings,
                          on_pair *take, char *problem) {
  const char *at = s->value ? s->value : "";
  tt_error error = TT_OK;
  while (*at && !error) {
    size_t len = strcspn(at, ",");
    tti_slice item = tti_slice_trim((tti_slice){at, len});
    const char *equals = item.len ? memchr(item.ptr, '=', item.len) : NULL;
    at += len + (at[len] == ',');
    if (item.len == 0)
      continue;
    if (!equals)
      return refuse(problem, s, "it is not of the form name=value,name=value");
    size_t name_len = (size_t)(equals - item.ptr);
    char *name = copy_slice(tti_slice_trim((tti_slice){item.ptr, name_len}));
    char *value = copy_slice(
        tti_slice_trim((tti_slice){equals + 1, item.len - name_len - 1}));
    if (!name || !value)
      error = TT_ENOMEM;
    else if (!*name || !percent_decode(name) || !percent_decode(value))
      error = refuse(problem, s, "a name or value is not percent-encoded text");
    else
      error = take(settings, name, value);
    if (error == TT_ETOOBIG)
      error = refuse(problem, s, "there are too many");
    free(name);
    free(value);
  }
  return error;
}

static tt_error add_header(tti_otlp_settings *settings, char *name,
                           char *value) {
  if (settings->header_count == TTI_OTLP_HEADERS_MAX)
    return TT_ETOOBIG;
  size_t size = strlen(name) + strlen(value) + 3;
  char *header = malloc(size);
  if (!header)
    return TT_ENOMEM;
  snprintf(header, size, "%s: %s", name, value);
  settings->headers[settings->header_count++] = header;
  return TT_OK;
}

static tt_error add_attribute(tti_otlp_settings *settings, char *name,
                              char *value) {
  tti_otlp_resource *r = &settings->resource;
  for (size_t i = 0; i < r->attributes.count; i++)
    if (tti_slice_eq((tti_slice){(char *)r->attributes.items[i]->key.data,
                                 r->attributes.items[i]->key.len},
                     tti_slice_of(name)))
      return TT_OK; /* the service's name was given by itself */
  if (settings->text_count + 2 > 2 * (size_t)TTI_OTLP_HEADERS_MAX)
    return TT_ETOOBIG;
  char **texts = settings->texts + settings->text_count;
  texts[0] = strdup(name);
  texts[1] = strdup(value);
  settings->text_count += 2;
  if (!texts[0] || !texts[1])
    return TT_ENOMEM;
  tti_otlp_pair(&r->arena, &r->attributes, tti_slice_of(texts[0]),
                tti_otlp_string(&r->arena, tti_slice_of(texts[1])));
  return r->arena.failed ? TT_ENOMEM : TT_OK;
}

static tt_error set_resource(const tt_storage_otlp_options *options,
                             tti_otlp_settings *settings, char *problem) {
  char key[] = "service.name", standard[] = "telltale";
  setting name =
      choose(options->service_name, "service_name", "OTEL_SERVICE_NAME");
  setting more = choose(options->resource_attributes, "resource_attributes",
                        "OTEL_RESOURCE_ATTRIBUTES");
  tt_error error = TT_OK;
  if (name.value)
    error = add_attribute(settings, key, (char *)name.value);
  if (!error)
    error = each_pair(&more, settings, add_attribute, problem);
  return error ? error : add_attribute(settings, key, standard);
}

static tt_error set_timeout(const tt_storage_otlp_options *options,
                            tti_otlp_settings *settings, char *problem) {
  setting s = choose_export(settings, NULL, NULL, "TIMEOUT");
  unsigned long long ms;
  settings->timeout_ms = options->timeout_ms;
  if (!settings->timeout_ms && s.value) {
    if (!tti_slice_to_u64(tti_slice_of(s.value), &ms) || ms == 0 ||
        ms > TIMEOUT_MAX_MS)
      return refuse(problem, &s,
                    "it is not a number of milliseconds, 1 to "
                    "600000");
    settings->timeout_ms = (int)ms;
  }
  if (!settings->timeout_ms)
    settings->timeout_ms = TIMEOUT_MS;
  if (settings->timeout_ms > 0)
    return TT_OK;
  return refuse(problem, &(setting){.from = "timeout_ms"}, "it is below 0");
}

static tt_error set_compression(const tt_storage_otlp_options *options,
                                tti_otlp_settings *settings, char *problem) {
  setting s = choose_export(settings, options->compression, "compression",
                            "COMPRESSION");
  settings->gzip = s.value && strcmp(s.value, "gzip") == 0;
  if (s.value && !settings->gzip && strcmp(s.value, "none") != 0)
    return refuse(problem, &s, "it is neither gzip nor none");
  return TT_OK;
}

static tt_error set_excluded(const tt_storage_otlp_options *options,
                             tti_otlp_settings *settings, char *problem) {
  static const char *const standard[] = {"screenshot", "monitor"};
  const char *const *names = options->exclude ? options->exclude : standard;
  size_t count = options->exclude ? options->exclude_count : 2;
  if (count > TTI_OTLP_EXCLUDED_MAX)
    return refuse(problem, &(setting){.from = "exclude"}, "there are too many");
  for (size_t i = 0; i < count; i++) {
    settings->excluded[i] = strdup(names[i] ? names[i] : "");
    if (!settings->excluded[i])
      return TT_ENOMEM;
    settings->excluded_count++;
  }
  return TT_OK;
}

tt_error tti_otlp_settings_read(const tt_storage_otlp_options *options,
                                tti_otlp_settings *settings, char *problem) {
  setting headers =
      choose_export(settings, options->headers, "headers", "HEADERS");
  tt_error error = set_url(options, settings, problem);
  if (!error)
    error = each_pair(&headers, settings, add_header, problem);
  if (!error)
    error = set_compression(options, settings, problem);
  if (!error)
    error = set_timeout(options, settings, problem);
  if (!error)
    error = set_resource(options, settings, problem);
  if (!error)
    error = set_excluded(options, settings, problem);
  settings->files = (tti_http_files){
      .ca = choose_export(settings, options->ca_file, "ca_file", "CERTIFICATE")
                .value,
      .cert = choose_export(settings, options->cert_file, "cert_file",
                            "CLIENT_CERTIFICATE")
                  .value,
      .key =
          choose_export(settings, options->key_file, "key_file", "CLIENT_KEY")
              .value};
  if (!error && options->token_file) {
    settings->token_file = strdup(options->token_file);
    error = settings->token_file ? TT_OK : TT_ENOMEM;
  }
  return error;
}

void tti_otlp_settings_fini(tti_otlp_settings *settings) {
  for (size_t i = 0; i < settings->header_count; i++)
    free(settings->headers[i]);
  for (size_t i = 0; i < settings->excluded_count; i++)
    free(settings->excluded[i]);
  for (size_t i = 0; i < settings->text_count; i++)
    free(settings->texts[i]);
  tti_arena_fini(&settings->resource.arena);
  free(settings->token_file);
  free(settings->url);
  free(settings->shown_url);
}
