#include "lib/json/write.h"
#include "server/auth/table.h"
#include "server/io/log.h"

#include <jansson.h>
#include <stdlib.h>

/* A change of the tokens on its way: from the loop to the store's writer and
 * back. */
typedef struct change {
  store_job job;
  loop_task task;
  http_request *request;
  auth *auth;
  char text[AUTH_TOKEN_TEXT]; /* of a new token */
} change;

static change *change_of(store_job *job) {
  return (change *)((char *)job - offsetof(change, job));
}

/* On the writer. */
static void stored(store_job *job) {
  change *c = change_of(job);
  loop_post(http_request_loop(c->request), &c->task);
}

void auth_token_json(tti_buf *out, const store_token *token, const char *text) {
  char created[TTI_RFC3339_MAX];
  tti_rfc3339_format(token->created_us, created);
  tti_buf_printf(out, "{\"id\":\"%s\",\"name\":", token->id);
  tti_json_write_text(out, token->name);
  tti_buf_append_text(out, ",\"scopes\":");
  auth_scopes_json(out, token->scopes);
  tti_buf_printf(out, ",\"created_at\":\"%s\"", created);
  if (text)
    tti_buf_printf(out, ",\"token\":\"%s\"", text);
  tti_buf_append_char(out, '}');
}

/* On the loop again. In force before the answer: the next request with the
 * token must not meet the old table. */
static void answer(loop_task *task) {
  change *c = (change *)((char *)task - offsetof(change, task));
  bool created = c->job.kind == STORE_JOB_TOKEN_CREATE;
  tti_buf body;
  tti_buf_init(&body, 4096);
  if (c->job.verdict == STORE_OK && auth_refresh(c->auth) != TT_OK)
    server_log(TT_LEVEL_ERROR, "auth",
               "out of memory while reading the tokens again; restart to be "
               "sure that the change is in force");
  if (c->job.verdict == STORE_OK)
    server_log(TT_LEVEL_INFO, "auth", "token %s: token=%s by=\"%s\" client=%s",
               created ? "made" : "revoked", c->job.token.id,
               http_request_user(c->request),
               http_request_client_text(c->request));
  if (c->job.verdict == STORE_OK && created) {
    auth_token_json(&body, &c->job.token, c->text);
    http_reply_header(c->request, "Cache-Control", "no-store");
    http_reply_json(c->request, 201, &body);
  } else if (c->job.verdict == STORE_OK) {
    http_reply(c->request, 204, NULL, NULL, 0);
  } else if (c->job.verdict == STORE_NOT_FOUND) {
    http_reply_error(c->request, 404, "token_not_found",
                     "no token %s is in force", c->job.token.id);
  } else {
    http_reply_header(c->request, "Retry-After", "1");
    http_reply_error(c->request, 503, "store_unavailable",
                     "the store could not keep the change: %s; try again",
                     c->job.reason);
  }
  tti_buf_fini(&body);
  explicit_bzero(c->text, sizeof(c->text));
  free(c);
}

static change *change_new(auth *a, http_request *request, store_job_kind kind) {
  change *c = calloc(1, sizeof(*c));
  if (!c) {
    http_reply_error(request, 503, "out_of_memory", "out of memory; try again");
    return NULL;
  }
  c->job.kind = kind;
  c->job.done = stored;
  c->task.run = answer;
  c->auth = a;
  c->request = request;
  return c;
}

static void submit(change *c) {
  if (store_submit(auth_options_of(c->auth)->store, &c->job) == TT_OK)
    return;
  http_reply_header(c->request, "Retry-After", "1");
  http_reply_error(c->request, 503, "store_busy",
                   "the store's queue is full; try again");
  free(c);
}

/* ["ingest", "read"] or "ingest,read"; 0 for anything else. */
static unsigned scopes_of(const json_t *value) {
  unsigned scopes = 0;
  size_t i;
  json_t *word;
  if (json_is_string(value))
    return auth_scopes_parse(tti_slice_of(json_string_value(value)));
  if (!json_is_array(value))
    return 0;
  json_array_foreach(value, i, word) {
    unsigned bit =
        json_is_string(word)
            ? auth_scopes_parse(tti_slice_of(json_string_value(word)))
            : 0;
    if (!bit)
      return 0;
    scopes |= bit;
  }
  return scopes;
}

/* Reads the body of a create into the change; false: it was answered. */
static bool read_create(change *c) {
  tti_slice body = http_request_body(c->request);
  json_error_t where;
  json_t *root = json_loadb(body.len ? body.ptr : "", body.len,
                            JSON_REJECT_DUPLICATES, &where);
  const char *key;
  json_t *value;
  bool good = false;
  if (!json_is_object(root)) {
    http_reply_error(c->request, 400, "invalid_json",
                     "expected an object such as {\"name\": \"ci\", "
                     "\"scopes\": [\"ingest\"]}%s%s",
                     root ? "" : ": ", root ? "" : where.text);
    goto out;
  }
  json_object_foreach(root, key, value) {
    if (strcmp(key, "name") != 0 && strcmp(key, "scopes") != 0) {
      http_reply_error(c->request, 400, "unknown_field",
                       "unknown field \"%.60s\"; a token has name and scopes",
                       key);
      goto out;
    }
  }
  json_t *name = json_object_get(root, "name");
  tti_slice text = {json_string_value(name), json_string_length(name)};
  tt_error error = auth_token_make(
      text, scopes_of(json_object_get(root, "scopes")), c->text, &c->job.token);
  if (error != TT_OK) {
    http_reply_error(c->request, 400, "invalid_token",
                     "name must be 1 to 63 printable characters and scopes a "
                     "list out of ingest, read and admin");
    goto out;
  }
  good = true;
out:
  json_decref(root);
  return good;
}

void auth_serve_token_create(http_request *request, void *context) {
  auth *a = context;
  store_token *tokens = NULL;
  size_t count = 0;
  change *c = change_new(a, request, STORE_JOB_TOKEN_CREATE);
  if (!c)
    return;
  auth_tokens_in_force(auth_options_of(a)->store, &tokens, &count);
  free(tokens);
  if (count >= AUTH_TOKENS_MAX) {
    http_reply_error(request, 409, "too_many_tokens",
                     "%d tokens are in force, which is the most; revoke some",
                     AUTH_TOKENS_MAX);
    free(c);
  } else if (read_create(c)) {
    submit(c);
  } else {
    free(c);
  }
}

void auth_serve_token_list(http_request *request, void *context) {
  auth *a = context;
  store_token *tokens = NULL;
  size_t count = 0;
  tti_buf body;
  tti_buf_init(&body, 1 << 20);
  body.error = auth_tokens_in_force(auth_options_of(a)->store, &tokens, &count);
  tti_buf_append_text(&body, "{\"items\":[");
  for (size_t i = count; i-- > 0;) { /* newest first */
    auth_token_json(&body, &tokens[i], NULL);
    if (i)
      tti_buf_append_char(&body, ',');
  }
  tti_buf_append_text(&body, "],\"next_cursor\":null}");
  http_reply_json(request, 200, &body);
  tti_buf_fini(&body);
  free(tokens);
}

void auth_serve_token_revoke(http_request *request, void *context) {
  tti_slice id = http_request_param(request, "id");
  change *c = change_new(context, request, STORE_JOB_TOKEN_REVOKE);
  if (!c)
    return;
  if (id.len >= sizeof(c->job.token.id)) {
    http_reply_error(request, 404, "token_not_found",
                     "no token of that id is in force");
    free(c);
    return;
  }
  memcpy(c->job.token.id, id.ptr, id.len);
  submit(c);
}
