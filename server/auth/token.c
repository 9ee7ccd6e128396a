#include "lib/base/random.h"
#include "server/auth/table.h"
#include "server/io/clock.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
  const char *name;
  unsigned bit;
} scope_names[] = {
    {"ingest", AUTH_INGEST}, {"read", AUTH_READ}, {"admin", AUTH_ADMIN}};
enum { SCOPE_COUNT = sizeof(scope_names) / sizeof(scope_names[0]) };

void auth_digest(tti_slice text, unsigned char out_sha256[32]) {
  SHA256((const unsigned char *)(text.len ? text.ptr : ""), text.len,
         out_sha256);
}

void auth_secret_generate(const char *prefix, char out_text[AUTH_TOKEN_TEXT],
                          unsigned char out_sha256[32]) {
  unsigned char bytes[33] = {0}; /* 32, and one that makes whole groups */
  char base64[45];
  tti_random_bytes(bytes, 32);
  EVP_EncodeBlock((unsigned char *)base64, bytes, sizeof(bytes));
  memcpy(out_text, prefix, 3);
  for (size_t i = 0; i < 43; i++)
    out_text[3 + i] = base64[i] == '+'   ? '-'
                      : base64[i] == '/' ? '_'
                                         : base64[i];
  out_text[46] = '\0';
  auth_digest(tti_slice_of(out_text), out_sha256);
  OPENSSL_cleanse(bytes, sizeof(bytes));
  OPENSSL_cleanse(base64, sizeof(base64));
}

void auth_token_generate(char out_text[AUTH_TOKEN_TEXT],
                         unsigned char out_sha256[32]) {
  auth_secret_generate("tt_", out_text, out_sha256);
}

unsigned auth_scopes_parse(tti_slice text) {
  unsigned scopes = 0;
  for (;;) {
    const char *comma = memchr(text.ptr ? text.ptr : "", ',', text.len);
    size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
    tti_slice word = tti_slice_trim((tti_slice){text.ptr, len});
    unsigned bit = 0;
    for (size_t i = 0; i < SCOPE_COUNT; i++)
      if (tti_slice_eq(word, tti_slice_of(scope_names[i].name)))
        bit = scope_names[i].bit;
    if (!bit)
      return 0;
    scopes |= bit;
    if (!comma)
      return scopes;
    text = (tti_slice){comma + 1, text.len - len - 1};
  }
}

void auth_scopes_text(unsigned scopes, char out_text[AUTH_SCOPES_TEXT]) {
  size_t len = 0;
  out_text[0] = '\0';
  for (size_t i = 0; i < SCOPE_COUNT; i++)
    if (scopes & scope_names[i].bit)
      len += (size_t)snprintf(out_text + len, AUTH_SCOPES_TEXT - len, "%s%s",
                              len ? "," : "", scope_names[i].name);
}

void auth_scopes_json(tti_buf *out, unsigned scopes) {
  const char *glue = "[";
  for (size_t i = 0; i < SCOPE_COUNT; i++) {
    if (!(scopes & scope_names[i].bit))
      continue;
    tti_buf_printf(out, "%s\"%s\"", glue, scope_names[i].name);
    glue = ",";
  }
  tti_buf_append_text(out, *glue == '[' ? "[]" : "]");
}

static bool is_name(tti_slice name) {
  for (size_t i = 0; i < name.len; i++)
    if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 0x7f)
      return false;
  return name.len > 0 && name.len < sizeof(((store_token *)0)->name);
}

tt_error auth_token_make(tti_slice name, unsigned scopes,
                         char out_text[AUTH_TOKEN_TEXT],
                         store_token *out_token) {
  const unsigned all = AUTH_INGEST | AUTH_READ | AUTH_ADMIN;
  name = tti_slice_trim(name);
  if (!is_name(name) || !scopes || (scopes & ~all))
    return TT_EINVAL;
  store_token token = {.scopes = scopes, .created_us = server_wall_us()};
  unsigned char id[8];
  tti_random_bytes(id, sizeof(id));
  strcpy(token.id, "tok_");
  for (size_t i = 0; i < sizeof(id); i++)
    snprintf(token.id + 4 + 2 * i, 3, "%02x", id[i]);
  memcpy(token.name, name.ptr, name.len);
  auth_token_generate(out_text, token.sha256);
  *out_token = token;
  return TT_OK;
}

tt_error auth_tokens_in_force(store *s, store_token **out_tokens,
                              size_t *out_count) {
  /* The store keeps revoked ones for the record; asked with more room until
   * there was some left. */
  enum { ROWS_MAX = 1 << 20 };
  store_token *tokens = NULL;
  size_t found = 0, room = 64;
  uint64_t generation;
  do {
    room *= 4;
    free(tokens);
    tokens = calloc(room, sizeof(*tokens));
    if (!tokens)
      return TT_ENOMEM;
    found = store_tokens(s, tokens, room, &generation);
  } while (found >= room && room < ROWS_MAX);
  size_t count = 0;
  for (size_t i = 0; i < found && i < room; i++)
    if (!tokens[i].revoked_us)
      tokens[count++] = tokens[i];
  *out_tokens = tokens;
  *out_count = count;
  return TT_OK;
}
