#include "server/auth/table.h"

const char *auth_proxy_header(const http_request *request) {
  static const char *const names[] = {"Forwarded",          "X-Forwarded-For",
                                      "X-Forwarded-Host",   "X-Forwarded-Proto",
                                      "X-Forwarded-Server", "X-Forwarded-Port",
                                      "X-Real-IP",          "Via"};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    if (http_request_header(request, names[i]).ptr)
      return names[i];
  return NULL;
}

/* Whom the headers of that name speak for, the last one first. */
static http_address
follow(const http_proxies *proxies, const http_request *request,
       const char *name, size_t count,
       bool (*step)(const http_proxies *proxies, tti_slice value,
                    http_address *client)) {
  http_address client = *http_request_peer(request);
  while (
      count > 0 &&
      step(proxies, http_request_header_at(request, name, count - 1), &client))
    count--;
  return client;
}

static tti_slice last(const http_request *request, const char *name) {
  size_t count = http_request_header_count(request, name);
  return http_request_header_at(request, name, count ? count - 1 : 0);
}

bool auth_find_client(auth *a, http_request *request) {
  static const char by_list[] = "X-Forwarded-For", by_rfc[] = "Forwarded";
  const http_proxies *proxies = &auth_rules_of(a)->proxies;
  if (!proxies->count ||
      !http_proxies_trust(proxies, http_request_peer(request)))
    return true;
  size_t lists = http_request_header_count(request, by_list);
  size_t rfcs = http_request_header_count(request, by_rfc);
  http_address client =
      follow(proxies, request, by_list, lists, http_forwarded_for);
  http_address other = follow(proxies, request, by_rfc, rfcs, http_forwarded);
  /* One of them is not the proxy's own but was passed on as the client sent it:
   * which one cannot be seen from here. */
  if (lists && rfcs && memcmp(&client, &other, sizeof(client)) != 0) {
    http_reply_error(request, 400, "ambiguous_client",
                     "Forwarded and X-Forwarded-For name different clients; "
                     "let the proxy remove the one that it does not set "
                     "itself");
    return false;
  }
  bool secure =
      http_forwarded_proto_is_https(last(request, "X-Forwarded-Proto")) ||
      http_forwarded_is_https(last(request, by_rfc));
  if (http_request_set_client(request, lists ? &client : &other, secure))
    return true;
  http_reply_error(request, 503, "out_of_memory", "out of memory; try again");
  return false;
}
