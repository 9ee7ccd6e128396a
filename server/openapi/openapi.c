#include "server/openapi/openapi.h"

#include "lib/json/write.h"
#include "server/auth/auth.h"

#define STATUS_MIN 200
#define STATUS_MAX 599
#define CODES_MAX  64

/* ---- Parts ---- */

static void key(tti_buf *out, const char *name) {
  tti_json_write_key(out, tti_slice_of(name));
}

static void member(tti_buf *out, const char *name, const char *value) {
  tti_buf_append_char(out, ',');
  key(out, name);
  tti_json_write_text(out, value);
}

static bool next_word(const char **rest, tti_slice *out_word) {
  if (!*rest || !**rest)
    return false;
  size_t len = strcspn(*rest, ",");
  *out_word = (tti_slice){*rest, len};
  *rest += len + ((*rest)[len] == ',');
  return true;
}

/* A schema by its name, or as it is. */
static void write_schema(tti_buf *out, const char *schema) {
  if (schema[0] == '{')
    tti_buf_append_text(out, schema);
  else
    tti_buf_printf(out, "{\"$ref\":\"#/components/schemas/%s\"}", schema);
}

/* ---- Parameters ---- */

static void write_number(tti_buf *out, const http_parameter *p) {
  tti_buf_printf(out, "{\"type\":\"integer\",\"minimum\":%llu", p->min);
  if (p->max)
    tti_buf_printf(out, ",\"maximum\":%llu", p->max);
  if (p->fallback)
    tti_buf_printf(out, ",\"default\":%s", p->fallback);
}

static void write_text(tti_buf *out, const http_parameter *p) {
  tti_buf_append_text(out, "{\"type\":\"string\"");
  if (p->type == HTTP_TIME)
    tti_buf_append_text(out, ",\"format\":\"date-time\"");
  if (p->type == HTTP_TEXT && p->max)
    tti_buf_printf(out, ",\"maxLength\":%llu", p->max);
  if (p->type == HTTP_WORD) {
    tti_buf_append_text(out, ",\"enum\":[");
    for (size_t i = 0; p->words[i]; i++) {
      if (i)
        tti_buf_append_char(out, ',');
      tti_json_write_text(out, p->words[i]);
    }
    tti_buf_append_char(out, ']');
  }
  if (p->fallback)
    member(out, "default", p->fallback);
}

static void write_parameter(tti_buf *out, const http_parameter *p) {
  static const char *const places[] = {[HTTP_IN_QUERY] = "query",
                                       [HTTP_IN_HEADER] = "header",
                                       [HTTP_IN_PATH] = "path"};
  tti_buf_append_text(out, "{\"name\":");
  tti_json_write_text(out, p->name);
  member(out, "in", places[p->in]);
  member(out, "description", p->help);
  if (p->required || p->in == HTTP_IN_PATH)
    tti_buf_append_text(out, ",\"required\":true");
  tti_buf_append_text(out, ",\"schema\":");
  if (p->type == HTTP_NUMBER)
    write_number(out, p);
  else
    write_text(out, p);
  tti_buf_append_text(out, "}}");
}

static void write_parameters(tti_buf *out, const http_description *about) {
  const char *glue = ",\"parameters\":[";
  for (size_t i = 0; i < HTTP_GROUPS_MAX && about->parameters[i]; i++) {
    for (const http_parameter *p = about->parameters[i]; p->name; p++) {
      tti_buf_append_text(out, glue);
      write_parameter(out, p);
      glue = ",";
    }
  }
  if (glue[1] == '\0')
    tti_buf_append_char(out, ']');
}

/* ---- The body ---- */

static void write_body(tti_buf *out, const http_route *route) {
  const http_content *contents = route->about->body;
  if (!contents[0].type)
    return;
  tti_buf_printf(
      out,
      ",\"requestBody\":{\"required\":true,\"description\":\"At "
      "most %zu bytes, decoded. Content-Encoding may be one of " HTTP_CODINGS
      " and identity.\",\"content\":{",
      route->max_body_bytes);
  for (size_t i = 0; i < HTTP_CONTENTS_MAX && contents[i].type; i++) {
    if (i)
      tti_buf_append_char(out, ',');
    key(out, contents[i].type);
    tti_buf_append_text(out, "{\"schema\":");
    write_schema(out, contents[i].schema);
    tti_buf_append_char(out, '}');
  }
  tti_buf_append_text(out, "}}");
}

/* ---- Answers ---- */

/* What a status of an operation may say: its own answers and what follows from
 * the route. */
typedef struct response {
  const char *help;
  const http_answer *own; /* the first one of the status; NULL: none */
  tti_slice codes[CODES_MAX];
  size_t code_count;
} response;

static void add_codes(response *r, const char *codes) {
  tti_slice code;
  while (next_word(&codes, &code) && r->code_count < CODES_MAX) {
    size_t i = 0;
    while (i < r->code_count && !tti_slice_eq(r->codes[i], code))
      i++;
    if (i == r->code_count)
      r->codes[r->code_count++] = code;
  }
}

static void add(response *r, const char *help, const char *codes) {
  if (!r->help)
    r->help = help;
  add_codes(r, codes);
}

static void add_parameters(response *r, const http_description *about) {
  for (size_t i = 0; i < HTTP_GROUPS_MAX && about->parameters[i]; i++)
    for (const http_parameter *p = about->parameters[i]; p->name; p++)
      if (p->code)
        add(r, "What was sent makes no sense.", p->code);
}

/* What follows from the route. */
static void add_derived(response *r, const http_route *route, int status) {
  bool body = route->about->body[0].type != NULL;
  bool changes = !(route->methods & HTTP_GET_);
  switch (status) {
  case 400:
    add_parameters(r, route->about);
    if (body)
      add(r, "What was sent makes no sense.", "bad_encoding");
    break;
  case 401:
    if (route->scope != AUTH_NONE)
      add(r, "No token came, or one that is not in force.", "unauthorized");
    break;
  case 403:
    if (route->scope != AUTH_NONE)
      add(r, "Not allowed to whoever asked.",
          "insufficient_scope,proxy_without_token");
    if (changes)
      add(r, "Not allowed to whoever asked.", "foreign_origin");
    break;
  case 429:
    if (route->scope & (AUTH_OPEN_INGEST | AUTH_OPEN_FLEET))
      add(r, "Too many requests without a token came from this address.",
          "rate_limited");
    break;
  case 413:
    if (body)
      add(r, "The body is over the limit.", "body_too_large");
    break;
  case 415:
    if (body)
      add(r, "The Content-Encoding is not a known one.",
          "unsupported_encoding");
    break;
  case 421:
    add(r, "The Host is not a name of this server.", "foreign_host");
    break;
  case 503:
    add(r, "Not now: nothing was changed, try again later.",
        "overloaded,out_of_memory");
    break;
  default:
    break;
  }
}

static const http_answer *answer_of(const http_description *about, size_t i,
                                    int status) {
  if (i >= HTTP_ANSWERS_MAX || about->answers[i].status != status)
    return NULL;
  return &about->answers[i];
}

static response response_of(const http_route *route, int status) {
  const http_description *about = route->about;
  response r = {0};
  for (size_t i = 0; i < HTTP_ANSWERS_MAX; i++) {
    const http_answer *own = answer_of(about, i, status);
    if (own && !r.own)
      r.own = own;
    if (own)
      add(&r, own->help, own->codes);
  }
  add_derived(&r, route, status);
  return r;
}

static void write_headers(tti_buf *out, const char *headers, bool retry) {
  tti_slice name;
  const char *glue = ",\"headers\":{";
  for (int pass = 0; pass < 2; pass++) {
    const char *rest = pass == 0 ? headers : retry ? "Retry-After" : NULL;
    while (next_word(&rest, &name)) {
      tti_buf_append_text(out, glue);
      tti_json_write_key(out, name);
      tti_buf_printf(out, "{\"$ref\":\"#/components/headers/%.*s\"}",
                     (int)name.len, name.ptr);
      glue = ",";
    }
  }
  if (glue[1] == '\0')
    tti_buf_append_char(out, '}');
}

static void write_error_schema(tti_buf *out, const response *r) {
  tti_buf_append_text(out, "{\"allOf\":[{\"$ref\":\"#/components/schemas/Error"
                           "\"},{\"properties\":{\"code\":{\"enum\":[");
  for (size_t i = 0; i < r->code_count; i++) {
    if (i)
      tti_buf_append_char(out, ',');
    tti_json_write_string(out, r->codes[i]);
  }
  tti_buf_append_text(out, "]}}}]}");
}

static void write_content(tti_buf *out, const char *glue, const char *type,
                          const char *schema, const response *error) {
  tti_buf_append_text(out, glue);
  key(out, type);
  tti_buf_append_text(out, "{\"schema\":");
  if (schema && error)
    tti_buf_append_text(out, "{\"anyOf\":[");
  if (schema)
    write_schema(out, schema);
  if (schema && error)
    tti_buf_append_char(out, ',');
  if (error)
    write_error_schema(out, error);
  tti_buf_append_text(out, schema && error ? "]}}" : "}");
}

static void write_response(tti_buf *out, const http_description *about,
                           const response *r, int status) {
  static const char json[] = "application/json";
  const char *glue = ",\"content\":{";
  bool told = r->code_count == 0; /* the error's form */
  tti_buf_append_text(out, "{\"description\":");
  tti_json_write_text(out, r->help);
  write_headers(out, r->own ? r->own->headers : NULL,
                status == 503 || status == 429);
  for (size_t i = 0; i < HTTP_ANSWERS_MAX; i++) {
    const http_answer *own = answer_of(about, i, status);
    if (!own || !own->type)
      continue;
    bool both = !told && strcmp(own->type, json) == 0;
    write_content(out, glue, own->type, own->schema, both ? r : NULL);
    told |= both;
    glue = ",";
  }
  if (!told) {
    write_content(out, glue, json, NULL, r);
    glue = ",";
  }
  tti_buf_append_text(out, glue[1] == '\0' ? "}}" : "}");
}

static void write_responses(tti_buf *out, const http_route *route) {
  tti_buf_append_text(out, ",\"responses\":{");
  for (int status = STATUS_MIN; status <= STATUS_MAX; status++) {
    response r = response_of(route, status);
    if (!r.help)
      continue;
    tti_buf_printf(out, "\"%d\":", status);
    write_response(out, route->about, &r, status);
    tti_buf_append_char(out, ',');
  }
  tti_buf_append_text(out,
                      "\"default\":{\"$ref\":\"#/components/responses/Error\"}"
                      "}");
}

/* ---- Operations ---- */

static void write_security(tti_buf *out, unsigned scope) {
  char name[AUTH_SCOPES_TEXT];
  if (scope == AUTH_NONE) {
    tti_buf_append_text(out, ",\"security\":[]");
    return;
  }
  auth_scopes_text(scope, name);
  tti_buf_printf(out, ",\"security\":[{\"token\":[\"%s\"]}]", name);
}

/* Ids are unique in a document; a name is what a route counts under. */
static unsigned same_before(const http_route *routes, size_t index) {
  unsigned count = 0;
  for (size_t i = 0; i < index; i++)
    count += strcmp(routes[i].name, routes[index].name) == 0;
  return count;
}

static void write_operation(tti_buf *out, const http_route *routes,
                            size_t index) {
  const http_route *route = &routes[index];
  const http_description *about = route->about;
  unsigned before = same_before(routes, index);
  tti_buf_printf(out, "{\"operationId\":\"%s", route->name);
  if (before)
    tti_buf_printf(out, "_%u", before + 1);
  tti_buf_append_char(out, '"');
  member(out, "summary", about->summary);
  if (about->help)
    member(out, "description", about->help);
  tti_buf_append_text(out, ",\"tags\":[");
  tti_json_write_text(out, about->tag);
  tti_buf_append_char(out, ']');
  write_security(out, route->scope);
  write_parameters(out, about);
  write_body(out, route);
  write_responses(out, route);
  tti_buf_append_char(out, '}');
}

static const char *method_name(unsigned methods) {
  return methods & HTTP_GET_     ? "get"
         : methods & HTTP_POST_  ? "post"
         : methods & HTTP_PUT_   ? "put"
         : methods & HTTP_PATCH_ ? "patch"
                                 : "delete";
}

/* The operations of the pattern, unless an earlier route had them written. */
static bool write_path(tti_buf *out, const http_route *routes, size_t count,
                       size_t first, bool is_first) {
  const char *pattern = routes[first].pattern;
  for (size_t i = 0; i < first; i++)
    if (routes[i].about && strcmp(routes[i].pattern, pattern) == 0)
      return false;
  if (!is_first)
    tti_buf_append_char(out, ',');
  key(out, pattern);
  for (size_t i = first; i < count; i++) {
    if (!routes[i].about || strcmp(routes[i].pattern, pattern) != 0)
      continue;
    tti_buf_append_char(out, i == first ? '{' : ',');
    key(out, method_name(routes[i].methods));
    write_operation(out, routes, i);
  }
  tti_buf_append_char(out, '}');
  return true;
}

void openapi_write(const http_route *routes, size_t count, const char *version,
                   tti_buf *out) {
  bool is_first = true;
  tti_buf_append_text(
      out,
      "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Telltale\",\"summary\""
      ":\"Collects events over HTTP, keeps them, and shows them to whoever "
      "listens.\",\"description\":\"Every GET route answers HEAD too, and "
      "every route OPTIONS. A server without any token takes requests of "
      "its own machine without one.\",\"license\":{\"name\":\"MIT\","
      "\"identifier\":\"MIT\"},\"version\":");
  tti_json_write_text(out, version);
  tti_buf_append_text(out, "},\"servers\":[{\"url\":\"/\"}],\"paths\":{");
  for (size_t i = 0; i < count; i++)
    if (routes[i].about && write_path(out, routes, count, i, is_first))
      is_first = false;
  tti_buf_append_text(out, "},\"components\":");
  tti_buf_append(out, openapi_components, openapi_components_len);
  tti_buf_append_char(out, '}');
}

/* ---- Completeness ---- */

static bool describes_param(const http_description *about, tti_slice name) {
  for (size_t i = 0; i < HTTP_GROUPS_MAX && about->parameters[i]; i++)
    for (const http_parameter *p = about->parameters[i]; p->name; p++)
      if (p->in == HTTP_IN_PATH && tti_slice_eq(tti_slice_of(p->name), name))
        return true;
  return false;
}

static bool is_described(const http_route *route) {
  if (!route->about || !route->about->answers[0].status)
    return false;
  for (const char *at = strchr(route->pattern, '{'); at;
       at = strchr(at + 1, '{'))
    if (!describes_param(route->about,
                         (tti_slice){at + 1, strcspn(at + 1, "}")}))
      return false;
  return true;
}

const http_route *openapi_undescribed(const http_route *routes, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!is_described(&routes[i]))
      return &routes[i];
  return NULL;
}
