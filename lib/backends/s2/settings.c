#include "lib/backends/s2/settings.h"

#include "lib/base/buf.h"
#include "lib/http/client.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_ENDPOINT "https://{basin}.b.s2.dev"
#define PLACE            "{basin}"
#define BASIN_MIN        8
#define BASIN_MAX        48
#define STREAM_MAX       512
#define URL_MAX          8192

static const char *choose(const char *option, const char *variable) {
  const char *value = option ? option : getenv(variable);
  return value && *value ? value : NULL;
}

static tt_error refuse(char *problem, const char *why) {
  snprintf(problem, TELLTALE_PROBLEM_MAX, "%s", why);
  return TT_EINVAL;
}

static bool is_basin(const char *text) {
  size_t len = strlen(text);
  return len >= BASIN_MIN && len <= BASIN_MAX &&
         strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static bool is_token(const char *text) {
  for (; *text; text++)
    if (*text <= ' ' || *text > '~')
      return false;
  return true;
}

/* RFC 3986, 2.3: all but the unreserved as %XX. */
static void put_encoded(tti_buf *out, const char *text) {
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                 (c >= '0' && c <= '9') || strchr("-._~", c);
    if (plain)
      tti_buf_append_char(out, (char)c);
    else
      tti_buf_printf(out, "%%%02X", c);
  }
}

/* The endpoint with the basin's name put in; *out_named: it was. */
static void put_endpoint(tti_buf *out, const char *endpoint, const char *basin,
                         bool *out_named) {
  const char *place = strstr(endpoint, PLACE);
  *out_named = place != NULL;
  if (!strstr(endpoint, "://"))
    tti_buf_append_text(
        out, strncmp(endpoint, "localhost", 9) == 0 ? "http://" : "https://");
  if (!place) {
    tti_buf_append_text(out, endpoint);
    return;
  }
  tti_buf_append(out, endpoint, (size_t)(place - endpoint));
  tti_buf_append_text(out, basin);
  tti_buf_append_text(out, place + strlen(PLACE));
}

/* "/v1" where the endpoint has no path, then the stream's. */
static void put_path(tti_buf *out, const char *stream) {
  while (out->len && out->data[out->len - 1] == '/')
    out->len--;
  const char *host = memmem(out->data, out->len, "://", 3);
  host = host ? host + 3 : out->data;
  if (!memchr(host, '/', out->len - (size_t)(host - out->data)))
    tti_buf_append_text(out, "/v1");
  tti_buf_append_text(out, "/streams/");
  put_encoded(out, stream);
  tti_buf_append_text(out, "/records");
}

static tt_error set_urls(const char *endpoint, const char *basin,
                         const char *stream, tti_s2_settings *settings,
                         char *problem) {
  tti_buf url;
  bool named;
  tti_buf_init(&url, URL_MAX);
  put_endpoint(&url, endpoint, basin, &named);
  put_path(&url, stream);
  char *text = tti_buf_take(&url, NULL);
  tt_error error = text ? TT_OK : TT_ENOMEM;
  if (!error)
    error = tti_http_url(text, "", &settings->records);
  if (!error)
    error = tti_http_url(text, "/tail", &settings->tail);
  if (!error)
    error = tti_http_url_shown(text, &settings->shown);
  if (!error && !named &&
      asprintf(&settings->basin, "s2-basin: %s", basin) < 0) {
    settings->basin = NULL;
    error = TT_ENOMEM;
  }
  free(text);
  tti_buf_fini(&url);
  return error == TT_EINVAL
             ? refuse(problem, "endpoint: it is not an http or https URL")
             : error;
}

tt_error tti_s2_settings_read(const tt_storage_s2_options *options,
                              tti_s2_settings *settings, char *problem) {
  const char *basin = choose(options->basin, "S2_BASIN");
  const char *stream = choose(options->stream, "S2_STREAM");
  const char *token = choose(options->access_token, "S2_ACCESS_TOKEN");
  const char *endpoint = choose(options->endpoint, "S2_BASIN_ENDPOINT");
  if (!basin || !stream || !token) {
    snprintf(problem, TELLTALE_PROBLEM_MAX,
             "S2 needs a basin, a stream and an access token; missing:%s%s%s",
             basin ? "" : " basin", stream ? "" : " stream",
             token ? "" : " access token");
    return TT_EINVAL;
  }
  if (!is_basin(basin))
    return refuse(problem, "basin: it is not 8 to 48 lower-case letters, "
                           "digits and hyphens");
  if (strlen(stream) > STREAM_MAX)
    return refuse(problem, "stream: it is longer than 512 bytes");
  if (!is_token(token))
    return refuse(problem, "access token: it has a character that no token "
                           "has");
  if (asprintf(&settings->authorization, "Authorization: Bearer %s", token) <
      0) {
    settings->authorization = NULL;
    return TT_ENOMEM;
  }
  return set_urls(endpoint ? endpoint : DEFAULT_ENDPOINT, basin, stream,
                  settings, problem);
}

void tti_s2_settings_fini(tti_s2_settings *settings) {
  free(settings->records);
  free(settings->tail);
  free(settings->shown);
  free(settings->authorization);
  free(settings->basin);
}
