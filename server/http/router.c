#include "server/http/router.h"

#include "lib/base/hash.h"
#include <stdlib.h>

typedef struct entry {
  const http_route *route; /* NULL: an empty place */
  tti_slice pattern;
  uint64_t hash;
} entry;

struct http_router {
  const http_route *routes;
  size_t count;
  size_t mask;
  entry *table; /* plain patterns; one entry a route, probed linearly */
};

static size_t count_params(const char *pattern) {
  size_t count = 0;
  for (; *pattern; pattern++)
    count += *pattern == '{';
  return count;
}

static void insert(http_router *router, const http_route *route) {
  tti_slice pattern = tti_slice_of(route->pattern);
  uint64_t hash = tti_hash64(pattern.ptr, pattern.len);
  size_t at = hash & router->mask;
  while (router->table[at].route)
    at = (at + 1) & router->mask;
  router->table[at] = (entry){route, pattern, hash};
}

tt_error http_router_new(const http_route *routes, size_t count,
                         http_router **out_router) {
  size_t places = 16;
  while (places < count * 2)
    places *= 2;
  for (size_t i = 0; i < count; i++)
    if (routes[i].pattern[0] != '/' ||
        count_params(routes[i].pattern) > HTTP_PARAMS_MAX)
      return TT_EINVAL;
  http_router *router = calloc(1, sizeof(*router));
  entry *table = calloc(places, sizeof(*table));
  if (!router || !table) {
    free(router);
    free(table);
    return TT_ENOMEM;
  }
  *router = (http_router){routes, count, places - 1, table};
  for (size_t i = 0; i < count; i++)
    if (count_params(routes[i].pattern) == 0)
      insert(router, &routes[i]);
  *out_router = router;
  return TT_OK;
}

void http_router_free(http_router *router) {
  if (!router)
    return;
  free(router->table);
  free(router);
}

static tti_slice next_part(tti_slice *rest) {
  const char *slash = rest->len ? memchr(rest->ptr, '/', rest->len) : NULL;
  size_t len = slash ? (size_t)(slash - rest->ptr) : rest->len;
  tti_slice part = {rest->ptr, len};
  size_t taken = len + (slash ? 1 : 0);
  *rest = (tti_slice){rest->ptr + taken, rest->len - taken};
  return part;
}

static bool ends_in_slash(tti_slice s) {
  return s.len > 0 && s.ptr[s.len - 1] == '/';
}

static bool is_param(tti_slice part) {
  return part.len > 2 && part.ptr[0] == '{' && part.ptr[part.len - 1] == '}';
}

static bool parts_match(tti_slice pattern, tti_slice path,
                        tti_slice params[HTTP_PARAMS_MAX]) {
  size_t found = 0;
  if (ends_in_slash(pattern) != ends_in_slash(path))
    return false;
  while (pattern.len && path.len) {
    tti_slice want = next_part(&pattern);
    tti_slice have = next_part(&path);
    if (!is_param(want)) {
      if (!tti_slice_eq(want, have))
        return false;
    } else if (have.len == 0) {
      return false;
    } else {
      params[found++] = have;
    }
  }
  return pattern.len == 0 && path.len == 0;
}

static void consider(const http_route *route, unsigned method,
                     http_match *match) {
  match->allowed |= route->methods;
  if (!match->route && (route->methods & method))
    match->route = route;
}

void http_router_find(const http_router *router, tti_slice path,
                      unsigned method, http_match *out_match) {
  http_match match = {.route = NULL};
  uint64_t hash = tti_hash64(path.ptr, path.len);
  for (size_t at = hash & router->mask; router->table[at].route;
       at = (at + 1) & router->mask) {
    const entry *e = &router->table[at];
    if (e->hash == hash && tti_slice_eq(e->pattern, path))
      consider(e->route, method, &match);
  }
  for (size_t i = 0; !match.allowed && i < router->count; i++) {
    const http_route *route = &router->routes[i];
    tti_slice pattern = tti_slice_of(route->pattern);
    if (!memchr(pattern.ptr, '{', pattern.len))
      continue;
    if (!parts_match(pattern, path, match.params))
      continue;
    /* Other methods of the same pattern may follow. */
    for (; i < router->count; i++)
      if (strcmp(router->routes[i].pattern, route->pattern) == 0)
        consider(&router->routes[i], method, &match);
  }
  *out_match = match;
}

int http_pattern_param(const char *pattern, tti_slice name) {
  tti_slice rest = tti_slice_of(pattern);
  int index = 0;
  while (rest.len) {
    tti_slice part = next_part(&rest);
    if (!is_param(part))
      continue;
    if (tti_slice_eq((tti_slice){part.ptr + 1, part.len - 2}, name))
      return index;
    index++;
  }
  return -1;
}
