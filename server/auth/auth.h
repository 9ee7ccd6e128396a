#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include "server/http/http.h"
#include "server/store/store.h"

/* Who may do what. Scopes are bits; admin includes the others. */
enum {
  AUTH_NONE = 0, /* a route that needs no token */
  AUTH_INGEST = 1 << 0,
  AUTH_READ = 1 << 1,
  AUTH_ADMIN = 1 << 2
};

typedef struct auth auth;

typedef struct auth_options {
  store *store;
  const char *token_ingest; /* from TELLTALE_TOKEN_…; NULL: none */
  const char *token_read;
  const char *token_admin;
  const char *const *hosts; /* further Host names; NULL-terminated */
  bool insecure;            /* --insecure: no token needed beyond loopback */
  bool listens_beyond_loopback;
} auth_options;

tt_error auth_new(const auth_options *options, auth **out_auth);
void auth_free(auth *a);

/* Whether any token is in force. */
bool auth_has_tokens(auth *a);

/* An http_gate with an auth as its context: Host, Origin and Sec-Fetch-Site,
 * proxy headers, then the bearer token against route->scope. Answers 421, 403,
 * 401 with the reason. */
bool auth_gate(http_request *request, const http_route *route, void *context);

/* Who this request is, for idempotency scopes: a token's id, or "". */
const char *auth_subject(http_request *request);

/* Grows when a token is made or revoked; a stream compares it now and then and
 * ends when its token is gone (auth_still_valid). */
uint64_t auth_generation(auth *a);
bool auth_still_valid(auth *a, http_request *request);

/* A new token: "tt_" and base64url of 256 random bits. */
void auth_token_generate(char out_text[64], unsigned char out_sha256[32]);
/* "ingest,read" -> bits; 0 when a word is not a scope. */
unsigned auth_scopes_parse(tti_slice text);
void auth_scopes_text(unsigned scopes, char out_text[32]);

#endif
