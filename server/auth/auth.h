#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include "server/http/describe.h"
#include "server/http/forwarded.h"
#include "server/store/store.h"

/* Who may do what. Scopes are bits; admin includes the others. */
enum {
  AUTH_NONE = 0, /* a route that needs no token */
  AUTH_INGEST = 1 << 0,
  AUTH_READ = 1 << 1,
  AUTH_ADMIN = 1 << 2
};

enum {
  AUTH_TOKENS_MAX = 1000, /* in force at once; more are refused */
  AUTH_TOKEN_TEXT = 64,
  AUTH_SCOPES_TEXT = 32
};

typedef struct auth auth;

/* What a route may be opened by, beside its scope: rules.open. */
enum { AUTH_OPEN_INGEST = 1 << 8, AUTH_OPEN_FLEET = 1 << 9 };

/* What the configuration says about requests, and may say otherwise while the
 * server runs. Lists are NULL-terminated or NULL. */
typedef struct auth_rules {
  const char *const *hosts;        /* further Host names */
  const char *const *cors_origins; /* pages of these may use us */
  http_proxies proxies;            /* whose word counts on who asks */
  unsigned open;       /* AUTH_OPEN_… bits: no token is needed for these */
  uint64_t open_rate;  /* … but so many requests a second an address */
  uint64_t open_burst; /* … and so many at once */
} auth_rules;

/* From TELLTALE_TOKEN_…; NULL: none. */
typedef struct auth_tokens {
  const char *ingest, *read, *admin;
} auth_tokens;

typedef struct auth_options {
  store *store; /* outlives the auth; may be NULL */
  auth_tokens tokens;
  const auth_rules *rules; /* as for auth_set_rules; NULL: none */
  bool insecure;           /* --insecure: no token needed beyond loopback */
  bool listens_beyond_loopback;
} auth_options;

tt_error auth_new(const auth_options *options, auth **out_auth);
void auth_free(auth *a);

/* Puts other rules in force, which are borrowed until they are replaced and
 * every loop has ended its turn (loop_retire). Any thread. */
void auth_set_rules(auth *a, const auth_rules *rules);

/* Replaces the tokens of the environment; false: they are the same. Any thread.
 */
bool auth_set_tokens(auth *a, const auth_tokens *tokens);

/* Whether any token is in force. Any thread. */
bool auth_has_tokens(auth *a);

/* Whether an address that one may listen on is this machine's alone:
 * 127.0.0.0/8 and ::1. */
bool auth_is_loopback(const char *address);

/* Reads the store's tokens again. Any thread; the store is not waited for.
 * TT_ENOMEM leaves the earlier ones in force. */
tt_error auth_refresh(auth *a);

/* An http_gate with an auth as its context: Host, Origin and Sec-Fetch-Site,
 * proxy headers, then the bearer token against route->scope. Answers 421, 403,
 * 401 with the reason. */
bool auth_gate(http_request *request, const http_route *route, void *context);

/* Who this request is, for idempotency scopes: a token's id, what the client's
 * certificate says, or "". To be asked in the handler; lives until the
 * connection's next request. */
const char *auth_subject(http_request *request);

/* Whether the request would pass the gate again: its token was not revoked, its
 * login not ended. A stream asks when it is told of a change, and now and then,
 * since logins end by themselves. */
bool auth_still_valid(auth *a, http_request *request);

/* Grows when a token is made or revoked or a login ends. Any thread. */
uint64_t auth_generation(auth *a);

/* Calls `changed` after each of these changes, on any thread; it must not
 * block. One watcher; before requests come in. */
void auth_watch(auth *a, void (*changed)(void *context), void *context);

/* ---- Tokens ---- */

/* A new token: "tt_" and base64url of 256 random bits. */
void auth_token_generate(char out_text[AUTH_TOKEN_TEXT],
                         unsigned char out_sha256[32]);
/* "ingest,read" -> bits; 0 when a word is not a scope. */
unsigned auth_scopes_parse(tti_slice text);
void auth_scopes_text(unsigned scopes, char out_text[AUTH_SCOPES_TEXT]);

/* A row for a new token, and its text, which is in no other place. TT_EINVAL:
 * the name is not 1 to 63 printable characters, or there is no scope. */
tt_error auth_token_make(tti_slice name, unsigned scopes,
                         char out_text[AUTH_TOKEN_TEXT],
                         store_token *out_token);

/* The tokens of a store that are in force, oldest first; *out_tokens is freed
 * by the caller. TT_ENOMEM. */
tt_error auth_tokens_in_force(store *s, store_token **out_tokens,
                              size_t *out_count);

/* For a store that no server holds: both wait for the disk. TT_ENOTFOUND: no
 * token of that id is in force; TT_EFULL: AUTH_TOKENS_MAX are; TT_EIO with the
 * reason in *out_error. */
tt_error auth_token_create_offline(store *s, tti_slice name, unsigned scopes,
                                   tti_buf *out_error,
                                   char out_text[AUTH_TOKEN_TEXT],
                                   store_token *out_token);
tt_error auth_token_revoke_offline(store *s, const char *id,
                                   tti_buf *out_error);

/* http_handlers with an auth as their context; scope admin.
 * POST /api/v1/tokens {"name", "scopes": ["ingest", …]} -> 201 with the text;
 * GET /api/v1/tokens; DELETE /api/v1/tokens/{id} -> 204. In force when
 * answered. */
void auth_serve_token_create(http_request *request, void *context);
void auth_serve_token_list(http_request *request, void *context);
void auth_serve_token_revoke(http_request *request, void *context);

/* Browsers; http_handlers with an auth as their context, without a scope.
 * POST /login {"token"} -> 200 and a cookie that stands for the token, for
 * AUTH_LOGIN_HOURS; GET /login tells what the request is let in by; POST
 * /logout -> 204, the cookie is worth nothing any more. */
void auth_serve_login(http_request *request, void *context);
void auth_serve_login_state(http_request *request, void *context);
void auth_serve_logout(http_request *request, void *context);

/* One token as JSON, without its text: {"id", "name", "scopes", "created_at"}.
 * `text` NULL: none. */
void auth_token_json(tti_buf *out, const store_token *token, const char *text);

extern const http_description auth_token_create_about, auth_token_list_about,
    auth_token_revoke_about, auth_login_about, auth_login_state_about,
    auth_logout_about;

#endif
