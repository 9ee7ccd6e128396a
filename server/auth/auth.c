#include "server/auth/table.h"

#include "server/io/clock.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <stdlib.h>

/* As many addresses as are told apart: 768 KiB each, once it is needed. */
enum { OPEN_ADDRESSES = 32768, WRONG_ADDRESSES = 4096 };

static bool add_fixed(auth *a, const char *id, const char *token,
                      unsigned scopes) {
  if (!token)
    return false;
  auth_entry *entry = &a->entries[a->fixed++];
  strcpy(entry->id, id);
  strcpy(entry->name, id);
  entry->scopes = scopes;
  auth_digest(tti_slice_of(token), entry->sha256);
  return true;
}

tt_error auth_new(const auth_options *options, auth **out_auth) {
  auth *a = calloc(1, sizeof(*a));
  if (!a)
    return TT_ENOMEM;
  a->options = *options;
  pthread_mutex_init(&a->mutex, NULL);
  a->entries = calloc(3, sizeof(*a->entries));
  if (!a->entries || auth_buckets_new(OPEN_ADDRESSES, &a->open) != TT_OK ||
      auth_buckets_new(WRONG_ADDRESSES, &a->wrong) != TT_OK) {
    auth_free(a);
    return TT_ENOMEM;
  }
  add_fixed(a, "environment-ingest", options->token_ingest, AUTH_INGEST);
  add_fixed(a, "environment-read", options->token_read, AUTH_READ);
  add_fixed(a, "environment-admin", options->token_admin, AUTH_ADMIN);
  a->count = a->fixed;
  atomic_init(&a->generation, 1);
  atomic_init(&a->has_tokens, a->count > 0);
  static const auth_rules none = {.hosts = NULL};
  atomic_init(&a->rules, options->rules ? options->rules : &none);
  tt_error error = auth_refresh(a);
  if (error == TT_OK)
    error = auth_logins_load(a);
  if (error != TT_OK) {
    auth_free(a);
    return error;
  }
  *out_auth = a;
  return TT_OK;
}

void auth_free(auth *a) {
  if (!a)
    return;
  pthread_mutex_destroy(&a->mutex);
  auth_buckets_free(a->open);
  auth_buckets_free(a->wrong);
  free(a->logins);
  free(a->entries);
  free(a);
}

tt_error auth_refresh(auth *a) {
  store_token *tokens = NULL;
  size_t found = 0;
  if (!a->options.store)
    return TT_OK;
  /* The store is asked under the mutex, so that of two refreshes at once the
   * later look is the one that stays. */
  pthread_mutex_lock(&a->mutex);
  tt_error error = auth_tokens_in_force(a->options.store, &tokens, &found);
  auth_entry *entries =
      error == TT_OK ? calloc(a->fixed + found + 1, sizeof(*entries)) : NULL;
  if (!entries) {
    pthread_mutex_unlock(&a->mutex);
    free(tokens);
    return TT_ENOMEM;
  }
  memcpy(entries, a->entries, a->fixed * sizeof(*entries));
  for (size_t i = 0; i < found; i++) {
    auth_entry *entry = &entries[a->fixed + i];
    memcpy(entry->id, tokens[i].id, sizeof(entry->id));
    memcpy(entry->name, tokens[i].name, sizeof(entry->name));
    entry->scopes = tokens[i].scopes;
    memcpy(entry->sha256, tokens[i].sha256, sizeof(entry->sha256));
  }
  free(a->entries);
  a->entries = entries;
  a->count = a->fixed + found;
  atomic_store_explicit(&a->has_tokens, a->count > 0, memory_order_relaxed);
  pthread_mutex_unlock(&a->mutex);
  auth_changed(a);
  free(tokens);
  return TT_OK;
}

void auth_changed(auth *a) {
  atomic_fetch_add_explicit(&a->generation, 1, memory_order_release);
  if (a->watcher)
    a->watcher(a->watcher_context);
}

void auth_watch(auth *a, void (*changed)(void *context), void *context) {
  a->watcher_context = context;
  a->watcher = changed;
}

bool auth_has_tokens(auth *a) {
  /* Relaxed: a request that races with the first token's making may be judged
   * by either state. */
  return atomic_load_explicit(&a->has_tokens, memory_order_relaxed);
}

uint64_t auth_generation(auth *a) {
  return atomic_load_explicit(&a->generation, memory_order_acquire);
}

void auth_set_rules(auth *a, const auth_rules *rules) {
  atomic_store_explicit(&a->rules, rules, memory_order_release);
}

const auth_rules *auth_rules_of(const auth *a) {
  return atomic_load_explicit(&a->rules, memory_order_acquire);
}

const auth_options *auth_options_of(const auth *a) {
  return &a->options;
}

bool auth_lookup(auth *a, tti_slice token, auth_entry *out_entry) {
  unsigned char sha256[32];
  bool found = false;
  auth_digest(token, sha256);
  pthread_mutex_lock(&a->mutex);
  for (size_t i = 0; i < a->count; i++) {
    if (CRYPTO_memcmp(a->entries[i].sha256, sha256, sizeof(sha256)) == 0) {
      *out_entry = a->entries[i];
      found = true;
    }
  }
  pthread_mutex_unlock(&a->mutex);
  return found;
}

bool auth_lookup_id(auth *a, const char *id, auth_entry *out_entry) {
  bool found = false;
  pthread_mutex_lock(&a->mutex);
  for (size_t i = 0; i < a->count && !found; i++) {
    if (strcmp(a->entries[i].id, id) == 0) {
      *out_entry = a->entries[i];
      found = true;
    }
  }
  pthread_mutex_unlock(&a->mutex);
  return found;
}

bool auth_lookup_login(auth *a, const unsigned char sha256[32],
                       auth_entry *out_entry, int64_t *out_expires_us) {
  bool found = false;
  pthread_mutex_lock(&a->mutex);
  const auth_login *login = NULL;
  for (size_t i = 0; i < a->login_count; i++)
    if (CRYPTO_memcmp(a->logins[i].sha256, sha256, 32) == 0)
      login = &a->logins[i];
  for (size_t i = 0; login && i < a->count && !found; i++) {
    if (memcmp(a->entries[i].sha256, login->token_sha256, 32) == 0) {
      *out_entry = a->entries[i];
      *out_expires_us = login->expires_us;
      found = login->expires_us > server_wall_us();
    }
  }
  pthread_mutex_unlock(&a->mutex);
  return found;
}

bool auth_is_loopback(const char *address) {
  struct in_addr v4;
  struct in6_addr v6;
  if (inet_pton(AF_INET, address, &v4) == 1)
    return ntohl(v4.s_addr) >> 24 == 127;
  return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}
