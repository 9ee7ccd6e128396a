#include "server/config/option.h"

#include "server/sinks/sinks.h"
#include <stdlib.h>

static const config_option sink_options[] = {
#define X(field, type, sinks, key, value, help)                                \
  {CONFIG_TYPE_##type,        true, key, "", "", value, help,                  \
   offsetof(sink_spec, field)},
    SINK_FIELD_MAP(X)
#undef X
};

static const unsigned types_of[] = {
#define X(field, type, sinks, key, value, help) sinks,
    SINK_FIELD_MAP(X)
#undef X
};

enum {
#define X(field, type, sinks, key, value, help) FIELD_##field,
  SINK_FIELD_MAP(X)
#undef X
      FIELD_COUNT
};

const config_table config_sink = {sink_options, FIELD_COUNT};

unsigned config_sink_types(const config_option *option) {
  return types_of[option - sink_options];
}

/* ---- All of an entry ---- */

static tt_error refuse(const sink_spec *spec, tti_buf *out_error,
                       const char *why) {
  tti_buf_printf(out_error, "%s: %s", spec->origin, why);
  return TT_EINVAL;
}

static bool is_name(const char *name) {
  size_t len = strlen(name);
  return len > 0 && len <= 64 &&
         strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static tt_error check_name(const config *c, const sink_spec *spec,
                           tti_buf *out_error) {
  if (!is_name(spec->name))
    return refuse(spec, out_error,
                  "a sink needs a name of a-z, 0-9 and -, at most 64");
  for (size_t i = 0; i + 1 < c->sink_count; i++)
    if (strcmp(c->sinks[i].name, spec->name) == 0) {
      tti_buf_printf(out_error, "%s: sink %s is there already, from %s",
                     spec->origin, spec->name, c->sinks[i].origin);
      return TT_EINVAL;
    }
  return TT_OK;
}

static tt_error check_type(sink_spec *spec, uint64_t given,
                           tti_buf *out_error) {
  if (!*spec->type)
    return refuse(spec, out_error, "a sink needs a type: jsonl, s2 or otlp");
  spec->kind = strcmp(spec->type, "jsonl") == 0 ? SINK_JSONL
               : strcmp(spec->type, "s2") == 0  ? SINK_S2
                                                : SINK_OTLP;
  for (size_t i = 0; i < FIELD_COUNT; i++)
    if ((given >> i & 1) && !(types_of[i] & spec->kind)) {
      tti_buf_printf(out_error, "%s: sink %s: a sink of type %s has no %s",
                     spec->origin, spec->name, spec->type,
                     sink_options[i].key + sizeof("sinks.") - 1);
      return TT_EINVAL;
    }
  return TT_OK;
}

/* A storage writer begins with what there is; an exporter of OTLP with what
 * comes. */
static tt_error set_from(sink_spec *spec) {
  if (*spec->from)
    return TT_OK;
  char *from = strdup(spec->kind == SINK_OTLP ? "tail" : "oldest");
  if (!from)
    return TT_ENOMEM;
  free(spec->from);
  spec->from = from;
  return TT_OK;
}

static tt_error set_text(sink_spec *spec) {
  spec->text = config_entry_text(&config_sink, spec);
  return spec->text ? TT_OK : TT_ENOMEM;
}

tt_error config_sink_check(config *c, uint64_t given, tti_buf *out_error) {
  sink_spec *spec = &c->sinks[c->sink_count - 1];
  const char *at = strchr(spec->endpoint, '@');
  tt_error error = check_name(c, spec, out_error);
  if (error == TT_OK)
    error = check_type(spec, given, out_error);
  if (error == TT_OK && at)
    return refuse(spec, out_error,
                  "a password in the endpoint would be shown: put a token in "
                  "a file and name it with token_file");
  if (error == TT_OK)
    error = set_from(spec);
  if (error == TT_OK)
    error = set_text(spec);
  if (error == TT_OK)
    error = sinks_check(spec, out_error);
  return error;
}

tt_error config_sink_of_environment(config *c, tti_buf *out_error) {
  static const char *const names[] = {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
                                      "OTEL_EXPORTER_OTLP_ENDPOINT"};
  static const char *const values[][2] = {{"sinks.name", "sessions"},
                                          {"sinks.type", "otlp"},
                                          {"sinks.sessions", "true"}};
  const char *from = NULL;
  void *spec;
  for (size_t i = 0; i < 2 && !from; i++) {
    const char *value = getenv(names[i]);
    if (value && *value)
      from = names[i];
  }
  for (size_t i = 0; i < c->sink_count; i++)
    if (c->sinks[i].sessions || strcmp(c->sinks[i].name, values[0][1]) == 0)
      from = NULL;
  if (!from)
    return TT_OK;
  tt_error error =
      config_list_add(&config_lists[CONFIG_LIST_SINKS], c, from, &spec);
  for (size_t i = 0; i < 3 && error == TT_OK; i++)
    error = config_field_set(
        config_table_find(&config_sink, tti_slice_of(values[i][0])),
        tti_slice_of(values[i][1]), false, from, out_error, spec);
  return error == TT_OK ? config_sink_check(c, 0, out_error) : error;
}
