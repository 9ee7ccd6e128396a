#ifndef TTI_BACKENDS_OTLP_SETTINGS_H
#define TTI_BACKENDS_OTLP_SETTINGS_H

#include "lib/http/client.h"
#include "lib/otlp/logs.h"
#include <telltale/storage.h>

#define TTI_OTLP_HEADERS_MAX  32
#define TTI_OTLP_EXCLUDED_MAX 32

/* What the options and the environment say, checked. */
typedef struct tti_otlp_settings {
  const char *signal; /* in variables: "LOGS"; static, set by the caller */
  const char *path;   /* "/v1/logs"; the same */
  char *url;
  char *shown_url;  /* for messages */
  char *token_file; /* NULL: none */
  /* Borrowed from the options or the environment: for the client's making. */
  tti_http_files files;
  bool gzip;
  int timeout_ms;
  char *headers[TTI_OTLP_HEADERS_MAX]; /* "Name: value" */
  size_t header_count;
  char *excluded[TTI_OTLP_EXCLUDED_MAX];
  size_t excluded_count;
  tti_otlp_resource resource;
  char *texts[2 * TTI_OTLP_HEADERS_MAX]; /* owned, of the resource */
  size_t text_count;
} tti_otlp_settings;

/* Fills settings that are all zero but for the signal. On failure `problem`
 * (TELLTALE_PROBLEM_MAX bytes) says what is wrong and where it came from; the
 * settings are then to be freed nevertheless. TT_EINVAL, TT_ENOMEM. */
tt_error tti_otlp_settings_read(const tt_storage_otlp_options *options,
                                tti_otlp_settings *settings, char *problem);
void tti_otlp_settings_fini(tti_otlp_settings *settings);

#endif
