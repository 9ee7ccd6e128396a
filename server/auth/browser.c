#include "server/auth/browser.h"

tti_slice auth_host_name(tti_slice host) {
  host = tti_slice_trim(host);
  if (host.len && host.ptr[0] == '[') {
    const char *end = memchr(host.ptr, ']', host.len);
    if (end)
      host.len = (size_t)(end - host.ptr) + 1;
    return host;
  }
  const char *colon = memchr(host.ptr ? host.ptr : "", ':', host.len);
  if (colon)
    host.len = (size_t)(colon - host.ptr);
  return host;
}

static bool is_own_name(tti_slice name) {
  return tti_slice_eq_nocase(name, TTI_SLICE("localhost")) ||
         tti_slice_eq(name, TTI_SLICE("127.0.0.1")) ||
         tti_slice_eq(name, TTI_SLICE("[::1]"));
}

static bool is_configured_name(const auth_policy *policy, tti_slice name) {
  for (const char *const *host = policy->hosts; host && *host; host++)
    if (tti_slice_eq_nocase(name, tti_slice_of(*host)))
      return true;
  return false;
}

bool auth_is_same_origin(tti_slice origin, tti_slice host) {
  static const char *const schemes[] = {"http://", "https://"};
  for (size_t i = 0; i < 2; i++) {
    size_t len = strlen(schemes[i]);
    if (origin.len > len && memcmp(origin.ptr, schemes[i], len) == 0)
      return tti_slice_eq_nocase(
          (tti_slice){origin.ptr + len, origin.len - len},
          tti_slice_trim(host));
  }
  return false; /* "null" too */
}

bool auth_is_cors_origin(const char *const *cors_origins, tti_slice origin) {
  for (const char *const *at = cors_origins; at && *at; at++)
    if (tti_slice_eq_nocase(origin, tti_slice_of(*at)))
      return true;
  return false;
}

auth_finding auth_browser_check(const auth_policy *policy,
                                const auth_head *head, bool needs_token) {
  /* HTTP/1.0 has requests without a Host; no browser sends one. */
  tti_slice name = auth_host_name(head->host);
  bool own = name.len == 0 || is_own_name(name);
  bool configured = !own && is_configured_name(policy, name);
  if (policy->loopback && !own && !configured)
    return AUTH_FOREIGN_HOST;
  bool allowed = !head->many_origins && head->origin.ptr &&
                 auth_is_cors_origin(policy->cors_origins, head->origin);
  if (head->changes_state && !allowed) {
    if (head->many_origins ||
        (head->origin.ptr && !auth_is_same_origin(head->origin, head->host)))
      return AUTH_FOREIGN_ORIGIN;
    if (tti_slice_eq_nocase(head->fetch_site, TTI_SLICE("cross-site")))
      return AUTH_FOREIGN_ORIGIN;
  }
  if (needs_token && !policy->has_tokens && !policy->insecure &&
      (head->proxy_header || configured))
    return AUTH_BEHIND_PROXY;
  return AUTH_FINE;
}
