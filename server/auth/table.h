#ifndef AUTH_TABLE_H
#define AUTH_TABLE_H

#include "server/auth/auth.h"

/* One token in force. */
typedef struct auth_entry {
  char id[40];
  unsigned scopes;
  unsigned char sha256[32];
} auth_entry;

/* Looks a presented token up among those in force; false: it is none. The time
 * taken does not depend on which one it is or how near it comes. Any thread. */
bool auth_lookup(auth *a, tti_slice token, auth_entry *out_entry);

/* The entry of an id, when it is still in force. Any thread. */
bool auth_lookup_id(auth *a, const char *id, auth_entry *out_entry);

const auth_options *auth_options_of(const auth *a);

/* Those in force. Good until the loop's turn ends. */
const auth_rules *auth_rules_of(const auth *a);

/* SHA-256 of a text. */
void auth_digest(tti_slice text, unsigned char out_sha256[32]);

#endif
