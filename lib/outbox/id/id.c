#include "lib/base/hex.h"
#include <openssl/evp.h>
#include <string.h>
#include <telltale/outbox.h>

tt_error tt_outbox_id_of(const char *const *parts, size_t count,
                         char out_id[TELLTALE_OUTBOX_ID_SIZE]) {
  if (!parts || count == 0 || !out_id)
    return TT_EINVAL;
  for (size_t i = 0; i < count; i++)
    if (!parts[i])
      return TT_EINVAL;
  unsigned char digest[EVP_MAX_MD_SIZE];
  EVP_MD_CTX *hash = EVP_MD_CTX_new();
  bool ok = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
  for (size_t i = 0; ok && i < count; i++)
    ok = (i == 0 || EVP_DigestUpdate(hash, "|", 1)) &&
         EVP_DigestUpdate(hash, parts[i], strlen(parts[i]));
  ok = ok && EVP_DigestFinal_ex(hash, digest, NULL);
  EVP_MD_CTX_free(hash);
  if (!ok)
    return TT_ENOMEM;
  memcpy(out_id, "evt_", 4);
  tti_hex(digest, 16, out_id + 4);
  return TT_OK;
}
