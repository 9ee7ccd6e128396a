#ifndef AUTH_TABLE_H
#define AUTH_TABLE_H

#include "server/auth/auth.h"
#include "server/auth/bucket.h"

#include <pthread.h>
#include <stdatomic.h>

/* Who is let in. Shared by the files of this folder. */

/* One token in force. */
typedef struct auth_entry {
  char id[40];
  char name[64];
  unsigned scopes;
  unsigned char sha256[32];
} auth_entry;

/* One login of a browser: a cookie that stands for a token. Kept in the store
 * as these bytes. */
typedef struct auth_login {
  unsigned char sha256[32]; /* of the cookie */
  unsigned char token_sha256[32];
  int64_t expires_us; /* wall */
} auth_login;

enum {
  AUTH_FIXED_MAX = 3,     /* tokens of the environment */
  AUTH_LOGINS_MAX = 1000, /* one more ends the oldest */
  AUTH_LOGIN_HOURS = 12
};

/* The tokens of the environment come first; those of the store follow and are
 * replaced as a whole. The table is looked at once a connection (the gate
 * remembers), so a mutex and a walk over all of it are cheap enough, and the
 * walk takes the same time whatever was presented. */
struct auth {
  auth_options options;
  pthread_mutex_t mutex;
  auth_entry *entries; /* under the mutex, as the next six */
  size_t count;
  size_t fixed;       /* of the environment */
  auth_login *logins; /* oldest first; NULL: none were made yet */
  size_t login_count;
  uint64_t login_changes; /* so many, … */
  uint64_t logins_saved;  /* … of which the store has the first ones */
  /* Stored with release after the table has changed, so that who reads the new
   * number with acquire also finds the new table. */
  _Atomic uint64_t generation;
  _Atomic bool has_tokens;
  /* Stored with release, loaded with acquire: who finds rules finds them
   * filled in. */
  const auth_rules *_Atomic rules;
  void (*watcher)(void *context); /* set before the loops answer anything */
  void *watcher_context;
  auth_buckets *open;  /* for routes that are let through without a token */
  auth_buckets *wrong; /* for logins that fail */
};

/* Looks a presented token up among those in force; false: it is none. The time
 * taken does not depend on which one it is or how near it comes. Any thread. */
bool auth_lookup(auth *a, tti_slice token, auth_entry *out_entry);

/* The entry of an id, when it is still in force. Any thread. */
bool auth_lookup_id(auth *a, const char *id, auth_entry *out_entry);

/* The token that a cookie stands for, and until when; false: the login or its
 * token is over. Any thread. */
bool auth_lookup_login(auth *a, const unsigned char sha256[32],
                       auth_entry *out_entry, int64_t *out_expires_us);

/* Something that was in force no longer is: bumps the generation and tells. */
void auth_changed(auth *a);

const auth_options *auth_options_of(const auth *a);

/* Those in force. Good until the loop's turn ends. */
const auth_rules *auth_rules_of(const auth *a);

/* ---- login.c ---- */

/* The logins of the earlier life that are not over. */
tt_error auth_logins_load(auth *a);

#define AUTH_COOKIE_TEXT 24
/* Cookies have no ports: servers on one host are told apart by the name. */
void auth_cookie_name(const http_request *request,
                      char out_name[AUTH_COOKIE_TEXT]);
/* Our cookie's value; ptr NULL: it is not there, or not one of our own pages
 * sends it. */
tti_slice auth_cookie(const http_request *request);

/* ---- token.c ---- */

/* ["ingest","read"] */
void auth_scopes_json(tti_buf *out, unsigned scopes);

/* SHA-256 of a text. */
void auth_digest(tti_slice text, unsigned char out_sha256[32]);

/* "tt_" and base64url of 256 random bits, and its digest. `prefix` has three
 * letters. */
void auth_secret_generate(const char *prefix, char out_text[AUTH_TOKEN_TEXT],
                          unsigned char out_sha256[32]);

/* ---- client.c ---- */

/* Finds out who asks, where a trusted proxy speaks for them; false: it was
 * answered. */
bool auth_find_client(auth *a, http_request *request);

/* One of the headers by which proxies tell that they are there; NULL: none. */
const char *auth_proxy_header(const http_request *request);

#endif
