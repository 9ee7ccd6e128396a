#include "server/config/config.h"

#include <arpa/inet.h>

static bool is_address(const char *text) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, text, bytes) == 1 ||
         inet_pton(AF_INET6, text, bytes) == 1;
}

tt_error config_listen(const char *text, char out_address[64],
                       uint16_t *out_port) {
  tti_slice host, port;
  const char *colon;
  if (text[0] == '[') {
    const char *end = strchr(text, ']');
    if (!end || end[1] != ':')
      return TT_EINVAL;
    host = (tti_slice){text + 1, (size_t)(end - text) - 1};
    colon = end + 1;
  } else {
    colon = strrchr(text, ':');
    /* "::1" without brackets would lose its last group to the port. */
    if (!colon || memchr(text, ':', (size_t)(colon - text)))
      return TT_EINVAL;
    host = (tti_slice){text, (size_t)(colon - text)};
  }
  port = tti_slice_of(colon + 1);
  unsigned long long number;
  if (!tti_slice_to_u64(port, &number) || number > UINT16_MAX)
    return TT_EINVAL;
  char address[64];
  if (host.len == 0)
    host = TTI_SLICE("0.0.0.0"); /* ":6060", on every interface */
  else if (tti_slice_eq_nocase(host, TTI_SLICE("localhost")))
    host = TTI_SLICE("127.0.0.1");
  if (host.len >= sizeof(address))
    return TT_EINVAL;
  memcpy(address, host.ptr, host.len);
  address[host.len] = '\0';
  if (!is_address(address))
    return TT_EINVAL;
  memcpy(out_address, address, host.len + 1);
  *out_port = (uint16_t)number;
  return TT_OK;
}
