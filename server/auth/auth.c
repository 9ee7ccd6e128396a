#include "server/auth/table.h"

#include "server/io/clock.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <stdlib.h>

/* As many addresses as are told apart: 768 KiB each, once it is needed. */
enum { OPEN_ADDRESSES = 32768, WRONG_ADDRESSES = 4096 };

/* The tokens of the environment, as entries; how many. */
static size_t fixed_entries(const auth_tokens *tokens,
                            auth_entry out_entries[AUTH_FIXED_MAX]) {
  const struct {
    const char *id, *token;
    unsigned scopes;
  } rows[AUTH_FIXED_MAX] = {
      {"environment-ingest", tokens->ingest, AUTH_INGEST},
      {"environment-read", tokens->read, AUTH_READ},
      {"environment-admin", tokens->admin, AUTH_ADMIN},
  };
  size_t count = 0;
  for (size_t i = 0; i < AUTH_FIXED_MAX; i++) {
    if (!rows[i].token)
      continue;
    auth_entry *entry = &out_entries[count++];
    *entry = (auth_entry){.scopes = rows[i].scopes};
    strcpy(entry->id, rows[i].id);
    strcpy(entry->name, rows[i].id);
    auth_digest(tti_slice_of(rows[i].token), entry->sha256);
  }
  return count;
}

bool auth_set_tokens(auth *a, const auth_tokens *tokens) {
  auth_entry entries[AUTH_FIXED_MAX];
  size_t count = fixed_entries(tokens, entries);
  pthread_mutex_lock(&a->mutex);
  bool same = count == a->fixed;
  for (size_t i = 0; same && i < count; i++)
    same = memcmp(&entries[i].sha256, a->entries[i].sha256, 32) == 0 &&
           entries[i].scopes == a->entries[i].scopes;
  if (!same) {
    /* There is always room for all of them: see auth_refresh. */
    size_t stored = a->count - a->fixed;
    memmove(a->entries + count, a->entries + a->fixed,
            stored * sizeof(*a->entries));
    memcpy(a->entries, entries, count * sizeof(*entries));
    a->fixed = count;
    a->count = count + stored;
    atomic_store_explicit(&a->has_tokens, a->count > 0, memory_order_relaxed);
  }
  pthread_mutex_unlock(&a->mutex);
  if (!same)
    auth_changed(a);
  return !same;
}

tt_error auth_new(const auth_options *options, auth **out_auth) {
  auth *a = calloc(1, sizeof(*a));
  if (!a)
    return TT_ENOMEM;
  a->options = *options;
  pthread_mutex_init(&a->mutex, NULL);
  a->entries = calloc(AUTH_FIXED_MAX, sizeof(*a->entries));
  if (!a->entries || auth_buckets_new(OPEN_ADDRESSES, &a->open) != TT_OK ||
      auth_buckets_new(WRONG_ADDRESSES, &a->wrong) != TT_OK) {
    auth_free(a);
    return TT_ENOMEM;
  }
  a->fixed = fixed_entries(&options->tokens, a->entries);
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
      error == TT_OK ? calloc(AUTH_FIXED_MAX + found, sizeof(*entries)) : NULL;
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
