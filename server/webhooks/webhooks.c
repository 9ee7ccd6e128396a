#include "server/webhooks/internal.h"

#include "lib/json/write.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- What the routes have in common ---- */

void webhook_api_changed(webhook_api *api) {
  if (api->options.changed)
    api->options.changed(api->options.context);
}

void webhook_api_due(webhook_api *api) {
  if (api->options.due)
    api->options.due(api->options.context);
}

void webhook_api_missing(api_call *call, const char *what, const char *name) {
  char code[32];
  tti_slice id = http_request_param(call->request, name);
  snprintf(code, sizeof(code), "%s_not_found", what);
  api_call_refuse(call, 404, code, "there is no %s %.*s", what,
                  (int)(id.len < 80 ? id.len : 80), id.ptr);
}

void webhook_api_expired(api_call *call) {
  api_call_refuse(call, 410, "event_expired",
                  "event expired (past 30-day retention)");
}

static bool is_known(const char *name, const tti_slice *names, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (tti_slice_eq(tti_slice_of(name), names[i]))
      return true;
  return false;
}

json_t *webhook_api_body(http_request *request, const tti_slice *names,
                         size_t count) {
  tti_slice body = tti_slice_trim(http_request_body(request));
  json_error_t where;
  const char *name;
  json_t *value;
  json_t *root =
      body.len ? json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, &where)
               : json_object();
  if (!json_is_object(root)) {
    http_reply_error(request, 400, "invalid_json",
                     "invalid request body: an object is expected%s%s",
                     root ? "" : ": ", root ? "" : where.text);
    json_decref(root);
    return NULL;
  }
  json_object_foreach(root, name, value) {
    if (is_known(name, names, count))
      continue;
    tti_nearest near = tti_nearest_to(tti_slice_of(name));
    for (size_t i = 0; i < count; i++)
      tti_nearest_try(&near, names[i]);
    tti_slice shown = near.name.len ? near.name : names[0];
    http_reply_error(
        request, 400, "unknown_field", "unknown field \"%.80s\"; %s \"%.*s\"",
        name, near.name.len ? "did you mean" : "the first that is known is",
        (int)shown.len, shown.ptr);
    json_decref(root);
    return NULL;
  }
  return root;
}

tti_slice webhook_api_text(http_request *request, const json_t *value) {
  size_t len = json_string_length(value);
  char *text =
      json_is_string(value) ? http_request_alloc(request, len + 1) : NULL;
  if (!text)
    return (tti_slice){0};
  memcpy(text, json_string_value(value), len);
  text[len] = '\0';
  return (tti_slice){text, len};
}

bool webhook_api_key(api_call *call, const char *route) {
  char text[128];
  tti_slice id = http_request_param(call->request, "id");
  snprintf(text, sizeof(text), "%s %.*s", route,
           (int)(id.len < 80 ? id.len : 80), id.ptr);
  return api_call_key(call, text);
}

void webhook_api_pack(const char *id, store_job *job) {
  const char *digits = strchr(id, '_');
  char half[17] = "";
  if (!digits || strlen(++digits) < 32)
    return;
  memcpy(half, digits, 16);
  job->first_seq = strtoull(half, NULL, 16);
  memcpy(half, digits + 16, 16);
  job->count = strtoull(half, NULL, 16);
}

void webhook_api_unpack(const char *prefix, const store_job *job,
                        char out_id[TABLES_ID_SIZE]) {
  snprintf(out_id, TABLES_ID_SIZE, "%s%016llx%016llx", prefix,
           (unsigned long long)job->first_seq, (unsigned long long)job->count);
}

void webhook_api_put_time(tti_buf *out, const char *name, int64_t us) {
  char text[TTI_RFC3339_MAX];
  if (!us)
    return;
  tti_rfc3339_format(us, text);
  tti_buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

void webhook_api_put_text(tti_buf *out, const char *name, tti_slice text) {
  if (!text.len)
    return;
  tti_buf_printf(out, ",\"%s\":", name);
  tti_json_write_string(out, text);
}

/* ---- Life ---- */

enum {
  WEBHOOKS_MAX = 100000,
  SMALL_BODY = 4096,
  WEBHOOK_BODY = 256 << 10,
  EVENT_BODY = 1100000 /* as much as an event may have */
};

static void add_routes(webhook_api *api) {
#define X(method, path, its_name, its_scope, body)                             \
  {.methods = HTTP_##method##_,                                                \
   .pattern = "/api/v1" path,                                                  \
   .name = #its_name,                                                          \
   .handler = its_name##_serve,                                                \
   .context = api,                                                             \
   .scope = AUTH_##its_scope,                                                  \
   .max_body_bytes = body,                                                     \
   .about = &its_name##_about},
  const http_route routes[] = {WEBHOOK_ROUTES(X)};
#undef X
  relay_add_routes(api->options.relay, routes,
                   sizeof(routes) / sizeof(routes[0]));
}

tt_error webhook_api_new(const webhook_api_options *options,
                         webhook_api **out_api) {
  webhook_api *api = calloc(1, sizeof(*api));
  if (!api)
    return TT_ENOMEM;
  api->options = *options;
  if (!api->options.webhooks_max)
    api->options.webhooks_max = WEBHOOKS_MAX;
  tt_error error = since_jobs_new(api, &api->since);
  if (error) {
    free(api);
    return error;
  }
  add_routes(api);
  *out_api = api;
  return TT_OK;
}

void webhook_api_close(webhook_api *api) {
  if (api)
    since_jobs_close(api->since);
}

void webhook_api_free(webhook_api *api) {
  if (!api)
    return;
  since_jobs_free(api->since);
  free(api);
}
