/* A configuration file may hold anything: it is read, or refused with a
 * sentence, and nothing else happens. */
#include "server/config/option.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  config c = {0};
  tti_buf error;
  tti_buf_init(&error, 4096);
  tt_error result = config_read_yaml(
      "fuzz.yaml", (tti_slice){(const char *)data, size}, &error, &c);
  if (result != TT_OK && result != TT_ENOMEM && error.len == 0)
    abort();
  config_fini(&c);
  tti_buf_fini(&error);
  return 0;
}
