#include "server/sessions/choice.h"

#include "lib/event/category.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

static bool refuse(session_refusal *out, const char *code, const char *format,
                   ...) TELLTALE_PRINTF(3, 4);
static bool refuse(session_refusal *out, const char *code, const char *format,
                   ...) {
  va_list args;
  out->code = code;
  va_start(args, format);
  vsnprintf(out->message, sizeof(out->message), format, args);
  va_end(args);
  return false;
}

static bool unknown(session_refusal *out, const char *path, const char *name,
                    const tti_slice *known, size_t count) {
  tti_nearest nearest = tti_nearest_to(tti_slice_of(name));
  for (size_t i = 0; i < count; i++)
    tti_nearest_try(&nearest, known[i]);
  tti_slice near = nearest.name;
  const char *dot = *path ? "." : "";
  if (near.len)
    return refuse(out, "unknown_field",
                  "unknown field \"%s%s%.80s\"; did you mean \"%.*s\"?", path,
                  dot, name, (int)near.len, near.ptr);
  return refuse(out, "unknown_field",
                "unknown field \"%s%s%.80s\"; the nearest that is known is "
                "\"%.*s\"",
                path, dot, name, (int)known[0].len, known[0].ptr);
}

static bool wants_object(session_refusal *out, const char *path) {
  return refuse(out, "invalid_telemetry", "%s must be an object", path);
}

/* {"enabled": …}; *out_given is false when it says nothing. */
static bool read_switch(const json_t *value, const char *path,
                        session_refusal *out, bool *out_given, bool *out_on) {
  static const tti_slice known[] = {{"enabled", 7}};
  const char *name;
  json_t *member;
  *out_given = false;
  if (!json_is_object(value))
    return wants_object(out, path);
  json_object_foreach((json_t *)value, name, member) {
    if (strcmp(name, "enabled") != 0)
      return unknown(out, path, name, known, 1);
    if (!json_is_boolean(member))
      return refuse(out, "invalid_telemetry",
                    "%s.enabled must be true or false", path);
    *out_given = true;
    *out_on = json_is_true(member);
  }
  return true;
}

static bool read_browser(json_t *browser, const tti_vocabulary *v,
                         session_choice *choice, session_refusal *out) {
  const char *name;
  json_t *value;
  if (!json_is_object(browser))
    return wants_object(out, "browser");
  choice->has_browser = true;
  json_object_foreach(browser, name, value) {
    char path[100];
    bool given, on;
    int found = tti_vocabulary_find(v, tti_slice_of(name));
    if (found < 0)
      return unknown(out, "browser", name, v->categories, v->category_count);
    snprintf(path, sizeof(path), "browser.%s", name);
    if (!read_switch(value, path, out, &given, &on))
      return false;
    if (!given)
      continue;
    if (found == TTI_CATEGORY_SYSTEM && !on)
      return refuse(out, "invalid_telemetry",
                    "browser.system cannot be switched off: it is captured as "
                    "long as anything is; leave it out");
    *(on ? &choice->on : &choice->off) |= UINT64_C(1) << found;
  }
  return true;
}

static bool read_export(json_t *value, session_choice *choice,
                        session_refusal *out) {
  static const tti_slice known[] = {{"otlp", 4}};
  const char *name;
  json_t *member;
  if (!json_is_object(value))
    return wants_object(out, "export");
  choice->has_export = true;
  json_object_foreach(value, name, member) {
    if (strcmp(name, "otlp") != 0)
      return unknown(out, "export", name, known, 1);
    if (!read_switch(member, "export.otlp", out, &choice->has_otlp,
                     &choice->otlp))
      return false;
  }
  return true;
}

static bool read_members(json_t *root, const tti_vocabulary *v,
                         session_choice *choice, session_refusal *out) {
  static const tti_slice known[] = {{"browser", 7}, {"export", 6}};
  const char *name;
  json_t *value;
  json_object_foreach(root, name, value) {
    bool good =
        strcmp(name, "browser") == 0  ? read_browser(value, v, choice, out)
        : strcmp(name, "export") == 0 ? read_export(value, choice, out)
                                      : unknown(out, "", name, known, 2);
    if (!good)
      return false;
  }
  return true;
}

bool session_choice_parse(tti_slice body, const tti_vocabulary *v,
                          session_choice *out_choice,
                          session_refusal *out_refusal) {
  session_choice choice = {0};
  json_error_t where;
  if (tti_slice_trim(body).len == 0) {
    *out_choice = choice;
    return true;
  }
  json_t *root = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, &where);
  if (!root)
    return refuse(out_refusal, "invalid_json", "%s (at byte %d)", where.text,
                  where.position);
  bool good = json_is_object(root)
                  ? read_members(root, v, &choice, out_refusal)
                  : refuse(out_refusal, "invalid_telemetry",
                           "expected an object such as {\"browser\": "
                           "{\"console\": {\"enabled\": false}}}");
  json_decref(root);
  if (good)
    *out_choice = choice;
  return good;
}
