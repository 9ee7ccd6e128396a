#include "server/sinks/sink.h"

#include "server/io/log.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOKEN_MAX = 4096 };

/* NULL where nothing is said: the storage's own default. */
static const char *said(const char *text) {
  return *text ? text : NULL;
}

static tt_error refuse(const sink_spec *spec, tti_buf *out_error,
                       const char *why) {
  tti_buf_printf(out_error, "%s: sink %s: %s", spec->origin, spec->name, why);
  return TT_EINVAL;
}

/* ---- Storages ---- */

static tt_error new_jsonl(const sink_spec *spec, tti_buf *out_error,
                          tt_storage **out_storage) {
  if (!*spec->path)
    return refuse(spec, out_error, "it has no path: name the file to write");
  tt_storage_fsync fsync =
      strcmp(spec->fsync, "always") == 0  ? TT_STORAGE_FSYNC_ALWAYS
      : strcmp(spec->fsync, "never") == 0 ? TT_STORAGE_FSYNC_NEVER
                                          : TT_STORAGE_FSYNC_FLUSH;
  tt_storage_jsonl_options options = {
      .path = spec->path,
      .max_bytes = spec->max_bytes,
      .max_age_s = (int64_t)((spec->max_age + 999) / 1000),
      .keep = (unsigned)spec->keep,
      .fsync = fsync,
      .closed = spec->gzip ? tt_gzip_file : NULL,
      .log = server_log_hook("sinks"),
  };
  return tt_storage_jsonl_new(&options, out_storage);
}

static tt_error new_otlp(const sink_spec *spec, tti_buf *out_error,
                         tt_storage **out_storage) {
  char problem[TELLTALE_PROBLEM_MAX] = "";
  static const char *const none[] = {""};
  size_t excluded = 0;
  while (spec->exclude && spec->exclude[excluded])
    excluded++;
  tt_storage_otlp_options options = {
      .endpoint = said(spec->endpoint),
      .token_file = said(spec->token_file),
      .compression = said(spec->compression),
      .timeout_ms = (int)spec->timeout,
      .service_name = said(spec->service_name),
      .resource_attributes = said(spec->resource_attributes),
      .ca_file = said(spec->ca),
      .cert_file = said(spec->cert),
      .key_file = said(spec->key),
      .exclude = excluded ? (const char *const *)spec->exclude : none,
      .exclude_count = excluded,
  };
  tt_error error = tt_storage_otlp_new(&options, problem, out_storage);
  return error == TT_EINVAL ? refuse(spec, out_error, problem) : error;
}

/* The first line of the file; it is gone from memory when the caller is done.
 */
static tt_error read_token(const sink_spec *spec, tti_buf *out_error,
                           char out_token[TOKEN_MAX]) {
  char why[512];
  FILE *file = fopen(spec->token_file, "re");
  size_t len = file ? fread(out_token, 1, TOKEN_MAX - 1, file) : 0;
  int failed = !file || ferror(file) ? errno : 0;
  if (file)
    fclose(file);
  out_token[len] = '\0';
  out_token[strcspn(out_token, "\r\n")] = '\0';
  if (*out_token)
    return TT_OK;
  snprintf(why, sizeof(why), "cannot read the token in %s: %s",
           spec->token_file, failed ? strerror(failed) : "it is empty");
  return refuse(spec, out_error, why);
}

static tt_error new_s2(const sink_spec *spec, tti_buf *out_error,
                       tt_storage **out_storage) {
  char problem[TELLTALE_PROBLEM_MAX] = "";
  char token[TOKEN_MAX] = "";
  tt_error error =
      *spec->token_file ? read_token(spec, out_error, token) : TT_OK;
  tt_storage_s2_options options = {
      .basin = said(spec->basin),
      .stream = said(spec->stream),
      .access_token = said(token),
      .endpoint = said(spec->endpoint),
      .timeout_ms = (int)spec->timeout,
      .ca_file = said(spec->ca),
  };
  if (!error)
    error = tt_storage_s2_new(&options, problem, out_storage);
  explicit_bzero(token, sizeof(token));
  return error == TT_EINVAL && *problem ? refuse(spec, out_error, problem)
                                        : error;
}

tt_error sink_storage_new(const sink_spec *spec, tti_buf *out_error,
                          tt_storage **out_storage) {
  switch (spec->kind) {
  case SINK_S2:
    return new_s2(spec, out_error, out_storage);
  case SINK_OTLP:
    return new_otlp(spec, out_error, out_storage);
  default:
    return new_jsonl(spec, out_error, out_storage);
  }
}

/* ---- Filters ---- */

static unsigned kinds_of(const sink_spec *spec) {
  static const char *const names[] = {[TTI_KIND_RELAY] = "relay",
                                      [TTI_KIND_SESSION] = "session",
                                      [TTI_KIND_LOG] = "log",
                                      [TTI_KIND_PUBLISHED] = "published"};
  unsigned kinds = 0;
  for (char *const *name = spec->kinds; name && *name; name++)
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
      if (strcmp(*name, names[i]) == 0)
        kinds |= STORE_KIND_BIT(i);
  return kinds;
}

tt_error sink_filter_new(const sink_spec *spec, tti_buf *out_error,
                         tti_filter **out_filter, unsigned *out_kinds) {
  const struct {
    const char *key, *value;
  } parts[] = {{"source", spec->source},
               {"channel", spec->channel},
               {"action", spec->action},
               {"level", spec->level},
               {"agent_id", spec->agent_id}};
  tti_filter *filter;
  char why[200];
  tt_error error = tti_filter_new(&filter);
  if (error)
    return error;
  for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && !error; i++) {
    error = tti_filter_add(filter, tti_slice_of(parts[i].key),
                           tti_slice_of(parts[i].value));
    if (error == TT_EINVAL) {
      snprintf(why, sizeof(why),
               "filter.%s cannot be \"%.80s\": give values as in a query, such "
               "as \"a,b\", at most 50; \">=\" goes with one of the five "
               "levels",
               parts[i].key, parts[i].value);
      refuse(spec, out_error, why);
    }
  }
  if (error) {
    tti_filter_free(filter);
    return error;
  }
  *out_kinds = kinds_of(spec);
  if (tti_filter_names_channel(filter, TTI_SLICE("log")))
    *out_kinds |= STORE_KIND_BIT(TTI_KIND_LOG);
  *out_filter = filter;
  return TT_OK;
}

tt_error sinks_check(const sink_spec *spec, tti_buf *out_error) {
  tt_storage *storage;
  tti_filter *filter;
  unsigned kinds;
  tt_error error = sink_filter_new(spec, out_error, &filter, &kinds);
  if (error)
    return error;
  tti_filter_free(filter);
  error = sink_storage_new(spec, out_error, &storage);
  if (!error)
    tt_storage_free(storage);
  return error;
}
