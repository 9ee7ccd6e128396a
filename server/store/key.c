#include "server/store/key.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#define UUID_CHARS 36

static bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* "<uuid, lower case>/<decimal>" */
static bool parse_own(tti_slice key, uint64_t *out_number) {
  if (key.len < UUID_CHARS + 2 || key.ptr[UUID_CHARS] != '/')
    return false;
  for (size_t i = 0; i < UUID_CHARS; i++) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? key.ptr[i] != '-' : !is_hex(key.ptr[i]))
      return false;
  }
  unsigned long long number;
  tti_slice digits = {key.ptr + UUID_CHARS + 1, key.len - UUID_CHARS - 1};
  if (!tti_slice_to_u64(digits, &number))
    return false;
  *out_number = number;
  return true;
}

bool store_key_digest(const store_key *key,
                      unsigned char out_digest[STORE_KEY_DIGEST],
                      uint64_t *out_number) {
  bool own = parse_own(key->key, out_number);
  /* The length in front keeps (scope, key) apart from any other split. */
  char text[512];
  unsigned char scope_len[8];
  for (size_t i = 0; i < sizeof scope_len; i++)
    scope_len[i] = (unsigned char)((uint64_t)key->scope.len >> (8 * i));
  size_t key_len = own ? UUID_CHARS : key->key.len;
  unsigned char digest[SHA256_DIGEST_LENGTH];
  size_t total = sizeof scope_len + key->scope.len + key_len;
  if (total <= sizeof text) {
    memcpy(text, scope_len, sizeof scope_len);
    if (key->scope.len)
      memcpy(text + sizeof scope_len, key->scope.ptr, key->scope.len);
    memcpy(text + sizeof scope_len + key->scope.len, key->key.ptr, key_len);
    SHA256((const unsigned char *)text, total, digest);
  } else {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    memset(digest, 0, sizeof digest);
    if (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL)) {
      EVP_DigestUpdate(context, scope_len, sizeof scope_len);
      EVP_DigestUpdate(context, key->scope.ptr, key->scope.len);
      EVP_DigestUpdate(context, key->key.ptr, key_len);
      EVP_DigestFinal_ex(context, digest, NULL);
    }
    EVP_MD_CTX_free(context);
  }
  memcpy(out_digest, digest, STORE_KEY_DIGEST);
  return own;
}

store_verdict store_answers_find(const store_answers *answers, uint64_t number,
                                 const unsigned char body_sha256[32],
                                 store_answer *out_answer) {
  for (size_t i = 0; i < answers->count; i++) {
    const store_answer *item = &answers->items[i];
    if (item->number != number)
      continue;
    if (memcmp(item->body_sha256, body_sha256, 32) != 0)
      return STORE_MISMATCH;
    *out_answer = *item;
    return STORE_REPLAYED;
  }
  if (answers->count < STORE_ANSWERS || number > answers->items[0].number)
    return STORE_OK;
  *out_answer = (store_answer){.number = number};
  return STORE_REPLAYED;
}

void store_answers_add(store_answers *answers, const store_answer *answer) {
  store_answer *items = answers->items;
  if (answers->count == STORE_ANSWERS) {
    memmove(items, items + 1, (STORE_ANSWERS - 1) * sizeof *items);
    answers->count--;
  }
  size_t at = answers->count++;
  for (; at > 0 && items[at - 1].number > answer->number; at--)
    items[at] = items[at - 1];
  items[at] = *answer;
}

static void put_u64(char *out, uint64_t value) {
  for (int i = 0; i < 8; i++)
    out[i] = (char)(unsigned char)(value >> (8 * i));
}

static uint64_t get_u64(const char *in) {
  uint64_t value = 0;
  for (int i = 0; i < 8; i++)
    value |= (uint64_t)(unsigned char)in[i] << (8 * i);
  return value;
}

size_t store_answers_pack(const store_answers *answers,
                          char out_bytes[STORE_ANSWERS * STORE_ANSWER_PACKED]) {
  char *at = out_bytes;
  for (size_t i = 0; i < answers->count; i++) {
    const store_answer *item = &answers->items[i];
    put_u64(at, item->number);
    put_u64(at + 8, item->first_seq);
    put_u64(at + 16, item->count);
    memcpy(at + 24, item->body_sha256, 32);
    at += STORE_ANSWER_PACKED;
  }
  return (size_t)(at - out_bytes);
}

tt_error store_answers_unpack(tti_slice bytes, store_answers *out_answers) {
  size_t count = bytes.len / STORE_ANSWER_PACKED;
  if (bytes.len % STORE_ANSWER_PACKED || count > STORE_ANSWERS)
    return TT_ECORRUPT;
  out_answers->count = count;
  for (size_t i = 0; i < count; i++) {
    const char *at = bytes.ptr + i * STORE_ANSWER_PACKED;
    store_answer *item = &out_answers->items[i];
    item->number = get_u64(at);
    item->first_seq = get_u64(at + 8);
    item->count = get_u64(at + 16);
    memcpy(item->body_sha256, at + 24, 32);
  }
  return TT_OK;
}
