#include "server/subscriptions/webhook.h"

#include "lib/base/time.h"
#include "lib/event/record.h"
#include "lib/json/bytes.h"
#include "lib/json/write.h"
#include "lib/outbox/outbox.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
  URL_MAX = 2048,
  DESCRIPTION_MAX = 200,
  ENTRY_MAX = 200,
  LABEL_MAX = 64,
  HEADERS_MAX = 20,
  HEADER_NAME_MAX = 64,
  HEADER_VALUE_MAX = 1024
};

#define TYPE_CHARACTERS  "abcdefghijklmnopqrstuvwxyz0123456789_.-"
#define LABEL_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789:_-"
#define TOKEN_CHARACTERS                                                       \
  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"             \
  "!#$%&'*+-.^_`|~"

const tti_slice webhook_filter_names[WEBHOOK_FILTERS_COUNT] = {
    [WEBHOOK_SOURCES] = {"sources", 7},
    [WEBHOOK_CHANNELS] = {"channels", 8},
    [WEBHOOK_AGENT_IDS] = {"agent_ids", 9},
    [WEBHOOK_LEVELS] = {"levels", 6},
    [WEBHOOK_SUBJECTS] = {"subjects", 8},
    [WEBHOOK_LABELS] = {"labels", 6}};

static bool refuse(webhook_refusal *out, const char *format, ...)
    TELLTALE_PRINTF(2, 3);
static bool refuse(webhook_refusal *out, const char *format, ...) {
  va_list args;
  out->code = "invalid_webhook";
  va_start(args, format);
  vsnprintf(out->message, sizeof out->message, format, args);
  va_end(args);
  return false;
}

static bool unknown(webhook_refusal *out, const char *path, const char *name,
                    const tti_slice *known, size_t count) {
  tti_nearest nearest = tti_nearest_to(tti_slice_of(name));
  for (size_t i = 0; i < count; i++)
    tti_nearest_try(&nearest, known[i]);
  bool near = nearest.name.len > 0;
  tti_slice shown = near ? nearest.name : known[0];
  refuse(out, "unknown field \"%s%.80s\"; %s \"%.*s\"%s", path, name,
         near ? "did you mean" : "the first that is known is", (int)shown.len,
         shown.ptr, near ? "?" : "");
  out->code = "unknown_field";
  return false;
}

static tti_slice text_of(const json_t *value) {
  return (tti_slice){json_string_value(value), json_string_length(value)};
}

/* Characters, not bytes; the text is UTF-8. */
static size_t length_of(tti_slice text) {
  size_t length = 0;
  for (size_t i = 0; i < text.len; i++)
    length += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
  return length;
}

static bool made_of(tti_slice text, const char *allowed, size_t max) {
  for (size_t i = 0; i < text.len; i++)
    if (!text.ptr[i] || !strchr(allowed, text.ptr[i]))
      return false;
  return text.len > 0 && text.len <= max;
}

/* ---- The members ---- */

static bool refuse_url(webhook_refusal *out, const char *url, const char *why) {
  return refuse(out, "invalid url: %s: %.200s", why, url);
}

/* Looked at by the parser that will call it. */
static bool read_url(const json_t *value, webhook_change *change,
                     webhook_refusal *out) {
  if (!json_is_string(value))
    return refuse(out, "invalid url: it must be a string such as "
                       "\"https://example.com/hook\"");
  change->row.url = text_of(value);
  const char *url = change->row.url.ptr;
  if (change->row.url.len > URL_MAX)
    return refuse(out, "url too long (max %d chars)", URL_MAX);
  CURLU *handle = curl_url();
  char *scheme = NULL, *user = NULL, *host = NULL;
  if (!handle)
    return refuse(out, "out of memory");
  CURLUcode code = curl_url_set(handle, CURLUPART_URL, url, 0);
  if (!code) {
    curl_url_get(handle, CURLUPART_SCHEME, &scheme, 0);
    curl_url_get(handle, CURLUPART_USER, &user, 0);
    curl_url_get(handle, CURLUPART_HOST, &host, 0);
  }
  bool http =
      scheme && (strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0);
  bool good = true;
  if (code)
    good = refuse_url(out, url, curl_url_strerror(code));
  else if (!http || !host || !*host)
    good = refuse_url(out, url, "it must be http:// or https:// and a host");
  else if (user)
    good = refuse(out, "invalid url: a name or password in it would be shown "
                       "to whoever lists webhooks; put an Authorization header "
                       "into headers");
  curl_free(scheme);
  curl_free(user);
  curl_free(host);
  curl_url_cleanup(handle);
  return good;
}

bool webhook_is_pattern(tti_slice text) {
  if (tti_slice_eq(text, TTI_SLICE("*")))
    return true;
  if (text.len > 2 && memcmp(text.ptr + text.len - 2, ".*", 2) == 0)
    text.len -= 2;
  return made_of(text, TYPE_CHARACTERS, TTI_OUTBOX_TYPE_MAX);
}

static bool dump(const json_t *value, char **out_text, tti_slice *out_slice,
                 webhook_refusal *out) {
  *out_text = json_dumps(value, JSON_COMPACT);
  if (!*out_text)
    return refuse(out, "out of memory");
  *out_slice = tti_slice_of(*out_text);
  return true;
}

static bool read_events(const json_t *value, webhook_change *change,
                        webhook_refusal *out) {
  size_t i;
  json_t *item;
  if (!json_is_array(value) || json_array_size(value) == 0)
    return refuse(out, "events must be a non-empty array");
  if (json_array_size(value) > WEBHOOK_LIST_MAX)
    return refuse(out, "events exceeds cap of %d", WEBHOOK_LIST_MAX);
  json_array_foreach((json_t *)value, i, item) {
    if (!json_is_string(item))
      return refuse(out, "events[%zu] must be a string", i);
    if (!webhook_is_pattern(text_of(item)))
      return refuse(out,
                    "unknown event type \"%.140s\" (allowed: a type of "
                    "[a-z0-9_.-], at most %d of them, a prefix such as "
                    "\"order.*\", or \"*\" for all)",
                    json_string_value(item), TTI_OUTBOX_TYPE_MAX);
  }
  return dump(value, &change->events, &change->row.events, out);
}

static bool read_description(const json_t *value, webhook_change *change,
                             webhook_refusal *out) {
  if (json_is_null(value))
    return true;
  if (!json_is_string(value))
    return refuse(out, "description must be a string");
  tti_slice text = text_of(value);
  if (length_of(text) > DESCRIPTION_MAX)
    return refuse(out, "description too long (max %d chars)", DESCRIPTION_MAX);
  if (memchr(text.ptr, '\r', text.len) || memchr(text.ptr, '\n', text.len))
    return refuse(out, "description must be one line");
  if (text.len)
    change->row.description = text;
  return true;
}

static bool is_level(tti_slice text) {
  if (text.len > 2 && memcmp(text.ptr, ">=", 2) == 0)
    text = (tti_slice){text.ptr + 2, text.len - 2};
  return tti_level_parse(text) != TT_LEVEL_UNSET;
}

static bool read_filter(webhook_filter filter, const json_t *value,
                        webhook_refusal *out) {
  const char *name = webhook_filter_names[filter].ptr;
  size_t i;
  json_t *item;
  if (!json_is_array(value))
    return refuse(out, "filters.%s must be an array of strings", name);
  if (json_array_size(value) > WEBHOOK_LIST_MAX)
    return refuse(out, "filters.%s exceeds cap of %d", name, WEBHOOK_LIST_MAX);
  json_array_foreach((json_t *)value, i, item) {
    tti_slice text = text_of(item);
    if (!json_is_string(item) || text.len == 0)
      return refuse(out, "filters.%s[%zu] must be a string that is not empty",
                    name, i);
    if (filter == WEBHOOK_LABELS && !made_of(text, LABEL_CHARACTERS, LABEL_MAX))
      return refuse(out, "filters.labels[%zu] must be 1 to %d of [a-z0-9:_-]",
                    i, LABEL_MAX);
    if (filter == WEBHOOK_LEVELS && !is_level(text))
      return refuse(out,
                    "filters.levels[%zu] must be debug, info, warn, error or "
                    "fatal, or such as \">=warn\"",
                    i);
    if (length_of(text) > ENTRY_MAX)
      return refuse(out, "filters.%s[%zu] too long (max %d chars)", name, i,
                    ENTRY_MAX);
  }
  return true;
}

static bool read_filters(const json_t *value, webhook_change *change,
                         webhook_refusal *out) {
  const char *name;
  json_t *list;
  if (json_is_null(value))
    return true;
  if (!json_is_object(value))
    return refuse(out, "filters must be an object such as {\"sources\": "
                       "[\"shop\"]}");
  json_object_foreach((json_t *)value, name, list) {
    int filter = 0;
    while (filter < WEBHOOK_FILTERS_COUNT &&
           strcmp(name, webhook_filter_names[filter].ptr) != 0)
      filter++;
    if (filter == WEBHOOK_FILTERS_COUNT)
      return unknown(out, "filters.", name, webhook_filter_names,
                     WEBHOOK_FILTERS_COUNT);
    if (!read_filter((webhook_filter)filter, list, out))
      return false;
  }
  return json_object_size(value) == 0 ||
         dump(value, &change->filters, &change->row.filters, out);
}

/* What the delivery itself writes, or the connection is about. */
static bool is_reserved(const char *name) {
  static const char *const names[] = {"connection",   "content-length",
                                      "content-type", "content-encoding",
                                      "expect",       "host",
                                      "keep-alive",   "te",
                                      "trailer",      "transfer-encoding",
                                      "upgrade",      "user-agent"};
  static const char *const prefixes[] = {"proxy-", "webhook-", "telltale-",
                                         "x-e2a-"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcasecmp(name, names[i]) == 0)
      return true;
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
    if (strncasecmp(name, prefixes[i], strlen(prefixes[i])) == 0)
      return true;
  return false;
}

static bool is_value(tti_slice text) {
  for (size_t i = 0; i < text.len; i++)
    if (text.ptr[i] < ' ' || text.ptr[i] > '~')
      return false;
  return text.len > 0 && text.len <= HEADER_VALUE_MAX &&
         tti_slice_trim(text).len == text.len;
}

static bool read_headers(const json_t *value, webhook_change *change,
                         webhook_refusal *out) {
  const char *name;
  json_t *text;
  if (json_is_null(value))
    return true;
  if (!json_is_object(value))
    return refuse(out, "headers must be an object such as "
                       "{\"Authorization\": \"Bearer …\"}");
  if (json_object_size(value) > HEADERS_MAX)
    return refuse(out, "headers exceeds cap of %d", HEADERS_MAX);
  json_object_foreach((json_t *)value, name, text) {
    if (!made_of(tti_slice_of(name), TOKEN_CHARACTERS, HEADER_NAME_MAX))
      return refuse(out,
                    "headers: \"%.80s\" is not the name of a header of at most "
                    "%d characters",
                    name, HEADER_NAME_MAX);
    if (is_reserved(name))
      return refuse(out,
                    "headers: %s is written by each delivery itself; "
                    "leave it out",
                    name);
    if (!json_is_string(text) || !is_value(text_of(text)))
      return refuse(out,
                    "headers.%s must be 1 to %d printable ASCII characters "
                    "without space around them",
                    name, HEADER_VALUE_MAX);
  }
  return json_object_size(value) == 0 ||
         dump(value, &change->headers, &change->row.headers, out);
}

static bool read_format(const json_t *value, webhook_change *change,
                        webhook_refusal *out) {
  static const char *const formats[] = {"standard", "e2a", "slack", "discord"};
  const char *text = json_string_value(value);
  for (size_t i = 0; text && i < sizeof formats / sizeof *formats; i++)
    if (strcmp(text, formats[i]) == 0) {
      change->row.format = text_of(value);
      return true;
    }
  return refuse(out, "format must be standard, e2a, slack or discord");
}

static bool read_ordered(const json_t *value, webhook_change *change,
                         webhook_refusal *out) {
  change->row.ordered = json_is_true(value);
  return json_is_boolean(value) || refuse(out, "ordered must be true or false");
}

static bool read_enabled(const json_t *value, webhook_change *change,
                         webhook_refusal *out) {
  change->row.enabled = json_is_true(value);
  return json_is_boolean(value) || refuse(out, "enabled must be true or false");
}

static const tti_slice names[] = {
    {"url", 3},     {"events", 6}, {"description", 11}, {"filters", 7},
    {"headers", 7}, {"format", 6}, {"ordered", 7},      {"enabled", 7}};
enum { NAMES = sizeof names / sizeof *names };

/* In the order of the names, which is that of the bits. */
static bool (*const readers[NAMES])(const json_t *value, webhook_change *change,
                                    webhook_refusal *out) = {
    read_url,     read_events, read_description, read_filters,
    read_headers, read_format, read_ordered,     read_enabled};

static bool read_members(webhook_change *change, bool creates,
                         webhook_refusal *out) {
  const char *name;
  json_t *value;
  if (!json_is_object(change->root))
    return refuse(out, "invalid request body: an object such as {\"url\": "
                       "\"https://…\", \"events\": [\"order.*\"]} is expected");
  json_object_foreach(change->root, name, value) {
    size_t i = 0;
    while (i < NAMES && strcmp(name, names[i].ptr) != 0)
      i++;
    if (i == NAMES)
      return unknown(out, "", name, names, NAMES);
    if (!readers[i](value, change, out))
      return false;
    change->given |= 1u << i;
  }
  if (creates && !(change->given & WEBHOOK_URL))
    return refuse(out, "invalid url: url is required");
  if (creates && !(change->given & WEBHOOK_EVENTS))
    return refuse(out, "events must be a non-empty array");
  return true;
}

bool webhook_change_parse(tti_slice body, bool creates,
                          webhook_change *out_change,
                          webhook_refusal *out_refusal) {
  json_error_t where;
  webhook_change change = {.root =
                               json_loadb(body.ptr ? body.ptr : "", body.len,
                                          JSON_REJECT_DUPLICATES, &where)};
  if (!change.root) {
    refuse(out_refusal, "invalid request body: %s (at byte %d)", where.text,
           where.position);
    out_refusal->code = "invalid_json";
    return false;
  }
  if (!read_members(&change, creates, out_refusal)) {
    webhook_change_fini(&change);
    return false;
  }
  *out_change = change;
  return true;
}

void webhook_change_fini(webhook_change *change) {
  json_decref(change->root);
  free(change->events);
  free(change->filters);
  free(change->headers);
}

void webhook_change_apply(const webhook_change *change, webhook *row) {
  const webhook *from = &change->row;
  unsigned given = change->given;
  if (given & WEBHOOK_URL)
    row->url = from->url;
  if (given & WEBHOOK_EVENTS)
    row->events = from->events;
  if (given & WEBHOOK_DESCRIPTION)
    row->description = from->description;
  if (given & WEBHOOK_FILTERS)
    row->filters = from->filters;
  if (given & WEBHOOK_HEADERS)
    row->headers = from->headers;
  if (given & WEBHOOK_FORMAT)
    row->format = from->format;
  if (given & WEBHOOK_ORDERED)
    row->ordered = from->ordered;
  if (given & WEBHOOK_ENABLED)
    row->enabled = from->enabled;
}

webhook webhook_default(int64_t now_us) {
  return (webhook){.format = TTI_SLICE("standard"),
                   .enabled = true,
                   .created_us = now_us,
                   .updated_us = now_us};
}

/* ---- As it is shown ---- */

static void write_time(tti_buf *out, const char *name, int64_t us) {
  char text[TTI_RFC3339_MAX];
  if (!us)
    return;
  tti_rfc3339_format(us, text);
  tti_buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

static void write_string(tti_buf *out, const char *name, tti_slice text) {
  tti_buf_printf(out, "\"%s\":", name);
  tti_json_write_string(out, text);
}

/* Their values are as good as passwords. */
static void write_headers(tti_buf *out, tti_slice headers) {
  json_t *root = json_loadb(headers.ptr, headers.len, 0, NULL);
  const char *name;
  json_t *value;
  bool first = true;
  tti_buf_append_text(out, ",\"headers\":{");
  json_object_foreach(root, name, value) {
    if (!first)
      tti_buf_append_char(out, ',');
    first = false;
    write_string(out, name, TTI_SLICE("***"));
  }
  tti_buf_append_char(out, '}');
  json_decref(root);
}

static void write_row(tti_buf *out, const webhook *row, bool secret) {
  tti_buf_append_char(out, '{');
  write_string(out, "id", row->id);
  tti_buf_append_char(out, ',');
  write_string(out, "url", row->url);
  if (row->description.len) {
    tti_buf_append_char(out, ',');
    write_string(out, "description", row->description);
  }
  tti_buf_append_text(out, ",\"events\":");
  tti_buf_append_slice(out, row->events);
  tti_buf_append_text(out, ",\"filters\":");
  tti_buf_append_slice(out, row->filters.len ? row->filters : TTI_SLICE("{}"));
  if (row->headers.len)
    write_headers(out, row->headers);
  tti_buf_append_char(out, ',');
  write_string(out, "format", row->format);
  tti_buf_printf(out, ",\"ordered\":%s,\"enabled\":%s",
                 row->ordered ? "true" : "false",
                 row->enabled ? "true" : "false");
  if (secret) {
    tti_buf_append_char(out, ',');
    write_string(out, "signing_secret", row->secret);
  }
  write_time(out, "previous_secret_expires_at", row->previous_until_us);
  write_time(out, "auto_disabled_at", row->auto_disabled_us);
  write_time(out, "last_delivered_at", row->last_delivered_us);
  write_time(out, "created_at", row->created_us);
  write_time(out, "updated_at", row->updated_us);
  tti_buf_append_char(out, '}');
}

void webhook_write(tti_buf *out, const webhook *row) {
  write_row(out, row, false);
}

void webhook_write_with_secret(tti_buf *out, const webhook *row) {
  write_row(out, row, true);
}
